#include "helper/event_publisher.h"

#include <algorithm>
#include <exception>
#include <utility>

namespace portal::helper {
namespace {

constexpr std::int64_t live_pause = 5;       // ms between two polls: somebody here listens,
constexpr std::int64_t waiting_pause = 250;  // another helper has the turn, or something is down,
constexpr std::int64_t idle_pause = 1000;    // nobody here listens
constexpr std::int64_t trim_interval = 10000;
constexpr std::int64_t budget = 1000;        // ms for a batch of entries

io::RedisOptions with_budget(io::RedisOptions options) {
    options.budget = budget;
    return options;
}

}  // namespace

EventPublisher::EventPublisher(io::Loop& loop, io::Postgres& db, const Uuid& helper, Server& server,
                               EventReader& reader, std::optional<io::RedisOptions> redis)
    : loop_(loop), db_(db), helper_(helper), server_(server), reader_(reader), alarm_(loop),
      run_(loop, "event publisher") {
    if (redis) {
        redis_ = std::make_unique<io::Redis>(loop, with_budget(*redis));
        stream_.emplace(*redis_);
    }
    server_.on_first_listener([this] { alarm_.ring(); });
}

void EventPublisher::start() {
    run_.start(run());
}

void EventPublisher::erased() {
    erased_ = true;
    alarm_.ring();
}

io::Task<void> EventPublisher::stop() {
    run_.reset();
    if (lease_until_ == 0) {
        co_return;
    }
    try {
        co_await release_event_lease(db_, helper_);
    } catch (const std::exception&) {   // it runs out by itself
    }
}

io::Task<void> EventPublisher::run() {
    while (true) {
        const bool wanted = server_.listened_to();
        std::int64_t pause = waiting_pause;
        try {
            const bool mine = co_await hold_lease();
            bool more = false;
            if (mine) {
                more = co_await turn();
            }
            if (mine && !wanted && !more) {
                lease_until_ = 0;
                co_await release_event_lease(db_, helper_);
            }
            if (more) {
                pause = 0;
            } else if (!wanted) {
                pause = idle_pause;
            } else if (mine && !failing_) {
                pause = live_pause;
            }
        } catch (const io::PostgresUnavailable&) {   // the pool logs it
            behind_ = true;
        } catch (const std::exception& error) {
            behind_ = true;
            complain(error.what());
        }
        co_await tidy();
        if (erased_) {   // it could not be wiped
            pause = std::max(pause, waiting_pause);
        }
        co_await alarm_.sleep(pause);
    }
}

// Renewed when less than half of it is left.
io::Task<bool> EventPublisher::hold_lease() {
    const std::int64_t now = loop_.now();
    if (lease_until_ - now > event_lease / 2) {
        co_return true;
    }
    const bool had = std::exchange(lease_until_, 0) > now;
    const bool mine = co_await take_event_lease(db_, helper_);
    if (mine) {
        lease_until_ = now + event_lease;
        behind_ = behind_ || !had;   // whoever had it may have crashed
    }
    co_return mine;
}

// True: there is more at once.
io::Task<bool> EventPublisher::turn() {
    std::vector<NumberedEvent> events = co_await number_events(db_, helper_);
    if (behind_) {
        events = co_await unpublished_events(db_);
    }
    const bool full = events.size() == std::size_t(event_batch);
    if (events.empty()) {
        behind_ = false;
        co_return false;
    }
    const bool done = co_await publish(events);
    failing_ = !done;
    behind_ = !done || (behind_ && full);
    if (done) {
        co_await mark_published(db_, events);
    }
    co_return done && full;
}

io::Task<bool> EventPublisher::publish(const std::vector<NumberedEvent>& events) {
    std::vector<PublishedEvent> list;
    list.reserve(events.size());
    for (const NumberedEvent& one : events) {
        list.push_back(published(one));
    }
    if (!stream_) {
        for (const PublishedEvent& one : list) {
            reader_.take(one);
        }
        co_return true;
    }
    try {
        co_await stream_->add(list);
        complaint_.clear();
        co_return true;
    } catch (const io::RedisUnavailable&) {   // the client logs it
    } catch (const io::RedisError& error) {
        complain(error.what());
    }
    co_return false;
}

PublishedEvent EventPublisher::published(const NumberedEvent& numbered) {
    PublishedEvent event{numbered.workspace, numbered.event.number, numbered.audiences, ""};
    if (event.audiences.empty()) {
        return event;
    }
    try {
        event.text = event_frame(numbered.event);
    } catch (const std::exception& error) {   // one event nobody can render must not stop the others
        complain(numbered.event.type + ": " + error.what());
        event.audiences.clear();
    }
    return event;
}

// What the stream holds longer than it may.
io::Task<void> EventPublisher::tidy() {
    if (!stream_ || !redis_->available()) {
        co_return;
    }
    bool wiping = std::exchange(erased_, false);
    try {
        if (wiping) {
            co_await stream_->wipe();
            wiping = false;
        }
        if (loop_.now() >= next_trim_) {
            next_trim_ = loop_.now() + trim_interval;
            co_await stream_->trim();
        }
    } catch (const io::RedisUnavailable&) {   // the client logs it
    } catch (const io::RedisError& error) {
        complain(error.what());
    }
    erased_ = erased_ || wiping;   // perhaps it was not wiped
}

void EventPublisher::complain(const std::string& reason) {
    if (reason != complaint_) {
        complaint_ = reason;
        const std::string line = "events: not published: " + reason;
        loop_.log(io::LogLevel::error, line.c_str());
    }
}

}  // namespace portal::helper
