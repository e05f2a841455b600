// SecretUsage: what the rows in use still need of each secret. Revoked and expired rows need none.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "http/json.h"
#include "io/postgres.h"
#include "io/task.h"

namespace portal {

struct SecretUsage {
    // Tokens that only this secret can check, and what only it can decrypt.
    std::int64_t workspace_access_tokens = 0, customer_sessions = 0, member_sessions = 0,
                 client_portal_tokens = 0;
    std::int64_t ciphertexts = 0, idempotency_keys = 0, webhook_secrets = 0;

    std::int64_t total() const;
    http::Json json() const;
};

// By the secret's id; an id that is in no row is not in the map.
io::Task<std::map<std::string, SecretUsage>> count_secret_usage(io::Postgres& db);

}  // namespace portal
