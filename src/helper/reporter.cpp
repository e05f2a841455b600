#include "helper/reporter.h"

#include <algorithm>

#include "io/sleep.h"

namespace portal::helper {

namespace {

constexpr std::int64_t interval = 10000;   // ms

// Of each queue how many wait, and for how many seconds the first of them has been due. Of all workspaces: these are
// the operator's numbers. The bound keeps a long queue from making the look at it long.
constexpr io::Statement look_at_queues{"helper_look_at_queues", R"(
    SELECT queue, count(*) AS waiting,
           greatest(extract(epoch FROM now() - min(due)), 0)::bigint AS oldest
    FROM (
        (SELECT 'mails' AS queue, next_attempt_at AS due FROM portal.outbox
          WHERE state = 'queued' ORDER BY next_attempt_at LIMIT 100000)
        UNION ALL
        (SELECT 'webhooks', next_attempt_at FROM portal.webhook_deliveries WHERE state = 'pending' LIMIT 100000)
        UNION ALL
        (SELECT 'events', timestamp FROM portal.events WHERE number IS NULL ORDER BY timestamp LIMIT 100000)
    ) AS waits
    GROUP BY queue)",
    io::Lane::main, io::Retry::read, 5000};

}  // namespace

Reporter::Reporter(io::Loop& loop, io::Postgres& db, std::function<void(HelperReport report)> complete)
    : loop_(loop), db_(db), complete_(std::move(complete)), run_(loop, "reporter") {}

io::Task<void> Reporter::run() {
    while (true) {
        try {
            HelperReport report = co_await look();
            complete_(report);
        } catch (const std::exception&) {   // the pool logs it; a report that stays away tells it, too
        }
        co_await io::sleep(loop_, interval, io::Loop::Hold::nothing);
    }
}

io::Task<HelperReport> Reporter::look() {
    HelperReport report;
    const io::Rows rows = co_await db_.query(look_at_queues);
    for (int at = 0; at < rows.size(); ++at) {
        const io::Row row = rows[at];
        const std::string_view queue = row.text("queue");
        const std::uint64_t waiting = std::uint64_t(row.integer("waiting"));
        const std::uint64_t oldest = std::uint64_t(row.integer("oldest"));
        if (queue == "mails") {
            report[HelperFigure::mails_waiting] = waiting;
            report[HelperFigure::mails_oldest] = oldest;
        } else if (queue == "webhooks") {
            report[HelperFigure::webhooks_waiting] = waiting;
            report[HelperFigure::webhooks_oldest] = oldest;
        } else {
            report[HelperFigure::events_waiting] = waiting;
            report[HelperFigure::events_oldest] = oldest;
        }
    }
    co_return report;
}

}  // namespace portal::helper
