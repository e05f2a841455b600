// Redis: one pipelined hiredis connection that heals itself.
//
// Commands queued in one turn of the loop leave in one write. Each has the time budget of Options::budget; when the
// oldest one misses it, the whole connection is destroyed (replies are positional: a late one must never be taken for
// another's) and every command on it fails with RedisUnavailable. Time for which the process stood still does not
// count. A breaker then refuses at once, without waiting, until a reconnect (back-off with jitter, 50 ms ... 5 s) has
// been answered a PING within the budget.
// While the process drains the connection stays, for the requests still under way, and goes with the client; lost
// then, it is not replaced.
// hiredis 0.14: no TLS, so no rediss://.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "io/loop.h"
#include "io/task.h"

namespace portal::io {

struct RedisOptions {
    // Numeric address or unix socket path: a name would be resolved by a blocking call.
    std::string host;              // "127.0.0.1", "::1"
    int port = 6379;
    std::string unix_path;         // used when not empty
    std::string username, password;
    int database = 0;
    std::int64_t budget = 250;     // ms a command may take
    std::string client_name = "portal";
    // Called with how many microseconds each answer took. May be empty; must not throw.
    std::function<void(std::int64_t microseconds)> answered;

    // redis://[user:password@]host[:port][/database] or unix:/path[?db=n]. Throws std::invalid_argument with a
    // reason fit for an operator. A host that is no numeric address is refused unless `resolve` is set, in which
    // case it is looked up here and now (start-up only).
    static RedisOptions parse(std::string_view url, bool resolve);
};

// Redis cannot be asked right now: down, too slow, or shut by the breaker.
struct RedisUnavailable : std::runtime_error {
    using std::runtime_error::runtime_error;
};
// Redis answered with an error ("NOSCRIPT ...", "OOM ...").
struct RedisError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct RedisValue {
    // monostate: nil. Status replies are strings. Errors inside arrays are strings starting with '-'.
    std::variant<std::monostate, std::int64_t, std::string, std::vector<RedisValue>> value;

    // These throw a std::exception when it is something else than asked for: the server may be anything.
    bool nil() const { return value.index() == 0; }
    std::int64_t integer() const { return std::get<std::int64_t>(value); }
    const std::string& string() const { return std::get<std::string>(value); }
    const std::vector<RedisValue>& array() const { return std::get<std::vector<RedisValue>>(value); }
    const RedisValue& operator[](std::size_t index) const { return array().at(index); }
};

class Redis {
  public:
    // What a command's answer is handed to. Exactly one of the calls comes, unless forget() was called before.
    class Receiver {
      public:
        virtual void on_reply(RedisValue value) noexcept = 0;
        // A bulk string, not copied: `text` lives until the call returns. For the hot path; else it is on_reply's.
        virtual void on_bulk(std::string_view text) noexcept { on_reply(RedisValue{std::string(text)}); }
        virtual void on_error(std::string message) noexcept = 0;        // an error reply
        virtual void on_unavailable(std::string reason) noexcept = 0;   // never called from inside send()

      protected:
        ~Receiver() = default;
    };

    Redis(Loop& loop, RedisOptions options);
    ~Redis();   // fails what is pending with on_unavailable first
    Redis(const Redis&) = delete;

    // Connected, answered, breaker closed.
    bool available() const noexcept;
    // Queues a command; false (and no call to receiver, ever) when not available. `receiver` must live until it is
    // called or forgotten; it may wait for several commands, answered in order. Arguments are copied. A receiver may
    // call send() and forget() when it is called, but not destroy the client.
    bool send(const std::string_view* arguments, std::size_t count, Receiver& receiver);
    // The receiver is going away; its reply will be read and dropped.
    void forget(Receiver& receiver) noexcept;

    // The same as a coroutine: co_await redis.command({"GET", key}). Throws RedisUnavailable or RedisError.
    // Arguments are copied.
    Task<RedisValue> command(std::vector<std::string> arguments);
    // Waits until available, at most `milliseconds`; tells whether it is. For start-up.
    Task<bool> connected(std::int64_t milliseconds);
    // The first connection is still being made: it has neither come nor failed.
    bool starting() const noexcept;
    // Waits while starting, at most the time budget.
    Task<void> started();

    std::size_t in_flight() const noexcept;
    std::int64_t timeouts() const noexcept;
    std::int64_t reconnects() const noexcept;

  private:
    struct Connection;
    std::unique_ptr<Connection> connection_;
};

}  // namespace portal::io
