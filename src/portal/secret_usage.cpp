#include "portal/secret_usage.h"

namespace portal {
namespace {

// The secret's id in a ciphertext, "1.<id>.<the rest in base64url>".
#define CIPHERTEXT_SECRET(column) "substring(" column " FROM '^1\\.(.*)\\.[^.]*$')"

constexpr io::Statement count_statement{"secret_usage_count", R"(
WITH held AS (
    SELECT secret_id, 'workspace_access_tokens' AS what FROM portal.workspace_access_tokens
     WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
    UNION ALL
    SELECT secret_id, 'customer_sessions' FROM portal.customer_sessions
     WHERE revoked_at IS NULL AND expires_at > now()
    UNION ALL
    SELECT secret_id, 'member_sessions' FROM portal.member_sessions
     WHERE revoked_at IS NULL AND expires_at > now()
    UNION ALL
    SELECT secret_id, 'client_portal_tokens' FROM portal.client_portal_tokens
     WHERE revoked_at IS NULL AND expires_at > now()
    UNION ALL
    SELECT )" CIPHERTEXT_SECRET("token_ciphertext") R"(, 'ciphertexts' FROM portal.client_portal_tokens
     WHERE token_ciphertext IS NOT NULL AND revoked_at IS NULL AND expires_at > now()
    UNION ALL
    SELECT )" CIPHERTEXT_SECRET("token_ciphertext") R"(, 'idempotency_keys' FROM portal.idempotency_keys
     WHERE token_ciphertext IS NOT NULL AND expires_at > now()
    UNION ALL
    SELECT )" CIPHERTEXT_SECRET("ciphertext") R"(, 'webhook_secrets' FROM portal.webhook_secrets
     WHERE expires_at IS NULL OR expires_at > now()
)
SELECT coalesce(secret_id, '') AS secret_id, what, count(*) AS count FROM held GROUP BY 1, 2)",
                                        io::Lane::main, io::Retry::read, 60000};

std::int64_t& count_of(SecretUsage& usage, std::string_view what) {
    return what == "workspace_access_tokens" ? usage.workspace_access_tokens
           : what == "customer_sessions"     ? usage.customer_sessions
           : what == "member_sessions"       ? usage.member_sessions
           : what == "client_portal_tokens"  ? usage.client_portal_tokens
           : what == "ciphertexts"           ? usage.ciphertexts
           : what == "webhook_secrets"       ? usage.webhook_secrets
                                             : usage.idempotency_keys;
}

}  // namespace

std::int64_t SecretUsage::total() const {
    return workspace_access_tokens + customer_sessions + member_sessions + client_portal_tokens +
           ciphertexts + idempotency_keys + webhook_secrets;
}

http::Json SecretUsage::json() const {
    return http::Json::object({
        {"workspace_access_tokens", workspace_access_tokens},
        {"customer_sessions", customer_sessions},
        {"member_sessions", member_sessions},
        {"client_portal_tokens", client_portal_tokens},
        {"ciphertexts", ciphertexts},
        {"idempotency_keys", idempotency_keys},
        {"webhook_secrets", webhook_secrets},
    });
}

io::Task<std::map<std::string, SecretUsage>> count_secret_usage(io::Postgres& db) {
    io::Rows rows = co_await db.query(count_statement);
    std::map<std::string, SecretUsage> usage;
    for (int index = 0; index < rows.size(); ++index) {
        const io::Row row = rows[index];
        count_of(usage[row.string("secret_id")], row.text("what")) = row.integer("count");
    }
    co_return usage;
}

}  // namespace portal
