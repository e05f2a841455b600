// Workspace access tokens: a backend's credential. Shown once; only its keyed hash is kept.
//
// A token makes and changes only tokens whose scopes are a subset of its own and that live no longer: whoever asks is
// named by its id, portalctl by none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "http/json.h"
#include "io/postgres.h"
#include "io/task.h"
#include "portal/idempotency.h"
#include "portal/page.h"
#include "portal/secrets.h"

// What access_token_json() reads, of the row called `alias`; prefix token_.
#define PORTAL_ACCESS_TOKEN_COLUMNS(alias)                                                   \
    alias ".id AS token_id, "                                                                \
    "portal.time_text(" alias ".created_at) AS token_created_at, "                           \
    "portal.time_text(" alias ".modified_at) AS token_modified_at, "                         \
    alias ".workspace_id AS token_workspace_id, to_json(" alias ".scopes) AS token_scopes, " \
    alias ".comment AS token_comment, "                                                      \
    "portal.time_text(" alias ".expires_at) AS token_expires_at, "                           \
    "portal.time_text(" alias ".last_used_at) AS token_last_used_at, "                       \
    "portal.time_text(" alias ".revoked_at) AS token_revoked_at"

// Why the token called `maker` may not have to do with one of these scopes and this end: scopes or life; else ok.
// no_maker: it has just been revoked. `who` is the maker's id, NULL for an operator, who may do anything.
#define PORTAL_TOKEN_VERDICT(who, maker, scopes, end)                                        \
    "WHEN " who "::uuid IS NULL THEN 'ok' WHEN " maker ".id IS NULL THEN 'no_maker' "        \
    "WHEN NOT portal.scopes_within(" scopes ", " maker ".scopes) THEN 'scopes' "             \
    "WHEN coalesce(" end ", 'infinity') > coalesce(" maker ".expires_at, 'infinity') THEN 'life' "

namespace portal {

struct AccessTokenInput {
    std::string comment;
    std::vector<std::string> scopes;           // at least one of all_scopes()
    std::optional<std::int64_t> expires_in;    // seconds; absent: never

    // REST asks for a comment, an operator may leave it out.
    static AccessTokenInput parse(http::Json body, bool by_operator = false);
};

// What is absent stays.
struct AccessTokenChange {
    http::Json members;   // checked: comment, scopes, expires_at or expires_in (null: never)

    static AccessTokenChange parse(http::Json body);
};

struct NewAccessToken {
    http::Json row;      // the table's columns, without the hash
    std::string token;   // the only time it can be seen

    // {"workspace_access_token":{...},"token":"..."}
    http::Json json() const;
};

// Throws what a statement with PORTAL_TOKEN_VERDICT refuses.
void require_token_verdict(std::string_view verdict);
// The table's columns, without the hash.
http::Json access_token_json(const io::Row& row);

// Throws 403. With a key the same token is shown again.
io::Task<NewAccessToken> create_access_token(io::Postgres& db, const Secrets& secrets, std::string workspace_id,
                                             AccessTokenInput input, KeyClaim claim = {});
// Newest first. Revoked and expired ones only when asked for.
io::Task<Page> list_access_tokens(io::Postgres& db, std::string workspace_id, bool with_dead,
                                  PageRequest request);

// Throw 404 for an id that is no token of this workspace, 403 for one that is more than `who`. For a token a revoked
// one is gone, too; an operator revokes it again, which keeps the first time.
io::Task<http::Json> change_access_token(io::Postgres& db, std::string workspace_id, std::optional<std::string> who,
                                         std::string id, AccessTokenChange change);
io::Task<http::Json> revoke_access_token(io::Postgres& db, std::string workspace_id, std::optional<std::string> who,
                                         std::string id);

}  // namespace portal
