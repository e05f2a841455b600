#include "portal/event.h"

#include "http/json.h"
#include "portal/event_data.h"

namespace portal {
namespace {

using io::Lane;
using io::Parameters;
using io::Retry;
using io::Statement;

// A purge takes an audience's events from its beginning and leaves the number of the last one in event_floors.
constexpr Statement position_statement{"event_position", R"(
WITH newest AS MATERIALIZED (
    SELECT coalesce((SELECT numbered FROM portal.event_counters WHERE workspace_id = $1::uuid), 0) AS number)
SELECT newest.number AS newest,
       $3::bigint > newest.number OR EXISTS (
           SELECT FROM portal.event_floors
            WHERE workspace_id = $1::uuid AND audience = ANY ($2::text[]) AND number > $3::bigint) AS reset
  FROM newest
)", Lane::main, Retry::read};

constexpr Statement after_statement{"event_after", R"(
SELECT e.number, e.type, portal.time_text(e.timestamp) AS timestamp, e.data
  FROM (SELECT DISTINCT a.number
          FROM unnest($2::text[]) AS mine (audience)
         CROSS JOIN LATERAL (SELECT number FROM portal.event_audiences
                              WHERE workspace_id = $1::uuid AND audience = mine.audience AND number > $3::bigint
                              ORDER BY number LIMIT $4::bigint) a
         ORDER BY a.number LIMIT $4::bigint) seen
  JOIN portal.events e ON e.workspace_id = $1::uuid AND e.number = seen.number
 ORDER BY e.number
)", Lane::main, Retry::read, 5000};

constexpr Statement behind_statement{"event_audiences_behind", R"(
SELECT mine.place - 1 AS place
  FROM unnest($2::text[], $3::bigint[]) WITH ORDINALITY AS mine (audience, number, place)
 WHERE EXISTS (SELECT FROM portal.event_audiences
                WHERE workspace_id = $1::uuid AND audience = mine.audience AND number > mine.number)
)", Lane::main, Retry::read, 5000};

}  // namespace

std::string event_frame(const Event& event) {
    const std::string number = std::to_string(event.number);
    std::string frame = "id: " + number + "\nevent: " + event.type + "\ndata: {\"id\":" + number + ",\"type\":";
    http::append_json(frame, event.type);
    frame += ",\"timestamp\":";
    http::append_json(frame, event.timestamp);
    frame += ",\"data\":";
    frame += event_data(event.type, http::Json::parse(event.data)).dump();
    frame += "}\n\n";
    return frame;
}

std::string customer_audience(const Uuid& customer) { return "customer:" + customer.text(); }

std::string payments_audience(const Uuid& customer) { return "payments:" + customer.text(); }

std::string addressee_audience(bool company, std::int64_t number) {
    return (company ? "company:" : "contact:") + std::to_string(number);
}

io::Task<EventPosition> event_position(io::Postgres& db, Uuid workspace, std::vector<std::string> audiences,
                                       std::int64_t after) {
    Parameters parameters(workspace.text(), audiences, after);
    io::Rows rows = co_await db.query(position_statement, std::move(parameters));
    const io::Row row = rows.front();
    co_return EventPosition{row.integer("newest"), row.boolean("reset")};
}

io::Task<std::vector<Event>> events_after(io::Postgres& db, Uuid workspace, std::vector<std::string> audiences,
                                          std::int64_t after, std::int64_t limit) {
    Parameters parameters(workspace.text(), audiences, after, limit);
    io::Rows rows = co_await db.query(after_statement, std::move(parameters));
    std::vector<Event> events;
    events.reserve(std::size_t(rows.size()));
    for (int i = 0; i < rows.size(); ++i) {
        const io::Row row = rows[i];
        events.push_back({row.integer("number"), row.string("type"), row.string("timestamp"), row.string("data")});
    }
    co_return events;
}

io::Task<std::vector<std::size_t>> audiences_behind(io::Postgres& db, Uuid workspace,
                                                    std::vector<std::string> audiences,
                                                    std::vector<std::string> positions) {
    Parameters parameters(workspace.text(), audiences, positions);
    io::Rows rows = co_await db.query(behind_statement, std::move(parameters));
    std::vector<std::size_t> behind;
    for (int i = 0; i < rows.size(); ++i) {
        behind.push_back(std::size_t(rows[i].integer("place")));
    }
    co_return behind;
}

}  // namespace portal
