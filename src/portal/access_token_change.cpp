// PATCH and DELETE of an access token.
#include "http/validation.h"
#include "portal/access_token.h"

namespace portal {
namespace {

using http::Json;
using io::Parameters;
using io::Statement;

// The token itself, locked, and whoever asks.  $1 workspace  $2 id  $3 who
#define MAKER_AND_TARGET                                                                \
    "WITH maker AS (SELECT * FROM portal.workspace_access_tokens "                      \
    "WHERE workspace_id = $1::uuid AND id = $3::uuid AND revoked_at IS NULL), "         \
    "target AS MATERIALIZED (SELECT * FROM portal.workspace_access_tokens "             \
    "WHERE workspace_id = $1 AND id = $2::uuid AND ($3 IS NULL OR revoked_at IS NULL) " \
    "FOR NO KEY UPDATE), "

// Both what the token is and what it becomes must be within the maker's.  $4 the members that
// change, by name
constexpr Statement change_statement{
    "access_token_change",
    MAKER_AND_TARGET R"(
wanted AS MATERIALIZED (
    SELECT id, scopes AS old_scopes, expires_at AS old_end,
           CASE WHEN $4::jsonb ? 'scopes' THEN ARRAY(SELECT jsonb_array_elements_text($4 -> 'scopes'))
                ELSE scopes END AS scopes,
           CASE WHEN $4 ? 'expires_in'
                THEN date_trunc('second', now()) + make_interval(secs => ($4 ->> 'expires_in')::bigint)
                WHEN $4 ? 'expires_at' THEN ($4 ->> 'expires_at')::timestamptz
                ELSE expires_at END AS expires_at,
           CASE WHEN $4 ? 'comment' THEN $4 ->> 'comment' ELSE comment END AS comment
      FROM target
     WHERE revoked_at IS NULL
), judged AS MATERIALIZED (
    SELECT w.*, CASE )" PORTAL_TOKEN_VERDICT(
        "$3", "maker", "w.old_scopes || w.scopes",
        "greatest(coalesce(w.old_end, 'infinity'), coalesce(w.expires_at, 'infinity'))")
        R"(ELSE 'ok' END AS verdict
      FROM wanted w
      LEFT JOIN maker ON true
), changed AS (
    UPDATE portal.workspace_access_tokens t
       SET scopes = j.scopes, comment = j.comment, expires_at = j.expires_at
      FROM judged j
     WHERE t.workspace_id = $1 AND t.id = j.id AND j.verdict = 'ok'
    RETURNING t.*
)
SELECT j.verdict, )" PORTAL_ACCESS_TOKEN_COLUMNS("t") R"(
  FROM judged j
  LEFT JOIN changed t ON true)"};

// Any token may end itself.
constexpr Statement revoke_statement{"access_token_revoke", MAKER_AND_TARGET R"(
judged AS MATERIALIZED (
    SELECT w.id, CASE WHEN w.id = $3 THEN 'ok' )" PORTAL_TOKEN_VERDICT("$3", "maker", "w.scopes",
                                                                       "w.expires_at")
                                                                R"(ELSE 'ok' END AS verdict
      FROM target w
      LEFT JOIN maker ON true
), changed AS (
    UPDATE portal.workspace_access_tokens t
       SET revoked_at = coalesce(t.revoked_at, now())
      FROM judged j
     WHERE t.workspace_id = $1 AND t.id = j.id AND j.verdict = 'ok'
    RETURNING t.*
)
SELECT j.verdict, )" PORTAL_ACCESS_TOKEN_COLUMNS("t") R"(
  FROM judged j
  LEFT JOIN changed t ON true)"};

#undef MAKER_AND_TARGET

}  // namespace

void require_token_verdict(std::string_view verdict) {
    if (verdict == "scopes") {
        throw http::not_permitted(
            "A token cannot make or change a token with scopes that it does not have itself.");
    }
    if (verdict == "life") {
        throw http::not_permitted(
            "A token cannot make or change a token that lives longer than itself.");
    }
    if (verdict == "no_maker") {
        throw http::invalid_token();  // revoked since it was looked up
    }
}

io::Task<Json> change_access_token(io::Postgres& db, std::string workspace_id,
                                   std::optional<std::string> who, std::string id,
                                   AccessTokenChange change) {
    if (!Uuid::parse(id)) {
        throw http::resource_not_found();
    }
    Parameters parameters(workspace_id, id, who, change.members.dump());
    io::Rows rows = co_await query_once_more(db, change_statement, std::move(parameters));
    if (rows.empty()) {
        throw http::resource_not_found();
    }
    require_token_verdict(rows.front().text("verdict"));
    co_return access_token_json(rows.front());
}

io::Task<Json> revoke_access_token(io::Postgres& db, std::string workspace_id,
                                   std::optional<std::string> who, std::string id) {
    if (!Uuid::parse(id)) {
        throw http::resource_not_found();
    }
    Parameters parameters(workspace_id, id, who);
    io::Rows rows = co_await query_once_more(db, revoke_statement, std::move(parameters));
    if (rows.empty()) {
        throw http::resource_not_found();
    }
    require_token_verdict(rows.front().text("verdict"));
    co_return access_token_json(rows.front());
}

}  // namespace portal
