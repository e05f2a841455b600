// Workspace access tokens: a backend's credential. Shown once; only its keyed hash is kept.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "http/json.h"
#include "io/postgres.h"
#include "io/task.h"
#include "portal/page.h"
#include "portal/secrets.h"

namespace portal {

struct AccessTokenInput {
    std::string comment;
    std::vector<std::string> scopes;           // at least one of all_scopes()
    std::optional<std::int64_t> expires_in;    // seconds; absent: never

    static AccessTokenInput parse(http::Json body);
};

struct NewAccessToken {
    http::Json row;      // the table's columns, without the hash
    std::string token;   // the only time it can be seen

    // {"workspace_access_token":{...},"token":"..."}
    http::Json json() const;
};

io::Task<NewAccessToken> create_access_token(io::Postgres& db, const Secrets& secrets,
                                             std::string workspace_id, AccessTokenInput input);
// Newest first. Revoked and expired ones only when asked for.
io::Task<Page> list_access_tokens(io::Postgres& db, std::string workspace_id, bool with_dead,
                                  PageRequest request);
// Throws 404 for an id that is no token of this workspace; revoking twice keeps the first time.
io::Task<http::Json> revoke_access_token(io::Postgres& db, std::string workspace_id, std::string id);

}  // namespace portal
