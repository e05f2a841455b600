#include "ctl/verb.h"

#include <CLI/CLI.hpp>
#include <charconv>

#include "ctl/session.h"

namespace portal::ctl {
namespace {

// Not CLI11's own conversion: it takes the nearest number that fits for one that does not.
std::int64_t whole_number(const char* name, const std::string& text) {
    std::int64_t number = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) {
        throw CLI::ConversionError(text + " is no whole number of 64 bits", name);
    }
    return number;
}

}  // namespace

Option Option::required() {
    option_->required();
    return *this;
}

Option Option::hint(const char* what) {
    option_->type_name(what);
    return *this;
}

Option Option::one_of(std::vector<std::string> values) {
    option_->check(CLI::IsMember(std::move(values)));
    return *this;
}

Option Option::excludes(const Option& other) {
    option_->excludes(other.option_);
    return *this;
}

http::Json parse_object(const char* option, const std::string& text) {
    if (text.empty()) {
        return nullptr;
    }
    try {
        return http::Json::parse(text);
    } catch (const std::runtime_error&) {
        throw UsageError(std::string(option) + ": is to be a JSON object");
    }
}

Body make_body() { return std::make_shared<http::Json>(http::Json::object()); }

Verb Verb::family(const char* name, const char* description) {
    CLI::App* family = app_->add_subcommand(name, description);
    family->require_subcommand(1);
    family->footer(std::string("portalctl ") + name + " VERB --help tells of each verb.");
    return Verb(*family);
}

Verb Verb::verb(const char* name, const char* description, const std::string& example) {
    CLI::App* verb = app_->add_subcommand(name, description);
    verb->require_subcommand(0);
    verb->footer("Example:\n  " + example);
    return Verb(*verb);
}

Option Verb::text(const char* name, const char* description,
                  std::function<void(const std::string&)> take) {
    return Option(app_->add_option_function<std::string>(name, std::move(take), description));
}

Option Verb::number(const char* name, const char* description,
                    std::function<void(std::int64_t)> take) {
    auto parsed = [name, take = std::move(take)](const std::string& text) {
        take(whole_number(name, text));
    };
    return text(name, description, parsed).hint("N");
}

Option Verb::toggle(const char* name, const char* description, std::function<void(bool)> take) {
    auto parsed = [take = std::move(take)](const std::string& word) { take(word == "on"); };
    return text(name, description, parsed).hint("on|off").one_of({"on", "off"});
}

Option Verb::flag(const char* name, const char* description, std::function<void()> take) {
    return Option(app_->add_flag_callback(name, std::move(take), description));
}

Option Verb::list(const char* name, const char* description,
                  std::function<void(std::vector<std::string>)> take, bool commas) {
    auto parsed = [take = std::move(take)](const std::vector<std::string>& words) { take(words); };
    CLI::Option* option =
        app_->add_option_function<std::vector<std::string>>(name, parsed, description);
    option->allow_extra_args(
        false);  // one value each time: what follows may be a positional argument
    if (commas) {
        option->delimiter(',');
    }
    return Option(option);
}

Option Verb::list(const char* name, std::vector<std::string>& into, const char* description,
                  bool commas) {
    return list(
        name, description, [&into](std::vector<std::string> words) { into = std::move(words); },
        commas);
}

Option Verb::rest(const char* name, std::vector<std::string>& into, const char* description) {
    return Option(app_->add_option(name, into, description));
}

Option Verb::text(const char* name, std::string& into, const char* description) {
    return text(name, description, [&into](const std::string& text) { into = text; });
}

Option Verb::text(const char* name, std::optional<std::string>& into, const char* description) {
    return text(name, description, [&into](const std::string& text) { into = text; });
}

Option Verb::number(const char* name, std::int64_t& into, const char* description) {
    return number(name, description, [&into](std::int64_t number) { into = number; });
}

Option Verb::flag(const char* name, bool& into, const char* description) {
    return flag(name, description, [&into] { into = true; });
}

Option Verb::text(const char* name, Body body, const char* member, const char* description) {
    return text(name, description, [body, member](const std::string& text) {
        body->set(member, text.empty() ? http::Json(nullptr) : http::Json(text));
    });
}

Option Verb::number(const char* name, Body body, const char* member, const char* description) {
    return text(name, description,
                [name, body, member](const std::string& text) {
                    body->set(member, text.empty() ? http::Json(nullptr)
                                                   : http::Json(whole_number(name, text)));
                })
        .hint("N");
}

Option Verb::object(const char* name, Body body, const char* member, const char* description) {
    return text(name, description,
                [name, body, member](const std::string& text) {
                    try {
                        body->set(member,
                                  text.empty() ? http::Json(nullptr) : http::Json::parse(text));
                    } catch (const std::runtime_error&) {
                        throw UsageError(std::string(name) + ": is to be a JSON object");
                    }
                })
        .hint("JSON");
}

Option Verb::workspace(Session& session) {
    CLI::Option* option =
        app_->add_option("-w,--workspace", session.workspace_slug, "Slug (or id) of the workspace");
    return Option(option->type_name("SLUG"));
}

void Verb::pages(PageRequest& request) {
    request.limit = 50;
    app_->add_option("--page", request.page, "Which page, from 1")
        ->type_name("N")
        ->check(CLI::Range(std::int64_t(1), INT64_MAX))
        ->capture_default_str();
    app_->add_option("--limit", request.limit, "Rows on a page, at most 100")
        ->type_name("N")
        ->check(CLI::Range(1, 100))
        ->capture_default_str();
}

void Verb::run(std::function<void()> work) { app_->callback(std::move(work)); }

}  // namespace portal::ctl
