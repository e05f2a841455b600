// Event numbering: what is committed gets its numbers, contiguous per workspace, and is handed out to be published.
//
// One helper does it at a time. It holds a lease, so that the work stays with one; an advisory lock inside the
// statement sees to it that two never number side by side, whatever the lease says. What was numbered and not marked
// published (its publisher crashed, or had nowhere to publish to) is handed out again by unpublished_events.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/postgres.h"
#include "io/task.h"
#include "portal/event.h"
#include "portal/uuid.h"

namespace portal {

inline constexpr int event_batch = 1000;             // most events of one statement
inline constexpr std::int64_t event_lease = 1000;    // ms until another helper may take over

struct NumberedEvent {
    Uuid workspace;
    Event event;
    std::string audiences;   // separated by spaces; empty: no stream sees it
};

// Takes, keeps or, within the lease of another, is refused the turn.
io::Task<bool> take_event_lease(io::Postgres& db, Uuid helper);
io::Task<void> release_event_lease(io::Postgres& db, Uuid helper);

// Numbers committed events, the oldest first; those of a workspace follow each other in the list by number. Empty:
// there are none, or the lease is not this helper's.
io::Task<std::vector<NumberedEvent>> number_events(io::Postgres& db, Uuid helper);
// Numbered and not yet published, those of a workspace in order.
io::Task<std::vector<NumberedEvent>> unpublished_events(io::Postgres& db);
io::Task<void> mark_published(io::Postgres& db, const std::vector<NumberedEvent>& events);

}  // namespace portal
