#include "http/query.h"

#include <algorithm>

#include "http/request.h"
#include "http/validation.h"

namespace portal::http {

Query::Query(std::string_view text) {
    while (!text.empty()) {
        std::size_t end = std::min(text.find('&'), text.size());
        std::string_view pair = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        std::size_t equals = std::min(pair.find('='), pair.size());
        if (!pair.empty()) {
            pairs_.emplace_back(
                percent_decode(pair.substr(0, equals), true),
                percent_decode(pair.substr(std::min(equals + 1, pair.size())), true));
        }
    }
}

void Query::note(std::string type, std::string_view name, std::string msg, Json input, Json ctx) {
    Problem problem;
    problem.type = std::move(type);
    problem.loc = {"query", std::string(name)};
    problem.msg = std::move(msg);
    problem.input = std::move(input);
    problem.ctx = std::move(ctx);
    problems_.push_back(std::move(problem));
}

bool Query::text_fits(const std::string& name, const std::string& value) {
    if (valid_utf8(value) && value.find('\0') == std::string::npos) {
        return true;
    }
    note("string_unicode", name,
         "Input should be a valid string, unable to parse raw data as a unicode string", nullptr);
    return false;
}

std::optional<std::string> Query::take(std::string_view name) {
    auto found = std::ranges::find(pairs_, name,
                                   [](const auto& pair) { return std::string_view(pair.first); });
    if (found == pairs_.end() || !text_fits(found->first, found->second)) {
        return std::nullopt;
    }
    return found->second;
}

std::optional<std::string> Query::string(std::string_view name, std::size_t max) {
    std::optional<std::string> value = take(name);
    if (value && character_count(*value) > max) {
        note("string_too_long", name,
             "String should have at most " + std::to_string(max) + " characters", *value,
             Json::object({{"max_length", std::int64_t(max)}}));
        return std::nullopt;
    }
    return value;
}

std::optional<std::int64_t> Query::integer(std::string_view name, std::int64_t min) {
    std::optional<std::string> value = take(name);
    if (!value) {
        return std::nullopt;
    }
    return check_integer(*value, min, {"query", std::string(name)}, problems_);
}

std::optional<bool> Query::boolean(std::string_view name) {
    std::optional<std::string> value = take(name);
    if (!value) {
        return std::nullopt;
    }
    if (*value == "true" || *value == "1") {
        return true;
    }
    if (*value == "false" || *value == "0") {
        return false;
    }
    note("bool_parsing", name, "Input should be a valid boolean, unable to interpret input",
         *value);
    return std::nullopt;
}

std::optional<Uuid> Query::uuid4(std::string_view name) {
    std::optional<std::string> value = take(name);
    if (!value) {
        return std::nullopt;
    }
    return check_uuid4(*value, {"query", std::string(name)}, problems_);
}

std::optional<std::string> Query::choice(std::string_view name,
                                         std::span<const std::string_view> allowed) {
    std::optional<std::string> value = take(name);
    if (value && std::ranges::find(allowed, *value) == allowed.end()) {
        problems_.push_back(enum_problem({"query", std::string(name)}, allowed, *value));
        return std::nullopt;
    }
    return value;
}

std::vector<std::string> Query::choices(std::string_view name,
                                        std::span<const std::string_view> allowed) {
    std::vector<std::string> chosen;
    for (const auto& [key, value] : pairs_) {
        if (key != name) {
            continue;
        }
        if (std::ranges::find(allowed, value) == allowed.end()) {
            problems_.push_back(enum_problem({"query", key, std::to_string(chosen.size())}, allowed,
                                             std::string_view(value)));
        }
        chosen.push_back(value);
    }
    return chosen;
}

std::vector<std::pair<std::string, std::string>> Query::map(std::string_view name) {
    std::vector<std::pair<std::string, std::string>> found;
    for (const auto& [key, value] : pairs_) {
        bool ours = key.size() > name.size() + 2 && key.starts_with(name) &&
                    key[name.size()] == '[' && key.ends_with(']');
        if (ours && text_fits(key, key) && text_fits(key, value)) {
            found.emplace_back(key.substr(name.size() + 1, key.size() - name.size() - 2), value);
        }
    }
    return found;
}

bool Query::given(std::string_view name) const {
    return std::ranges::any_of(pairs_, [&](const auto& pair) { return pair.first == name; });
}

void Query::missing(std::string_view name) { note("missing", name, "Field required", nullptr); }

void Query::done() {
    if (!problems_.empty()) {
        throw validation_failed(std::move(problems_));
    }
}

}  // namespace portal::http
