#include "helper/heartbeat.h"

#include <algorithm>

#include "io/sleep.h"
#include "portal/link.h"

namespace portal::helper {

namespace {

// Nothing is lost with a probe: its commit does not wait for the disk.
constexpr io::Statement probe{"helper_probe", R"(
    SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, $2))",
    io::Lane::lookup, io::Retry::never, 2000};

}  // namespace

Heartbeat::Heartbeat(io::Loop& loop, io::Postgres& db, const Uuid& helper, std::function<void()> beat)
    : loop_(loop), db_(db), beat_(std::move(beat)), channel_("portal_beat_" + helper.text()),
      run_(loop, "heartbeat") {
    std::replace(channel_.begin(), channel_.end(), '-', '_');
}

io::Task<void> Heartbeat::run() {
    while (true) {
        std::int64_t begun = loop_.now();
        sent_at_ = begun;
        ++probe_;
        try {
            io::Parameters parameters(channel_, std::to_string(probe_));
            co_await db_.query(probe, std::move(parameters));
        } catch (const std::exception&) {   // the pool logs it; there is no beat while it lasts
        }
        std::int64_t left = link::beat_interval - (loop_.now() - begun);
        co_await io::sleep(loop_, std::clamp<std::int64_t>(left, 10, link::beat_interval),
                           io::Loop::Hold::nothing);
    }
}

void Heartbeat::echoed(std::string_view payload) {
    if (payload == std::to_string(probe_) && loop_.now() - sent_at_ <= link::beat_interval) {
        beat_();
    }
}

}  // namespace portal::helper
