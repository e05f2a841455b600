#include "http/json.h"

#include <cstdlib>
#include <memory>
#include <stdexcept>

#include "http/validation.h"

namespace portal::http {
namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";   // U+FFFD

// Length of the well-formed sequence at the front of `text`, 0 when there is none.
std::size_t sequence_length(std::string_view text) {
    auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    unsigned char first = byte(0);
    if (first < 0x80) {
        return 1;
    }
    std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || text.size() < length) {
        return 0;
    }
    // the second byte shuts out overlong forms, surrogates and what lies beyond U+10FFFF
    unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (byte(1) < low || byte(1) > high) {
        return 0;
    }
    for (std::size_t at = 2; at < length; ++at) {
        if ((byte(at) & 0xc0) != 0x80) {
            return 0;
        }
    }
    return length;
}

std::string repaired(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        std::size_t length = sequence_length(text);
        out += length == 0 ? replacement : text.substr(0, length);
        text.remove_prefix(length == 0 ? 1 : length);
    }
    return out;
}

}  // namespace

bool valid_utf8(std::string_view text) {
    while (!text.empty()) {
        std::size_t length = sequence_length(text);
        if (length == 0) {
            return false;
        }
        text.remove_prefix(length);
    }
    return true;
}

Json::Json(std::string_view text) : value_(json_stringn(text.data(), text.size())) {
    if (!value_) {
        std::string whole = repaired(text);
        value_ = json_stringn(whole.data(), whole.size());
    }
}

Json Json::object(std::initializer_list<std::pair<const char*, Json>> members) {
    Json made = object();
    for (const auto& [name, value] : members) {
        made.set(name, value);
    }
    return made;
}

Json Json::parse(std::string_view text) {
    json_error_t error;
    json_t* value = json_loadb(text.data(), text.size(), JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!value) {
        throw std::runtime_error("not JSON: " + std::string(error.text));
    }
    return steal(value);
}

std::string Json::dump() const {
    constexpr std::size_t flags = JSON_COMPACT | JSON_ENCODE_ANY;
    std::string text(2048, '\0');   // most answers fit: printing twice costs more than clearing this
    std::size_t size = json_dumpb(value_, text.data(), text.size(), flags);
    if (size > text.size()) {
        text.resize(size);
        size = json_dumpb(value_, text.data(), text.size(), flags);
    }
    text.resize(size);
    return text;
}

}  // namespace portal::http
