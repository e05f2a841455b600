#include "http/stream.h"

#include <cstdio>

namespace portal::http {

StreamText::StreamText(std::string_view text) {
    char head[24];
    head_ = std::size_t(std::snprintf(head, sizeof(head), "%zx\r\n", text.size()));
    chunk_.reserve(head_ + text.size() + 2);
    chunk_.append(head, head_).append(text).append("\r\n");
}

}  // namespace portal::http
