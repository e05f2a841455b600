// Idempotency: one row per Idempotency-Key, claimed by the statement that does the work. The rows are rebuilt into
// the answer they once gave; the answer itself is not kept.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/failure.h"
#include "http/request.h"
#include "io/postgres.h"
#include "portal/principal.h"
#include "portal/secrets.h"

// Takes the key for what is being made, if the request has one ($KEY is not NULL) and `source` has a row; returns a
// row unless somebody else holds it. A key whose time is over is taken again. Parameters are the names of
// placeholders: workspace, principal, path, key, payload hash. `source` provides resource_id, token_ciphertext,
// status and expires_at.
#define PORTAL_CLAIM_KEY(workspace, principal, path, key, payload, source)                                \
    "INSERT INTO portal.idempotency_keys AS claimed (workspace_id, principal_id, method, path, key, "       \
    "payload_hash, resource_id, token_ciphertext, status, expires_at) "                                     \
    "SELECT " workspace "::uuid, " principal "::uuid, 'POST', " path "::text, " key "::text, "              \
    payload "::text, resource_id, token_ciphertext, status, least(expires_at, now() + interval '24 h') "    \
    "FROM " source " WHERE " key "::text IS NOT NULL "                                                      \
    "ON CONFLICT (workspace_id, principal_id, method, path, key) DO UPDATE "                                \
    "SET payload_hash = EXCLUDED.payload_hash, resource_id = EXCLUDED.resource_id, "                        \
    "token_ciphertext = EXCLUDED.token_ciphertext, status = EXCLUDED.status, "                              \
    "created_at = now(), expires_at = EXCLUDED.expires_at "                                                 \
    "WHERE claimed.expires_at <= now() RETURNING 1"

namespace portal {

struct IdempotencyKey {
    std::optional<std::string> key;   // absent: the request has none
    std::string path;                 // without a last slash
    std::string payload_hash;         // hex

    // Reads the header; throws a 422 when it is not 1 to 255 printable characters.
    static IdempotencyKey read(const http::Request& request, const Secrets& secrets, std::string path,
                               std::string_view payload);
    bool given() const { return key.has_value(); }
};

// Who claims which key: the last four parameters of a statement with PORTAL_CLAIM_KEY. portalctl claims none.
struct KeyClaim {
    std::optional<std::string> principal;   // id of the token that asks
    IdempotencyKey key;

    KeyClaim() = default;
    KeyClaim(const Principal& caller, IdempotencyKey key_) : principal(caller.token_id.text()), key(std::move(key_)) {}
    void add_to(io::Parameters& parameters) const {   // principal, path, key, payload hash
        parameters.add(principal).add(key.path).add(key.key).add(key.payload_hash);
    }
};
// What an earlier request with this key made; nullopt when the key is free (or not given). Throws 422 when it was used
// with another payload.
io::Task<std::optional<Uuid>> claimed_resource(io::Postgres& db, std::string workspace_id, KeyClaim claim);
// The same with the status that was answered then.
struct Claimed {
    Uuid resource;
    int status = 0;
};
io::Task<std::optional<Claimed>> claimed_answer(io::Postgres& db, std::string workspace_id, KeyClaim claim);
// A number as portal.number_uuid() writes it, read back.
std::int64_t number_of(const Uuid& resource);

// The row of a key: what the statements that replay an answer select as k.payload_hash.
// Throws 422 when it was used with another payload.
void require_same_payload(const IdempotencyKey& key, std::string_view stored_hash);
http::Failure still_running();   // 409

// Runs a statement; 23503, 23505, 23P01, 40001 and 40P01 (somebody was faster) are tried once more. With a key, waiting in
// vain for another request that holds it is 409.
io::Task<io::Rows> query_once_more(io::Postgres& db, const io::Statement& statement, io::Parameters parameters,
                                   bool has_key = false);

}  // namespace portal
