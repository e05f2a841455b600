#include "portal/portal_profile.h"

#include <algorithm>

#include "portal/billing_address.h"
#include "portal/customer.h"
#include "portal/email.h"
#include "portal/slug.h"

namespace portal {
namespace {

using http::Json;
using io::Lane;
using io::Parameters;
using io::Retry;
using io::Statement;

constexpr Statement workspace_statement{"portal_workspace_find", R"(
SELECT id, portal.time_text(created_at) AS created_at, portal.time_text(modified_at) AS modified_at, name, slug,
       avatar_url, customer_portal_settings,
       coalesce((feature_settings ->> 'member_model_enabled')::boolean, false) AS member_model
  FROM portal.workspaces
 WHERE slug = $1::text AND deleted_at IS NULL AND blocked_at IS NULL)",
                                        Lane::main, Retry::read};

//   $1 workspace  $2 session
constexpr Statement state_statement{"session_state", R"(
SELECT portal.time_text(expires_at) AS expires_at, return_url
  FROM (SELECT workspace_id, id, expires_at, return_url, revoked_at FROM portal.customer_sessions
        UNION ALL
        SELECT workspace_id, id, expires_at, return_url, revoked_at FROM portal.member_sessions) session
 WHERE workspace_id = $1::uuid AND id = $2::uuid AND revoked_at IS NULL AND expires_at > now())",
                                    Lane::main, Retry::read};

//   $1 workspace  $2 customer  $3 member or NULL
constexpr Statement user_statement{"session_user", R"(
SELECT c.id AS customer_id, m.id AS member_id, m.role,
       CASE WHEN m.id IS NULL THEN c.name ELSE m.name END AS name,
       CASE WHEN m.id IS NULL THEN c.email ELSE m.email END AS email
  FROM portal.customers c
  LEFT JOIN portal.members m ON m.workspace_id = c.workspace_id AND m.customer_id = c.id
                            AND m.id = $3::uuid AND m.deleted_at IS NULL
 WHERE c.workspace_id = $1::uuid AND c.id = $2::uuid AND c.deleted_at IS NULL
   AND ($3 IS NULL OR m.id IS NOT NULL))",
                                   Lane::main, Retry::read};

#define PROFILE_COLUMNS(alias)     \
    PORTAL_CUSTOMER_COLUMNS(alias) \
    ", coalesce(" alias ".billing_name, " alias ".name) AS billing_name"

constexpr Statement find_statement{"portal_customer_find", R"(
SELECT )" PROFILE_COLUMNS("c") R"(
  FROM portal.customers c
 WHERE c.workspace_id = $1::uuid AND c.id = $2::uuid AND c.deleted_at IS NULL)",
                                   Lane::main, Retry::read};

//   $1 workspace  $2 customer  $3 member or NULL  $4 billing name, '' for none  $5 billing address
constexpr Statement change_statement{"portal_customer_change", R"(
WITH member AS (
    SELECT role FROM portal.members
     WHERE workspace_id = $1::uuid AND customer_id = $2::uuid AND id = $3::uuid AND deleted_at IS NULL
), judged AS (
    SELECT CASE WHEN $3 IS NULL THEN 'ok'
                WHEN member.role IS NULL THEN 'gone'
                WHEN member.role = 'member' THEN 'role'
                ELSE 'ok' END AS verdict
      FROM (SELECT 1) always
      LEFT JOIN member ON true
), changed AS (
    UPDATE portal.customers
       SET billing_name = CASE WHEN $4::text IS NULL THEN billing_name ELSE nullif($4, '') END,
           billing_address = coalesce($5::jsonb, billing_address)
      FROM judged
     WHERE workspace_id = $1 AND id = $2 AND deleted_at IS NULL AND judged.verdict = 'ok'
    RETURNING customers.*
)
SELECT j.verdict, )" PROFILE_COLUMNS("c") R"(
  FROM judged j
  LEFT JOIN changed c ON true)"};

constexpr std::size_t max_name = 256;

std::optional<std::string> member_of(const Principal& caller) {
    return caller.kind == Kind::member ? std::optional(caller.member_id.text()) : std::nullopt;
}

// The row behind a credential that was good a moment ago.
io::Row require_row(const io::Rows& rows) {
    if (rows.empty()) {
        throw http::invalid_token();
    }
    return rows.front();
}

Json profile_json(const io::Row& row) {
    return Json::object({
        {"id", row.text("customer_id")},
        {"created_at", row.text("customer_created_at")},
        {"modified_at", row.optional("customer_modified_at")},
        {"email", row.text("customer_email")},
        {"email_verified", row.boolean("customer_email_verified")},
        {"name", row.optional("customer_name")},
        {"billing_name", row.optional("billing_name")},
        {"billing_address", billing_address_json(row, "customer_billing_address")},
        {"oauth_accounts", Json::object()},
        {"type", row.optional("customer_type")},
    });
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view blank = " \t\r\n\v\f";
    const std::size_t start = std::min(text.find_first_not_of(blank), text.size());
    text.remove_prefix(start);
    return text.substr(0, text.find_last_not_of(blank) + 1);
}

}  // namespace

http::Failure insufficient_role() {
    return http::not_permitted("Insufficient role for this operation");
}

io::Task<Json> find_portal_workspace(io::Postgres& db, std::string slug) {
    slug = ascii_lower(slug);
    if (!has_slug_characters(slug)) {
        throw http::resource_not_found();
    }
    Parameters parameters(slug);
    io::Rows rows = co_await db.query(workspace_statement, std::move(parameters));
    if (rows.empty()) {
        throw http::resource_not_found();
    }
    const io::Row row = rows.front();
    Json workspace = Json::object({
        {"id", row.text("id")},
        {"created_at", row.text("created_at")},
        {"modified_at", row.optional("modified_at")},
        {"name", row.text("name")},
        {"slug", row.text("slug")},
        {"avatar_url", row.optional("avatar_url")},
        {"customer_portal_settings", Json::parse(row.text("customer_portal_settings"))},
        {"workspace_features",
         Json::object({{"member_model_enabled", row.boolean("member_model")}})},
    });
    co_return Json::object({{"workspace", workspace}, {"shares", Json::array()}});
}

io::Task<Json> find_session_state(io::Postgres& db, Principal caller) {
    Parameters parameters(caller.workspace_id.text(), caller.token_id.text());
    io::Rows rows = co_await db.query(state_statement, std::move(parameters));
    const io::Row row = require_row(rows);
    co_return Json::object(
        {{"expires_at", row.text("expires_at")}, {"return_url", row.optional("return_url")}});
}

io::Task<Json> find_session_user(io::Postgres& db, Principal caller) {
    Parameters parameters(caller.workspace_id.text(), caller.customer_id.text(), member_of(caller));
    io::Rows rows = co_await db.query(user_statement, std::move(parameters));
    const io::Row row = require_row(rows);
    co_return Json::object({
        {"type", row.null("member_id") ? "customer" : "member"},
        {"name", row.optional("name")},
        {"email", row.text("email")},
        {"customer_id", row.text("customer_id")},
        {"member_id", row.optional("member_id")},
        {"role", row.optional("role")},
    });
}

PortalCustomerChange PortalCustomerChange::parse(std::string_view body,
                                                 std::optional<std::string_view> content_type) {
    http::Fields fields(http::parse_body(body, content_type, http::Surface::rest));
    PortalCustomerChange change;
    if (std::optional<std::string> name = fields.string("billing_name", {.nullable = true})) {
        change.billing_name = std::string(trimmed(*name));
        if (http::character_count(*change.billing_name) > max_name) {
            fields.problem("billing_name", "string_too_long",
                           "String should have at most 256 characters",
                           Json::object({{"max_length", std::int64_t(max_name)}}));
        }
    }
    change.billing_address = billing_address_field(fields);
    fields.done();
    return change;
}

io::Task<Json> find_portal_customer(io::Postgres& db, Principal caller) {
    Parameters parameters(caller.workspace_id.text(), caller.customer_id.text());
    io::Rows rows = co_await db.query(find_statement, std::move(parameters));
    const io::Row row = require_row(rows);
    co_return profile_json(row);
}

io::Task<Json> change_portal_customer(io::Postgres& db, Principal caller,
                                      PortalCustomerChange change) {
    std::optional<std::string> address;
    if (change.billing_address.present()) {
        address = change.billing_address.dump();
    }
    Parameters parameters(caller.workspace_id.text(), caller.customer_id.text(), member_of(caller),
                          change.billing_name, address);
    io::Rows rows = co_await db.query(change_statement, std::move(parameters));
    const io::Row row = rows.front();
    if (row.text("verdict") == "role") {
        throw insufficient_role();
    }
    if (row.null("customer_id")) {
        throw http::invalid_token();
    }
    co_return profile_json(row);
}

}  // namespace portal
