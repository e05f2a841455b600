#include "portal/reencryption.h"

#include <optional>
#include <vector>

namespace portal {
namespace {

using io::Lane;
using io::Retry;
using io::Statement;

constexpr std::int64_t patience = 30000;  // ms, like the role's statement_timeout

// key: what the rows are walked through by; context: what the ciphertext is bound to.
//   $1 the prefixes of ciphertexts under an old secret, as LIKE patterns  $2 after this key  $3
//   rows
constexpr Statement find_portal_tokens{"reencrypt_find_portal_tokens", R"(
SELECT id AS key, id AS context, token_ciphertext
  FROM portal.client_portal_tokens
 WHERE token_ciphertext LIKE ANY ($1::text[]) AND revoked_at IS NULL AND expires_at > now()
   AND ($2 = '' OR id > nullif($2, '')::uuid)
 ORDER BY id LIMIT $3::bigint)",
                                       Lane::main, Retry::read, patience};

constexpr Statement find_idempotency_keys{"reencrypt_find_idempotency_keys", R"(
SELECT expires_at::text AS key, resource_id AS context, token_ciphertext
  FROM portal.idempotency_keys
 WHERE token_ciphertext LIKE ANY ($1::text[]) AND expires_at > greatest(now(), nullif($2, '')::timestamptz)
 ORDER BY expires_at LIMIT $3::bigint)",
                                          Lane::main, Retry::read, patience};

constexpr Statement find_webhook_secrets{"reencrypt_find_webhook_secrets", R"(
SELECT id AS key, id AS context, ciphertext AS token_ciphertext
  FROM portal.webhook_secrets
 WHERE ciphertext LIKE ANY ($1::text[]) AND (expires_at IS NULL OR expires_at > now())
   AND ($2 = '' OR id > nullif($2, '')::uuid)
 ORDER BY id LIMIT $3::bigint)",
                                         Lane::main, Retry::read, patience};

//   $1 contexts  $2 ciphertexts as they were  $3 as they are to be  $4 hashes  $5 secret id
constexpr Statement move_portal_tokens{"reencrypt_move_portal_tokens", R"(
UPDATE portal.client_portal_tokens t
   SET token_ciphertext = m.fresh, token_hash = m.token_hash, secret_id = $5::text
  FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) AS m (id, stale, fresh, token_hash)
 WHERE t.id = m.id AND t.token_ciphertext = m.stale
   AND t.id IN (SELECT id FROM portal.client_portal_tokens WHERE id = ANY ($1) FOR UPDATE SKIP LOCKED))",
                                       Lane::main, Retry::never, patience};

constexpr Statement move_idempotency_keys{"reencrypt_move_idempotency_keys", R"(
UPDATE portal.idempotency_keys k
   SET token_ciphertext = m.fresh
  FROM unnest($1::uuid[], $2::text[], $3::text[]) AS m (id, stale, fresh)
 WHERE k.resource_id = m.id AND k.token_ciphertext = m.stale)",
                                          Lane::main, Retry::never, patience};

constexpr Statement move_webhook_secrets{"reencrypt_move_webhook_secrets", R"(
UPDATE portal.webhook_secrets s
   SET ciphertext = m.fresh
  FROM unnest($1::uuid[], $2::text[], $3::text[]) AS m (id, stale, fresh)
 WHERE s.id = m.id AND s.ciphertext = m.stale)",
                                         Lane::main, Retry::never, patience};

const Statement& find_statement(Reencryption::Table table) {
    switch (table) {
        case Reencryption::Table::portal_tokens: return find_portal_tokens;
        case Reencryption::Table::webhook_secrets: return find_webhook_secrets;
        default: return find_idempotency_keys;
    }
}

const Statement& move_statement(Reencryption::Table table) {
    switch (table) {
        case Reencryption::Table::portal_tokens: return move_portal_tokens;
        case Reencryption::Table::webhook_secrets: return move_webhook_secrets;
        default: return move_idempotency_keys;
    }
}

// "1.k1.%", with what LIKE would read as a wildcard escaped.
std::vector<std::string> patterns_of(const std::vector<std::string>& ids) {
    std::vector<std::string> patterns;
    for (const std::string& id : ids) {
        std::string pattern = "1.";
        for (char c : id) {
            pattern +=
                c == '%' || c == '_' || c == '\\' ? std::string("\\") + c : std::string(1, c);
        }
        patterns.push_back(pattern + ".%");
    }
    return patterns;
}

}  // namespace

io::Task<std::int64_t> Reencryption::batch(io::Postgres& db, std::int64_t size) {
    const bool tokens = table_ == Table::portal_tokens;
    if (secrets_.old_ids().empty()) {
        done_ = true;
        co_return 0;
    }
    const Statement& find = find_statement(table_);
    io::Parameters where(patterns_of(secrets_.old_ids()), after_, size);
    io::Rows rows = co_await db.query(find, std::move(where));
    done_ = rows.size() < size;
    std::vector<std::string> contexts, stale, fresh, hashes;
    for (int index = 0; index < rows.size(); ++index) {
        const io::Row row = rows[index];
        after_ = row.string("key");
        const std::string context = row.string("context");
        std::optional<std::string> token = secrets_.decrypt(row.text("token_ciphertext"), context);
        if (!token) {
            continue;  // altered: it stays, and is counted under its secret
        }
        contexts.push_back(context);
        stale.push_back(row.string("token_ciphertext"));
        fresh.push_back(secrets_.encrypt(*token, context));
        hashes.push_back(hex(secrets_.hash(*token).digest));
    }
    if (contexts.empty()) {
        co_return 0;
    }
    const Statement& move = move_statement(table_);
    io::Parameters moved(contexts, stale, fresh);
    if (tokens) {
        moved.add(hashes).add(secrets_.sign_id());
    }
    io::Rows result = co_await db.query(move, std::move(moved));
    co_return result.affected();
}

}  // namespace portal
