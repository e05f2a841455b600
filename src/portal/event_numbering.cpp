#include "portal/event_numbering.h"

#include <map>

namespace portal {
namespace {

using io::Lane;
using io::Parameters;
using io::Retry;
using io::Statement;

constexpr std::int64_t patience = 5000;   // ms

static_assert(event_batch == 1000 && event_lease == 1000, "as the statements below say");

constexpr Statement lease_statement{"event_lease_take", R"(
UPDATE portal.event_publisher SET helper = $1::uuid, until = now() + interval '1 s'
 WHERE helper = $1::uuid OR until < now())",
                                    Lane::main, Retry::never, patience};

constexpr Statement release_statement{"event_lease_release", R"(
UPDATE portal.event_publisher SET until = '-infinity' WHERE helper = $1::uuid)"};

// The columns both lists have.
#define TOLD                                                                                         \
    "e.workspace_id, e.number, e.type, portal.time_text(e.timestamp) AS timestamp, e.data, "         \
    "array_to_string(ARRAY(SELECT portal.audiences_of(e.audience)), ' ') AS audiences"

// A row somebody is just changing (an erasure) is passed over and comes later. Counters are locked in one order.
constexpr Statement number_statement{"event_number", R"(
WITH turn AS MATERIALIZED (
    SELECT pg_try_advisory_xact_lock(1702195796) AS mine
      FROM portal.event_publisher WHERE helper = $1::uuid AND until > now()
), batch AS MATERIALIZED (
    SELECT id, workspace_id, audience, sequence
      FROM portal.events
     WHERE number IS NULL AND (SELECT mine FROM turn)
     ORDER BY sequence LIMIT 1000
       FOR UPDATE SKIP LOCKED
), counted AS (
    INSERT INTO portal.event_counters AS counter (workspace_id, numbered)
    SELECT workspace_id, count(*) FROM batch GROUP BY workspace_id ORDER BY workspace_id
        ON CONFLICT (workspace_id) DO UPDATE SET numbered = counter.numbered + excluded.numbered
    RETURNING workspace_id, numbered
), given AS MATERIALIZED (
    SELECT batch.id, workspace_id, batch.audience, batch.sequence,
           counted.numbered + 1 - row_number() OVER (PARTITION BY workspace_id ORDER BY batch.sequence DESC) AS number
      FROM batch JOIN counted USING (workspace_id)
), seen AS (
    INSERT INTO portal.event_audiences (workspace_id, audience, number)
    SELECT given.workspace_id, one, given.number FROM given, portal.audiences_of(given.audience) AS one
), told AS (
    UPDATE portal.events e SET number = given.number FROM given WHERE e.id = given.id
    RETURNING given.sequence AS place, )" TOLD R"()
SELECT * FROM told ORDER BY place)",
                                     Lane::main, Retry::never, patience};

constexpr Statement unpublished_statement{"event_unpublished", "SELECT " TOLD R"(
  FROM portal.event_counters c
  JOIN portal.events e ON e.workspace_id = c.workspace_id AND e.number > c.published
 WHERE c.published < c.numbered
 ORDER BY e.workspace_id, e.number LIMIT 1000)",
                                          Lane::main, Retry::read, patience};

// Whoever loses this mark publishes again, which readers pass over: it need not wait for the disk.
constexpr Statement mark_statement{"event_published", R"(
UPDATE portal.event_counters c SET published = greatest(c.published, done.number)
  FROM (SELECT set_config('synchronous_commit', 'off', true)) AS soon,
       unnest($1::uuid[], $2::bigint[]) AS done (workspace_id, number)
 WHERE c.workspace_id = done.workspace_id)",
                                   Lane::main, Retry::never, patience};

std::vector<NumberedEvent> events_of(const io::Rows& rows) {
    std::vector<NumberedEvent> events;
    events.reserve(std::size_t(rows.size()));
    for (int i = 0; i < rows.size(); ++i) {
        const io::Row row = rows[i];
        NumberedEvent one;
        one.workspace = Uuid::parse(row.text("workspace_id")).value();
        one.event = {row.integer("number"), row.string("type"), row.string("timestamp"), row.string("data")};
        one.audiences = row.string("audiences");
        events.push_back(std::move(one));
    }
    return events;
}

}  // namespace

io::Task<bool> take_event_lease(io::Postgres& db, Uuid helper) {
    Parameters parameters(helper.text());
    io::Rows rows = co_await db.query(lease_statement, std::move(parameters));
    co_return rows.affected() == 1;
}

io::Task<void> release_event_lease(io::Postgres& db, Uuid helper) {
    Parameters parameters(helper.text());
    co_await db.query(release_statement, std::move(parameters));
}

io::Task<std::vector<NumberedEvent>> number_events(io::Postgres& db, Uuid helper) {
    Parameters parameters(helper.text());
    io::Rows rows = co_await db.query(number_statement, std::move(parameters));
    co_return events_of(rows);
}

io::Task<std::vector<NumberedEvent>> unpublished_events(io::Postgres& db) {
    io::Rows rows = co_await db.query(unpublished_statement);
    co_return events_of(rows);
}

io::Task<void> mark_published(io::Postgres& db, const std::vector<NumberedEvent>& events) {
    std::map<Uuid, std::int64_t> newest;
    for (const NumberedEvent& one : events) {
        newest[one.workspace] = one.event.number;
    }
    std::vector<std::string> workspaces, numbers;
    for (const auto& [workspace, number] : newest) {
        workspaces.push_back(workspace.text());
        numbers.push_back(std::to_string(number));
    }
    Parameters parameters(workspaces, numbers);
    co_await db.query(mark_statement, std::move(parameters));
}

}  // namespace portal
