#include "ctl/verbs.h"

namespace portal::ctl {

CLI::App* add_family(CLI::App& app, const char* name, const char* description) {
    CLI::App* family = app.add_subcommand(name, description);
    family->require_subcommand(1);
    family->footer(std::string("portalctl ") + name + " VERB --help tells of each verb.");
    return family;
}

CLI::App* add_verb(CLI::App& parent, const char* name, const char* description, const char* example) {
    CLI::App* verb = parent.add_subcommand(name, description);
    verb->require_subcommand(0);
    verb->footer(std::string("Example:\n  ") + example);
    return verb;
}

CLI::Option* add_workspace_option(CLI::App& verb, Session& session) {
    return verb.add_option("-w,--workspace", session.workspace_slug, "Slug (or id) of the workspace")
        ->type_name("SLUG");
}

Body make_body() { return std::make_shared<http::Json>(http::Json::object()); }

CLI::Option* add_text(CLI::App& verb, Body body, const char* option, const char* member, const char* description) {
    auto take = [body, member](const std::string& text) {
        body->set(member, text.empty() ? http::Json(nullptr) : http::Json(text));
    };
    return verb.add_option_function<std::string>(option, take, description);
}

CLI::Option* add_number(CLI::App& verb, Body body, const char* option, const char* member, const char* description) {
    auto take = [body, member](const std::int64_t& number) { body->set(member, number); };
    return verb.add_option_function<std::int64_t>(option, take, description)->type_name("N");
}

void add_page_options(CLI::App& verb, PageRequest& request) {
    request.limit = 50;
    verb.add_option("--page", request.page, "Which page, from 1")
        ->type_name("N")->check(CLI::Range(std::int64_t(1), INT64_MAX))->capture_default_str();
    verb.add_option("--limit", request.limit, "Rows on a page, at most 100")
        ->type_name("N")->check(CLI::Range(1, 100))->capture_default_str();
}

}  // namespace portal::ctl
