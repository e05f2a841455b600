// Heartbeat: proves, four times a second, that what the database tells of arrives here.
//
// Each probe is a NOTIFY to ourselves. PostgreSQL delivers notifications in commit order, so when a probe comes back on
// the listening connection, everything that was told before it has come too. Only a probe that came back within one
// interval makes a beat.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "helper/root_task.h"
#include "io/loop.h"
#include "io/postgres.h"
#include "io/task.h"
#include "portal/uuid.h"

namespace portal::helper {

class Heartbeat {
  public:
    Heartbeat(io::Loop& loop, io::Postgres& db, const Uuid& helper, std::function<void()> beat);
    Heartbeat(const Heartbeat&) = delete;

    // What is to be listened to, and what came in there.
    const std::string& channel() const { return channel_; }
    void echoed(std::string_view payload);

    void start() { run_.start(run()); }

  private:
    io::Task<void> run();

    io::Loop& loop_;
    io::Postgres& db_;
    std::function<void()> beat_;
    std::string channel_;
    std::int64_t probe_ = 0;      // number of the latest
    std::int64_t sent_at_ = 0;    // when it left
    RootTask run_;
};

}  // namespace portal::helper
