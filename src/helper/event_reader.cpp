#include "helper/event_reader.h"

#include <exception>
#include <functional>
#include <string>
#include <string_view>

#include "io/sleep.h"
#include "portal/event.h"

namespace portal::helper {
namespace {

constexpr std::int64_t block = 1000;          // ms one read waits for an event,
constexpr std::int64_t budget = 3000;         // and after which Redis counts as gone
constexpr std::int64_t again = 100;           // ms until the stream is looked for again
constexpr std::int64_t outage_round = 5000;   // ms; how often PostgreSQL is looked at while Redis is away
constexpr std::int64_t longest_pause = 30000; // ms; entries live twice as long

io::RedisOptions with_budget(io::RedisOptions options) {
    options.budget = budget;
    return options;
}

}  // namespace

std::size_t EventReader::HashUuid::operator()(const Uuid& id) const noexcept {
    return std::hash<std::string_view>()({reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()});
}

EventReader::EventReader(io::Loop& loop, Server& server, std::optional<io::RedisOptions> redis)
    : loop_(loop), server_(server), run_(loop, "event reader") {
    if (redis) {
        redis_ = std::make_unique<io::Redis>(loop, with_budget(*redis));
        stream_.emplace(*redis_);
    }
}

void EventReader::start() {
    if (stream_) {
        run_.start(run());
    }
}

io::Task<void> EventReader::run() {
    std::int64_t told = loop_.now();
    while (true) {
        try {
            co_await follow();
        } catch (const io::RedisUnavailable&) {   // the client logs it
        } catch (const std::exception& error) {
            const std::string line = std::string("events: the stream cannot be read: ") + error.what();
            loop_.log(io::LogLevel::error, line.c_str());
        }
        if (loop_.now() - told >= outage_round) {
            told = loop_.now();
            miss_all();
        }
        co_await io::sleep(loop_, again, io::Loop::Hold::nothing);
    }
}

// From the newest entry on, until something goes wrong.
io::Task<void> EventReader::follow() {
    co_await stream_->seek();
    miss_all();
    std::int64_t last = loop_.now();
    while (loop_.now() - last < longest_pause) {
        last = loop_.now();
        const std::vector<PublishedEvent> events = co_await stream_->read(block);
        for (const PublishedEvent& event : events) {
            take(event);
        }
    }
}

void EventReader::take(const PublishedEvent& event) {
    if (event.workspace.is_nil()) {
        return miss_all();
    }
    std::int64_t& newest = newest_[event.workspace];
    if (event.number <= newest) {
        return;   // published twice
    }
    if (newest > 0 && event.number != newest + 1) {
        server_.gap(event.workspace);
    }
    newest = event.number;
    if (event.audiences == workspace_audience) {
        server_.bump(event.workspace);   // whoever reads again for it sees it, should its NOTIFY be behind
    }
    if (!event.audiences.empty()) {
        server_.event(event.workspace, event.number, event.audiences, event.text);
    }
}

void EventReader::miss_all() {
    newest_.clear();
    server_.gap({});
}

}  // namespace portal::helper
