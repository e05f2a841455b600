#include "helper/file_expiry.h"

#include <string>

#include "io/sleep.h"

namespace portal::helper {
namespace {

constexpr std::int64_t interval = 2000;  // ms
constexpr std::int64_t breath = 50;      // ms between two full batches
constexpr int batch = 500;

constexpr io::Statement expire_statement{"file_share_expire", R"(
UPDATE portal.file_share_sessions
   SET status = 'expired'
 WHERE id IN (SELECT id
                FROM portal.file_share_sessions
               WHERE status IN ('created', 'active') AND expires_at <= now()
               ORDER BY expires_at
               LIMIT $1::integer
                 FOR UPDATE SKIP LOCKED))"};

}  // namespace

io::Task<void> FileExpiry::run() {
    while (true) {
        std::int64_t expired = 0;
        try {
            io::Parameters parameters(batch);
            io::Rows done = co_await db_.query(expire_statement, std::move(parameters));
            expired = done.affected();
        } catch (const io::PostgresUnavailable&) {  // the pool logs it; the next look will do
        } catch (const io::PostgresError& error) {
            const std::string line = std::string("file expiry: ") + error.what();
            loop_.log(io::LogLevel::error, line.c_str());
        }
        const std::int64_t pause = expired == batch ? breath : interval;
        co_await io::sleep(loop_, pause, io::Loop::Hold::nothing);
    }
}

}  // namespace portal::helper
