// Credential: the row behind a bearer, in one look-up. Valid means what contract/README.md says under Credentials.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "io/postgres.h"
#include "io/task.h"
#include "portal/principal.h"
#include "portal/secrets.h"

namespace portal {

struct Credential {
    Principal principal;
    std::string secret_id;   // under which the row has its hash
};

// Who holds the token with one of these hashes, if it is valid now. `claimed` is what its form says
// (Secrets::inspect); Kind::none asks all four tables: an imported token of a replaced system may be any.
io::Task<std::optional<Credential>> find_credential(io::Postgres& db, std::vector<TokenHash> hashes, Kind claimed);
// The same by the token itself; a forged one is not asked for.
io::Task<std::optional<Principal>> find_principal(io::Postgres& db, const Secrets& secrets, std::string token);

// Of these sessions (Kind::customer, member) or portal tokens (portal) those that are valid now.
io::Task<std::vector<Principal>> living_credentials(io::Postgres& db, Kind kind, std::vector<Uuid> ids);

// Notes that these tokens and sessions (of any kind) were used: one statement, and at most one write per row in 15 s.
io::Task<void> touch_last_used(io::Postgres& db, std::vector<Uuid> token_ids);

// Moves rows that were found under an old secret to the one that signs; `digest` is the token's under that one.
struct Rehash {
    Uuid token_id;
    Digest digest;
};
io::Task<void> rehash_tokens(io::Postgres& db, const Secrets& secrets, std::vector<Rehash> rehashes);

}  // namespace portal
