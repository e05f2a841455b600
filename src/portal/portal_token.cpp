#include "portal/portal_token.h"

#include "http/validation.h"

namespace portal {
namespace {

using io::Parameters;
using io::Statement;

// The newest living token that can be shown again, else a new one. A link whose invitation is still on its way is
// not handed out: a refusal would revoke it. Of parallel calls the unique index client_portal_tokens_standing lets
// one insert, and the others find its row. Expired rows are taken out of the index's way first; the insert waits for
// that by reading `cleared`.
//
//   $1 workspace  $2 type  $3 id  $4 rotate  $5 token id  $6 secret id  $7 hash  $8 encrypted token
//   $9 principal  $10 path  $11 Idempotency-Key  $12 payload hash
constexpr Statement get_or_create_statement{"portal_token_get_or_create", R"(
WITH addressee AS MATERIALIZED (
)" PORTAL_ADDRESSEE R"(
), existing AS MATERIALIZED (
    SELECT t.*
      FROM addressee a
      JOIN portal.client_portal_tokens t ON )" PORTAL_TOKENS_OF_ADDRESSEE R"(
      LEFT JOIN portal.outbox o ON o.workspace_id = t.workspace_id AND o.id = t.made_for
     WHERE NOT $4::boolean AND a.email IS NOT NULL AND t.token_ciphertext IS NOT NULL AND t.expires_at > now()
       AND (t.made_for IS NULL OR o.state IS NULL OR o.state = 'sent')
     ORDER BY t.created_at DESC, t.id DESC
     LIMIT 1
), making AS MATERIALIZED (
    SELECT coalesce(e.id, $5::uuid) AS resource_id, NULL::text AS token_ciphertext, 200 AS status,
           e.id AS existing_id,
           coalesce(e.expires_at, date_trunc('second', now())
                    + make_interval(days => coalesce(f.token_expiration_days, 30))) AS expires_at
      FROM addressee a
      LEFT JOIN existing e ON true
      LEFT JOIN portal.client_portal_configs f ON f.workspace_id = a.workspace_id
     WHERE a.email IS NOT NULL
), claim AS (
)" PORTAL_CLAIM_KEY("$1", "$9", "$10", "$11", "$12", "making") R"(
), granted AS MATERIALIZED (
    SELECT * FROM making WHERE $11 IS NULL OR EXISTS (SELECT FROM claim)
), cleared AS (
    UPDATE portal.client_portal_tokens t SET revoked_at = now()
      FROM granted g, addressee a
     WHERE g.existing_id IS NULL AND )" PORTAL_TOKENS_OF_ADDRESSEE R"(
       AND ($4 OR (t.made_for IS NULL AND t.expires_at <= now()))
    RETURNING t.id
), made AS (
    INSERT INTO portal.client_portal_tokens AS t
           (id, workspace_id, contact_id, company_id, token_hash, secret_id, token_ciphertext, expires_at)
    SELECT g.resource_id, a.workspace_id, CASE WHEN a.is_contact THEN a.id END,
           CASE WHEN NOT a.is_contact THEN a.id END, $7::text, $6::text, $8::text, g.expires_at
      FROM granted g, addressee a
     WHERE g.existing_id IS NULL AND (SELECT count(*) FROM cleared) >= 0
        ON CONFLICT (workspace_id, (contact_id IS NOT NULL), coalesce(contact_id, company_id))
           WHERE made_for IS NULL AND revoked_at IS NULL AND token_ciphertext IS NOT NULL
        DO UPDATE SET access_count = t.access_count
    RETURNING *
), token AS (
    SELECT id, token_ciphertext, expires_at FROM made
    UNION ALL
    SELECT e.id, e.token_ciphertext, e.expires_at FROM existing e, granted
), disclosed AS (
    INSERT INTO portal.audit_log (workspace_id, action, target)
    SELECT $1, 'portal_token.disclosed', 'portal_token:' || id FROM token WHERE id <> $5
)
SELECT a.email IS NOT NULL AS has_email, t.id AS token_id, t.token_ciphertext,
       portal.time_text(date_trunc('second', t.expires_at)) AS expires_at,
       (SELECT string_agg(id::text, ' ') FROM cleared) AS revoked
  FROM addressee a
  LEFT JOIN token t ON true)"};

// No token: the one noted under the key gave way to a parallel call's, which is the addressee's now.
//   $1 workspace  $2 principal  $3 path  $4 key
constexpr Statement replay_statement{"portal_token_replay", R"(
WITH kept AS MATERIALIZED (
    SELECT k.payload_hash, t.id AS token_id, t.token_ciphertext, t.expires_at
      FROM portal.idempotency_keys k
      LEFT JOIN portal.client_portal_tokens t ON t.workspace_id = k.workspace_id AND t.id = k.resource_id
     WHERE k.workspace_id = $1::uuid AND k.principal_id = $2::uuid AND k.method = 'POST' AND k.path = $3::text
       AND k.key = $4::text AND k.expires_at > now()
), disclosed AS (
    INSERT INTO portal.audit_log (workspace_id, action, target)
    SELECT $1, 'portal_token.disclosed', 'portal_token:' || token_id FROM kept WHERE token_id IS NOT NULL
)
SELECT payload_hash, token_id, token_ciphertext, portal.time_text(date_trunc('second', expires_at)) AS expires_at
  FROM kept)"};

//   $1 workspace  $2 type  $3 id
constexpr Statement revoke_statement{"portal_token_revoke", R"(
WITH addressee AS MATERIALIZED (
)" PORTAL_ADDRESSEE R"(
), revoked AS (
    UPDATE portal.client_portal_tokens t SET revoked_at = now()
      FROM addressee a
     WHERE )" PORTAL_TOKENS_OF_ADDRESSEE R"(
    RETURNING t.id
)
SELECT r.id AS token_id FROM addressee a LEFT JOIN revoked r ON true)"};

// The token of a row, in clear; nullopt when the secret it was encrypted with is gone. Nor could it be checked then.
std::optional<PortalToken> shown(const Secrets& secrets, const io::Row& row) {
    std::optional<std::string> token = secrets.decrypt(row.text("token_ciphertext"), row.text("token_id"));
    if (!token) {
        return std::nullopt;
    }
    return PortalToken{Uuid::parse(row.text("token_id")).value_or(Uuid{}), std::move(*token),
                       row.string("expires_at")};
}

void bump_each(ConfigCache& configs, std::string_view ids) {
    while (!ids.empty()) {
        std::size_t end = std::min(ids.find(' '), ids.size());
        if (std::optional<Uuid> id = Uuid::parse(ids.substr(0, end))) {
            configs.bump(*id);
        }
        ids.remove_prefix(std::min(end + 1, ids.size()));
    }
}

}  // namespace

http::Failure Addressee::not_found() const {
    return http::resource_not_found(company ? "Company not found" : "Contact not found");
}

http::Failure Addressee::has_no_email() const {
    return http::Failure(400, "", company ? "Company does not have an email address"
                                          : "Contact does not have an email address");
}

PortalTokenInput PortalTokenInput::parse(std::string_view body, std::optional<std::string_view> content_type) {
    http::Fields fields(http::parse_body(body, content_type, http::Surface::client_portal));
    PortalTokenInput input;
    std::optional<std::string> type = fields.choice("type", {"contact", "company"}, {.required = true});
    input.addressee.company = type == "company";
    input.addressee.id = fields.integer("id", {.min = 1, .required = true}).value_or(0);
    input.rotate = fields.boolean("rotate").value_or(false);
    fields.done();
    return input;
}

std::string portal_link(const Services& portal, std::string_view token) {
    return portal.settings.base_url + "/client-portal/" + std::string(token);
}

io::Task<PortalToken> get_or_create_portal_token(Services& portal, const Principal& caller, PortalTokenInput input,
                                                 IdempotencyKey key) {
    const Addressee who = input.addressee;
    for (int attempt = 1; attempt <= 3; ++attempt) {
        const std::string id = Uuid::random().text();
        const std::string token = portal.secrets.make_token(Kind::portal);
        const TokenHash hash = portal.secrets.hash(token);
        Parameters parameters(caller.workspace_id.text(), who.type(), who.id, input.rotate, id, hash.secret_id,
                              hex(hash.digest), portal.secrets.encrypt(token, id), caller.token_id.text(), key.path,
                              key.key, key.payload_hash);
        io::Rows rows =
            co_await query_once_more(portal.db, get_or_create_statement, std::move(parameters), key.given());
        if (rows.empty()) {
            throw who.not_found();
        }
        if (!rows.front().boolean("has_email")) {
            throw who.has_no_email();
        }
        bump_each(portal.configs, rows.front().text("revoked"));
        const bool replayed = rows.front().null("token_id");
        if (replayed) {
            Parameters which(caller.workspace_id.text(), caller.token_id.text(), key.path, key.key);
            rows = co_await portal.db.query(replay_statement, std::move(which));
            if (rows.empty()) {
                continue;   // the key's token was revoked just now: the key is free again
            }
            require_same_payload(key, rows.front().text("payload_hash"));
        }
        if (std::optional<PortalToken> found = shown(portal.secrets, rows.front())) {
            co_return std::move(*found);
        }
        key = {};
        input.rotate = !replayed || !rows.front().null("token_id");   // cannot be shown: a new one takes its place
    }
    throw still_running();
}

io::Task<void> revoke_portal_tokens(Services& portal, const Principal& caller, Addressee addressee) {
    Parameters parameters(caller.workspace_id.text(), addressee.type(), addressee.id);
    io::Rows rows = co_await portal.db.query(revoke_statement, std::move(parameters));
    if (rows.empty()) {
        throw addressee.not_found();
    }
    for (int index = 0; index < rows.size(); ++index) {
        bump_each(portal.configs, rows[index].text("token_id"));
    }
}

}  // namespace portal
