// portalctl workspace create|list|show|set
#include "portal/workspace.h"

#include <memory>

#include "ctl/output.h"
#include "ctl/verbs.h"

namespace portal::ctl {
namespace {

const std::vector<Column> columns = {{"SLUG", "slug"},
                                     {"NAME", "name"},
                                     {"ID", "id"},
                                     {"CREATED", "created_at"},
                                     {"BLOCKED", "blocked_at"}};

void print(Session& session, const http::Json& workspace) {
    session.json ? print_json(workspace) : print_record(workspace);
}

// The body's feature_settings get this one, too.
void set_feature(const Body& body, const char* name, bool on) {
    const http::Json given = (*body)["feature_settings"];
    http::Json features = given.is_object() ? given : http::Json::object();
    body->set("feature_settings", features.set(name, on));
}

void add_create(Verb family, Session& session) {
    Body body = make_body();
    Verb verb = family.verb("create", "Make a workspace",
                            "portalctl workspace create acme --name \"Acme Ltd\" --member-model");
    verb.text("slug", body, "slug", "3 to 63 of a-z, 0-9 and '-': the name in its URLs")
        .required()
        .hint("SLUG");
    verb.text("--name", body, "name", "Name shown to customers (default: the slug)");
    verb.text("--avatar-url", body, "avatar_url", "Picture shown to customers").hint("URL");
    verb.flag("--member-model", "Customers have members who sign in themselves",
              [body] { set_feature(body, "member_model_enabled", true); });
    verb.run([body, &session] {
        if (!(*body)["name"].present()) {
            body->set("name", (*body)["slug"]);
        }
        print(session, session.run(create_workspace(session.db(), WorkspaceInput::parse(*body))));
    });
}

void add_list(Verb family, Session& session) {
    auto request = std::make_shared<PageRequest>();
    Verb verb = family.verb("list", "Show all workspaces", "portalctl workspace list --json");
    verb.pages(*request);
    verb.run([request, &session] {
        Page page = session.run(list_workspaces(session.db(), *request));
        session.json ? print_json(page.json()) : print_page(page, columns, "No workspace yet.");
    });
}

void add_show(Verb family, Session& session) {
    auto slug = std::make_shared<std::string>();
    Verb verb = family.verb("show", "Show one workspace", "portalctl workspace show acme");
    verb.text("slug", *slug, "Its slug or id").required().hint("SLUG");
    verb.run(
        [slug, &session] { print(session, session.run(find_workspace(session.db(), *slug))); });
}

void add_set(Verb family, Session& session) {
    auto slug = std::make_shared<std::string>();
    Body body = make_body();
    Verb verb = family.verb(
        "set", "Change a workspace; what is not named stays, '' removes",
        "portalctl workspace set acme --mail-from-name \"Acme\" --return-host acme.example");
    verb.text("slug", *slug, "Its slug or id").required().hint("SLUG");
    verb.text("--name", body, "name", "Name shown to customers");
    verb.text("--avatar-url", body, "avatar_url", "Picture shown to customers").hint("URL");
    verb.toggle("--member-model", "Customers have members who sign in themselves",
                [body](bool on) { set_feature(body, "member_model_enabled", on); });
    verb.toggle("--require-code", "A client portal's link asks for a mailed code on a new device",
                [body](bool on) { set_feature(body, "require_code", on); });
    auto set_hosts = [body](const std::vector<std::string>& hosts) {
        http::Json list = http::Json::array();
        for (const std::string& host : hosts) {
            list.push(host);
        }
        body->set("return_hosts", list);
    };
    Option host =
        verb.list("--return-host",
                  "Host a return_url may name; repeatable, replaces the whole list", set_hosts)
            .hint("HOST");
    verb.flag("--no-return-hosts", "Let a return_url name any host",
              [body] { body->set("return_hosts", http::Json::array()); })
        .excludes(host);
    verb.text("--mail-from-name", body, "mail_from_name", "Sender's name in mail");
    verb.text("--mail-reply-to", body, "mail_reply_to", "Where answers to mail go").hint("ADDRESS");
    verb.text("--share-url", body, "share_url", "Where a shared file opens").hint("URL");
    auto set_portal = [body](const std::string& text) {
        body->set("customer_portal_settings", parse_object("--portal-settings", text));
    };
    verb.text("--portal-settings", "What the customer portal's page is to know, as a JSON object",
              set_portal)
        .hint("JSON");
    verb.toggle("--blocked", "Refuse everybody of this workspace, sessions included",
                [body](bool on) { body->set("blocked", on); });
    verb.run([=, &session] {
        if (body->size() == 0) {
            throw UsageError("workspace set: nothing to change; --help lists what can be");
        }
        std::string id(session.run(find_workspace(session.db(), *slug))["id"].text());
        print(session,
              session.run(change_workspace(session.db(), id, WorkspaceChange::parse(*body, true))));
    });
}

}  // namespace

void add_workspace_verbs(Verb app, Session& session) {
    Verb family = app.family("workspace", "Workspaces: one owner of data each");
    add_create(family, session);
    add_list(family, session);
    add_show(family, session);
    add_set(family, session);
}

}  // namespace portal::ctl
