#include "http/json.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
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

// What stands for a byte in a JSON string: 0 itself, 'u' its number, else a backslash and this.
constexpr std::array<char, 256> escapes = [] {
    std::array<char, 256> table{};
    for (int control = 0; control < 0x20; ++control) {
        table[control] = 'u';
    }
    table['\b'] = 'b';
    table['\f'] = 'f';
    table['\n'] = 'n';
    table['\r'] = 'r';
    table['\t'] = 't';
    table['"'] = '"';
    table['\\'] = '\\';
    return table;
}();

// ASCII without anything to escape, looked at eight bytes at a time: what most strings are.
bool is_plain(std::string_view text) {
    constexpr std::uint64_t each = 0x0101010101010101;
    while (text.size() >= sizeof each) {
        std::uint64_t bytes;
        std::memcpy(&bytes, text.data(), sizeof bytes);
        // a subtraction sets the high bit of the lowest byte that is less, and perhaps of others
        const std::uint64_t controls = bytes - each * 0x20;
        const std::uint64_t quotes = (bytes ^ each * '"') - each;
        const std::uint64_t backslashes = (bytes ^ each * '\\') - each;
        if (((bytes | controls | quotes | backslashes) & each * 0x80) != 0) {
            return false;
        }
        text.remove_prefix(sizeof bytes);
    }
    return std::ranges::all_of(text, [](unsigned char c) { return c < 0x80 && escapes[c] == 0; });
}

void append_plain(std::string& out, std::string_view text) {
    out += '"';
    out += text;
    out += '"';
}

void append_escaped(std::string& out, std::string_view text) {
    static constexpr char digits[] = "0123456789ABCDEF";
    auto escape_of = [](char c) { return escapes[static_cast<unsigned char>(c)]; };
    out += '"';
    while (!text.empty()) {
        auto plain = std::find_if(text.begin(), text.end(), [&](char c) { return escape_of(c) != 0; });
        out.append(text.begin(), plain);
        text.remove_prefix(std::size_t(plain - text.begin()));
        if (text.empty()) {
            break;
        }
        const auto byte = static_cast<unsigned char>(text.front());
        out += '\\';
        out += escape_of(text.front());
        if (escape_of(text.front()) == 'u') {
            out += "00";
            out += digits[byte >> 4];
            out += digits[byte & 0x0f];
        }
        text.remove_prefix(1);
    }
    out += '"';
}

void append_string(std::string& out, std::string_view text) {
    is_plain(text) ? append_plain(out, text) : append_escaped(out, text);
}

constexpr double beyond_integers = 9223372036854775808.0;   // 2^63

// The shortest that reads back the same, and as a real number again: also from a jsonb column, where PostgreSQL writes
// an exponent out, so there is none where that would leave an integer.
void append_real(std::string& out, double value) {
    const double size = std::fabs(value);
    const bool plain = size == 0 || (size >= 1e-4 && size < beyond_integers);
    char digits[40];
    const char* end = std::to_chars(digits, digits + sizeof digits, value,
                                    plain ? std::chars_format::fixed : std::chars_format::scientific).ptr;
    const std::string_view text(digits, std::size_t(end - digits));
    out += text;
    if (text.find_first_of(".e") == text.npos) {
        out += ".0";
    }
}

// Jansson's own printing asks for the code point of each character, which is most of what a long answer costs.
void append(std::string& out, const json_t* value);

void append_members(std::string& out, json_t* object) {
    char separator = '{';
    for (void* at = json_object_iter(object); at != nullptr; at = json_object_iter_next(object, at)) {
        out += separator;
        append_string(out, json_object_iter_key(at));
        out += ':';
        append(out, json_object_iter_value(at));
        separator = ',';
    }
    out += separator == '{' ? "{}" : "}";
}

void append_elements(std::string& out, const json_t* array) {
    out += '[';
    for (std::size_t index = 0; index < json_array_size(array); ++index) {
        if (index > 0) {
            out += ',';
        }
        append(out, json_array_get(array, index));
    }
    out += ']';
}

void append(std::string& out, const json_t* value) {
    switch (json_typeof(value)) {
        case JSON_OBJECT: return append_members(out, const_cast<json_t*>(value));
        case JSON_ARRAY: return append_elements(out, value);
        case JSON_STRING: return append_string(out, {json_string_value(value), json_string_length(value)});
        case JSON_INTEGER: {
            char digits[24];
            out.append(digits, std::to_chars(digits, digits + sizeof digits, json_integer_value(value)).ptr);
            return;
        }
        case JSON_REAL: return append_real(out, json_real_value(value));
        case JSON_TRUE: out += "true"; return;
        case JSON_FALSE: out += "false"; return;
        case JSON_NULL: out += "null"; return;
    }
}

// Its numbers beyond what Jansson takes, as real ones.
std::string with_real_numbers(std::string_view json) {
    constexpr double largest = std::numeric_limits<double>::max();
    std::string out;
    bool inside = false;   // a string
    for (std::size_t at = 0; at < json.size();) {
        if (inside && json[at] == '\\') {
            out += json.substr(at, 2);
            at += 2;
            continue;
        }
        const bool number = !inside && (json[at] == '-' || (json[at] >= '0' && json[at] <= '9'));
        const std::size_t end = number ? std::min(json.find_first_not_of("0123456789+-.eE", at), json.size()) : at + 1;
        std::string part(json.substr(at, end - at));
        const double value = number ? std::strtod(part.c_str(), nullptr) : 0;
        std::int64_t whole = 0;   // the largest is 2^63 as a double, too
        const auto read = std::from_chars(part.data(), part.data() + part.size(), whole);
        const bool fits = read.ec == std::errc() && read.ptr == part.data() + part.size();
        if (!fits && std::fabs(value) >= beyond_integers) {
            char real[40];
            std::snprintf(real, sizeof real, "%.17e", std::clamp(value, -largest, largest));
            part = real;
        }
        inside ^= part == "\"";
        out += part;
        at = end;
    }
    return out;
}

}  // namespace

bool valid_utf8(std::string_view text) {
    const auto ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
    while (!text.empty()) {
        if (ascii(text.front())) {
            text.remove_prefix(std::size_t(std::find_if_not(text.begin(), text.end(), ascii) - text.begin()));
            continue;
        }
        std::size_t length = sequence_length(text);
        if (length == 0) {
            return false;
        }
        text.remove_prefix(length);
    }
    return true;
}

Json::Json(std::string_view text) {
    if (valid_utf8(text)) {
        value_ = json_stringn_nocheck(text.data(), text.size());
    } else {
        std::string whole = repaired(text);
        value_ = json_stringn_nocheck(whole.data(), whole.size());
    }
}

void append_json(std::string& out, std::string_view text) {
    if (is_plain(text)) {
        append_plain(out, text);
    } else if (valid_utf8(text)) {
        append_escaped(out, text);
    } else {
        append_escaped(out, repaired(text));
    }
}

Json Json::object(std::initializer_list<std::pair<const char*, Json>> members) {
    Json made = object();
    for (const auto& [name, value] : members) {
        json_object_set_nocheck(made.value_, name, value.value_);
    }
    return made;
}

json_t* load_json(std::string_view text, std::size_t flags, json_error_t& error) {
    json_t* value = json_loadb(text.data(), text.size(), flags, &error);
    if (!value && json_error_code(&error) == json_error_numeric_overflow) {
        const std::string tamed = with_real_numbers(text);
        value = json_loadb(tamed.data(), tamed.size(), flags, &error);
    }
    return value;
}

Json Json::parse(std::string_view text) {
    json_error_t error;
    json_t* value = load_json(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, error);
    if (!value) {
        throw std::runtime_error("not JSON: " + std::string(error.text));
    }
    return steal(value);
}

void JsonText::begin(std::string_view name) {
    if (text_.empty()) {
        text_.reserve(1536);   // a session and its customer fit
        text_ += '{';
    } else if (text_.back() != '{') {
        text_ += ',';
    }
    text_ += '"';
    text_ += name;
    text_ += "\":";
}

JsonText& JsonText::open(std::string_view name) {
    begin(name);
    text_ += '{';
    return *this;
}

JsonText& JsonText::close() {
    text_ += '}';
    return *this;
}

void JsonText::put(const Json& value) { append(text_, value.get()); }

std::string Json::dump() const {
    std::string text;
    text.reserve(2048);   // most answers fit
    if (value_ != nullptr) {
        append(text, value_);
    }
    return text;
}

}  // namespace portal::http
