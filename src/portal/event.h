// Event: one change as it is told (contract/events.md). Numbered per workspace in commit order, kept in portal.events.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "io/postgres.h"
#include "io/task.h"
#include "portal/uuid.h"

namespace portal {

struct Event {
    std::int64_t number = 0;
    std::string type;
    std::string timestamp;   // RFC 3339, as REST prints times
    std::string data;        // JSON as the trigger stored it, see event_data()
};

// The event as a stream sends it: id, event and data lines and the empty line that ends them.
std::string event_frame(const Event& event);

// Who sees an event, within a workspace: "workspace" (everyone on its portal), "customer:<uuid>", "payments:<uuid>" (of
// a customer's those who may see its payments), "contact:<number>", "company:<number>".
std::string customer_audience(const Uuid& customer);
std::string payments_audience(const Uuid& customer);
std::string addressee_audience(bool company, std::int64_t number);
inline constexpr std::string_view workspace_audience = "workspace";

// Where a stream begins.
struct EventPosition {
    std::int64_t newest = 0;   // number of the workspace's newest event, 0: none yet
    bool reset = false;        // what came after `after` is no longer all there, or `after` is from another history
};
// `after` is the last number the reader has; without one a stream begins with the newest.
io::Task<EventPosition> event_position(io::Postgres& db, Uuid workspace, std::vector<std::string> audiences,
                                       std::int64_t after);

// The numbered events beyond `after` that one of the audiences sees, in order, at most `limit`.
io::Task<std::vector<Event>> events_after(io::Postgres& db, Uuid workspace, std::vector<std::string> audiences,
                                          std::int64_t after, std::int64_t limit);

// Of these audiences (the same index in each list), those that have an event beyond their position: their indexes.
io::Task<std::vector<std::size_t>> audiences_behind(io::Postgres& db, Uuid workspace,
                                                    std::vector<std::string> audiences,
                                                    std::vector<std::string> positions);

}  // namespace portal
