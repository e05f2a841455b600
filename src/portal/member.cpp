#include "portal/member.h"

#include "portal/business_failure.h"
#include "portal/email.h"
#include "portal/uuid.h"

namespace portal {
namespace {

using http::Json;
using io::Parameters;
using io::Statement;

// Makes the member when `verdict` is ok, else says which rule forbids it. ON CONFLICT: the violation of the index would
// write the address into the server's log.
constexpr Statement create_statement{"member_create", R"(
WITH customer AS (
    SELECT id, workspace_id, type
      FROM portal.customers
     WHERE workspace_id = $1::uuid AND id = $2::uuid AND deleted_at IS NULL
       FOR NO KEY UPDATE
), living AS (
    SELECT count(*) AS members,
           count(*) FILTER (WHERE lower(email COLLATE "C") = lower($3::text COLLATE "C")) AS same_email,
           coalesce($6::text, CASE WHEN count(*) = 0 THEN 'owner' ELSE 'member' END) AS role
      FROM portal.members
     WHERE workspace_id = $1 AND customer_id = $2 AND deleted_at IS NULL
), judged AS (
    SELECT CASE WHEN NOT coalesce((w.feature_settings->>'member_model_enabled')::boolean, false)
                     THEN 'no_member_model'
                WHEN c.id IS NULL THEN 'no_customer'
                WHEN l.same_email > 0 THEN 'email_taken'
                WHEN l.members > 0 AND c.type IS DISTINCT FROM 'team' THEN 'individual'
                WHEN l.members > 0 AND l.role = 'owner' THEN 'second_owner'
                WHEN l.members = 0 AND l.role <> 'owner' THEN 'no_owner'
                ELSE 'ok' END AS verdict, l.role
      FROM portal.workspaces w
      CROSS JOIN living l
      LEFT JOIN customer c ON true
     WHERE w.id = $1
), made AS (
    INSERT INTO portal.members (workspace_id, customer_id, email, name, external_id, role)
    SELECT c.workspace_id, c.id, $3, $4::text, $5::text, j.role
      FROM customer c
      JOIN judged j ON j.verdict = 'ok'
    ON CONFLICT (customer_id, lower(email COLLATE "C")) WHERE deleted_at IS NULL DO NOTHING
    RETURNING *
)
SELECT j.verdict, )" PORTAL_MEMBER_COLUMNS("m") R"(
  FROM judged j
  LEFT JOIN made m ON true)"};

constexpr Statement find_statement{"member_find", R"(
SELECT )" PORTAL_MEMBER_COLUMNS("m") R"(
  FROM portal.members m
 WHERE m.workspace_id = $1::uuid AND m.id = $2::uuid AND m.deleted_at IS NULL)",
    io::Lane::main, io::Retry::read};

constexpr Statement list_statement{
    "member_list",
    PORTAL_PAGE("SELECT * FROM portal.members WHERE workspace_id = $3::uuid AND deleted_at IS NULL "
                "AND ($4::uuid IS NULL OR customer_id = $4)",
                "created_at, id", PORTAL_MEMBER_COLUMNS("r")),
    io::Lane::main, io::Retry::read, 5000};

constexpr std::size_t max_text = 256;

http::Failure refusal(std::string_view verdict, const MemberInput& input) {
    if (verdict == "no_member_model") {
        return http::not_permitted("Member management is not enabled for this workspace");
    }
    if (verdict == "no_customer") {
        return http::resource_not_found("Customer not found");
    }
    if (verdict == "email_taken") {
        return business_failure("email", "A member with this email address already exists.", input.email);
    }
    if (verdict == "individual") {
        return http::not_permitted("An individual customer has one member.");
    }
    if (verdict == "second_owner") {
        return business_failure("role", "Cannot add a member as owner. There must be exactly one owner.", "owner");
    }
    return business_failure("role", "Customer must have exactly one owner.", input.role);
}

// What a constraint refused although the statement saw nothing wrong: another request was first.
http::Failure taken(const io::PostgresError& error, const MemberInput& input) {
    if (error.constraint.find("external") != std::string::npos) {
        return business_failure("external_id", "A member with this external ID already exists.", input.external_id);
    }
    return refusal("second_owner", input);
}

}  // namespace

Json member_json(const io::Row& row) {
    return Json::object({
        {"id", row.text("member_id")},
        {"created_at", row.text("member_created_at")},
        {"modified_at", row.optional("member_modified_at")},
        {"workspace_id", row.text("member_workspace_id")},
        {"customer_id", row.text("member_customer_id")},
        {"external_id", row.optional("member_external_id")},
        {"email", row.text("member_email")},
        {"name", row.optional("member_name")},
        {"role", row.text("member_role")},
    });
}

Json portal_member_json(const io::Row& row) {
    return Json::object({
        {"id", row.text("member_id")},
        {"created_at", row.text("member_created_at")},
        {"modified_at", row.optional("member_modified_at")},
        {"email", row.text("member_email")},
        {"name", row.optional("member_name")},
        {"role", row.text("member_role")},
    });
}

MemberInput MemberInput::parse(Json body) {
    http::Fields fields(std::move(body));
    MemberInput input;
    if (std::optional<Uuid> customer = fields.uuid4("customer_id", {.required = true})) {
        input.customer_id = customer->text();
    }
    input.email = email_field(fields, "email", {.required = true}).value_or("");
    input.name = fields.string("name", {.max = max_text, .nullable = true});
    input.external_id = fields.string("external_id", {.min = 1, .max = max_text, .nullable = true});
    input.role = fields.choice("role", {"owner", "billing_manager", "member"}, {.nullable = true});
    fields.done();
    return input;
}

io::Task<Json> create_member(io::Postgres& db, std::string workspace_id, MemberInput input) {
    Parameters parameters(workspace_id, input.customer_id, input.email, input.name, input.external_id,
                          input.role);
    try {
        io::Rows rows = co_await db.query(create_statement, std::move(parameters));
        std::string_view verdict = rows.empty() ? "no_customer" : rows.front().text("verdict");
        if (verdict != "ok") {
            throw refusal(verdict, input);
        }
        if (rows.front().null("member_id")) {
            throw refusal("email_taken", input);   // by a request that was faster
        }
        co_return member_json(rows.front());
    } catch (const io::PostgresError& error) {
        if (error.sqlstate != "23505" && error.sqlstate != "23P01") {
            throw;
        }
        throw taken(error, input);
    }
}

io::Task<Json> find_member(io::Postgres& db, std::string workspace_id, std::string id) {
    if (!Uuid::parse(id)) {
        throw http::resource_not_found("Member not found");
    }
    Parameters parameters(workspace_id, id);
    io::Rows rows = co_await db.query(find_statement, std::move(parameters));
    if (rows.empty()) {
        throw http::resource_not_found("Member not found");
    }
    co_return member_json(rows.front());
}

io::Task<Page> list_members(io::Postgres& db, std::string workspace_id,
                            std::optional<std::string> customer_id, PageRequest request) {
    Parameters parameters(request.per_page(), request.offset(), workspace_id, customer_id);
    io::Rows rows = co_await db.query(list_statement, std::move(parameters));
    co_return page_of(rows, request, member_json);
}

}  // namespace portal
