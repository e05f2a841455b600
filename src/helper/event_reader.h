// EventReader: takes published events from the Redis stream, or without Redis from the publisher of this process, and
// hands them to the Server's lines. It notices what is missing and tells a gap: numbers follow each other within a
// workspace, a connection that was lost may have missed anything.
#pragma once

#include <memory>
#include <optional>
#include <unordered_map>

#include "helper/event_stream.h"
#include "helper/root_task.h"
#include "helper/server.h"
#include "io/loop.h"
#include "io/redis.h"
#include "io/task.h"

namespace portal::helper {

class EventReader {
  public:
    // Without `redis`: what take() is given is all there is.
    EventReader(io::Loop& loop, Server& server, std::optional<io::RedisOptions> redis);
    EventReader(const EventReader&) = delete;

    void start();
    void take(const PublishedEvent& event);

  private:
    io::Task<void> run();
    io::Task<void> follow();
    void miss_all();

    struct HashUuid {
        std::size_t operator()(const Uuid& id) const noexcept;
    };

    io::Loop& loop_;
    Server& server_;
    std::unique_ptr<io::Redis> redis_;
    std::optional<EventStream> stream_;
    std::unordered_map<Uuid, std::int64_t, HashUuid> newest_;   // number read last, per workspace
    RootTask run_;
};

}  // namespace portal::helper
