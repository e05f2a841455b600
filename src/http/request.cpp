#include "http/request.h"

#include <algorithm>

namespace portal::http {
namespace {

int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    char lower = char(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool unreserved(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

}  // namespace

std::string percent_decode(std::string_view text, bool plus_is_space) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size(); ++at) {
        char c = text[at];
        if (c == '+' && plus_is_space) {
            out += ' ';
        } else if (c == '%' && at + 2 < text.size() && hex_digit(text[at + 1]) >= 0 && hex_digit(text[at + 2]) >= 0) {
            out += char(hex_digit(text[at + 1]) << 4 | hex_digit(text[at + 2]));
            at += 2;
        } else {
            out += c;
        }
    }
    return out;
}

std::string percent_encode(std::string_view text) {
    static constexpr char digits[] = "0123456789ABCDEF";
    std::string out;
    out.reserve(text.size() + 16);
    while (!text.empty()) {
        const auto end = std::find_if_not(text.begin(), text.end(), unreserved);
        out.append(text.begin(), end);
        text.remove_prefix(std::size_t(end - text.begin()));
        if (text.empty()) {
            break;
        }
        if (text.front() == ' ') {
            out += '+';
        } else {
            const auto byte = static_cast<unsigned char>(text.front());
            out += '%';
            out += digits[byte >> 4];
            out += digits[byte & 0x0f];
        }
        text.remove_prefix(1);
    }
    return out;
}

}  // namespace portal::http
