#include "page/texts.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include "http/json.h"
#include "http/query.h"
#include "portal/config_file.h"
#include "portal/email.h"
#include "portal/portal_cookie.h"

namespace portal::page {
namespace {

std::string_view known_language(std::string_view name) {
    const auto found = std::ranges::find(languages, name);
    return found == std::end(languages) ? std::string_view() : *found;
}

// "de-AT;q=0.8": the language without its region, and how much it is wanted.
std::pair<std::string_view, double> read_range(std::string_view range) {
    const std::string lower = ascii_lower(range.substr(0, range.find_first_of("-; ")));
    const std::size_t weight = range.find("q=");
    const double wanted =
        weight == range.npos ? 1 : std::strtod(std::string(range.substr(weight + 2)).c_str(), nullptr);
    return {known_language(lower), wanted};
}

std::string_view accepted_language(std::string_view list) {
    std::string_view best;
    double most = 0;
    while (!list.empty()) {
        list.remove_prefix(std::min(list.find_first_not_of(", \t"), list.size()));
        const std::size_t end = std::min(list.find(','), list.size());
        const auto [language, wanted] = read_range(list.substr(0, end));
        if (!language.empty() && wanted > most) {
            best = language;
            most = wanted;
        }
        list.remove_prefix(end);
    }
    return best;
}

}  // namespace

Texts Texts::load(const std::string& directory, const std::string& overrides) {
    Texts texts;
    for (std::string_view language : languages) {
        auto& messages = texts.texts_[std::string(language)];
        for (const std::string& from : {directory, overrides}) {
            const std::string path = from + "/messages/" + std::string(language) + ".json";
            if (from.empty() || (from == overrides && !std::filesystem::exists(path))) {
                continue;
            }
            const std::string text = read_file(path, false);
            json_error_t error{};
            const http::Json json = http::Json::steal(http::load_json(text, 0, error));
            if (!json.is_object()) {
                throw std::invalid_argument(path + ": no object of texts: " + error.text);
            }
            const char* key = nullptr;
            json_t* value = nullptr;
            json_object_foreach(json.get(), key, value) {
                messages[key] = std::string(http::Json::borrow(value).text());
            }
        }
    }
    return texts;
}

std::string Texts::say(std::string_view language, std::string_view key, Values values) const {
    const auto messages = texts_.find(language);
    if (messages == texts_.end() || !messages->second.contains(key)) {
        return std::string(key);
    }
    std::string_view text = messages->second.find(key)->second;
    std::string said;
    while (!text.empty()) {
        const std::size_t open = std::min(text.find('{'), text.size());
        said += text.substr(0, open);
        text.remove_prefix(open);
        const std::size_t close = text.find('}');
        if (close == text.npos) {
            break;
        }
        const std::string_view name = text.substr(1, close - 1);
        const auto value = std::ranges::find(values, name, [](const auto& each) { return each.first; });
        said += value == values.end() ? text.substr(0, close + 1) : value->second;
        text.remove_prefix(close + 1);
    }
    return said.append(text);
}

std::string_view asked_language(const http::Request& request) {
    http::Query query(request.query);
    return known_language(query.string("lang").value_or(""));
}

std::string_view choose_language(const http::Request& request) {
    std::string_view language = asked_language(request);
    if (language.empty()) {
        each_cookie(request.cookies(), [&](std::string_view name, std::string_view value) {
            if (name == language_cookie) {
                language = known_language(value);
            }
        });
    }
    if (language.empty()) {
        language = accepted_language(request.header("accept-language").value_or(""));
    }
    return language.empty() ? languages[0] : language;
}

}  // namespace portal::page
