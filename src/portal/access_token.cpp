#include "portal/access_token.h"

#include <algorithm>

#include "http/validation.h"
#include "portal/principal.h"

namespace portal {
namespace {

using http::Json;
using io::Parameters;
using io::Statement;

//   $1 workspace  $2 hash  $3 secret id  $4 scopes  $5 comment  $6 seconds to live  $7 id  $8 the
//   token encrypted $9 who  $10 path  $11 Idempotency-Key  $12 payload hash
constexpr Statement create_statement{"access_token_create", R"(
WITH maker AS (
    SELECT * FROM portal.workspace_access_tokens WHERE workspace_id = $1::uuid AND id = $9::uuid AND revoked_at IS NULL
), wanted AS (
    SELECT date_trunc('second', now()) + make_interval(secs => $6::bigint) AS expires_at
), judged AS MATERIALIZED (
    SELECT w.expires_at, CASE )" PORTAL_TOKEN_VERDICT("$9", "maker", "$4::text[]",
                                                            "w.expires_at") R"(ELSE 'ok' END
           AS verdict
      FROM wanted w
      LEFT JOIN maker ON true
), making AS MATERIALIZED (
    SELECT $7::uuid AS resource_id, $8::text AS token_ciphertext, 201 AS status,
           coalesce(expires_at, 'infinity') AS expires_at
      FROM judged
     WHERE verdict = 'ok'
), claim AS (
)" PORTAL_CLAIM_KEY("$1", "$9", "$10", "$11", "$12", "making") R"(
), made AS (
    INSERT INTO portal.workspace_access_tokens
           (id, workspace_id, token_hash, secret_id, scopes, comment, expires_at)
    SELECT $7, $1, $2::text, $3::text, $4, $5::text, expires_at
      FROM judged
     WHERE verdict = 'ok' AND ($11 IS NULL OR EXISTS (SELECT FROM claim))
    RETURNING *
)
SELECT j.verdict, )" PORTAL_ACCESS_TOKEN_COLUMNS("t") R"(
  FROM judged j
  LEFT JOIN made t ON true)"};

// The token a key made, as long as it lives.  $1 workspace  $2 who  $3 path  $4 key
constexpr Statement replay_statement{"access_token_replay", R"(
SELECT k.payload_hash, k.token_ciphertext, )" PORTAL_ACCESS_TOKEN_COLUMNS("t") R"(
  FROM portal.idempotency_keys k
  LEFT JOIN portal.workspace_access_tokens t
    ON t.workspace_id = k.workspace_id AND t.id = k.resource_id AND t.revoked_at IS NULL
 WHERE k.workspace_id = $1::uuid AND k.principal_id = $2::uuid AND k.method = 'POST' AND k.path = $3::text
   AND k.key = $4::text AND k.expires_at > now())",
                                     io::Lane::main, io::Retry::read};

constexpr Statement list_statement{
    "access_token_list",
    PORTAL_PAGE(
        "SELECT * FROM portal.workspace_access_tokens WHERE workspace_id = $3::uuid "
        "AND ($4::boolean OR (revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())))",
        "created_at DESC, id", PORTAL_ACCESS_TOKEN_COLUMNS("r")),
    io::Lane::main, io::Retry::read, 5000};

constexpr std::size_t max_comment = 256;
constexpr std::int64_t longest_life = std::int64_t(100) * 366 * 86400;

bool grantable(std::string_view name) {
    std::optional<Scope> scope = parse_scope(name);
    return scope && std::ranges::find(all_scopes(), *scope) != all_scopes().end();
}

http::Problem unknown_scope(std::size_t at, const Json& sent) {
    std::vector<std::string_view> names;
    for (Scope scope : all_scopes()) {
        names.push_back(scope_name(scope));
    }
    return http::enum_problem({"body", "scopes", std::to_string(at)}, names, sent);
}

// A list of scopes, each counted once.
std::vector<std::string> scopes_field(http::Fields& fields, bool required) {
    std::vector<std::string> scopes;
    Json sent = fields.value("scopes");
    if (!sent.present() && !required) {
        return scopes;
    }
    if (!sent.present()) {
        http::Problem problem;
        problem.type = "missing";
        problem.loc = {"body", "scopes"};
        problem.msg = "Field required";
        problem.input = fields.all();
        fields.add(std::move(problem));
    } else if (!sent.is_array()) {
        fields.problem("scopes", "list_type", "Input should be a valid list");
    } else if (sent.size() == 0) {
        fields.refuse("scopes", "A token needs at least one scope.");
    }
    for (std::size_t at = 0; sent.is_array() && at < sent.size(); ++at) {
        std::string scope(sent[at].text());
        if (!grantable(scope)) {
            fields.add(unknown_scope(at, sent[at]));
        } else if (std::ranges::find(scopes, scope) == scopes.end()) {
            scopes.push_back(std::move(scope));
        }
    }
    return scopes;
}

std::optional<std::int64_t> life_field(http::Fields& fields) {
    return fields.integer("expires_in", {.min = 1, .max = longest_life, .nullable = true});
}

}  // namespace

Json access_token_json(const io::Row& row) {
    return Json::object({
        {"id", row.text("token_id")},
        {"created_at", row.text("token_created_at")},
        {"modified_at", row.optional("token_modified_at")},
        {"workspace_id", row.text("token_workspace_id")},
        {"scopes", Json::parse(row.text("token_scopes"))},
        {"comment", row.optional("token_comment")},
        {"expires_at", row.optional("token_expires_at")},
        {"last_used_at", row.optional("token_last_used_at")},
        {"revoked_at", row.optional("token_revoked_at")},
    });
}

AccessTokenInput AccessTokenInput::parse(Json body, bool by_operator) {
    http::Fields fields(std::move(body));
    AccessTokenInput input;
    input.comment =
        fields
            .string("comment",
                    {.max = max_comment, .required = !by_operator, .nullable = by_operator})
            .value_or("");
    input.scopes = scopes_field(fields, true);
    input.expires_in = life_field(fields);
    fields.done();
    return input;
}

AccessTokenChange AccessTokenChange::parse(Json body) {
    http::Fields fields(std::move(body));
    AccessTokenChange change;
    change.members = Json::object();
    std::optional<std::string> comment =
        fields.string("comment", {.max = max_comment, .nullable = true});
    if (fields.given("comment")) {
        change.members.set("comment", comment.value_or(""));
    }
    Json scopes = Json::array();
    for (const std::string& scope : scopes_field(fields, false)) {
        scopes.push(scope);
    }
    if (fields.given("scopes")) {
        change.members.set("scopes", scopes);
    }
    std::optional<std::string> end = fields.time("expires_at", {.nullable = true});
    std::optional<std::int64_t> life = life_field(fields);
    if (fields.given("expires_in") && fields.given("expires_at")) {
        fields.refuse("expires_in", "Either expires_at or expires_in.");
    }
    if (fields.given("expires_at")) {
        change.members.set("expires_at", end);
    }
    if (fields.given("expires_in")) {
        change.members.set("expires_in", life);
    }
    fields.done();
    return change;
}

Json NewAccessToken::json() const {
    Json whole = Json::object();
    whole.set("workspace_access_token", row).set("token", token);
    return whole;
}

io::Task<NewAccessToken> create_access_token(io::Postgres& db, const Secrets& secrets,
                                             std::string workspace_id, AccessTokenInput input,
                                             KeyClaim claim) {
    const bool keyed = claim.key.given();
    for (int attempt = 0; attempt < 2; ++attempt) {
        NewAccessToken made;
        made.token = secrets.make_token(Kind::workspace);
        const TokenHash hash = secrets.hash(made.token);
        const std::string id = Uuid::random().text();
        std::optional<std::string> ciphertext;  // only where a key may ask for it again
        if (keyed) {
            ciphertext = secrets.encrypt(made.token, id);
        }
        Parameters parameters(workspace_id, hex(hash.digest), hash.secret_id, input.scopes,
                              input.comment, input.expires_in, id, ciphertext);
        claim.add_to(parameters);
        io::Rows rows =
            co_await query_once_more(db, create_statement, std::move(parameters), keyed);
        if (!rows.front().null("token_id")) {
            made.row = access_token_json(rows.front());
            co_return made;
        }
        // a life that was short enough grows too long with the time: only then the key is asked first
        const std::string verdict(rows.front().text("verdict"));
        if (verdict != "life") {
            require_token_verdict(verdict);
        }
        if (keyed) {
            Parameters which(workspace_id, claim.principal, claim.key.path, claim.key.key);
            io::Rows kept = co_await db.query(replay_statement, std::move(which));
            if (!kept.empty()) {
                require_same_payload(claim.key, kept.front().text("payload_hash"));
                std::optional<std::string> token = secrets.decrypt(
                    kept.front().text("token_ciphertext"), kept.front().text("token_id"));
                if (token) {
                    made.token = std::move(*token);
                    made.row = access_token_json(kept.front());
                    co_return made;
                }
            }
        }
        require_token_verdict(verdict);
        // its token was revoked just now: the key is free
    }
    throw still_running();
}

io::Task<Page> list_access_tokens(io::Postgres& db, std::string workspace_id, bool with_dead,
                                  PageRequest request) {
    Parameters parameters(request.per_page(), request.offset(), workspace_id, with_dead);
    io::Rows rows = co_await db.query(list_statement, std::move(parameters));
    co_return page_of(rows, request, access_token_json);
}

}  // namespace portal
