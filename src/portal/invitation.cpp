#include "portal/invitation.h"

#include "http/validation.h"

namespace portal {
namespace {

using http::Json;
using io::Lane;
using io::Parameters;
using io::Retry;
using io::Statement;

//   $1 workspace  $2 type  $3 id
constexpr Statement plan_statement{"invitation_plan", R"(
WITH addressee AS (
)" PORTAL_ADDRESSEE R"(
)
SELECT a.email, coalesce(f.is_active, true) AS is_active
  FROM addressee a
  LEFT JOIN portal.client_portal_configs f ON f.workspace_id = a.workspace_id)", Lane::main, Retry::read};

// The link and the mail that carries it. With a lease owner the mail is that helper's until the wait is over, else
// anybody's at once, and then 202 is the answer that an Idempotency-Key repeats.
//
//   $1 workspace  $2 type  $3 id  $4 token id  $5 secret id  $6 hash  $7 encrypted token  $8 outbox id
//   $9 message  $10 lease owner  $11 lease in ms
//   $12 principal  $13 path  $14 Idempotency-Key  $15 payload hash
constexpr Statement create_statement{"invitation_create", R"(
WITH addressee AS MATERIALIZED (
)" PORTAL_ADDRESSEE R"(
), making AS MATERIALIZED (
    SELECT a.is_contact, a.id, $4::uuid AS resource_id, NULL::text AS token_ciphertext,
           CASE WHEN $10::uuid IS NULL THEN 202 END AS status,
           date_trunc('second', now())
               + make_interval(days => coalesce(f.token_expiration_days, 30)) AS expires_at
      FROM addressee a
      LEFT JOIN portal.client_portal_configs f ON f.workspace_id = a.workspace_id
     WHERE a.email IS NOT NULL
), claim AS (
)" PORTAL_CLAIM_KEY("$1", "$12", "$13", "$14", "$15", "making") R"(
), granted AS MATERIALIZED (
    SELECT * FROM making WHERE $14 IS NULL OR EXISTS (SELECT FROM claim)
), token AS (
    INSERT INTO portal.client_portal_tokens
           (id, workspace_id, contact_id, company_id, token_hash, secret_id, token_ciphertext, made_for, expires_at)
    SELECT resource_id, $1, CASE WHEN is_contact THEN id END, CASE WHEN NOT is_contact THEN id END,
           $6::text, $5::text, $7::text, $8::uuid, expires_at
      FROM granted
    RETURNING id
), mail AS (
    INSERT INTO portal.outbox (id, workspace_id, kind, token_id, payload, lease_owner, lease_until)
    SELECT $8, $1, 'portal_invitation', id, jsonb_strip_nulls(jsonb_build_object('custom_message', $9::text)),
           $10, CASE WHEN $10 IS NOT NULL THEN now() + $11::bigint * interval '1 ms' END
      FROM token
    RETURNING id
)
SELECT EXISTS (SELECT FROM making) AS addressed, EXISTS (SELECT FROM mail) AS made)"};

// The wait is over. A helper that has begun keeps the mail it is at; one that has not gives it up to any. Tells how
// things stand now: the mail may have gone out at the last moment.
//   $1 workspace  $2 outbox id  $3 lease owner
constexpr Statement release_statement{"invitation_release", R"(
WITH released AS (
    UPDATE portal.outbox SET lease_owner = NULL, lease_until = NULL
     WHERE workspace_id = $1::uuid AND id = $2::uuid AND state = 'queued'
       AND lease_owner = $3::uuid AND attempts = 0
), answered AS (
    UPDATE portal.idempotency_keys k SET status = 202
      FROM portal.outbox o
     WHERE o.workspace_id = $1 AND o.id = $2 AND o.state = 'queued'
       AND k.workspace_id = $1 AND k.resource_id = o.token_id
)
SELECT state, reply FROM portal.outbox WHERE workspace_id = $1 AND id = $2)"};

//   $1 workspace  $2 principal  $3 path  $4 key
constexpr Statement replay_statement{"invitation_replay", R"(
WITH kept AS MATERIALIZED (
    SELECT k.payload_hash, k.status, t.id AS token_id, t.token_ciphertext, t.made_for AS outbox_id, o.state,
           o.state = 'queued' AND o.lease_until > now() AS underway
      FROM portal.idempotency_keys k
      JOIN portal.client_portal_tokens t ON t.workspace_id = k.workspace_id AND t.id = k.resource_id
      LEFT JOIN portal.outbox o ON o.workspace_id = t.workspace_id AND o.id = t.made_for
     WHERE k.workspace_id = $1::uuid AND k.principal_id = $2::uuid AND k.method = 'POST' AND k.path = $3::text
       AND k.key = $4::text AND k.expires_at > now() AND t.revoked_at IS NULL
), disclosed AS (
    INSERT INTO portal.audit_log (workspace_id, action, target)
    SELECT $1, 'portal_token.disclosed', 'portal_token:' || token_id
      FROM kept WHERE payload_hash = $5::text AND (status = 202 OR NOT coalesce(underway, false))
)
SELECT * FROM kept)"};

constexpr Statement find_statement{"invitation_find", R"(
SELECT o.id, portal.time_text(o.created_at) AS created_at, o.workspace_id,
       CASE WHEN t.contact_id IS NOT NULL THEN 'contact' WHEN t.company_id IS NOT NULL THEN 'company' END AS type,
       coalesce(t.contact_id, t.company_id) AS addressee_id,
       o.state, o.attempts, portal.time_text(o.sent_at) AS sent_at, portal.time_text(o.failed_at) AS failed_at,
       CASE WHEN o.state = 'queued' THEN portal.time_text(o.next_attempt_at) END AS next_attempt_at, o.reply
  FROM portal.outbox o
  LEFT JOIN portal.client_portal_tokens t ON t.workspace_id = o.workspace_id AND t.id = o.token_id
 WHERE o.workspace_id = $1::uuid AND o.id = $2::uuid AND o.kind = 'portal_invitation')", Lane::main, Retry::read};

constexpr std::size_t longest_message = 2000;
constexpr std::int64_t lease_slack = 2000;   // ms beyond the wait, for the words between helper and worker

Invitation::State state_of(std::string_view word) {
    return word == "sent"     ? Invitation::State::sent
           : word == "failed" ? Invitation::State::refused
                              : Invitation::State::queued;
}

}  // namespace

std::optional<std::string> parse_invitation(std::string_view body, std::optional<std::string_view> content_type) {
    if (body.empty()) {
        return std::nullopt;
    }
    http::Fields fields(http::parse_body(body, content_type, http::Surface::client_portal));
    std::optional<std::string> message =
        fields.string("custom_message", {.max = longest_message, .nullable = true});
    fields.done();
    return message;
}

io::Task<InvitationPlan> plan_invitation(Services& portal, const Principal& caller, Addressee addressee) {
    Parameters parameters(caller.workspace_id.text(), addressee.type(), addressee.id);
    io::Rows rows = co_await portal.db.query(plan_statement, std::move(parameters));
    if (rows.empty()) {
        throw addressee.not_found();
    }
    if (!rows.front().boolean("is_active")) {
        throw http::not_permitted("The client portal is not active");
    }
    if (rows.front().null("email")) {
        throw addressee.has_no_email();
    }
    InvitationPlan plan;
    plan.email = rows.front().string("email");
    co_return plan;
}

io::Task<std::optional<Invitation>> replay_invitation(Services& portal, const Principal& caller,
                                                      const IdempotencyKey& key) {
    Parameters parameters(caller.workspace_id.text(), caller.token_id.text(), key.path, key.key, key.payload_hash);
    io::Rows rows = co_await portal.db.query(replay_statement, std::move(parameters));
    if (rows.empty()) {
        co_return std::nullopt;
    }
    const io::Row row = rows.front();
    require_same_payload(key, row.text("payload_hash"));
    const bool answered_queued = row.text("status") == "202";
    if (row.boolean("underway") && !answered_queued) {
        throw still_running();
    }
    std::optional<std::string> token = portal.secrets.decrypt(row.text("token_ciphertext"), row.text("token_id"));
    if (!token) {
        throw still_running();
    }
    Invitation invitation;
    invitation.id = Uuid::parse(row.text("outbox_id")).value_or(Uuid{});
    invitation.state = answered_queued ? Invitation::State::queued : state_of(row.text("state"));
    invitation.token = std::move(*token);
    co_return invitation;
}

io::Task<std::optional<Invitation>> send_invitation(Services& portal, const Principal& caller, Addressee addressee,
                                                    std::optional<std::string> message, bool respond_async,
                                                    const IdempotencyKey& key) {
    Invitation invitation;
    invitation.id = Uuid::random();
    invitation.token = portal.secrets.make_token(Kind::portal);
    const std::string token_id = Uuid::random().text();
    const TokenHash hash = portal.secrets.hash(invitation.token);
    std::optional<Uuid> helper = respond_async ? std::nullopt : portal.helper.helper_id();
    std::optional<std::string> lease_owner;
    if (helper) {
        lease_owner = helper->text();
    }
    const std::int64_t wait = portal.settings.invite_wait;
    Parameters parameters(caller.workspace_id.text(), addressee.type(), addressee.id, token_id, hash.secret_id,
                          hex(hash.digest), portal.secrets.encrypt(invitation.token, token_id),
                          invitation.id.text(), message, lease_owner, wait + lease_slack, caller.token_id.text(),
                          key.path, key.key, key.payload_hash);
    io::Rows rows = co_await query_once_more(portal.db, create_statement, std::move(parameters), key.given());
    if (!rows.front().boolean("addressed")) {
        throw addressee.not_found();   // it went, or lost its address, since the plan was made
    }
    if (!rows.front().boolean("made")) {
        co_return std::nullopt;
    }
    if (!helper) {
        co_return invitation;
    }
    SendOutcome outcome = co_await portal.helper.send_now(invitation.id, wait);
    if (outcome.result == SendOutcome::Result::deferred) {
        Parameters release(caller.workspace_id.text(), invitation.id.text(), lease_owner);
        io::Rows now = co_await portal.db.query(release_statement, std::move(release));
        if (!now.empty()) {
            invitation.state = state_of(now.front().text("state"));
            invitation.reply = now.front().string("reply");
        }
        co_return invitation;
    }
    const bool sent = outcome.result == SendOutcome::Result::sent;
    invitation.state = sent ? Invitation::State::sent : Invitation::State::refused;
    invitation.reply = std::move(outcome.reply);
    co_return invitation;
}

io::Task<Json> find_invitation(Services& portal, const Principal& caller, Uuid id) {
    Parameters parameters(caller.workspace_id.text(), id.text());
    io::Rows rows = co_await portal.db.query(find_statement, std::move(parameters));
    if (rows.empty()) {
        throw http::path_not_found();
    }
    const io::Row row = rows.front();
    Json addressee_id = row.null("addressee_id") ? Json(nullptr) : Json(row.integer("addressee_id"));
    Json invitation = Json::object({
        {"id", row.text("id")},
        {"created_at", row.text("created_at")},
        {"workspace_id", row.text("workspace_id")},
        {"addressee_type", row.optional("type")},
        {"addressee_id", addressee_id},
        {"state", row.text("state")},
        {"attempts", row.integer("attempts")},
        {"next_attempt_at", row.optional("next_attempt_at")},
        {"sent_at", row.optional("sent_at")},
        {"failed_at", row.optional("failed_at")},
        {"reply", row.optional("reply")},
    });
    co_return Json::object({{"data", invitation}});
}

}  // namespace portal
