#include "portal/workspace.h"

#include "http/validation.h"
#include "portal/business_failure.h"
#include "portal/email.h"
#include "portal/slug.h"

#define WORKSPACE_COLUMNS(alias)                                              \
    alias ".id AS workspace_id, "                                             \
    "portal.time_text(" alias ".created_at) AS workspace_created_at, "        \
    "portal.time_text(" alias ".modified_at) AS workspace_modified_at, "      \
    alias ".slug AS workspace_slug, " alias ".name AS workspace_name, "       \
    alias ".avatar_url AS workspace_avatar_url, "                             \
    alias ".feature_settings AS workspace_feature_settings, "                 \
    alias ".customer_portal_settings AS workspace_customer_portal_settings, " \
    alias ".mail_from_name AS workspace_mail_from_name, "                     \
    alias ".mail_reply_to AS workspace_mail_reply_to, "                       \
    "to_json(" alias ".return_hosts) AS workspace_return_hosts, "             \
    alias ".share_url AS workspace_share_url, "                               \
    "portal.time_text(" alias ".blocked_at) AS workspace_blocked_at"

namespace portal {
namespace {

using http::Json;
using io::Parameters;
using io::Statement;

constexpr Statement create_statement{"workspace_create", R"(
INSERT INTO portal.workspaces AS w (slug, name, avatar_url, feature_settings)
VALUES ($1::text, $2::text, $3::text, '{"member_model_enabled": false}' || $4::jsonb)
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
    customer_portal_settings = CASE WHEN $2 ? 'customer_portal_settings'
        THEN $2->'customer_portal_settings' ELSE w.customer_portal_settings END,
    feature_settings = w.feature_settings || coalesce($2->'feature_settings', '{}'),
    blocked_at = CASE WHEN NOT $2 ? 'blocked' THEN w.blocked_at
                      WHEN ($2->>'blocked')::boolean THEN coalesce(w.blocked_at, now()) END
 WHERE w.id = $1::uuid AND w.deleted_at IS NULL
RETURNING )" WORKSPACE_COLUMNS("w")};

constexpr std::size_t max_name = 256;

constexpr const char* features[] = {"member_model_enabled", "require_code"};

// Those of feature_settings that are given.
Json features_of(http::Fields& fields) {
    Json given = Json::object();
    const Json sent = fields.value("feature_settings");
    if (!sent.present() || sent.is_null()) {
        return given;
    }
    if (!sent.is_object()) {
        fields.problem("feature_settings", "model_attributes_type",
                       "Input should be a valid dictionary or object to extract fields from");
        return given;
    }
    for (const char* feature : features) {
        const Json on = sent[feature];
        if (on.present() && !on.is_boolean()) {
            http::Problem problem;
            problem.type = "bool_type";
            problem.loc = {"body", "feature_settings", feature};
            problem.msg = "Input should be a valid boolean";
            problem.input = on;
            fields.add(std::move(problem));
        } else if (on.present()) {
            given.set(feature, on);
        }
    }
    return given;
}

// "example.com", "localhost:3000": what a return_url's host and port are compared with
std::optional<std::string> host_of(const Json& sent) {
    std::string host = ascii_lower(sent.text());
    bool plain = host.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-.:[]") == std::string::npos;
    if (host.empty() || host.size() > 255 || !plain) {
        return std::nullopt;
    }
    return host;
}

void take_return_hosts(http::Fields& fields, Json& members) {
    Json sent = fields.value("return_hosts");
    if (!sent.present()) {
        return;
    }
    Json hosts = Json::array();
    bool fine = sent.is_array() || sent.is_null();   // null: none, any host will do
    for (std::size_t at = 0; fine && at < sent.size(); ++at) {
        std::optional<std::string> host = host_of(sent[at]);
        fine = host.has_value();
        hosts.push(host);
    }
    if (!fine) {
        fields.refuse("return_hosts", "Input should be a list of host names, without scheme or path");
    }
    members.set("return_hosts", hosts);
}

void take(http::Fields& fields, Json& members, const char* name, const std::optional<std::string>& value) {
    if (fields.given(name)) {
        members.set(name, value);
    }
}

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

WorkspaceInput WorkspaceInput::parse(Json body) {
    http::Fields fields(std::move(body));
    WorkspaceInput input;
    input.slug = slug_field(fields, "slug", {.required = true}).value_or("");
    input.name = fields.string("name", {.min = 1, .max = max_name, .required = true}).value_or("");
    input.avatar_url = fields.url("avatar_url", {.nullable = true});
    input.features = features_of(fields);
    fields.done();
    return input;
}

WorkspaceChange WorkspaceChange::parse(Json body, bool by_operator) {
    http::Fields fields(std::move(body));
    WorkspaceChange change;
    change.members = Json::object();
    take(fields, change.members, "name", fields.string("name", {.min = 1, .max = max_name}));
    take(fields, change.members, "avatar_url", fields.url("avatar_url", {.nullable = true}));
    std::optional<std::string> from_name =
        fields.string("mail_from_name", {.min = 1, .max = max_name, .nullable = true});
    if (from_name && http::has_control(*from_name)) {
        fields.refuse("mail_from_name", "A name in a mail header has no control characters.");
    }
    take(fields, change.members, "mail_from_name", from_name);
    take(fields, change.members, "mail_reply_to", email_field(fields, "mail_reply_to", {.nullable = true}));
    take(fields, change.members, "share_url", fields.url("share_url", {.nullable = true}));
    take_return_hosts(fields, change.members);
    Json settings = fields.value("customer_portal_settings");
    if (settings.is_null()) {
        settings = Json::object();
    }
    if (settings.present() && !settings.is_object()) {
        fields.problem("customer_portal_settings", "dict_type", "Input should be a valid dictionary");
    } else if (settings.present()) {
        change.members.set("customer_portal_settings", settings);
    }
    if (fields.given("feature_settings")) {
        change.members.set("feature_settings", features_of(fields));
    }
    if (std::optional<bool> blocked = by_operator ? fields.boolean("blocked") : std::nullopt) {
        change.members.set("blocked", *blocked);
    }
    fields.done();
    return change;
}

io::Task<Json> create_workspace(io::Postgres& db, WorkspaceInput input) {
    Parameters parameters(input.slug, input.name, input.avatar_url, input.features.dump());
    try {
        io::Rows rows = co_await db.query(create_statement, std::move(parameters));
        co_return workspace_json(rows.front());
    } catch (const io::PostgresError& error) {
        if (error.sqlstate != "23505") {
            throw;
        }
    }
    throw business_failure("slug", "A workspace with this slug already exists.", input.slug);
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
    Parameters parameters(id, change.members.dump());
    io::Rows rows = co_await db.query(change_statement, std::move(parameters));
    if (rows.empty()) {
        throw workspace_not_found();
    }
    co_return workspace_json(rows.front());
}

}  // namespace portal
