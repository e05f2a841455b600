#include "portal/customer_session.h"

#include "http/validation.h"
#include "portal/customer.h"
#include "portal/member.h"

namespace portal {
namespace {

using http::Json;
using http::JsonText;
using io::Lane;
using io::Parameters;
using io::Retry;
using io::Statement;

// What session_json() reads, of a session's row called `alias`.
#define SESSION_COLUMNS(alias)                                                                    \
    alias ".id AS session_id, portal.time_text(" alias ".created_at) AS session_created_at, "     \
    "portal.time_text(" alias ".modified_at) AS session_modified_at, "                            \
    "portal.time_text(" alias ".expires_at) AS session_expires_at, "                              \
    alias ".return_url AS session_return_url"

// The row of customer-sessions.md's table that fits, and what it says, in one statement. Which kind of session
// comes out is known only here, so a token of each kind is brought along.
//
//   $1 workspace  $2 customer id  $3 external customer id (wins)  $4 member id  $5 external member id
//   $6 return URL  $7 its host, without and with port  $8 seconds to live  $9 session id
//   $10 secret id  $11 hash of a customer session's token, $12 of a member session's
//   $13 principal  $14 path  $15 Idempotency-Key  $16 payload hash  $17, $18 the tokens encrypted
//
// outcome: customer, member, owner (to be made): a session. no_customer, no_member, member_required: 422.
// No session in spite of one of the first three: the key is somebody else's, or the owner changed meanwhile.
constexpr Statement create_statement{"customer_session_create", R"(
WITH customer AS MATERIALIZED (
    SELECT * FROM portal.customers
     WHERE $3::text IS NULL AND workspace_id = $1::uuid AND id = $2::uuid
       AND deleted_at IS NULL AND blocked_at IS NULL
    UNION ALL
    SELECT * FROM portal.customers
     WHERE workspace_id = $1 AND external_id = $3
       AND deleted_at IS NULL AND blocked_at IS NULL
), workspace AS MATERIALIZED (
    SELECT slug, coalesce((feature_settings ->> 'member_model_enabled')::boolean, false) AS member_model,
           $7::text[] IS NULL OR cardinality(return_hosts) = 0
               OR EXISTS (SELECT FROM unnest(return_hosts) AS host WHERE lower(host) = ANY ($7)) AS host_allowed
      FROM portal.workspaces
     WHERE id = $1
), member AS MATERIALIZED (
    SELECT m.id, m.email
      FROM workspace w, customer c
      JOIN portal.members m ON m.workspace_id = c.workspace_id AND m.customer_id = c.id AND m.deleted_at IS NULL
     WHERE w.member_model
       AND CASE WHEN $4::uuid IS NOT NULL THEN m.id = $4
                WHEN $5::text IS NOT NULL THEN m.external_id = $5
                ELSE m.role = 'owner' AND c.type IS DISTINCT FROM 'team' END
), decision AS MATERIALIZED (
    SELECT w.slug, w.host_allowed, c.id AS customer_id, c.email, c.name, m.id AS member_id,
           CASE WHEN c.id IS NULL THEN 'no_customer'
                WHEN NOT w.member_model THEN 'customer'
                WHEN m.id IS NOT NULL THEN 'member'
                WHEN $4 IS NOT NULL OR $5 IS NOT NULL THEN 'no_member'
                WHEN c.type = 'team' THEN 'member_required'
                ELSE 'owner' END AS outcome
      FROM workspace w
      LEFT JOIN customer c ON true
      LEFT JOIN member m ON true
), making AS MATERIALIZED (
    SELECT decision.*, $9::uuid AS resource_id, 201 AS status,
           CASE outcome WHEN 'customer' THEN $17::text ELSE $18::text END AS token_ciphertext,
           now() + make_interval(secs => $8::bigint) AS expires_at
      FROM decision
     WHERE host_allowed AND outcome IN ('customer', 'member', 'owner')
), claim AS (
)" PORTAL_CLAIM_KEY("$1", "$13", "$14", "$15", "$16", "making") R"(
), granted AS MATERIALIZED (
    SELECT * FROM making WHERE $15 IS NULL OR EXISTS (SELECT FROM claim)
), owner AS (
    -- of parallel requests one makes the owner and the others find it; no removed member is revived
    INSERT INTO portal.members AS m (workspace_id, customer_id, email, name, role)
    SELECT $1, customer_id, email, name, 'owner' FROM granted WHERE outcome = 'owner'
        ON CONFLICT (customer_id, lower(email COLLATE "C")) WHERE deleted_at IS NULL
        DO UPDATE SET modified_at = m.modified_at WHERE m.role = 'owner'
    RETURNING id, email
), customer_session AS (
    INSERT INTO portal.customer_sessions
           (id, workspace_id, customer_id, token_hash, secret_id, return_url, expires_at)
    SELECT resource_id, $1, customer_id, $11::text, $10::text, $6::text, expires_at
      FROM granted WHERE outcome = 'customer'
    RETURNING *
), member_session AS (
    INSERT INTO portal.member_sessions
           (id, workspace_id, customer_id, member_id, token_hash, secret_id, return_url, expires_at)
    SELECT g.resource_id, $1, g.customer_id, coalesce(g.member_id, o.id), $12::text, $10, $6, g.expires_at
      FROM granted g
      LEFT JOIN owner o ON true
     WHERE g.outcome <> 'customer' AND coalesce(g.member_id, o.id) IS NOT NULL
    RETURNING *
), session AS (
    SELECT id, created_at, modified_at, expires_at, return_url FROM customer_session
    UNION ALL
    SELECT id, created_at, modified_at, expires_at, return_url FROM member_session
)
SELECT d.outcome, d.host_allowed,
       )" SESSION_COLUMNS("s") R"(,
       d.slug, coalesce(m.email, o.email, c.email) AS login_email, )" PORTAL_CUSTOMER_COLUMNS("c") R"(
  FROM decision d
  LEFT JOIN customer c ON true
  LEFT JOIN session s ON true
  LEFT JOIN member m ON true
  LEFT JOIN owner o ON true)"};

// The session a key made, as long as it lives.  $1 workspace  $2 principal  $3 path  $4 key
constexpr Statement replay_statement{"customer_session_replay", R"(
SELECT k.payload_hash, k.token_ciphertext,
       )" SESSION_COLUMNS("s") R"(,
       w.slug, coalesce(m.email, c.email) AS login_email, )" PORTAL_CUSTOMER_COLUMNS("c") R"(
  FROM portal.idempotency_keys k
  JOIN portal.workspaces w ON w.id = k.workspace_id
  LEFT JOIN LATERAL (
        SELECT id, created_at, modified_at, expires_at, return_url, customer_id, NULL::uuid AS member_id
          FROM portal.customer_sessions WHERE workspace_id = k.workspace_id AND id = k.resource_id
        UNION ALL
        SELECT id, created_at, modified_at, expires_at, return_url, customer_id, member_id
          FROM portal.member_sessions WHERE workspace_id = k.workspace_id AND id = k.resource_id) s ON true
  LEFT JOIN portal.customers c ON c.workspace_id = k.workspace_id AND c.id = s.customer_id
  LEFT JOIN portal.members m ON m.workspace_id = k.workspace_id AND m.id = s.member_id
 WHERE k.workspace_id = $1::uuid AND k.principal_id = $2::uuid AND k.method = 'POST' AND k.path = $3::text
   AND k.key = $4::text AND k.expires_at > now())", Lane::main, Retry::read};

//   $1 workspace  $2 member  $3 return URL  $4 its host, without and with port  $5 seconds to live
//   $6 session id  $7 secret id  $8 hash  $9 principal  $10 path  $11 key  $12 payload hash  $13 token encrypted
constexpr Statement create_member_statement{"member_session_create", R"(
WITH workspace AS MATERIALIZED (
    SELECT slug, coalesce((feature_settings ->> 'member_model_enabled')::boolean, false) AS member_model,
           $4::text[] IS NULL OR cardinality(return_hosts) = 0
               OR EXISTS (SELECT FROM unnest(return_hosts) AS host WHERE lower(host) = ANY ($4)) AS host_allowed
      FROM portal.workspaces
     WHERE id = $1::uuid
), member AS MATERIALIZED (
    SELECT m.*
      FROM portal.members m
      JOIN portal.customers c ON c.workspace_id = m.workspace_id AND c.id = m.customer_id
                             AND c.deleted_at IS NULL AND c.blocked_at IS NULL
     WHERE m.workspace_id = $1 AND m.id = $2::uuid AND m.deleted_at IS NULL
), making AS MATERIALIZED (
    SELECT m.id AS member_id, m.customer_id, $6::uuid AS resource_id, 201 AS status,
           $13::text AS token_ciphertext, now() + make_interval(secs => $5::bigint) AS expires_at
      FROM workspace w, member m
     WHERE w.member_model AND w.host_allowed
), claim AS (
)" PORTAL_CLAIM_KEY("$1", "$9", "$10", "$11", "$12", "making") R"(
), session AS (
    INSERT INTO portal.member_sessions
           (id, workspace_id, customer_id, member_id, token_hash, secret_id, return_url, expires_at)
    SELECT resource_id, $1, customer_id, member_id, $8::text, $7::text, $3::text, expires_at
      FROM making WHERE $11 IS NULL OR EXISTS (SELECT FROM claim)
    RETURNING *
)
SELECT w.slug, w.member_model, w.host_allowed,
       )" SESSION_COLUMNS("s") ", " PORTAL_MEMBER_COLUMNS("m") ", " PORTAL_CUSTOMER_COLUMNS("c") R"(
  FROM workspace w
  LEFT JOIN member m ON true
  LEFT JOIN portal.customers c ON c.workspace_id = m.workspace_id AND c.id = m.customer_id
  LEFT JOIN session s ON true)"};

constexpr Statement replay_member_statement{"member_session_replay", R"(
SELECT k.payload_hash, k.token_ciphertext, w.slug,
       )" SESSION_COLUMNS("s") ", " PORTAL_MEMBER_COLUMNS("m") ", " PORTAL_CUSTOMER_COLUMNS("c") R"(
  FROM portal.idempotency_keys k
  JOIN portal.workspaces w ON w.id = k.workspace_id
  LEFT JOIN portal.member_sessions s ON s.workspace_id = k.workspace_id AND s.id = k.resource_id
  LEFT JOIN portal.members m ON m.workspace_id = s.workspace_id AND m.id = s.member_id
  LEFT JOIN portal.customers c ON c.workspace_id = s.workspace_id AND c.id = s.customer_id
 WHERE k.workspace_id = $1::uuid AND k.principal_id = $2::uuid AND k.method = 'POST' AND k.path = $3::text
   AND k.key = $4::text AND k.expires_at > now())", Lane::main, Retry::read};

constexpr Statement revoke_statement{"session_revoke", R"(
WITH customer_session AS (
    UPDATE portal.customer_sessions SET revoked_at = now()
     WHERE workspace_id = $1::uuid AND id = $2::uuid AND revoked_at IS NULL
    RETURNING id
), member_session AS (
    UPDATE portal.member_sessions SET revoked_at = now()
     WHERE workspace_id = $1 AND id = $2 AND revoked_at IS NULL
    RETURNING id
)
SELECT id FROM customer_session UNION ALL SELECT id FROM member_session)"};

constexpr Statement revoke_all_statement{"session_revoke_all", R"(
WITH customer_session AS (
    UPDATE portal.customer_sessions SET revoked_at = now()
     WHERE workspace_id = $1::uuid AND customer_id = $2::uuid AND revoked_at IS NULL AND expires_at > now()
    RETURNING id
), member_session AS (
    UPDATE portal.member_sessions SET revoked_at = now()
     WHERE workspace_id = $1 AND customer_id = $2 AND revoked_at IS NULL AND expires_at > now()
    RETURNING id
)
SELECT id FROM customer_session UNION ALL SELECT id FROM member_session)"};

constexpr const char* unlisted_host = "The host of the return URL is not one of the workspace's return hosts.";

// A token of either kind, of which the statement takes one.
struct NewToken {
    std::string text;
    TokenHash hash;
    std::optional<std::string> ciphertext;   // only where an Idempotency-Key may ask for it again
};

NewToken new_token(const Secrets& secrets, std::string text, const std::string& session_id, bool keep) {
    NewToken token;
    token.text = std::move(text);
    token.hash = secrets.hash(token.text);
    if (keep) {
        token.ciphertext = secrets.encrypt(token.text, session_id);
    }
    return token;
}

// {"example.com", "example.com:8443"}; nullopt without a URL.
std::optional<std::vector<std::string>> hosts_of(const std::optional<std::string>& url) {
    if (!url) {
        return std::nullopt;
    }
    http::Url parts = http::split_url(*url);
    std::vector<std::string> hosts{parts.host};
    if (!parts.port.empty()) {
        hosts.push_back(parts.host + ":" + parts.port);
    }
    return hosts;
}

// The token a key's row keeps; a session whose secret is gone cannot be shown again.
std::string kept_token(const Secrets& secrets, const io::Row& row) {
    std::optional<std::string> token =
        secrets.decrypt(row.text("token_ciphertext"), row.text("session_id"));
    if (!token) {
        throw still_running();
    }
    return *token;
}

std::string portal_url(const Services& portal, std::string_view slug, std::string_view token,
                       std::string_view email) {
    std::string url;
    url.reserve(256);
    url.append(portal.settings.base_url).append("/").append(slug);
    url.append("/portal?customer_session_token=").append(http::percent_encode(token));
    url.append("&email=").append(http::percent_encode(email));
    return url;
}

void begin_session(JsonText& session, const io::Row& row, const std::string& token) {
    session.set("id", row.text("session_id"));
    session.set("created_at", row.text("session_created_at"));
    session.set("modified_at", row.nullable("session_modified_at"));
    session.set("token", token);
    session.set("expires_at", row.text("session_expires_at"));
    session.set("return_url", row.nullable("session_return_url"));
}

void end_session(JsonText& session, const io::Row& row) {
    session.set("customer_id", row.text("customer_id"));
    write_customer(session.open("customer"), row);
    session.close();
}

JsonText session_json(const Services& portal, const io::Row& row, const std::string& token) {
    JsonText session;
    begin_session(session, row, token);
    session.set("customer_portal_url", portal_url(portal, row.text("slug"), token, row.text("login_email")));
    end_session(session, row);
    return session;
}

JsonText member_session_json(const Services& portal, const io::Row& row, const std::string& token) {
    JsonText session;
    begin_session(session, row, token);
    session.set("member_portal_url", portal_url(portal, row.text("slug"), token, row.text("member_email")));
    session.set("member_id", row.text("member_id"));
    write_member(session.open("member"), row);
    session.close();
    end_session(session, row);
    return session;
}

// The session that the key has made before; no row: none, or no key.
io::Task<io::Rows> kept_session(io::Postgres& db, const Statement& replay, const Principal& caller,
                                const IdempotencyKey& key) {
    if (!key.given()) {
        co_return io::Rows();
    }
    Parameters which(caller.workspace_id.text(), caller.token_id.text(), key.path, key.key);
    io::Rows kept = co_await db.query(replay, std::move(which));
    if (!kept.empty()) {
        require_same_payload(key, kept.front().text("payload_hash"));
    }
    co_return kept;
}

// Everything the row says is wrong, at once.
void require_session_allowed(const io::Row& row, const CustomerSessionInput& input) {
    std::vector<http::Problem> problems;
    auto refuse = [&](std::string field, const char* sentence, Json sent) {
        problems.push_back(http::business_problem({"body", std::move(field)}, sentence, std::move(sent)));
    };
    std::string_view outcome = row.text("outcome");
    if (!row.boolean("host_allowed")) {
        refuse("return_url", unlisted_host, *input.return_url);
    }
    if (outcome == "no_customer" && input.external_customer_id) {
        refuse(input.external_customer_field, "Customer does not exist.", *input.external_customer_id);
    } else if (outcome == "no_customer") {
        refuse("customer_id", "Customer does not exist.", input.customer_id->text());
    } else if (outcome == "no_member" && input.member_id) {
        refuse("member_id", "Member does not exist.", input.member_id->text());
    } else if (outcome == "no_member") {
        refuse("external_member_id", "Member does not exist.", *input.external_member_id);
    } else if (outcome == "member_required") {
        refuse("member_id", "member_id is required for team customers.", nullptr);
    }
    if (!problems.empty()) {
        throw http::validation_failed(std::move(problems));
    }
}

void require_member_session_allowed(const io::Row& row, const MemberSessionInput& input) {
    if (!row.boolean("member_model")) {
        throw http::not_permitted("Member management is not enabled for this workspace");
    }
    std::vector<http::Problem> problems;
    if (row.null("member_id")) {
        problems.push_back(
            http::business_problem({"body", "member_id"}, "Member does not exist.", input.member_id.text()));
    }
    if (!row.boolean("host_allowed")) {
        problems.push_back(http::business_problem({"body", "return_url"}, unlisted_host, *input.return_url));
    }
    if (!problems.empty()) {
        throw http::validation_failed(std::move(problems));
    }
}

}  // namespace

CustomerSessionInput CustomerSessionInput::parse(std::string_view body,
                                                 std::optional<std::string_view> content_type) {
    http::Fields fields(http::parse_body(body, content_type, http::Surface::rest));
    CustomerSessionInput input;
    input.customer_id = fields.uuid4("customer_id", {.nullable = true});
    auto sent = [&](const char* name) { return fields.given(name) && !fields.value(name).is_null(); };
    input.external_customer_field = "external_customer_id";
    if (!sent("external_customer_id") && sent("customer_external_id")) {
        input.external_customer_field = "customer_external_id";
    }
    input.external_customer_id = fields.string(input.external_customer_field.c_str(), {.min = 1, .nullable = true});
    if (!sent("customer_id") && !sent(input.external_customer_field.c_str())) {
        http::Problem problem;
        problem.type = "missing";
        problem.loc = {"body", "customer_id"};
        problem.msg = "Field required";
        problem.input = fields.all();
        fields.add(std::move(problem));
    }
    input.return_url = fields.url("return_url", {.nullable = true});
    input.member_id = fields.uuid4("member_id", {.nullable = true});
    input.external_member_id = fields.string("external_member_id", {.min = 1, .nullable = true});
    input.expires_in =
        fields.integer("expires_in", {.min = 60, .max = 3600, .nullable = true}).value_or(input.expires_in);
    fields.done();
    return input;
}

MemberSessionInput MemberSessionInput::parse(std::string_view body, std::optional<std::string_view> content_type) {
    http::Fields fields(http::parse_body(body, content_type, http::Surface::rest));
    MemberSessionInput input;
    input.member_id = fields.uuid4("member_id", {.required = true}).value_or(Uuid{});
    input.return_url = fields.url("return_url", {.nullable = true});
    input.expires_in =
        fields.integer("expires_in", {.min = 60, .max = 3600, .nullable = true}).value_or(input.expires_in);
    fields.done();
    return input;
}

io::Task<JsonText> create_customer_session(Services& portal, const Principal& caller, CustomerSessionInput input,
                                           IdempotencyKey key) {
    for (int attempt = 1; attempt <= 2; ++attempt) {
        const std::string id = Uuid::random().text();
        const Secrets& secrets = portal.secrets;
        const std::string made = secrets.make_token(Kind::customer);
        const NewToken of_customer = new_token(secrets, made, id, key.given());
        const NewToken of_member = new_token(secrets, secrets.as_kind(made, Kind::member), id, key.given());
        Parameters parameters(caller.workspace_id.text(), text_of(input.customer_id), input.external_customer_id,
                              text_of(input.member_id), input.external_member_id, input.return_url,
                              hosts_of(input.return_url), input.expires_in, id, of_customer.hash.secret_id,
                              hex(of_customer.hash.digest), hex(of_member.hash.digest), caller.token_id.text(),
                              key.path, key.key, key.payload_hash, of_customer.ciphertext, of_member.ciphertext);
        io::Rows rows = co_await query_once_more(portal.db, create_statement, std::move(parameters), key.given());
        if (!rows.front().null("session_id")) {
            bool plain = rows.front().text("outcome") == "customer";
            co_return session_json(portal, rows.front(), plain ? of_customer.text : of_member.text);
        }
        io::Rows kept = co_await kept_session(portal.db, replay_statement, caller, key);
        if (!kept.empty()) {
            co_return session_json(portal, kept.front(), kept_token(portal.secrets, kept.front()));
        }
        require_session_allowed(rows.front(), input);
        // the key's session or the owner has just gone: once more
    }
    throw still_running();
}

io::Task<JsonText> create_member_session(Services& portal, const Principal& caller, MemberSessionInput input,
                                         IdempotencyKey key) {
    for (int attempt = 1; attempt <= 2; ++attempt) {
        const std::string id = Uuid::random().text();
        const NewToken token = new_token(portal.secrets, portal.secrets.make_token(Kind::member), id, key.given());
        Parameters parameters(caller.workspace_id.text(), input.member_id.text(), input.return_url,
                              hosts_of(input.return_url), input.expires_in, id, token.hash.secret_id,
                              hex(token.hash.digest), caller.token_id.text(), key.path, key.key, key.payload_hash,
                              token.ciphertext);
        io::Rows rows =
            co_await query_once_more(portal.db, create_member_statement, std::move(parameters), key.given());
        if (!rows.front().null("session_id")) {
            co_return member_session_json(portal, rows.front(), token.text);
        }
        io::Rows kept = co_await kept_session(portal.db, replay_member_statement, caller, key);
        if (!kept.empty()) {
            co_return member_session_json(portal, kept.front(), kept_token(portal.secrets, kept.front()));
        }
        require_member_session_allowed(rows.front(), input);
    }
    throw still_running();
}

io::Task<void> revoke_session(Services& portal, const Principal& caller, Uuid id) {
    Parameters parameters(caller.workspace_id.text(), id.text());
    io::Rows rows = co_await portal.db.query(revoke_statement, std::move(parameters));
    if (rows.empty()) {
        throw http::resource_not_found();
    }
    portal.configs.bump(id);
}

io::Task<std::int64_t> revoke_customer_sessions(Services& portal, const Principal& caller, Uuid customer_id) {
    Parameters parameters(caller.workspace_id.text(), customer_id.text());
    io::Rows rows = co_await portal.db.query(revoke_all_statement, std::move(parameters));
    for (int index = 0; index < rows.size(); ++index) {
        if (std::optional<Uuid> id = Uuid::parse(rows[index].text("id"))) {
            portal.configs.bump(*id);
        }
    }
    co_return rows.size();
}

}  // namespace portal
