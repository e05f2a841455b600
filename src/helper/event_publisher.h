// EventPublisher: gives committed events their numbers and publishes them, in order, to the Redis stream, or without
// Redis to this process's own reader. One helper at a time does it, as long as it keeps its lease.
//
// Polls: every 5 ms while somebody listens here, four times a second while another helper has the turn, once a second
// while nobody listens. What a crash left numbered and unpublished is published by whoever has the turn next.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "helper/alarm.h"
#include "helper/event_reader.h"
#include "helper/event_stream.h"
#include "helper/root_task.h"
#include "helper/server.h"
#include "io/loop.h"
#include "io/postgres.h"
#include "io/redis.h"
#include "io/task.h"
#include "portal/event_numbering.h"

namespace portal::helper {

class EventPublisher {
  public:
    EventPublisher(io::Loop& loop, io::Postgres& db, const Uuid& helper, Server& server, EventReader& reader,
                   std::optional<io::RedisOptions> redis);
    EventPublisher(const EventPublisher&) = delete;

    void start();
    // Somebody was erased: what waits in the stream is wiped.
    void erased();
    // Ends the work and gives the lease back.
    io::Task<void> stop();

  private:
    io::Task<void> run();
    io::Task<bool> hold_lease();
    io::Task<bool> turn();
    io::Task<bool> publish(const std::vector<NumberedEvent>& events);
    io::Task<void> tidy();
    PublishedEvent published(const NumberedEvent& numbered);
    void complain(const std::string& reason);

    io::Loop& loop_;
    io::Postgres& db_;
    const Uuid helper_;
    Server& server_;
    EventReader& reader_;
    std::unique_ptr<io::Redis> redis_;
    std::optional<EventStream> stream_;
    Alarm alarm_;
    std::int64_t lease_until_ = 0;   // in the loop's time; 0: not ours
    bool behind_ = true;             // there may be numbered events that are not published
    bool failing_ = false;           // Redis took none the last time
    bool erased_ = false;
    std::int64_t next_trim_ = 0;
    std::string complaint_;          // the last one, logged once
    RootTask run_;
};

}  // namespace portal::helper
