#include "helper/sweep.h"

#include <string>

#include "io/sleep.h"

namespace portal::helper {
namespace {

constexpr std::int64_t breath = 50;  // ms between two full batches
constexpr int batch = 500;

}  // namespace

const DueWork file_expiry{"file expiry",
                          {"file_share_expire", R"(
UPDATE portal.file_share_sessions
   SET status = 'expired'
 WHERE id IN (SELECT id
                FROM portal.file_share_sessions
               WHERE status IN ('created', 'active') AND expires_at <= now()
               ORDER BY expires_at
               LIMIT $1::integer
                 FOR UPDATE SKIP LOCKED))"},
                          2000};

// Of links alone: what they were exchanged for ends with them. Used: opened, or sent as a bearer.
const DueWork link_expiry{"link expiry",
                          {"client_portal_token_expiring", R"(
UPDATE portal.client_portal_tokens
   SET expiring_told_at = now()
 WHERE id IN (SELECT t.id
                FROM portal.client_portal_tokens t
                JOIN portal.workspaces w ON w.id = t.workspace_id
               WHERE t.parent_id IS NULL AND t.revoked_at IS NULL AND t.expiring_told_at IS NULL
                 AND t.expires_at > now() AND t.expires_at <= now() + interval '3 days'
                 AND (t.access_count > 0 OR t.last_used_at IS NOT NULL)
                 AND w.deleted_at IS NULL AND w.blocked_at IS NULL
               ORDER BY t.expires_at
               LIMIT $1::integer
                 FOR NO KEY UPDATE OF t SKIP LOCKED))"},
                          60000};

io::Task<void> Sweep::run() {
    while (true) {
        std::int64_t changed = 0;
        try {
            io::Parameters parameters(batch);
            io::Rows done = co_await db_.query(work_.change, std::move(parameters));
            changed = done.affected();
        } catch (const io::PostgresUnavailable&) {  // the pool logs it; the next look will do
        } catch (const io::PostgresError& error) {
            const std::string line = std::string(work_.what) + ": " + error.what();
            loop_.log(io::LogLevel::error, line.c_str());
        }
        const std::int64_t pause = changed == batch ? breath : work_.interval;
        co_await io::sleep(loop_, pause, io::Loop::Hold::nothing);
    }
}

}  // namespace portal::helper
