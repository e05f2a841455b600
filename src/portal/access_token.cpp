#include "portal/access_token.h"

#include <algorithm>

#include "http/validation.h"
#include "portal/principal.h"

#define ACCESS_TOKEN_COLUMNS(alias)                                                          \
    alias ".id AS token_id, "                                                                \
    "portal.time_text(" alias ".created_at) AS token_created_at, "                           \
    "portal.time_text(" alias ".modified_at) AS token_modified_at, "                         \
    alias ".workspace_id AS token_workspace_id, to_json(" alias ".scopes) AS token_scopes, " \
    alias ".comment AS token_comment, "                                                      \
    "portal.time_text(" alias ".expires_at) AS token_expires_at, "                           \
    "portal.time_text(" alias ".last_used_at) AS token_last_used_at, "                       \
    "portal.time_text(" alias ".revoked_at) AS token_revoked_at"

namespace portal {
namespace {

using http::Json;
using io::Parameters;
using io::Statement;

constexpr Statement create_statement{"access_token_create", R"(
INSERT INTO portal.workspace_access_tokens AS t
       (workspace_id, token_hash, secret_id, scopes, comment, expires_at)
VALUES ($1::uuid, $2::text, $3::text, $4::text[], $5::text,
        date_trunc('second', now()) + make_interval(secs => $6::bigint))
RETURNING )" ACCESS_TOKEN_COLUMNS("t")};

constexpr Statement list_statement{
    "access_token_list",
    PORTAL_PAGE("SELECT * FROM portal.workspace_access_tokens WHERE workspace_id = $3::uuid "
                "AND ($4::boolean OR (revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())))",
                "created_at DESC, id", ACCESS_TOKEN_COLUMNS("r")),
    io::Lane::main, io::Retry::read, 5000};

constexpr Statement revoke_statement{"access_token_revoke", R"(
UPDATE portal.workspace_access_tokens AS t
   SET revoked_at = coalesce(t.revoked_at, now())
 WHERE t.workspace_id = $1::uuid AND t.id = $2::uuid
RETURNING )" ACCESS_TOKEN_COLUMNS("t")};

constexpr std::size_t max_comment = 256;
constexpr std::int64_t longest_life = std::int64_t(100) * 366 * 86400;

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

bool known_scope(const std::string& name) {
    std::optional<Scope> scope = parse_scope(name);
    if (!scope) {
        return false;
    }
    for (Scope grantable : all_scopes()) {
        if (grantable == *scope) {
            return true;
        }
    }
    return false;
}

std::string scope_sentence() {
    std::string list;
    for (Scope scope : all_scopes()) {
        list += (list.empty() ? "" : ", ") + std::string(scope_name(scope));
    }
    return "Unknown scope. Scopes are: " + list + ".";
}

}  // namespace

AccessTokenInput AccessTokenInput::parse(Json body) {
    http::Fields fields(std::move(body));
    AccessTokenInput input;
    input.comment = fields.string("comment", {.max = max_comment, .nullable = true}).value_or("");
    Json scopes = fields.value("scopes");
    if (!scopes.is_array() || scopes.size() == 0) {
        fields.refuse("scopes", "A token needs at least one scope.");
    }
    for (std::size_t at = 0; scopes.is_array() && at < scopes.size(); ++at) {
        std::string scope(scopes[at].text());
        if (!known_scope(scope)) {
            fields.refuse("scopes", scope_sentence());
            break;
        }
        if (std::find(input.scopes.begin(), input.scopes.end(), scope) == input.scopes.end()) {
            input.scopes.push_back(std::move(scope));
        }
    }
    input.expires_in = fields.integer("expires_in", {.min = 1, .max = longest_life, .nullable = true});
    fields.done();
    return input;
}

Json NewAccessToken::json() const {
    Json whole = Json::object();
    whole.set("workspace_access_token", row).set("token", token);
    return whole;
}

io::Task<NewAccessToken> create_access_token(io::Postgres& db, const Secrets& secrets,
                                             std::string workspace_id, AccessTokenInput input) {
    NewAccessToken made;
    made.token = secrets.make_token(Kind::workspace);
    TokenHash hash = secrets.hash(made.token);
    Parameters parameters(workspace_id, hex(hash.digest), hash.secret_id, input.scopes, input.comment,
                          input.expires_in);
    io::Rows rows = co_await db.query(create_statement, std::move(parameters));
    made.row = access_token_json(rows.front());
    co_return made;
}

io::Task<Page> list_access_tokens(io::Postgres& db, std::string workspace_id, bool with_dead,
                                  PageRequest request) {
    Parameters parameters(request.per_page(), request.offset(), workspace_id, with_dead);
    io::Rows rows = co_await db.query(list_statement, std::move(parameters));
    co_return page_of(rows, request, access_token_json);
}

io::Task<Json> revoke_access_token(io::Postgres& db, std::string workspace_id, std::string id) {
    if (!Uuid::parse(id)) {
        throw http::resource_not_found();
    }
    Parameters parameters(workspace_id, id);
    io::Rows rows = co_await db.query(revoke_statement, std::move(parameters));
    if (rows.empty()) {
        throw http::resource_not_found();
    }
    co_return access_token_json(rows.front());
}

}  // namespace portal
