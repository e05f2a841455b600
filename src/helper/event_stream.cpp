#include "helper/event_stream.h"

#include <array>
#include <coroutine>
#include <cstdlib>
#include <string_view>

namespace portal::helper {
namespace {

constexpr const char* key = "portal:{events}";
constexpr const char* longest = "20000";   // entries, more or less
constexpr const char* most_read = "200";   // entries at a time

constexpr const char* trim_script = R"(
local now = redis.call('TIME')
return redis.call('XTRIM', KEYS[1], 'MINID', string.format('%d', (now[1] - 60) * 1000)))";

constexpr const char* wipe_script = R"(
redis.call('XTRIM', KEYS[1], 'MAXLEN', 0)
return redis.call('XADD', KEYS[1], '*', 'gap', ''))";

// Entries of one write, awaited together.
class Adding final : public io::Redis::Receiver {
  public:
    Adding(io::Redis& redis, const std::vector<PublishedEvent>& events) : redis_(redis), events_(events) {}
    Adding(const Adding&) = delete;
    ~Adding() { redis_.forget(*this); }

    bool await_ready() {
        for (const PublishedEvent& event : events_) {
            const std::string workspace = event.workspace.text();
            const std::string number = std::to_string(event.number);
            const std::array<std::string_view, 14> command{
                "XADD",   key,    "MAXLEN",    "~",             longest, "*",       "workspace", workspace,
                "number", number, "audiences", event.audiences, "text",  event.text};
            if (!redis_.send(command.data(), command.size(), *this)) {
                unavailable_ = "not connected";
                break;
            }
            ++pending_;
        }
        return pending_ == 0;
    }
    void await_suspend(std::coroutine_handle<> waiting) noexcept { waiting_ = waiting; }
    void await_resume() const {
        if (!unavailable_.empty()) {
            throw io::RedisUnavailable(unavailable_);
        }
        if (!error_.empty()) {
            throw io::RedisError(error_);
        }
    }

    void on_reply(io::RedisValue) noexcept override { answered(); }
    void on_bulk(std::string_view) noexcept override { answered(); }
    void on_error(std::string message) noexcept override {
        error_ = std::move(message);
        answered();
    }
    void on_unavailable(std::string reason) noexcept override {
        unavailable_ = std::move(reason);
        answered();
    }

  private:
    void answered() noexcept {
        if (--pending_ == 0) {
            waiting_.resume();   // destroys this
        }
    }

    io::Redis& redis_;
    const std::vector<PublishedEvent>& events_;
    std::size_t pending_ = 0;
    std::string unavailable_, error_;
    std::coroutine_handle<> waiting_;
};

PublishedEvent event_of(const io::RedisValue& fields) {
    PublishedEvent event;
    const std::vector<io::RedisValue>& list = fields.array();
    for (std::size_t at = 0; at + 1 < list.size(); at += 2) {
        const std::string& name = list[at].string();
        const std::string& value = list[at + 1].string();
        if (name == "workspace") {
            event.workspace = Uuid::parse(value).value_or(Uuid{});
        } else if (name == "number") {
            event.number = std::strtoll(value.c_str(), nullptr, 10);
        } else if (name == "audiences") {
            event.audiences = value;
        } else if (name == "text") {
            event.text = value;
        }
    }
    return event;
}

}  // namespace

io::Task<void> EventStream::add(const std::vector<PublishedEvent>& events) {
    Adding adding(redis_, events);
    co_await adding;
}

io::Task<void> EventStream::trim() {
    std::vector<std::string> command{"EVAL", trim_script, "1", key};
    co_await redis_.command(std::move(command));
}

io::Task<void> EventStream::wipe() {
    std::vector<std::string> command{"EVAL", wipe_script, "1", key};
    co_await redis_.command(std::move(command));
}

io::Task<void> EventStream::seek() {
    std::vector<std::string> command{"XREVRANGE", key, "+", "-", "COUNT", "1"};
    io::RedisValue newest = co_await redis_.command(std::move(command));
    after_ = newest.array().empty() ? "0-0" : newest[0][0].string();
}

io::Task<std::vector<PublishedEvent>> EventStream::read(std::int64_t milliseconds) {
    std::vector<std::string> command{"XREAD", "COUNT",   most_read, "BLOCK", std::to_string(milliseconds),
                                     "STREAMS", key, after_};
    io::RedisValue answer = co_await redis_.command(std::move(command));
    std::vector<PublishedEvent> events;
    if (answer.nil()) {
        co_return events;
    }
    // one stream: its key, its entries; each its id, its fields
    const std::vector<io::RedisValue>& entries = answer[0][1].array();
    for (const io::RedisValue& entry : entries) {
        after_ = entry[0].string();
        events.push_back(event_of(entry[1]));
    }
    co_return events;
}

}  // namespace portal::helper
