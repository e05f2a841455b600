#include "portal/workspace.h"

#include <algorithm>
#include <array>

#include "http/failure.h"
#include "portal/checks.h"
#include "portal/email.h"

#define WORKSPACE_COLUMNS(alias)                                                                   \
    alias ".id AS workspace_id, "                                                                  \
    "portal.time_text(" alias ".created_at) AS workspace_created_at, "                               \
    "portal.time_text(" alias ".modified_at) AS workspace_modified_at, "                             \
    alias ".slug AS workspace_slug, " alias ".name AS workspace_name, "                            \
    alias ".avatar_url AS workspace_avatar_url, "                                                  \
    alias ".feature_settings AS workspace_feature_settings, "                                      \
    alias ".customer_portal_settings AS workspace_customer_portal_settings, "                      \
    alias ".mail_from_name AS workspace_mail_from_name, "                                          \
    alias ".mail_reply_to AS workspace_mail_reply_to, "                                            \
    "to_json(" alias ".return_hosts) AS workspace_return_hosts, "                                  \
    alias ".share_url AS workspace_share_url, "                                                    \
    "portal.time_text(" alias ".blocked_at) AS workspace_blocked_at"

namespace portal {
namespace {

using http::Json;
using io::Parameters;
using io::Statement;

constexpr Statement create_statement{"workspace_create", R"(
INSERT INTO portal.workspaces AS w (slug, name, avatar_url, feature_settings)
VALUES ($1::text, $2::text, $3::text, jsonb_build_object('member_model_enabled', $4::boolean))
RETURNING )" WORKSPACE_COLUMNS("w")};

constexpr Statement list_statement{
    "workspace_list",
    PORTAL_PAGE("SELECT * FROM portal.workspaces WHERE deleted_at IS NULL", "slug, id",
                WORKSPACE_COLUMNS("r")),
    io::Lane::main, io::Retry::read, 5000};

constexpr Statement find_statement{"workspace_find", R"(
SELECT )" WORKSPACE_COLUMNS("w") R"(
  FROM portal.workspaces w
 WHERE (w.id::text = lower($1::text) OR lower(w.slug COLLATE "C") = lower($1::text COLLATE "C"))
   AND w.deleted_at IS NULL)", io::Lane::main, io::Retry::read};

// $2: the members that change, by name; what is not among them stays
constexpr Statement change_statement{"workspace_change", R"(
UPDATE portal.workspaces AS w SET
    name = CASE WHEN $2::jsonb ? 'name' THEN $2->>'name' ELSE w.name END,
    avatar_url = CASE WHEN $2 ? 'avatar_url' THEN $2->>'avatar_url' ELSE w.avatar_url END,
    mail_from_name =
        CASE WHEN $2 ? 'mail_from_name' THEN $2->>'mail_from_name' ELSE w.mail_from_name END,
    mail_reply_to = CASE WHEN $2 ? 'mail_reply_to' THEN $2->>'mail_reply_to' ELSE w.mail_reply_to END,
    share_url = CASE WHEN $2 ? 'share_url' THEN $2->>'share_url' ELSE w.share_url END,
    return_hosts = CASE WHEN $2 ? 'return_hosts'
        THEN ARRAY(SELECT jsonb_array_elements_text($2->'return_hosts')) ELSE w.return_hosts END,
    feature_settings = CASE WHEN $2 ? 'member_model_enabled'
        THEN w.feature_settings || jsonb_build_object('member_model_enabled', $2->'member_model_enabled')
        ELSE w.feature_settings END,
    blocked_at = CASE WHEN NOT $2 ? 'blocked' THEN w.blocked_at
                      WHEN ($2->>'blocked')::boolean THEN coalesce(w.blocked_at, now()) END
 WHERE w.id = $1::uuid AND w.deleted_at IS NULL
RETURNING )" WORKSPACE_COLUMNS("w")};

// First parts of paths that are, or may become, the product's own or the site's.
constexpr std::array<std::string_view, 17> reserved_slugs = {
    "api", "client-portal", "portal", "portal-assets", "dashboard", "settings", "login", "signup", "oauth2",
    "admin", "docs", "download", "share", "file-sharing", ".well-known", "metrics", "health"};

constexpr std::size_t max_name = 256;

void check_slug(Checks& checks, const std::string& slug) {
    bool plain = slug.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
    checks.length("slug", slug, 3, 63);
    if (!plain) {
        checks.refuse("slug", "A slug has lower-case letters, digits and hyphens only.", slug);
    } else if (std::find(reserved_slugs.begin(), reserved_slugs.end(), slug) != reserved_slugs.end()) {
        checks.refuse("slug", "This slug is reserved.", slug);
    }
}

// "example.com", "localhost:3000": what a return_url's host and port are compared with
void check_host(Checks& checks, std::string& host) {
    host = ascii_lower(host);
    bool plain = host.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-.:[]") == std::string::npos;
    if (host.empty() || host.size() > 255 || !plain) {
        checks.refuse("return_hosts", "A return host is a host name, without scheme or path.", host);
    }
}

bool has_control(std::string_view text) {
    return std::any_of(text.begin(), text.end(),
                       [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

Json null_if_empty(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

http::Failure workspace_not_found() { return http::resource_not_found("Workspace not found"); }

}  // namespace

Json workspace_json(const io::Row& row) {
    return Json::object({
        {"id", row.text("workspace_id")},
        {"created_at", row.text("workspace_created_at")},
        {"modified_at", row.optional("workspace_modified_at")},
        {"slug", row.text("workspace_slug")},
        {"name", row.text("workspace_name")},
        {"avatar_url", row.optional("workspace_avatar_url")},
        {"feature_settings", Json::parse(row.text("workspace_feature_settings"))},
        {"customer_portal_settings", Json::parse(row.text("workspace_customer_portal_settings"))},
        {"mail_from_name", row.optional("workspace_mail_from_name")},
        {"mail_reply_to", row.optional("workspace_mail_reply_to")},
        {"return_hosts", Json::parse(row.text("workspace_return_hosts"))},
        {"share_url", row.optional("workspace_share_url")},
        {"blocked_at", row.optional("workspace_blocked_at")},
    });
}

void WorkspaceInput::check() const {
    Checks checks;
    check_slug(checks, slug);
    checks.length("name", name, 1, max_name);
    checks.url("avatar_url", avatar_url);
    checks.done();
}

void WorkspaceChange::check() {
    Checks checks;
    checks.length("name", name, 1, max_name);
    if (avatar_url && !avatar_url->empty()) {
        checks.url("avatar_url", avatar_url);
    }
    if (share_url && !share_url->empty()) {
        checks.url("share_url", share_url);
    }
    if (mail_reply_to && !mail_reply_to->empty()) {
        checks.email("mail_reply_to", mail_reply_to);
    }
    checks.length("mail_from_name", mail_from_name, 0, max_name);
    if (mail_from_name && has_control(*mail_from_name)) {
        checks.refuse("mail_from_name", "A name in a mail header has no control characters.", *mail_from_name);
    }
    if (return_hosts) {
        for (std::string& host : *return_hosts) {
            check_host(checks, host);
        }
    }
    checks.done();
}

bool WorkspaceChange::empty() const {
    return !name && !avatar_url && !mail_from_name && !mail_reply_to && !share_url && !return_hosts &&
           !member_model && !blocked;
}

Json WorkspaceChange::json() const {
    Json change = Json::object();
    if (name) {
        change.set("name", *name);
    }
    if (avatar_url) {
        change.set("avatar_url", null_if_empty(*avatar_url));
    }
    if (mail_from_name) {
        change.set("mail_from_name", null_if_empty(*mail_from_name));
    }
    if (mail_reply_to) {
        change.set("mail_reply_to", null_if_empty(*mail_reply_to));
    }
    if (share_url) {
        change.set("share_url", null_if_empty(*share_url));
    }
    if (return_hosts) {
        Json hosts = Json::array();
        for (const std::string& host : *return_hosts) {
            hosts.push(host);
        }
        change.set("return_hosts", hosts);
    }
    if (member_model) {
        change.set("member_model_enabled", *member_model);
    }
    if (blocked) {
        change.set("blocked", *blocked);
    }
    return change;
}

io::Task<Json> create_workspace(io::Postgres& db, WorkspaceInput input) {
    input.check();
    Parameters parameters(input.slug, input.name, input.avatar_url, input.member_model);
    try {
        io::Rows rows = co_await db.query(create_statement, std::move(parameters));
        co_return workspace_json(rows.front());
    } catch (const io::PostgresError& error) {
        if (error.sqlstate != "23505") {
            throw;
        }
    }
    throw refused("slug", "A workspace with this slug already exists.", input.slug);
}

io::Task<Page> list_workspaces(io::Postgres& db, PageRequest request) {
    Parameters parameters(request.per_page(), request.offset());
    io::Rows rows = co_await db.query(list_statement, std::move(parameters));
    co_return page_of(rows, request, workspace_json);
}

io::Task<Json> find_workspace(io::Postgres& db, std::string id_or_slug) {
    Parameters parameters(id_or_slug);
    io::Rows rows = co_await db.query(find_statement, std::move(parameters));
    if (rows.empty()) {
        throw workspace_not_found();
    }
    co_return workspace_json(rows.front());
}

io::Task<Json> change_workspace(io::Postgres& db, std::string id, WorkspaceChange change) {
    change.check();
    Parameters parameters(id, change.json().dump());
    io::Rows rows = co_await db.query(change_statement, std::move(parameters));
    if (rows.empty()) {
        throw workspace_not_found();
    }
    co_return workspace_json(rows.front());
}

}  // namespace portal
