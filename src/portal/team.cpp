#include "portal/team.h"

#include "portal/business_failure.h"
#include "portal/email.h"
#include "portal/member.h"
#include "portal/portal_profile.h"

namespace portal {
namespace {

using http::Json;
using io::Lane;
using io::Parameters;
using io::Retry;
using io::Statement;

// clang-format off
// Who asks and whether it may: `team` are the living members, `me` the caller's own row.
//   $1 workspace  $2 customer  $3 the caller's member id
#define TEAM(rows)                                                                          \
    "WITH everyone AS MATERIALIZED (" rows "), "                                            \
    "team AS MATERIALIZED (SELECT * FROM everyone WHERE deleted_at IS NULL), "              \
    "me AS MATERIALIZED (SELECT id, role, customer_type FROM team WHERE id = $3::uuid)"
#define LOCKED                                                                              \
    "SELECT customer_type, (member).* FROM portal.lock_members($1::uuid, $2::uuid) "        \
    "WHERE (member).id IS NOT NULL"
#define UNLOCKED                                                                            \
    "SELECT c.type AS customer_type, m.* FROM portal.customers c "                          \
    "JOIN portal.members m ON m.workspace_id = c.workspace_id AND m.customer_id = c.id "    \
    "WHERE c.workspace_id = $1::uuid AND c.id = $2::uuid AND c.deleted_at IS NULL"
#define TEAM_VERDICTS                                                                       \
    "WHEN me.id IS NULL THEN 'gone' "                                                       \
    "WHEN me.role = 'member' THEN 'role' "                                                  \
    "WHEN me.customer_type IS DISTINCT FROM 'team' THEN 'no_team' "

constexpr Statement list_statement{"team_list", TEAM(UNLOCKED) R"(
SELECT CASE )" TEAM_VERDICTS R"(ELSE 'ok' END AS verdict, )" PORTAL_MEMBER_COLUMNS("t") R"(
  FROM (SELECT 1) always
  LEFT JOIN me ON true
  LEFT JOIN team t ON true
 ORDER BY t.created_at, t.id)", Lane::main, Retry::read};

//   … $4 e-mail
constexpr Statement plan_statement{"team_plan", TEAM(UNLOCKED) R"(
SELECT CASE )" TEAM_VERDICTS R"(ELSE 'ok' END AS verdict,
       EXISTS (SELECT FROM team WHERE lower(email COLLATE "C") = lower($4::text COLLATE "C")) AS active
  FROM (SELECT 1) always
  LEFT JOIN me ON true)", Lane::main, Retry::read};

// The member active with this address, else the one last removed, revived, else a new one. A revived one keeps its id,
// and its external id unless somebody living has it now.
//
//   … $4 e-mail  $5 name  $6 role  $7 id of a new one  $8 may mail  $9 outbox id
//   $10 principal  $11 path  $12 Idempotency-Key  $13 payload hash
constexpr Statement add_statement{"team_add", TEAM(LOCKED) R"(, active AS MATERIALIZED (
    SELECT * FROM team WHERE lower(email COLLATE "C") = lower($4::text COLLATE "C")
), removed AS MATERIALIZED (
    SELECT * FROM everyone
     WHERE deleted_at IS NOT NULL AND lower(email COLLATE "C") = lower($4 COLLATE "C")
     ORDER BY deleted_at DESC, id
     LIMIT 1
), judged AS MATERIALIZED (
    SELECT CASE )" TEAM_VERDICTS R"(
                WHEN a.id IS NOT NULL THEN 'active'
                WHEN NOT $8::boolean THEN 'no_mail'
                WHEN r.id IS NOT NULL THEN 'revive'
                ELSE 'make' END AS verdict,
           coalesce(a.id, r.id, $7::uuid) AS member_id
      FROM (SELECT 1) always
      LEFT JOIN me ON true
      LEFT JOIN active a ON true
      LEFT JOIN removed r ON true
), making AS MATERIALIZED (
    SELECT member_id AS resource_id, NULL::text AS token_ciphertext, 201 AS status,
           'infinity'::timestamptz AS expires_at, verdict
      FROM judged
     WHERE verdict IN ('active', 'revive', 'make')
), claim AS (
)" PORTAL_CLAIM_KEY("$1", "$10", "$11", "$12", "$13", "making") R"(
), granted AS MATERIALIZED (
    SELECT * FROM making WHERE $12 IS NULL OR EXISTS (SELECT FROM claim)
), revived AS (
    UPDATE portal.members m
       SET deleted_at = NULL, email = $4, name = coalesce($5::text, m.name), role = $6::text,
           external_id = CASE WHEN NOT EXISTS (SELECT FROM team t WHERE t.external_id = m.external_id)
                              THEN m.external_id END
      FROM granted g
     WHERE g.verdict = 'revive' AND m.workspace_id = $1 AND m.id = g.resource_id AND m.deleted_at IS NOT NULL
    RETURNING m.*
), made AS (
    INSERT INTO portal.members (id, workspace_id, customer_id, email, name, role)
    SELECT g.resource_id, $1, $2, $4, $5, $6
      FROM granted g
     WHERE g.verdict = 'make'
    ON CONFLICT (customer_id, lower(email COLLATE "C")) WHERE deleted_at IS NULL DO NOTHING
    RETURNING *
), mail AS (
    INSERT INTO portal.outbox (id, workspace_id, kind, member_id)
    SELECT $9::uuid, $1, 'member_invitation', id FROM (TABLE revived UNION ALL TABLE made) arrived
    RETURNING id
), result AS (
    SELECT id, created_at, modified_at, workspace_id, customer_id, external_id, email, name, role
      FROM (TABLE revived UNION ALL TABLE made) arrived
    UNION ALL
    SELECT a.id, created_at, modified_at, workspace_id, customer_id, external_id, email, name, role
      FROM active a
      JOIN granted g ON g.verdict = 'active'
)
SELECT j.verdict, EXISTS (SELECT FROM mail) AS mailed,
       CASE WHEN m.id IS NULL AND EXISTS (SELECT FROM granted) THEN portal.start_over() END AS again,
       )" PORTAL_MEMBER_COLUMNS("m") R"(
  FROM judged j
  LEFT JOIN result m ON true)"};

//   $1 workspace  $2 customer  $3 member
constexpr Statement find_statement{"team_find", R"(
SELECT )" PORTAL_MEMBER_COLUMNS("m") R"(
  FROM portal.members m
 WHERE m.workspace_id = $1::uuid AND m.customer_id = $2::uuid AND m.id = $3::uuid AND m.deleted_at IS NULL)",
                                   Lane::main, Retry::read};

// A hand-over changes two rows at once: the exclusion constraint looks when both are changed.
//   … $4 the member's id  $5 role
constexpr Statement change_statement{"team_change", TEAM(LOCKED) R"(, judged AS MATERIALIZED (
    SELECT CASE )" TEAM_VERDICTS R"(
                WHEN t.id IS NULL THEN 'unknown'
                WHEN t.id = me.id THEN 'self'
                WHEN $5::text = 'owner' AND me.role <> 'owner' THEN 'not_owner'
                WHEN $5 = 'owner' THEN 'hand_over'
                WHEN t.role = 'owner' THEN 'no_owner'
                ELSE 'change' END AS verdict,
           t.id AS member_id
      FROM (SELECT 1) always
      LEFT JOIN me ON true
      LEFT JOIN team t ON t.id = $4::uuid
), changed AS (
    UPDATE portal.members m
       SET role = CASE WHEN m.id = j.member_id THEN $5 ELSE 'billing_manager' END
      FROM judged j
     WHERE m.workspace_id = $1 AND m.customer_id = $2 AND m.deleted_at IS NULL
       AND (j.verdict IN ('change', 'hand_over') AND m.id = j.member_id OR j.verdict = 'hand_over' AND m.id = $3)
    RETURNING m.*
)
SELECT j.verdict,
       CASE WHEN m.id IS NULL AND j.verdict IN ('change', 'hand_over') THEN portal.start_over() END AS again,
       )" PORTAL_MEMBER_COLUMNS("m") R"(
  FROM judged j
  LEFT JOIN changed m ON m.id = j.member_id)"};

//   … $4 the member's id
constexpr Statement remove_statement{"team_remove", TEAM(LOCKED) R"(, judged AS MATERIALIZED (
    SELECT CASE )" TEAM_VERDICTS R"(
                WHEN t.id IS NULL THEN 'unknown'
                WHEN t.id = me.id THEN 'self'
                WHEN t.role = 'owner' THEN 'owner'
                ELSE 'ok' END AS verdict,
           t.id AS member_id
      FROM (SELECT 1) always
      LEFT JOIN me ON true
      LEFT JOIN team t ON t.id = $4::uuid
), removed AS (
    UPDATE portal.members m SET deleted_at = now()
      FROM judged j
     WHERE j.verdict = 'ok' AND m.workspace_id = $1 AND m.customer_id = $2 AND m.id = j.member_id
       AND m.deleted_at IS NULL
)
SELECT verdict FROM judged)"};
// clang-format on

constexpr std::size_t max_name = 256;

Parameters team_parameters(const Principal& caller) {
    return Parameters(caller.workspace_id.text(), caller.customer_id.text(),
                      caller.member_id.text());
}

http::Failure at_id(const char* sentence, const Uuid& id) {
    return http::validation_failed({http::business_problem({"path", "id"}, sentence, id.text())});
}

// The verdicts that every route knows.
void require_team(std::string_view verdict) {
    if (verdict == "gone") {
        throw http::invalid_token();
    }
    if (verdict == "role") {
        throw insufficient_role();
    }
    if (verdict == "no_team") {
        throw http::not_permitted(
            "Member management is only available for team customers. Purchase a seat-based "
            "share to enable team features.");
    }
    if (verdict == "unknown") {
        throw http::resource_not_found("Member not found");
    }
}

}  // namespace

io::Task<Json> list_team(io::Postgres& db, Principal caller) {
    Parameters parameters = team_parameters(caller);
    io::Rows rows = co_await db.query(list_statement, std::move(parameters));
    require_team(rows.front().text("verdict"));
    Json members = Json::array();
    for (int index = 0; index < rows.size(); ++index) {
        members.push(portal_member_json(rows[index]));
    }
    co_return members;
}

TeamMemberInput TeamMemberInput::parse(std::string_view body,
                                       std::optional<std::string_view> content_type) {
    http::Fields fields(http::parse_body(body, content_type, http::Surface::rest));
    TeamMemberInput input;
    input.email = email_field(fields, "email", {.required = true}).value_or("");
    input.name = fields.string("name", {.max = max_name, .nullable = true});
    input.role = fields.choice("role", {"owner", "billing_manager", "member"}, {.nullable = true})
                     .value_or("member");
    if (input.role == "owner") {
        fields.refuse("role", "Cannot add a member as owner. There must be exactly one owner.");
    }
    fields.done();
    return input;
}

io::Task<bool> plan_team_member(io::Postgres& db, Principal caller, std::string email) {
    Parameters parameters = team_parameters(caller);
    parameters.add(email);
    io::Rows rows = co_await db.query(plan_statement, std::move(parameters));
    require_team(rows.front().text("verdict"));
    co_return !rows.front().boolean("active");
}

io::Task<std::optional<TeamMember>> add_team_member(Services& portal, Principal caller,
                                                    TeamMemberInput input, bool may_mail,
                                                    KeyClaim claim) {
    const bool keyed = claim.key.given();
    Parameters parameters = team_parameters(caller);
    parameters.add(input.email).add(input.name).add(input.role);
    parameters.add(Uuid::random().text()).add(may_mail).add(Uuid::random().text());
    claim.add_to(parameters);
    io::Rows rows =
        co_await query_once_more(portal.db, add_statement, std::move(parameters), keyed);
    const io::Row row = rows.front();
    require_team(row.text("verdict"));
    if (row.null("member_id")) {
        co_return std::nullopt;
    }
    TeamMember added;
    added.member = portal_member_json(row);
    added.mailed = row.boolean("mailed");
    co_return added;
}

io::Task<std::optional<Json>> replay_team_member(Services& portal, Principal caller,
                                                 KeyClaim claim) {
    std::string workspace = caller.workspace_id.text();
    std::optional<Uuid> id =
        co_await claimed_resource(portal.db, std::move(workspace), std::move(claim));
    if (!id) {
        co_return std::nullopt;
    }
    Parameters parameters(caller.workspace_id.text(), caller.customer_id.text(), id->text());
    io::Rows rows = co_await portal.db.query(find_statement, std::move(parameters));
    if (rows.empty()) {
        co_return std::nullopt;  // removed just now, and the key with it
    }
    co_return portal_member_json(rows.front());
}

TeamMemberChange TeamMemberChange::parse(std::string_view id, std::string_view body,
                                         std::optional<std::string_view> content_type) {
    http::Fields fields(http::parse_body(body, content_type, http::Surface::rest));
    TeamMemberChange change;
    std::vector<http::Problem> problems;
    change.id = http::check_uuid4(id, {"path", "id"}, problems).value_or(Uuid{});
    for (http::Problem& problem : problems) {
        fields.add(std::move(problem));
    }
    change.role = fields.choice("role", {"owner", "billing_manager", "member"}, {.required = true})
                      .value_or("");
    fields.done();
    return change;
}

io::Task<Json> change_team_member(Services& portal, Principal caller, TeamMemberChange change) {
    Parameters parameters = team_parameters(caller);
    parameters.add(change.id.text()).add(change.role);
    io::Rows rows = co_await query_once_more(portal.db, change_statement, std::move(parameters));
    const io::Row row = rows.front();
    const std::string_view verdict = row.text("verdict");
    require_team(verdict);
    if (verdict == "self") {
        throw at_id("You cannot modify your own role.", change.id);
    }
    if (verdict == "not_owner") {
        throw business_failure("role", "Only the owner can transfer ownership.", change.role);
    }
    if (verdict == "no_owner") {
        throw business_failure("role", "Customer must have exactly one owner.", change.role);
    }
    portal.configs.bump(change.id);
    if (verdict == "hand_over") {
        portal.configs.bump(caller.member_id);
    }
    co_return portal_member_json(row);
}

io::Task<void> remove_team_member(Services& portal, Principal caller, Uuid id) {
    Parameters parameters = team_parameters(caller);
    parameters.add(id.text());
    io::Rows rows = co_await query_once_more(portal.db, remove_statement, std::move(parameters));
    const std::string_view verdict = rows.front().text("verdict");
    require_team(verdict);
    if (verdict == "self") {
        throw at_id("You cannot remove yourself from the team.", id);
    }
    if (verdict == "owner") {
        throw at_id("Cannot remove the only owner — transfer ownership first.", id);
    }
    portal.configs.bump(id);
}

}  // namespace portal
