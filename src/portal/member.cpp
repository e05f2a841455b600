#include "portal/member.h"

#include "portal/business_failure.h"
#include "portal/email.h"
#include "portal/uuid.h"

namespace portal {
namespace {

using http::Json;
using io::Parameters;
using io::Statement;

#define MEMBER_MODEL                                                                    \
    "model AS (SELECT coalesce((feature_settings ->> 'member_model_enabled')::boolean, " \
    "false) AS enabled FROM portal.workspaces WHERE id = $1::uuid)"

// Makes the member when `verdict` is ok, else says which rule forbids it. ON CONFLICT: the violation of the index would
// write the address into the server's log.
//
//   $1 workspace  $2 customer  $3 e-mail  $4 name  $5 external id  $6 role  $7 id
//   $8 principal  $9 path  $10 Idempotency-Key  $11 payload hash
constexpr Statement create_statement{"member_create", "WITH " MEMBER_MODEL R"(, everyone AS MATERIALIZED (
    SELECT customer_type, (member).* FROM portal.lock_members($1, $2::uuid)
), living AS MATERIALIZED (
    SELECT count(*) = 0 AS unknown, max(customer_type) AS customer_type,
           count(*) FILTER (WHERE here) AS members,
           coalesce(bool_or(here AND lower(email COLLATE "C") = lower($3::text COLLATE "C")), false) AS email_taken,
           coalesce(bool_or(here AND external_id = $5::text), false) AS external_id_taken
      FROM (SELECT *, id IS NOT NULL AND deleted_at IS NULL AS here FROM everyone) e
), wanted AS MATERIALIZED (
    SELECT *, coalesce($6::text, CASE WHEN members = 0 THEN 'owner' ELSE 'member' END) AS role FROM living
), judged AS MATERIALIZED (
    SELECT CASE WHEN NOT model.enabled THEN 'no_member_model'
                WHEN w.unknown THEN 'no_customer'
                WHEN w.email_taken OR w.external_id_taken THEN 'taken'
                WHEN w.members > 0 AND w.customer_type IS DISTINCT FROM 'team' THEN 'individual'
                WHEN w.members > 0 AND w.role = 'owner' THEN 'second_owner'
                WHEN w.members = 0 AND w.role <> 'owner' THEN 'no_owner'
                ELSE 'ok' END AS verdict, w.role, w.email_taken, w.external_id_taken
      FROM model
      CROSS JOIN wanted w
), making AS MATERIALIZED (
    SELECT $7::uuid AS resource_id, NULL::text AS token_ciphertext, 201 AS status,
           'infinity'::timestamptz AS expires_at, role
      FROM judged
     WHERE verdict = 'ok'
), claim AS (
)" PORTAL_CLAIM_KEY("$1", "$8", "$9", "$10", "$11", "making") R"(
), granted AS MATERIALIZED (
    SELECT * FROM making WHERE $10 IS NULL OR EXISTS (SELECT FROM claim)
), made AS (
    INSERT INTO portal.members (id, workspace_id, customer_id, email, name, external_id, role)
    SELECT resource_id, $1, $2, $3, $4::text, $5, role FROM granted
    ON CONFLICT (customer_id, lower(email COLLATE "C")) WHERE deleted_at IS NULL DO NOTHING
    RETURNING *
)
SELECT j.verdict, j.email_taken, j.external_id_taken, false AS owners_wrong,
       CASE WHEN m.id IS NULL AND EXISTS (SELECT FROM granted) THEN portal.start_over() END AS again,
       )" PORTAL_MEMBER_COLUMNS("m") R"(
  FROM judged j
  LEFT JOIN made m ON true)"};

// The members of the customer that the member $2 belongs to, locked.
#define MEMBERS_BESIDE                                                                            \
    MEMBER_MODEL                                                                                  \
    ", whose AS MATERIALIZED (SELECT customer_id FROM portal.members "                            \
    "WHERE workspace_id = $1 AND id = $2::uuid), "                                                \
    "everyone AS MATERIALIZED (SELECT (locked.member).* FROM whose, "                             \
    "LATERAL portal.lock_members($1, whose.customer_id) locked), "                                \
    "team AS MATERIALIZED (SELECT * FROM everyone WHERE id IS NOT NULL AND deleted_at IS NULL)"

//   $1 workspace  $2 member  $3 the members that change, by name
constexpr Statement change_statement{"member_change", "WITH " MEMBERS_BESIDE R"(, asked AS MATERIALIZED (
    SELECT t.id,
           coalesce((SELECT bool_or(lower(o.email COLLATE "C") = lower(($3::jsonb ->> 'email') COLLATE "C"))
                       FROM team o WHERE o.id <> t.id), false) AS email_taken,
           coalesce((SELECT bool_or(o.external_id = $3 ->> 'external_id')
                       FROM team o WHERE o.id <> t.id), false) AS external_id_taken,
           coalesce(($3 ->> 'role' = 'owner') <> (t.role = 'owner'), false) AS owners_wrong
      FROM team t
     WHERE t.id = $2
), judged AS MATERIALIZED (
    SELECT CASE WHEN NOT model.enabled THEN 'no_member_model'
                WHEN a.id IS NULL THEN 'unknown'
                WHEN a.email_taken OR a.external_id_taken OR a.owners_wrong THEN 'taken'
                ELSE 'ok' END AS verdict, a.*
      FROM model
      LEFT JOIN asked a ON true
), changed AS (
    UPDATE portal.members m
       SET email = coalesce($3 ->> 'email', m.email),
           name = CASE WHEN $3 ? 'name' THEN $3 ->> 'name' ELSE m.name END,
           external_id = CASE WHEN $3 ? 'external_id' THEN $3 ->> 'external_id' ELSE m.external_id END,
           role = coalesce($3 ->> 'role', m.role)
      FROM judged j
     WHERE j.verdict = 'ok' AND m.workspace_id = $1 AND m.id = j.id AND m.deleted_at IS NULL
    RETURNING m.*
)
SELECT j.verdict, j.email_taken, j.external_id_taken, j.owners_wrong,
       )" PORTAL_MEMBER_COLUMNS("m") R"(
  FROM judged j
  LEFT JOIN changed m ON true)"};

// An owner goes when nobody else is left: a customer that has members has one.
constexpr Statement remove_statement{"member_remove", "WITH " MEMBERS_BESIDE R"(, judged AS MATERIALIZED (
    SELECT CASE WHEN NOT model.enabled THEN 'no_member_model'
                WHEN t.id IS NULL THEN 'unknown'
                WHEN t.role = 'owner' AND (SELECT count(*) FROM team) > 1 THEN 'owner'
                ELSE 'ok' END AS verdict, t.id
      FROM model
      LEFT JOIN team t ON t.id = $2
), removed AS (
    UPDATE portal.members m SET deleted_at = now()
      FROM judged j
     WHERE j.verdict = 'ok' AND m.workspace_id = $1 AND m.id = j.id AND m.deleted_at IS NULL
)
SELECT verdict FROM judged)"};

constexpr Statement find_statement{"member_find", R"(
SELECT )" PORTAL_MEMBER_COLUMNS("m") R"(
  FROM portal.members m
 WHERE m.workspace_id = $1::uuid AND m.id = $2::uuid AND m.deleted_at IS NULL)",
    io::Lane::main, io::Retry::read};

constexpr Statement list_statement{
    "member_list",
    PORTAL_PAGE(R"(
        SELECT *
          FROM portal.members
         WHERE workspace_id = $3::uuid AND deleted_at IS NULL
           AND ($4::uuid IS NULL OR customer_id = $4)
           AND ($5::text IS NULL OR lower(email COLLATE "C") = lower($5 COLLATE "C"))
           AND ($6::text IS NULL OR external_id = $6)
           AND ($7::text IS NULL OR role = $7))",
                "created_at, id", PORTAL_MEMBER_COLUMNS("r")),
    io::Lane::main, io::Retry::read, 5000};

constexpr std::size_t max_text = 256;

http::Failure member_not_found() { return http::resource_not_found("Member not found"); }

// Everything the row of a verdict that is not "ok" finds wrong; `sent` are the body's members.
http::Failure refusal(const io::Row& row, const Json& sent) {
    const std::string_view verdict = row.text("verdict");
    if (verdict == "no_member_model") {
        return no_member_model();
    }
    if (verdict == "no_customer") {
        return http::resource_not_found("Customer not found");
    }
    if (verdict == "unknown") {
        return member_not_found();
    }
    if (verdict == "individual") {
        return http::not_permitted("An individual customer has one member.");
    }
    if (verdict == "second_owner") {
        return business_failure("role", "Cannot add a member as owner. There must be exactly one owner.", "owner");
    }
    std::vector<http::Problem> problems;
    auto refuse = [&](const char* name, const char* sentence) {
        problems.push_back(http::business_problem({"body", name}, sentence, sent[name]));
    };
    if (verdict == "taken" && row.boolean("email_taken")) {
        refuse("email", "A member with this email address already exists.");
    }
    if (verdict == "taken" && row.boolean("external_id_taken")) {
        refuse("external_id", "A member with this external ID already exists.");
    }
    if (verdict == "no_owner" || row.boolean("owners_wrong")) {
        refuse("role", "Customer must have exactly one owner.");
    }
    return http::validation_failed(std::move(problems));
}

template <class Object>
void set_member(Object& member, const io::Row& row) {
    member.set("id", row.text("member_id"));
    member.set("created_at", row.text("member_created_at"));
    member.set("modified_at", row.nullable("member_modified_at"));
    member.set("workspace_id", row.text("member_workspace_id"));
    member.set("customer_id", row.text("member_customer_id"));
    member.set("external_id", row.nullable("member_external_id"));
    member.set("email", row.text("member_email"));
    member.set("name", row.nullable("member_name"));
    member.set("role", row.text("member_role"));
}

}  // namespace

Json member_json(const io::Row& row) {
    Json member = Json::object();
    set_member(member, row);
    return member;
}

void write_member(http::JsonText& member, const io::Row& row) { set_member(member, row); }

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

MemberChange MemberChange::parse(Json body) {
    http::Fields fields(std::move(body));
    MemberChange change;
    change.members = Json::object();
    if (std::optional<std::string> email = email_field(fields, "email", {.nullable = true})) {
        change.members.set("email", *email);
    }
    std::optional<std::string> name = fields.string("name", {.max = max_text, .nullable = true});
    if (fields.given("name")) {
        change.members.set("name", name);
    }
    std::optional<std::string> external_id =
        fields.string("external_id", {.min = 1, .max = max_text, .nullable = true});
    if (fields.given("external_id")) {
        change.members.set("external_id", external_id);
    }
    std::optional<std::string> role =
        fields.choice("role", {"owner", "billing_manager", "member"}, {.nullable = true});
    if (role) {
        change.members.set("role", *role);
    }
    fields.done();
    return change;
}

http::Failure no_member_model() {
    return http::not_permitted("Member management is not enabled for this workspace");
}

io::Task<Json> create_member(io::Postgres& db, std::string workspace_id, MemberInput input, KeyClaim claim) {
    const Json sent = Json::object(
        {{"email", input.email}, {"external_id", input.external_id}, {"role", input.role}});
    for (int attempt = 1; attempt <= 2; ++attempt) {
        Parameters parameters(workspace_id, input.customer_id, input.email, input.name, input.external_id, input.role,
                              Uuid::random().text());
        claim.add_to(parameters);
        // a key first: what it made may be what stands in the way now
        std::optional<Uuid> earlier = co_await claimed_resource(db, workspace_id, claim);
        if (earlier) {
            Parameters which(workspace_id, earlier->text());
            io::Rows kept = co_await db.query(find_statement, std::move(which));
            if (!kept.empty()) {
                co_return member_json(kept.front());
            }
        }
        io::Rows rows = co_await query_once_more(db, create_statement, std::move(parameters), claim.key.given());
        if (rows.empty()) {
            throw http::resource_not_found("Customer not found");
        }
        if (!rows.front().null("member_id")) {
            co_return member_json(rows.front());
        }
        const bool refused = rows.front().text("verdict") != "ok";
        if (refused && (attempt == 2 || !claim.key.given())) {
            throw refusal(rows.front(), sent);
        }
        // another request was faster with this key, and perhaps what it made is in the way
    }
    throw still_running();
}

io::Task<Json> find_member(io::Postgres& db, std::string workspace_id, std::string id) {
    if (!Uuid::parse(id)) {
        throw member_not_found();
    }
    Parameters parameters(workspace_id, id);
    io::Rows rows = co_await db.query(find_statement, std::move(parameters));
    if (rows.empty()) {
        throw member_not_found();
    }
    co_return member_json(rows.front());
}

io::Task<Json> change_member(io::Postgres& db, std::string workspace_id, std::string id, MemberChange change) {
    if (!Uuid::parse(id)) {
        throw member_not_found();
    }
    Parameters parameters(workspace_id, id, change.members.dump());
    io::Rows rows = co_await query_once_more(db, change_statement, std::move(parameters));
    if (rows.empty()) {
        throw member_not_found();
    }
    if (rows.front().text("verdict") != "ok") {
        throw refusal(rows.front(), change.members);
    }
    co_return member_json(rows.front());
}

io::Task<void> remove_member(io::Postgres& db, std::string workspace_id, std::string id) {
    if (!Uuid::parse(id)) {
        throw member_not_found();
    }
    Parameters parameters(workspace_id, id);
    io::Rows rows = co_await query_once_more(db, remove_statement, std::move(parameters));
    const std::string_view verdict = rows.empty() ? "unknown" : rows.front().text("verdict");
    if (verdict == "no_member_model") {
        throw no_member_model();
    }
    if (verdict == "unknown") {
        throw member_not_found();
    }
    if (verdict == "owner") {
        throw http::validation_failed({http::business_problem(
            {"path", "id"}, "Cannot remove the only owner — transfer ownership first.", id)});
    }
}

io::Task<Page> list_members(io::Postgres& db, std::string workspace_id, MemberFilter filter, PageRequest request) {
    Parameters parameters(request.per_page(), request.offset(), workspace_id, filter.customer_id, filter.email,
                          filter.external_id, filter.role);
    io::Rows rows = co_await db.query(list_statement, std::move(parameters));
    co_return page_of(rows, request, member_json);
}

}  // namespace portal
