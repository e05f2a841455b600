#include "http/validation.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <span>

#include "http/time.h"

namespace portal::http {
namespace {

constexpr const char* no_object = "Input should be a valid dictionary or object to extract fields from";
constexpr const char* no_unicode = "Input should be a valid string, unable to parse raw data as a unicode string";
constexpr std::size_t max_url = 2083;
constexpr double beyond_integers = 9223372036854775808.0;   // 2^63

Problem make_problem(std::string type, std::vector<std::string> loc, std::string msg, Json input, Json ctx = {}) {
    Problem made;
    made.type = std::move(type);
    made.loc = std::move(loc);
    made.msg = std::move(msg);
    made.input = std::move(input);
    made.ctx = std::move(ctx);
    return made;
}

Failure one_problem(Problem problem) {
    std::vector<Problem> problems;
    problems.push_back(std::move(problem));
    return validation_failed(std::move(problems));
}

// application/json, application/*+json, with or without parameters.
bool json_content_type(std::string_view content_type) {
    std::string essence(content_type.substr(0, content_type.find(';')));
    std::transform(essence.begin(), essence.end(), essence.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? char(c | 0x20) : c; });
    while (!essence.empty() && (essence.back() == ' ' || essence.back() == '\t')) {
        essence.pop_back();
    }
    return essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"));
}

// Is byte `position` of this text inside a string literal?
bool inside_string(std::string_view text, std::size_t position) {
    bool inside = false;
    for (std::size_t at = 0; at < std::min(position, text.size()); ++at) {
        if (text[at] == '\\' && inside) {
            ++at;
        } else if (text[at] == '"') {
            inside = !inside;
        }
    }
    return inside;
}

// A well-formed text whose strings hold what no string may.
bool about_a_string(const json_error_t& error, std::string_view body) {
    std::string_view words = error.text;
    switch (json_error_code(&error)) {
        case json_error_null_character:
        case json_error_null_byte_in_key: return true;
        case json_error_invalid_utf8: {
            auto bad = std::ranges::find_if(body, [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
            return inside_string(body, std::size_t(bad - body.begin()));
        }
        default: return words.starts_with("invalid Unicode") || words.starts_with("control character 0x0");
    }
}

Failure malformed(const json_error_t& error, Surface surface) {
    if (surface == Surface::client_portal) {
        return Failure(400, "", "The request body is not valid JSON.");
    }
    std::string reason = error.text;
    reason.erase(std::min(reason.find(" near "), reason.size()));
    int position = std::max(error.position, 0);
    return one_problem(make_problem("json_invalid", {"body", std::to_string(position)}, "JSON decode error",
                                    Json::object(), Json::object({{"error", reason}})));
}

// NUL characters, which PostgreSQL cannot store, anywhere in the tree.
void find_nul(const Json& value, std::vector<std::string>& loc, std::vector<Problem>& problems) {
    if (value.is_string()) {
        if (value.text().find('\0') != std::string_view::npos) {
            problems.push_back(make_problem("string_unicode", loc, no_unicode, value));
        }
    } else if (value.is_array()) {
        for (std::size_t at = 0; at < value.size(); ++at) {
            loc.push_back(std::to_string(at));
            find_nul(value[at], loc, problems);
            loc.pop_back();
        }
    } else if (value.is_object()) {
        const char* name = nullptr;
        json_t* member = nullptr;
        json_object_foreach(value.get(), name, member) {
            loc.push_back(name);
            find_nul(Json::borrow(member), loc, problems);
            loc.pop_back();
        }
    }
}

std::string quoted_list(std::span<const std::string_view> words) {
    std::string list;
    for (std::size_t at = 0; at < words.size(); ++at) {
        list += at == 0 ? "" : at + 1 == words.size() ? " or " : ", ";
        list += "'" + std::string(words[at]) + "'";
    }
    return list;
}

bool hexadecimal(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

// Why a text is no UUID, in the words integrators know.
std::string uuid_trouble(std::string_view text) {
    std::vector<std::size_t> hyphens;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] == '-') {
            hyphens.push_back(at);
        } else if (!hexadecimal(text[at])) {
            std::size_t end = at + 1;
            while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) {
                ++end;
            }
            return "invalid character: expected an optional prefix of `urn:uuid:` followed by [0-9a-fA-F-], found `" +
                   std::string(text.substr(at, end - at)) + "` at " + std::to_string(at + 1);
        }
    }
    if (hyphens.empty()) {
        return "invalid length: expected length 32 for simple format, found " + std::to_string(text.size());
    }
    if (hyphens.size() != 4) {
        return "invalid group count: expected 5, found " + std::to_string(hyphens.size() + 1);
    }
    constexpr std::size_t expected[] = {8, 4, 4, 4, 12};
    std::size_t group = 0, start = 0, length = 0;
    for (; group < 5; ++group) {
        length = (group < 4 ? hyphens[group] : text.size()) - start;
        if (length != expected[group] || group == 4) {
            break;
        }
        start += length + 1;
    }
    return "invalid group length in group " + std::to_string(group) + ": expected " +
           std::to_string(expected[group]) + ", found " + std::to_string(length);
}

// Digits, letters, dots and hyphens; or an IPv6 address in brackets.
bool plausible_host(std::string_view host) {
    if (host.front() == '[') {
        return host.size() > 2 && host.back() == ']' && host.find(':') != std::string_view::npos &&
               std::ranges::all_of(host.substr(1, host.size() - 2),
                                   [](char c) { return hexadecimal(c) || c == ':' || c == '.'; });
    }
    return host.front() != '.' && host.find("..") == std::string_view::npos &&
           std::ranges::all_of(host, [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
           });
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? char(c | 0x20) : c; });
    return out;
}

std::size_t scheme_length(std::string_view text) {
    std::size_t colon = text.find(':');
    if (colon == std::string_view::npos || colon == 0) {
        return 0;
    }
    auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    bool fine = letter(text[0]) && std::ranges::all_of(text.substr(0, colon), [&](char c) {
                    return letter(c) || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
                });
    return fine ? colon : 0;
}

}  // namespace

Json parse_body(std::string_view body, std::optional<std::string_view> content_type, Surface surface) {
    if (body.empty()) {
        throw one_problem(make_problem("missing", {"body"}, "Field required", nullptr));
    }
    if (content_type && !json_content_type(*content_type)) {
        throw one_problem(make_problem("model_attributes_type", {"body"}, no_object, body));
    }
    constexpr std::size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL;
    json_error_t error;
    json_t* value = load_json(body, flags, error);
    if (!value) {
        if (about_a_string(error, body)) {
            throw one_problem(make_problem("string_unicode", {"body"}, no_unicode, nullptr));
        }
        throw malformed(error, surface);
    }
    Json object = Json::steal(value);
    if (!object.is_object()) {
        throw one_problem(make_problem("model_attributes_type", {"body"}, no_object, object));
    }
    std::vector<Problem> problems;
    std::vector<std::string> loc{"body"};
    find_nul(object, loc, problems);
    if (!problems.empty()) {
        throw validation_failed(std::move(problems));
    }
    return object;
}

void Fields::problem(const char* name, std::string type, std::string msg, Json ctx) {
    problems_.push_back(make_problem(std::move(type), {"body", name}, std::move(msg), object_[name], std::move(ctx)));
}

void Fields::refuse(const char* name, std::string sentence) {
    problems_.push_back(business_problem({"body", name}, std::move(sentence), object_[name]));
}

void Fields::done() {
    if (!problems_.empty()) {
        throw validation_failed(std::move(problems_));
    }
}

std::optional<Json> Fields::take(const char* name, bool required, bool nullable) {
    Json value = object_[name];
    if (!value.present()) {
        if (required) {
            problems_.push_back(make_problem("missing", {"body", name}, "Field required", object_));
        }
        return std::nullopt;
    }
    if (nullable && value.is_null()) {
        return std::nullopt;
    }
    return value;
}

std::optional<std::string> Fields::string(const char* name, Text rule) {
    std::optional<Json> value = take(name, rule.required, rule.nullable);
    if (!value) {
        return std::nullopt;
    }
    if (!value->is_string()) {
        problem(name, "string_type", "Input should be a valid string");
        return std::nullopt;
    }
    std::size_t length = character_count(value->text());
    auto characters = [](std::size_t count) {
        return std::to_string(count) + (count == 1 ? " character" : " characters");
    };
    if (length < rule.min) {
        problem(name, "string_too_short", "String should have at least " + characters(rule.min),
                Json::object({{"min_length", std::int64_t(rule.min)}}));
        return std::nullopt;
    }
    if (length > rule.max) {
        problem(name, "string_too_long", "String should have at most " + characters(rule.max),
                Json::object({{"max_length", std::int64_t(rule.max)}}));
        return std::nullopt;
    }
    return std::string(value->text());
}

std::optional<std::int64_t> Fields::integer(const char* name, Number rule) {
    std::optional<Json> value = take(name, rule.required, rule.nullable);
    if (!value) {
        return std::nullopt;
    }
    if (json_is_real(value->get())) {
        double real = json_real_value(value->get());
        if (std::fabs(real) >= beyond_integers) {
            problem(name, "int_parsing_size",
                    "Unable to parse input string as an integer, exceeded maximum size");
        } else if (real != std::floor(real)) {
            problem(name, "int_from_float", "Input should be a valid integer, got a number with a fractional part");
        } else {
            problem(name, "int_type", "Input should be a valid integer");
        }
        return std::nullopt;
    }
    if (!value->is_integer()) {
        problem(name, "int_type", "Input should be a valid integer");
        return std::nullopt;
    }
    const std::int64_t number = value->integer();
    if (number < rule.min && rule.min == 1) {
        problem(name, "greater_than", "Input should be greater than 0", Json::object({{"gt", 0}}));
        return std::nullopt;
    }
    if (number < rule.min) {
        problem(name, "greater_than_equal",
                "Input should be greater than or equal to " + std::to_string(rule.min),
                Json::object({{"ge", rule.min}}));
        return std::nullopt;
    }
    if (number > rule.max) {
        problem(name, "less_than_equal", "Input should be less than or equal to " + std::to_string(rule.max),
                Json::object({{"le", rule.max}}));
        return std::nullopt;
    }
    return number;
}

std::optional<bool> Fields::boolean(const char* name, Presence rule) {
    std::optional<Json> value = take(name, rule.required, rule.nullable);
    if (!value) {
        return std::nullopt;
    }
    if (!value->is_boolean()) {
        problem(name, "bool_type", "Input should be a valid boolean");
        return std::nullopt;
    }
    return value->boolean();
}

std::optional<Uuid> Fields::uuid4(const char* name, Presence rule) {
    std::optional<Json> value = take(name, rule.required, rule.nullable);
    if (!value) {
        return std::nullopt;
    }
    if (!value->is_string()) {
        problem(name, "uuid_type", "UUID input should be a string, bytes or UUID object");
        return std::nullopt;
    }
    return check_uuid4(value->text(), {"body", name}, problems_);
}

std::optional<std::string> Fields::choice(const char* name, std::span<const std::string_view> allowed, Presence rule) {
    std::optional<Json> value = take(name, rule.required, rule.nullable);
    if (!value) {
        return std::nullopt;
    }
    if (!value->is_string() || std::ranges::find(allowed, value->text()) == allowed.end()) {
        problems_.push_back(enum_problem({"body", name}, allowed, *value));
        return std::nullopt;
    }
    return std::string(value->text());
}

std::optional<std::vector<std::string>> Fields::choices(const char* name,
                                                        std::initializer_list<std::string_view> allowed) {
    std::optional<Json> value = take(name, false, false);
    if (!value) {
        return std::nullopt;
    }
    if (!value->is_array()) {
        problem(name, "list_type", "Input should be a valid list");
        return std::nullopt;
    }
    std::vector<std::string> chosen;
    for (std::size_t at = 0; at < value->size(); ++at) {
        Json item = (*value)[at];
        std::string word(item.is_string() ? item.text() : std::string_view());
        if (std::ranges::find(allowed, word) == allowed.end()) {
            problems_.push_back(
                enum_problem({"body", name, std::to_string(at)}, {allowed.begin(), allowed.size()}, item));
        } else if (std::ranges::find(chosen, word) != chosen.end()) {
            problems_.push_back(
                business_problem({"body", name, std::to_string(at)}, "'" + word + "' is listed twice.", item));
        }
        chosen.push_back(std::move(word));
    }
    return chosen;
}

std::optional<std::string> Fields::time(const char* name, Presence rule) {
    std::optional<Json> value = take(name, rule.required, rule.nullable);
    if (!value) {
        return std::nullopt;
    }
    if (!value->is_string()) {
        problem(name, "datetime_type", "Input should be a valid datetime");
        return std::nullopt;
    }
    Time time = parse_time(value->text());
    if (!time.trouble.empty()) {
        problem(name, "datetime_parsing", "Input should be a valid datetime, " + time.trouble,
                Json::object({{"error", time.trouble}}));
        return std::nullopt;
    }
    return time.utc;
}

std::optional<std::string> Fields::url(const char* name, Presence rule) {
    std::optional<std::string> text = string(name, {1, max_url, rule.required, rule.nullable});
    if (!text) {
        return std::nullopt;
    }
    Url parts = split_url(*text);
    if (parts.other_scheme) {
        problem(name, "url_scheme", "URL scheme should be 'http' or 'https'",
                Json::object({{"expected_schemes", "'http' or 'https'"}}));
        return std::nullopt;
    }
    if (!parts.trouble.empty()) {
        problem(name, "url_parsing", "Input should be a valid URL, " + parts.trouble,
                Json::object({{"error", parts.trouble}}));
        return std::nullopt;
    }
    return text;
}

Problem enum_problem(std::vector<std::string> loc, std::span<const std::string_view> allowed, Json input) {
    std::string expected = quoted_list(allowed);
    return make_problem("enum", std::move(loc), "Input should be " + expected, std::move(input),
                        Json::object({{"expected", expected}}));
}

Problem business_problem(std::vector<std::string> loc, std::string sentence, Json input) {
    return make_problem("value_error", std::move(loc), std::move(sentence), std::move(input),
                        Json::object({{"error", Json::object()}}));
}

std::optional<Uuid> check_uuid4(std::string_view text, std::vector<std::string> loc,
                                std::vector<Problem>& problems) {
    std::optional<Uuid> uuid = Uuid::parse(text);
    if (!uuid) {
        std::string reason = uuid_trouble(text);
        problems.push_back(make_problem("uuid_parsing", std::move(loc), "Input should be a valid UUID, " + reason,
                                        text, Json::object({{"error", reason}})));
    } else if (!uuid->is_v4()) {
        problems.push_back(make_problem("uuid_version", std::move(loc), "UUID version 4 expected", text,
                                        Json::object({{"expected_version", 4}})));
        return std::nullopt;
    }
    return uuid;
}

std::optional<std::int64_t> check_integer(std::string_view text, std::int64_t min, std::vector<std::string> loc,
                                          std::vector<Problem>& problems) {
    std::int64_t number = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool whole = end == text.data() + text.size();
    if (error == std::errc::result_out_of_range && whole) {
        problems.push_back(make_problem("int_parsing_size", std::move(loc),
                                        "Unable to parse input string as an integer, exceeded maximum size", text));
        return std::nullopt;
    }
    if (error != std::errc() || !whole) {
        problems.push_back(make_problem("int_parsing", std::move(loc),
                                        "Input should be a valid integer, unable to parse string as an integer", text));
        return std::nullopt;
    }
    if (number < min) {
        problems.push_back(make_problem("greater_than", std::move(loc),
                                        "Input should be greater than " + std::to_string(min - 1), text,
                                        Json::object({{"gt", min - 1}})));
        return std::nullopt;
    }
    return number;
}

std::int64_t require_number(std::string_view text) {
    std::vector<Problem> problems;
    std::optional<std::int64_t> number = check_integer(text, 1, {"path", "id"}, problems);
    if (!number) {
        throw validation_failed(std::move(problems));
    }
    return *number;
}

Uuid require_uuid4(std::string_view text, std::vector<std::string> loc) {
    std::vector<Problem> problems;
    std::optional<Uuid> uuid = check_uuid4(text, std::move(loc), problems);
    if (!uuid) {
        throw validation_failed(std::move(problems));
    }
    return *uuid;
}

Url split_url(std::string_view text) {
    Url url;
    std::size_t scheme = scheme_length(text);
    if (scheme == 0) {
        url.trouble = text.empty() ? "input is empty" : "relative URL without a base";
        return url;
    }
    url.scheme = lower(text.substr(0, scheme));
    if (url.scheme != "http" && url.scheme != "https") {
        url.other_scheme = true;
        url.trouble = "unexpected scheme";
        return url;
    }
    // a browser reads '\' as '/', and drops tabs and line ends: then the host is not what it looks like
    if (has_control(text) || text.find_first_of(" \\") != text.npos) {
        url.trouble = "invalid character";
        return url;
    }
    if (!text.substr(scheme).starts_with("://")) {
        url.trouble = "empty host";
        return url;
    }
    std::string_view rest = text.substr(scheme + 3);
    std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
    if (authority.find('@') != std::string_view::npos) {
        url.trouble = "user information is not allowed";
        return url;
    }
    std::size_t bracket = authority.find(']');
    std::size_t colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
    url.host = lower(authority.substr(0, colon));
    if (colon != std::string_view::npos) {
        url.port = std::string(authority.substr(colon + 1));
    }
    bool numeric = url.port.size() <= 5 && url.port.find_first_not_of("0123456789") == std::string::npos;
    if (url.host.empty()) {
        url.trouble = "empty host";
    } else if (!plausible_host(url.host)) {
        url.trouble = url.host.front() == '[' ? "invalid IPv6 address" : "invalid international domain name";
    } else if (!numeric || (!url.port.empty() && std::stoi(url.port) > 65535)) {
        url.trouble = "invalid port number";
    }
    return url;
}

std::size_t character_count(std::string_view utf8) {
    return std::size_t(std::ranges::count_if(utf8, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

bool has_control(std::string_view utf8) {
    for (std::size_t at = 0; at < utf8.size(); ++at) {
        const auto byte = static_cast<unsigned char>(utf8[at]);
        const std::string_view rest = utf8.substr(at);
        if (byte < ' ' || byte == 0x7f || (byte == 0xc2 && rest.size() > 1 && static_cast<unsigned char>(rest[1]) < 0xa0) ||
            rest.starts_with("\u2028") || rest.starts_with("\u2029")) {
            return true;
        }
    }
    return false;
}

}  // namespace portal::http
