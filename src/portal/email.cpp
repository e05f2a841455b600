#include "portal/email.h"

#include <cstdint>

namespace portal {
namespace {

constexpr std::size_t max_local = 64;
constexpr std::size_t max_domain = 253;
constexpr std::size_t max_address = 254;

// The code point that starts at `text` and its length; length 0 for what is no UTF-8.
struct CodePoint {
    std::uint32_t value = 0;
    std::size_t length = 0;
};

CodePoint decode(std::string_view text) {
    auto first = static_cast<std::uint8_t>(text[0]);
    std::size_t length = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
    if (length == 0 || first > 0xf4 || length > text.size()) {
        return {};
    }
    std::uint32_t value = length == 1 ? first : first & (0xffu >> (length + 1));
    for (std::size_t at = 1; at < length; ++at) {
        auto byte = static_cast<std::uint8_t>(text[at]);
        if ((byte & 0xc0) != 0x80) {
            return {};
        }
        value = value << 6 | (byte & 0x3fu);
    }
    bool overlong = (length == 3 && value < 0x800) || (length == 4 && value < 0x10000);
    bool surrogate = value >= 0xd800 && value <= 0xdfff;
    if (overlong || surrogate || value > 0x10ffff) {
        return {};
    }
    return {value, length};
}

// Spaces, controls and format characters beyond ASCII: they look like nothing, or reorder what follows.
bool invisible(std::uint32_t c) {
    return (c >= 0x80 && c <= 0xa0) || c == 0xad || c == 0x61c || c == 0x1680 || c == 0x180e ||
           (c >= 0x2000 && c <= 0x200f) || (c >= 0x2028 && c <= 0x202f) ||
           (c >= 0x205f && c <= 0x206f) || c == 0x3000 || c == 0xfeff || (c >= 0xfff0 && c <= 0xfffb) ||
           (c >= 0xe0000 && c <= 0xe0fff);
}

bool alphanumeric(std::uint32_t c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

bool every(std::string_view text, bool (*allowed)(std::uint32_t)) {
    while (!text.empty()) {
        CodePoint next = decode(text);
        if (next.length == 0 || (next.value >= 0x80 ? invisible(next.value) : !allowed(next.value))) {
            return false;
        }
        text.remove_prefix(next.length);
    }
    return true;
}

bool local_character(std::uint32_t c) {
    return alphanumeric(c) || std::string_view(".!#$%&'*+-/=?^_`{|}~").find(char(c)) != std::string_view::npos;
}

bool domain_character(std::uint32_t c) { return alphanumeric(c) || c == '.' || c == '-'; }

std::string problem_with_local(std::string_view local) {
    if (local.empty()) {
        return "There must be something before the @-sign.";
    }
    if (local.size() > max_local) {
        return "The email address is too long before the @-sign.";
    }
    if (!every(local, local_character)) {
        return "The email address contains invalid characters before the @-sign.";
    }
    if (local.front() == '.') {
        return "An email address cannot start with a period.";
    }
    if (local.back() == '.') {
        return "An email address cannot have a period immediately before the @-sign.";
    }
    if (local.find("..") != std::string_view::npos) {
        return "An email address cannot have two periods in a row.";
    }
    return {};
}

std::string problem_with_domain(std::string_view domain) {
    if (domain.empty()) {
        return "There must be something after the @-sign.";
    }
    if (domain.size() > max_domain) {
        return "The email address is too long after the @-sign.";
    }
    if (!every(domain, domain_character)) {
        return "The part after the @-sign contains invalid characters.";
    }
    if (domain.find('.') == std::string_view::npos) {
        return "The part after the @-sign is not valid. It should have a period.";
    }
    while (!domain.empty()) {
        std::size_t dot = domain.find('.');
        std::string_view label = domain.substr(0, dot);
        if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-') {
            return "The part after the @-sign is not a valid domain name.";
        }
        if (dot == domain.size() - 1) {
            return "An email address cannot end with a period.";
        }
        domain.remove_prefix(dot == std::string_view::npos ? domain.size() : dot + 1);
    }
    return {};
}

}  // namespace

std::string ascii_lower(std::string_view text) {
    std::string lowered(text);
    for (char& c : lowered) {
        if (c >= 'A' && c <= 'Z') {
            c = char(c - 'A' + 'a');
        }
    }
    return lowered;
}

EmailCheck check_email(std::string_view text) {
    while (!text.empty() && text.front() == ' ') {
        text.remove_prefix(1);
    }
    while (!text.empty() && text.back() == ' ') {
        text.remove_suffix(1);
    }
    EmailCheck check;
    std::size_t at = text.rfind('@');
    if (at == std::string_view::npos) {
        check.problem = "An email address must have an @-sign.";
        return check;
    }
    std::string_view local = text.substr(0, at), domain = text.substr(at + 1);
    check.problem = problem_with_local(local);
    if (check.problem.empty()) {
        check.problem = problem_with_domain(domain);
    }
    if (check.problem.empty() && text.size() > max_address) {
        check.problem = "The email address is too long.";
    }
    if (check.problem.empty()) {
        check.address = std::string(local) + "@" + ascii_lower(domain);
    }
    return check;
}

std::optional<std::string> email_field(http::Fields& fields, const char* name, http::Text rule) {
    std::optional<std::string> sent = fields.string(name, rule);
    if (!sent) {
        return std::nullopt;
    }
    EmailCheck check = check_email(*sent);
    if (!check.ok()) {
        fields.refuse(name, check.message());
        return std::nullopt;
    }
    return check.address;
}

}  // namespace portal
