// portalctl workspace create|list|show|set
#include "portal/workspace.h"

#include <memory>

#include "ctl/output.h"
#include "ctl/verbs.h"

namespace portal::ctl {
namespace {

const std::vector<Column> columns = {
    {"SLUG", "slug"}, {"NAME", "name"}, {"ID", "id"}, {"CREATED", "created_at"}, {"BLOCKED", "blocked_at"}};

void print(Session& session, const http::Json& workspace) {
    session.json ? print_json(workspace) : print_record(workspace);
}

http::Json member_model(bool enabled) {
    http::Json features = http::Json::object();
    features.set("member_model_enabled", enabled);
    return features;
}

void add_create(CLI::App& family, Session& session) {
    Body body = make_body();
    CLI::App* verb = add_verb(family, "create", "Make a workspace",
                              "portalctl workspace create acme --name \"Acme Ltd\" --member-model");
    add_text(*verb, body, "slug", "slug", "3 to 63 of a-z, 0-9 and '-': the name in its URLs")
        ->required()->type_name("SLUG");
    add_text(*verb, body, "--name", "name", "Name shown to customers (default: the slug)");
    add_text(*verb, body, "--avatar-url", "avatar_url", "Picture shown to customers")->type_name("URL");
    verb->add_flag_callback("--member-model", [body] { body->set("feature_settings", member_model(true)); },
                            "Customers have members who sign in themselves");
    verb->callback([body, &session] {
        if (!(*body)["name"].present()) {
            body->set("name", (*body)["slug"]);
        }
        print(session, session.run(create_workspace(session.db(), WorkspaceInput::parse(*body))));
    });
}

void add_list(CLI::App& family, Session& session) {
    auto request = std::make_shared<PageRequest>();
    CLI::App* verb = add_verb(family, "list", "Show all workspaces", "portalctl workspace list --json");
    add_page_options(*verb, *request);
    verb->callback([request, &session] {
        Page page = session.run(list_workspaces(session.db(), *request));
        session.json ? print_json(page.json()) : print_page(page, columns, "No workspace yet.");
    });
}

void add_show(CLI::App& family, Session& session) {
    auto slug = std::make_shared<std::string>();
    CLI::App* verb = add_verb(family, "show", "Show one workspace", "portalctl workspace show acme");
    verb->add_option("slug", *slug, "Its slug or id")->required()->type_name("SLUG");
    verb->callback([slug, &session] { print(session, session.run(find_workspace(session.db(), *slug))); });
}

void add_set(CLI::App& family, Session& session) {
    auto slug = std::make_shared<std::string>();
    Body body = make_body();
    CLI::App* verb = add_verb(family, "set", "Change a workspace; what is not named stays, '' removes",
                              "portalctl workspace set acme --mail-from-name \"Acme\" --return-host acme.example");
    verb->add_option("slug", *slug, "Its slug or id")->required()->type_name("SLUG");
    add_text(*verb, body, "--name", "name", "Name shown to customers");
    add_text(*verb, body, "--avatar-url", "avatar_url", "Picture shown to customers")->type_name("URL");
    verb->add_option_function<bool>(
            "--member-model", [body](const bool& on) { body->set("feature_settings", member_model(on)); },
            "Customers have members who sign in themselves")
        ->type_name("on|off");
    auto set_hosts = [body](const std::vector<std::string>& hosts) {
        http::Json list = http::Json::array();
        for (const std::string& host : hosts) {
            list.push(host);
        }
        body->set("return_hosts", list);
    };
    CLI::Option* host = verb->add_option_function<std::vector<std::string>>(
        "--return-host", set_hosts, "Host a return_url may name; repeatable, replaces the whole list");
    host->type_name("HOST")->allow_extra_args(false);
    verb->add_flag_callback("--no-return-hosts", [body] { body->set("return_hosts", http::Json::array()); },
                            "Let a return_url name any host")
        ->excludes(host);
    add_text(*verb, body, "--mail-from-name", "mail_from_name", "Sender's name in mail");
    add_text(*verb, body, "--mail-reply-to", "mail_reply_to", "Where answers to mail go")->type_name("ADDRESS");
    add_text(*verb, body, "--share-url", "share_url", "Where a shared file opens")->type_name("URL");
    verb->add_option_function<bool>(
            "--blocked", [body](const bool& on) { body->set("blocked", on); },
            "Refuse everybody of this workspace, sessions included")
        ->type_name("on|off");
    verb->callback([=, &session] {
        if (body->size() == 0) {
            throw CLI::ValidationError("workspace set", "nothing to change; --help lists what can be");
        }
        std::string id(session.run(find_workspace(session.db(), *slug))["id"].text());
        print(session, session.run(change_workspace(session.db(), id, WorkspaceChange::parse(*body, true))));
    });
}

}  // namespace

void add_workspace_verbs(CLI::App& app, Session& session) {
    CLI::App* family = add_family(app, "workspace", "Workspaces: one owner of data each");
    add_create(*family, session);
    add_list(*family, session);
    add_show(*family, session);
    add_set(*family, session);
}

}  // namespace portal::ctl
