// EventStream: the Redis stream that carries published events to the helpers of all nodes.
//
// Key portal:{events}; an entry's fields are workspace, number, audiences (separated by spaces) and text (the frame as
// browsers get it, empty when nobody sees the event). An entry without fields but `gap` says that others were wiped.
// Entries live for a minute at most: whoever lags further behind reads PostgreSQL.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/redis.h"
#include "io/task.h"
#include "portal/uuid.h"

namespace portal::helper {

struct PublishedEvent {
    Uuid workspace;   // nil: a gap
    std::int64_t number = 0;
    std::string audiences;
    std::string text;
};

class EventStream {
  public:
    explicit EventStream(io::Redis& redis) : redis_(redis) {}

    // All of these throw io::RedisUnavailable or io::RedisError.

    // In order, in one write. What it throws leaves open how many of them arrived.
    io::Task<void> add(const std::vector<PublishedEvent>& events);
    // Entries older than a minute go, by Redis's clock.
    io::Task<void> trim();
    // Every entry goes, and a gap is told.
    io::Task<void> wipe();

    // The next read begins after the newest entry there is.
    io::Task<void> seek();
    // What comes next, or nothing within `milliseconds`.
    io::Task<std::vector<PublishedEvent>> read(std::int64_t milliseconds);

  private:
    io::Redis& redis_;
    std::string after_;   // the id of the last entry read
};

}  // namespace portal::helper
