#include "portal/login.h"

#include "http/validation.h"
#include "portal/email.h"
#include "portal/idempotency.h"

namespace portal {
namespace {

using http::Json;
using io::Lane;
using io::Parameters;
using io::Retry;
using io::Statement;

// The same rows and the same work for everybody. The same request with a challenge that is still
// open sends its code again, three times at most; what is sent to nobody is marked.
//
//   $1 challenge id  $2 e-mail  $3 workspace  $4 customer  $5 challenge to send again
//   $6 client address by HMAC  $7 the address may be mailed  $8 outbox id
constexpr Statement request_statement{"login_request", R"(
WITH fitting AS MATERIALIZED (
    SELECT count(*) > 0 AND $7::boolean AS mailed
      FROM portal.login_fits($2::text, $3::uuid, $4::uuid)
), again AS (
    UPDATE portal.login_challenges c
       SET resends = c.resends + 1, decoy = c.decoy AND NOT f.mailed
      FROM fitting f
     WHERE c.id = $5::uuid AND c.email = $2
       AND c.workspace_id IS NOT DISTINCT FROM $3 AND c.customer_id IS NOT DISTINCT FROM $4
       AND c.consumed_at IS NULL AND c.tries < 5 AND c.expires_at > now()
    RETURNING c.id, c.expires_at, c.resends
), made AS (
    INSERT INTO portal.login_challenges (id, email, workspace_id, customer_id, address_key, decoy, expires_at)
    SELECT $1::uuid, $2, $3, $4, $6::text, NOT f.mailed, now() + interval '10 minutes'
      FROM fitting f
     WHERE NOT EXISTS (SELECT FROM again)
    RETURNING id, expires_at, resends
), challenge AS (
    SELECT * FROM again UNION ALL SELECT * FROM made
), mail AS (
    -- it overtakes what has waited for less than an hour: a code is of no use later
    INSERT INTO portal.outbox (id, kind, challenge_id, unsent, next_attempt_at)
    SELECT $8::uuid, 'login_code', c.id, NOT f.mailed OR c.resends > 3, now() - interval '1 hour'
      FROM challenge c, fitting f
)
SELECT id, ceil(extract(epoch FROM expires_at - now()))::bigint AS expires_in FROM challenge)"};

//   $1 client address by HMAC
constexpr Statement by_address_statement{"login_by_address", R"(
SELECT id FROM portal.login_challenges
 WHERE address_key = $1::text AND consumed_at IS NULL AND tries < 5 AND expires_at > now()
 LIMIT 2)"};

//   $1 challenge
constexpr Statement try_statement{"login_try", R"(
UPDATE portal.login_challenges SET tries = tries + 1
 WHERE id = $1::uuid AND consumed_at IS NULL AND tries < 5 AND expires_at > now()
RETURNING id)"};

//   $1 challenge
constexpr Statement wrong_statement{"login_wrong", R"(
INSERT INTO portal.audit_log (workspace_id, action, target)
SELECT workspace_id, 'login.failed', 'login:' || id FROM portal.login_challenges WHERE id = $1::uuid)"};

// From the proof on. `challenge` is the one open row, locked and now spent; then who fits, whether
// that leaves a choice, and else the session. Of parallel calls the others wait for the lock and
// then find the row spent.
//
//   $2 chosen workspace  $3 chosen customer  $4 session id  $5 secret id
//   $6 hash of a customer session's token, $7 of a member session's, $8 of a choice's  $9 device
constexpr const char* session_sql = R"(
), fit AS MATERIALIZED (
    SELECT f.*
      FROM challenge c
     CROSS JOIN LATERAL portal.login_fits(c.email, c.workspace_id, c.customer_id) f
     WHERE ($2::uuid IS NULL OR f.workspace_id = $2) AND ($3::uuid IS NULL OR f.customer_id = $3)
       AND CASE c.selection_of
               WHEN 'workspace' THEN $2 IS NOT NULL AND f.workspace_id = ANY (c.offered)
               WHEN 'customer' THEN $3 IS NOT NULL AND f.customer_id = ANY (c.offered)
               ELSE true END
), outcome AS MATERIALIZED (
    SELECT CASE WHEN count(DISTINCT workspace_id) > 1 THEN 'workspace'
                WHEN count(*) > 1 THEN 'customer' END AS choice,
           CASE WHEN count(DISTINCT workspace_id) > 1 THEN array_agg(DISTINCT workspace_id)
                WHEN count(*) > 1 THEN array_agg(customer_id) END AS offered,
           count(*) = 1 AS settled
      FROM fit
), spent AS (
    UPDATE portal.login_challenges l
       SET consumed_at = coalesce(l.consumed_at, now()), tries = l.tries - c.taken,
           selection_of = o.choice, selection_offered = o.offered,
           selection_hash = CASE WHEN o.choice IS NOT NULL THEN $8::text END,
           selection_secret_id = CASE WHEN o.choice IS NOT NULL THEN $5::text END,
           selection_expires_at = CASE WHEN o.choice IS NOT NULL THEN now() + interval '5 minutes' END
      FROM challenge c, outcome o
     WHERE l.id = c.id
), chosen AS MATERIALIZED (
    SELECT f.* FROM fit f, outcome o WHERE o.settled
), owner AS (
    -- of parallel logins one makes the owner and the others find it
    INSERT INTO portal.members AS m (workspace_id, customer_id, email, name, role)
    SELECT workspace_id, customer_id, email, name, 'owner' FROM chosen WHERE member_model AND member_id IS NULL
        ON CONFLICT (customer_id, lower(email COLLATE "C")) WHERE deleted_at IS NULL
        DO UPDATE SET modified_at = m.modified_at WHERE m.role = 'owner'
    RETURNING id
), verified AS (
    UPDATE portal.customers u SET email_verified = true
      FROM chosen x, challenge c
     WHERE u.workspace_id = x.workspace_id AND u.id = x.customer_id AND NOT u.email_verified
       AND portal.email_key(u.email) = c.email
), customer_session AS (
    INSERT INTO portal.customer_sessions
           (id, workspace_id, customer_id, token_hash, secret_id, expires_at, signed_in_by, device)
    SELECT $4::uuid, workspace_id, customer_id, $6::text, $5, now() + interval '1 hour', 'code', $9::text
      FROM chosen WHERE NOT member_model
    RETURNING id
), member_session AS (
    INSERT INTO portal.member_sessions
           (id, workspace_id, customer_id, member_id, token_hash, secret_id, expires_at, signed_in_by, device)
    SELECT $4, x.workspace_id, x.customer_id, coalesce(x.member_id, o.id), $7::text, $5, now() + interval '1 hour',
           'code', $9
      FROM chosen x
      LEFT JOIN owner o ON true
     WHERE x.member_model AND coalesce(x.member_id, o.id) IS NOT NULL
    RETURNING id
)
SELECT o.choice, EXISTS (SELECT FROM customer_session) AS customer, EXISTS (SELECT FROM member_session) AS member,
       x.workspace_id, x.slug, x.workspace_name,
       CASE o.choice
           WHEN 'workspace' THEN (SELECT json_agg(json_build_object('id', w.workspace_id, 'name', w.workspace_name,
                                                                    'slug', w.slug) ORDER BY w.slug)
                                    FROM (SELECT DISTINCT workspace_id, workspace_name, slug FROM fit) w)
           WHEN 'customer' THEN (SELECT json_agg(json_build_object('id', customer_id, 'name', customer_name)
                                                 ORDER BY since, customer_id) FROM fit)
       END AS choices
  FROM outcome o
  LEFT JOIN chosen x ON true)";

//   $1 challenge id  $10 tries taken for this code
const std::string redeem_sql = std::string(R"(
WITH challenge AS MATERIALIZED (
    SELECT id, email, workspace_id, customer_id, NULL::text AS selection_of, NULL::uuid[] AS offered,
           $10::integer AS taken
      FROM portal.login_challenges
     WHERE id = $1::uuid AND consumed_at IS NULL AND tries - $10 < 5 AND NOT decoy AND expires_at > now()
       FOR UPDATE
)") + session_sql;
const Statement redeem_statement{"login_redeem", redeem_sql.c_str()};

//   $1 hashes of the selection token
const std::string select_sql = std::string(R"(
WITH challenge AS MATERIALIZED (
    SELECT id, email, workspace_id, customer_id, selection_of, selection_offered AS offered, 0 AS taken
      FROM portal.login_challenges
     WHERE selection_hash = ANY ($1::text[]) AND selection_expires_at > now()
       FOR UPDATE
)") + session_sql;
const Statement select_statement{"login_select", select_sql.c_str()};

constexpr std::int64_t session_seconds = 3600;

// Under the limiter's key, which never rotates; never in clear.
std::string address_key(const Secrets& secrets, const std::string& client_address) {
    std::string named("login address");
    named += '\0';
    return hex(secrets.limiter_digest(named + client_address));
}

std::string new_selection_token() {
    char bytes[32];
    random_bytes(bytes, sizeof bytes);
    return base64url(bytes, sizeof bytes);
}

// `parameters` has $1; `taken` is $10, which only a code has.
io::Task<Login> sign_in(Services& portal, const Statement& statement, Parameters parameters,
                        std::optional<std::int64_t> taken, AuthenticateInput input,
                        std::string device) {
    const Secrets& secrets = portal.secrets;
    const std::string of_customer = secrets.make_token(Kind::customer);
    const std::string of_member = secrets.as_kind(of_customer, Kind::member);
    const std::string of_choice = new_selection_token();
    const TokenHash hash = secrets.hash(of_customer);
    parameters.add(text_of(input.workspace_id))
        .add(text_of(input.customer_id))
        .add(Uuid::random().text());
    parameters.add(hash.secret_id).add(hex(hash.digest)).add(hex(secrets.sign_digest(of_member)));
    parameters.add(hex(secrets.sign_digest(of_choice))).add(device);
    if (taken) {
        parameters.add(*taken);
    }
    io::Rows rows = co_await query_once_more(portal.db, statement, std::move(parameters));
    const io::Row row = rows.front();
    Login login;
    if (!row.null("choice")) {
        login.state = row.text("choice") == "workspace" ? Login::State::choose_workspace
                                                        : Login::State::choose_customer;
        login.token = of_choice;
        login.choices = Json::parse(row.text("choices"));
    } else if (row.boolean("customer") || row.boolean("member")) {
        login.state = Login::State::signed_in;
        login.token = row.boolean("customer") ? of_customer : of_member;
        login.slug = row.string("slug");
        login.expires_in = session_seconds;
        login.workspace = Json::object({{"id", row.text("workspace_id")},
                                        {"name", row.text("workspace_name")},
                                        {"slug", row.text("slug")}});
    }
    co_return login;
}

}  // namespace

LoginInput LoginInput::parse(std::string_view body, std::optional<std::string_view> content_type) {
    http::Fields fields(http::parse_body(body, content_type, http::Surface::rest));
    LoginInput input;
    input.email = ascii_lower(email_field(fields, "email", {.required = true}).value_or(""));
    input.workspace_id = fields.uuid4("workspace_id", {.nullable = true});
    input.customer_id = fields.uuid4("customer_id", {.nullable = true});
    input.challenge_id = fields.uuid4("challenge_id", {.nullable = true});
    fields.done();
    return input;
}

AuthenticateInput AuthenticateInput::parse(std::string_view body,
                                           std::optional<std::string_view> content_type) {
    http::Fields fields(http::parse_body(body, content_type, http::Surface::rest));
    AuthenticateInput input;
    input.selection_token = fields.string("selection_token", {.nullable = true});
    if (!fields.given("selection_token") || fields.value("selection_token").is_null()) {
        input.code = fields.string("code", {.required = true});
    }
    input.challenge_id = fields.uuid4("challenge_id", {.nullable = true});
    input.workspace_id = fields.uuid4("workspace_id", {.nullable = true});
    input.customer_id = fields.uuid4("customer_id", {.nullable = true});
    fields.done();
    return input;
}

io::Task<Challenge> request_login_code(Services& portal, LoginInput input, bool mail,
                                       std::string client_address) {
    Parameters parameters(Uuid::random().text(), input.email, text_of(input.workspace_id),
                          text_of(input.customer_id), text_of(input.challenge_id),
                          address_key(portal.secrets, client_address), mail, Uuid::random().text());
    io::Rows rows = co_await portal.db.query(request_statement, std::move(parameters));
    Challenge challenge;
    challenge.id = Uuid::parse(rows.front().text("id")).value_or(Uuid{});
    challenge.expires_in = rows.front().integer("expires_in");
    co_return challenge;
}

io::Task<std::optional<Uuid>> find_challenge_by_address(Services& portal,
                                                        std::string client_address) {
    Parameters parameters(address_key(portal.secrets, client_address));
    io::Rows rows = co_await portal.db.query(by_address_statement, std::move(parameters));
    if (rows.size() != 1) {
        co_return std::nullopt;
    }
    co_return Uuid::parse(rows.front().text("id"));
}

io::Task<bool> take_try(Services& portal, Uuid challenge) {
    Parameters parameters(challenge.text());
    io::Rows rows = co_await portal.db.query(try_statement, std::move(parameters));
    co_return !rows.empty();
}

io::Task<void> note_wrong_code(Services& portal, Uuid challenge) {
    Parameters parameters(challenge.text());
    co_await portal.db.query(wrong_statement, std::move(parameters));
}

io::Task<Login> redeem_login_code(Services& portal, Uuid challenge, bool tried,
                                  AuthenticateInput input, std::string device) {
    Parameters parameters(challenge.text());
    const std::optional<std::int64_t> taken = tried ? 1 : 0;
    Login login = co_await sign_in(portal, redeem_statement, std::move(parameters), taken,
                                   std::move(input), std::move(device));
    co_return login;
}

io::Task<Login> redeem_selection(Services& portal, AuthenticateInput input, std::string device) {
    std::vector<std::string> accepted;
    for (const TokenHash& hash : portal.secrets.hashes(*input.selection_token)) {
        accepted.push_back(hex(hash.digest));
    }
    Parameters parameters(accepted);
    const std::optional<std::int64_t> taken;
    Login login = co_await sign_in(portal, select_statement, std::move(parameters), taken,
                                   std::move(input), std::move(device));
    co_return login;
}

}  // namespace portal
