#include "portal/checks.h"

#include <algorithm>

#include "portal/email.h"
#include "portal/uuid.h"

namespace portal {
namespace {

constexpr std::size_t max_url = 2083;

std::size_t characters(std::string_view text) {
    return std::size_t(std::count_if(text.begin(), text.end(),
                                     [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

http::Problem problem(const char* type, const char* field, std::string msg, http::Json input) {
    http::Problem made;
    made.type = type;
    made.loc = {"body", field};
    made.msg = std::move(msg);
    made.input = std::move(input);
    return made;
}

// "" or what is wrong with the part after the scheme.
std::string url_trouble(std::string_view rest) {
    std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
    if (authority.find('@') != std::string_view::npos) {
        return "user information is not allowed";
    }
    std::size_t port = authority.rfind(':');
    bool bracketed = !authority.empty() && authority.front() == '[';
    if (bracketed && authority.find(']') == std::string_view::npos) {
        return "invalid IPv6 address";
    }
    if (bracketed && port < authority.find(']')) {
        port = std::string_view::npos;
    }
    std::string_view host = authority.substr(0, port);
    if (host.empty()) {
        return "empty host";
    }
    if (port != std::string_view::npos) {
        std::string_view digits = authority.substr(port + 1);
        bool numeric = digits.size() <= 5 && digits.find_first_not_of("0123456789") == std::string_view::npos;
        if (!numeric || (!digits.empty() && std::stoi(std::string(digits)) > 65535)) {
            return "invalid port number";
        }
    }
    return {};
}

}  // namespace

void Checks::length(const char* field, std::optional<std::string_view> sent, std::size_t min,
                    std::size_t max) {
    if (!sent) {
        return;
    }
    std::string_view text = *sent;
    std::size_t size = characters(text);
    if (size < min || size > max) {
        bool small = size < min;
        std::size_t bound = small ? min : max;
        std::string msg = std::string("String should have at ") + (small ? "least " : "most ") +
                          std::to_string(bound) + (bound == 1 ? " character" : " characters");
        http::Problem found =
            problem(small ? "string_too_short" : "string_too_long", field, std::move(msg), text);
        found.ctx = http::Json::object();
        found.ctx.set(small ? "min_length" : "max_length", std::int64_t(bound));
        add(std::move(found));
    } else if (text.find('\0') != std::string_view::npos) {
        refuse(field, "A NUL character cannot be stored.", text);
    }
}

void Checks::email(const char* field, std::string& address) {
    EmailCheck check = check_email(address);
    if (!check.ok()) {
        refuse(field, check.message(), address);
        return;
    }
    address = std::move(check.address);
}

void Checks::email(const char* field, std::optional<std::string>& address) {
    if (address) {
        email(field, *address);
    }
}

void Checks::url(const char* field, const std::optional<std::string>& url) {
    if (!url) {
        return;
    }
    std::size_t colon = url->find("://");
    bool plain = std::none_of(url->begin(), url->end(), [](char c) {
        auto byte = static_cast<unsigned char>(c);
        return byte <= 0x20 || byte == 0x7f || c == '\\';
    });
    if (url->size() > max_url) {
        add(problem("url_too_long", field, "URL should have at most 2083 characters", *url));
    } else if (!plain) {
        add(problem("url_parsing", field, "Input should be a valid URL, invalid character", *url));
    } else if (colon == std::string::npos || colon == 0) {
        add(problem("url_parsing", field, "Input should be a valid URL, relative URL without a base", *url));
    } else if (std::string scheme = ascii_lower(url->substr(0, colon)); scheme != "http" && scheme != "https") {
        add(problem("url_scheme", field, "URL scheme should be 'http' or 'https'", *url));
    } else if (std::string trouble = url_trouble(std::string_view(*url).substr(colon + 3)); !trouble.empty()) {
        add(problem("url_parsing", field, "Input should be a valid URL, " + trouble, *url));
    }
}

void Checks::one_of(const char* field, std::string_view text,
                    std::initializer_list<std::string_view> allowed) {
    if (std::find(allowed.begin(), allowed.end(), text) != allowed.end()) {
        return;
    }
    std::string list;
    std::size_t at = 0;
    for (std::string_view name : allowed) {
        if (at > 0) {
            list += at + 1 == allowed.size() ? " or " : ", ";
        }
        list += "'" + std::string(name) + "'";
        ++at;
    }
    add(problem("enum", field, "Input should be " + list, text));
}

void Checks::uuid(const char* field, const std::optional<std::string>& text) {
    if (!text) {
        return;
    }
    std::optional<Uuid> parsed = Uuid::parse(*text);
    if (!parsed) {
        add(problem("uuid_parsing", field, "Input should be a valid UUID, 32 hex digits are expected", *text));
    } else if (!parsed->is_v4()) {
        add(problem("uuid_version", field, "UUID version 4 expected", *text));
    }
}

void Checks::positive(const char* field, std::optional<std::int64_t> number) {
    if (number && *number <= 0) {
        add(problem("greater_than", field, "Input should be greater than 0", *number));
    }
}

void Checks::refuse(const char* field, std::string sentence, http::Json input) {
    add(problem("value_error", field, std::move(sentence), std::move(input)));
}

void Checks::done() const {
    if (!problems_.empty()) {
        throw http::validation_failed(problems_);
    }
}

http::Failure refused(const char* field, std::string sentence, http::Json input) {
    Checks checks;
    checks.refuse(field, std::move(sentence), std::move(input));
    return http::validation_failed(checks.problems());
}

}  // namespace portal
