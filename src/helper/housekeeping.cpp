#include "helper/housekeeping.h"

#include <string>

#include "io/sleep.h"

namespace portal::helper {

namespace {

constexpr std::int64_t breath = 50;  // ms between two batches, for whoever else needs the database
constexpr int seldom = 12;  // rounds from one look at all events and ciphertexts to the next

}  // namespace

Housekeeping::Housekeeping(io::Loop& loop, io::Postgres& db, const Secrets& secrets,
                           HousekeepingConfig config)
    : loop_(loop), db_(db), secrets_(secrets), config_(config), run_(loop, "housekeeping") {}

// Helpers that are started together do not work at the same time: each waits for a random part of
// the interval first.
io::Task<void> Housekeeping::run() {
    const std::vector<PurgeRule> rules = purge_rules(config_);
    const std::int64_t interval = config_.interval * 1000;
    std::uint16_t random = 0;
    random_bytes(&random, sizeof random);
    co_await io::sleep(loop_, interval * random / 65536, io::Loop::Hold::nothing);
    for (int round = 0;; round = (round + 1) % seldom) {
        try {
            for (std::size_t at = 0; at < rules.size(); ++at) {
                const PurgeRule rule = rules[at];
                co_await purge(rule);
            }
            if (round == 0) {
                co_await purge_events();
                co_await reencrypt(Reencryption::Table::portal_tokens, "portal tokens");
                co_await reencrypt(Reencryption::Table::idempotency_keys, "idempotency keys");
                co_await reencrypt(Reencryption::Table::webhook_secrets, "webhook secrets");
            }
        } catch (const io::PostgresUnavailable&) {  // the pool logs it; the next round will do
        }
        co_await io::sleep(loop_, interval, io::Loop::Hold::nothing);
    }
}

io::Task<void> Housekeeping::purge(PurgeRule rule) {
    std::int64_t total = 0;
    try {
        while (true) {
            const std::int64_t gone = co_await purge_batch(db_, rule, config_.batch);
            total += gone;
            if (gone < config_.batch) {
                break;
            }
            co_await io::sleep(loop_, breath, io::Loop::Hold::nothing);
        }
    } catch (const io::PostgresError& error) {
        complain(rule.what, error);
    }
    tell("purged", total, rule.what);
}

io::Task<void> Housekeeping::purge_events() {
    EventPurge pass(config_.events, config_.event_history);
    std::int64_t total = 0;
    try {
        while (!pass.done()) {
            const std::int64_t gone = co_await pass.batch(db_, config_.batch);
            total += gone;
            co_await io::sleep(loop_, breath, io::Loop::Hold::nothing);
        }
    } catch (const io::PostgresError& error) {
        complain("events", error);
    }
    tell("purged", total, "events");
}

io::Task<void> Housekeeping::reencrypt(Reencryption::Table table, const char* what) {
    Reencryption pass(secrets_, table);
    std::int64_t total = 0;
    try {
        while (!pass.done()) {
            const std::int64_t moved = co_await pass.batch(db_, config_.batch);
            total += moved;
            co_await io::sleep(loop_, breath, io::Loop::Hold::nothing);
        }
    } catch (const io::PostgresError& error) {
        complain(what, error);
    }
    tell("re-encrypted", total, what);
}

void Housekeeping::tell(const char* did, std::int64_t count, const char* what) {
    if (count > 0) {
        std::string line =
            std::string("housekeeping: ") + did + " " + std::to_string(count) + " " + what;
        loop_.log(io::LogLevel::info, line.c_str());
    }
}

void Housekeeping::complain(const char* what, const io::PostgresError& error) {
    std::string line = std::string("housekeeping: ") + what + ": " + error.what();
    loop_.log(io::LogLevel::error, line.c_str());
}

}  // namespace portal::helper
