#include "http/site_path.h"

#include <algorithm>

namespace portal::http {

bool is_site_path(std::string_view text) {
    return text.starts_with('/') && !text.starts_with("//") && text.size() <= longest_site_path &&
           std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f && c != '\\'; });
}

}  // namespace portal::http
