#include "portal/idempotency.h"

#include <algorithm>

#include "http/validation.h"

namespace portal {
namespace {

constexpr std::size_t max_key = 255;

constexpr io::Statement find_statement{"idempotency_find", R"(
SELECT resource_id, payload_hash, status
  FROM portal.idempotency_keys
 WHERE workspace_id = $1::uuid AND principal_id = $2::uuid AND method = 'POST' AND path = $3::text
   AND key = $4::text AND expires_at > now())", io::Lane::main, io::Retry::read};

http::Failure bad_key(std::string type, std::string msg, http::Json input, http::Json ctx) {
    http::Problem problem;
    problem.type = std::move(type);
    problem.loc = {"header", "Idempotency-Key"};
    problem.msg = std::move(msg);
    problem.input = std::move(input);
    problem.ctx = std::move(ctx);
    std::vector<http::Problem> problems;
    problems.push_back(std::move(problem));
    return http::validation_failed(std::move(problems));
}

// Somebody else's statement got in between; the second try sees what it did. Nothing is left of the first.
bool worth_another_try(const io::PostgresError& error) {
    return error.sqlstate == "23503" || error.sqlstate == "23505" || error.sqlstate == "23P01" ||
           error.sqlstate == "40001" || error.sqlstate == "40P01";
}

}  // namespace

IdempotencyKey IdempotencyKey::read(const http::Request& request, const Secrets& secrets, std::string path,
                                    std::string_view payload) {
    IdempotencyKey key;
    std::optional<std::string_view> sent = request.header("idempotency-key");
    if (!sent) {
        return key;
    }
    if (sent->empty()) {
        throw bad_key("string_too_short", "String should have at least 1 character", *sent,
                      http::Json::object({{"min_length", 1}}));
    }
    if (sent->size() > max_key) {
        throw bad_key("string_too_long", "String should have at most 255 characters", *sent,
                      http::Json::object({{"max_length", std::int64_t(max_key)}}));
    }
    if (!std::ranges::all_of(*sent, [](char c) { return c >= ' ' && c <= '~'; })) {
        throw bad_key("value_error", "The key should be printable ASCII characters.", *sent,
                      http::Json::object({{"error", http::Json::object()}}));
    }
    key.key = std::string(*sent);
    key.path = std::move(path);
    // keyed with the key that never rotates: a guessed body cannot be looked up in a stolen table
    key.payload_hash = hex(secrets.limiter_digest("idempotency\n" + std::string(payload)));
    return key;
}

io::Task<std::optional<Claimed>> claimed_answer(io::Postgres& db, std::string workspace_id, KeyClaim claim) {
    if (!claim.key.given()) {
        co_return std::nullopt;
    }
    io::Parameters parameters(workspace_id, claim.principal, claim.key.path, claim.key.key);
    io::Rows rows = co_await db.query(find_statement, std::move(parameters));
    if (rows.empty()) {
        co_return std::nullopt;
    }
    require_same_payload(claim.key, rows.front().text("payload_hash"));
    std::optional<Uuid> resource = Uuid::parse(rows.front().text("resource_id"));
    if (!resource) {
        co_return std::nullopt;
    }
    Claimed claimed{*resource, int(rows.front().integer("status"))};
    co_return claimed;
}

io::Task<std::optional<Uuid>> claimed_resource(io::Postgres& db, std::string workspace_id, KeyClaim claim) {
    std::optional<Claimed> claimed = co_await claimed_answer(db, std::move(workspace_id), std::move(claim));
    if (!claimed) {
        co_return std::nullopt;
    }
    co_return claimed->resource;
}

std::int64_t number_of(const Uuid& resource) {
    std::uint64_t number = 0;
    for (std::size_t at = 8; at < resource.bytes.size(); ++at) {
        number = number << 8 | resource.bytes[at];
    }
    return std::int64_t(number);
}

void require_same_payload(const IdempotencyKey& key, std::string_view stored_hash) {
    if (key.payload_hash != stored_hash) {
        throw bad_key("value_error", "This key was already used with another payload.", *key.key,
                      http::Json::object({{"error", http::Json::object()}}));
    }
}

http::Failure still_running() {
    return http::Failure(409, "IdempotencyKeyInUse", "A request with this Idempotency-Key is still running.");
}

io::Task<io::Rows> query_once_more(io::Postgres& db, const io::Statement& statement, io::Parameters parameters,
                                   bool has_key) {
    for (int attempt = 1;; ++attempt) {
        io::Parameters copy = parameters;
        try {
            io::Rows rows = co_await db.query(statement, std::move(copy));
            co_return rows;
        } catch (const io::PostgresUnavailable& error) {
            if (has_key && std::string_view(error.what()).starts_with("55P03")) {   // lock_timeout
                throw still_running();
            }
            throw;
        } catch (const io::PostgresError& error) {
            if (attempt == 2 || !worth_another_try(error)) {
                throw;
            }
        }
    }
}

}  // namespace portal
