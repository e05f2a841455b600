#include "io/redis.h"

#include <hiredis/hiredis.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <coroutine>
#include <cstring>
#include <deque>

#include "io/backoff.h"
#include "io/redis_reply.h"
#include "io/sleep.h"

namespace portal::io {

// hiredis connects the socket, owns it and parses the replies. Its asynchronous layer is not used: that allocates
// twice per command, asserts on what a server sends, and frees contexts at its own discretion.
struct Redis::Connection final : Watcher, Posted {
    enum class State {
        down,         // waits for the next try
        connecting,
        greeting,     // AUTH, SELECT, CLIENT SETNAME and PING are out
        available,
        closed,
    };
    struct Pending {
        Receiver* receiver;      // null: forgotten
        std::int64_t deadline;
        std::chrono::steady_clock::time_point sent;
    };
    struct Greeting final : Receiver {
        explicit Greeting(Connection& connection_) noexcept : connection(connection_) {}
        void on_reply(RedisValue) noexcept override { connection.greeted(); }
        void on_bulk(std::string_view) noexcept override { connection.greeted(); }
        void on_error(std::string message) noexcept override { connection.greeting_refused(message); }
        void on_unavailable(std::string) noexcept override {}
        Connection& connection;
    };
    struct FreeContext {
        void operator()(redisContext* context) const noexcept { redisFree(context); }
    };

    Connection(Loop& loop_, RedisOptions options_)
        : loop(loop_), options(std::move(options_)),
          address(options.unix_path.empty() ? options.host + ":" + std::to_string(options.port)
                                            : options.unix_path),
          overdue(loop.timer([this] { look_for_overdue(); }, Loop::Hold::process)),
          retry(loop.timer([this] { retry_due(); }, Loop::Hold::nothing)) {
        connect();
    }
    void close() noexcept {
        state = State::closed;
        disconnect("the client is shutting down");
    }

    // ---- commands
    void append(const std::string_view* arguments, std::size_t count);
    void queue(const std::string_view* arguments, std::size_t count, Receiver& receiver, std::int64_t limit);
    void forget(Receiver& receiver) noexcept;
    void run() noexcept override;   // the flush: once per turn, however many commands it brought

    // ---- replies
    void on_ready(bool readable, bool writable) noexcept override;
    bool read() noexcept;
    void deliver() noexcept;
    void watch_deadlines() noexcept;
    void next_look() noexcept;
    void look_for_overdue() noexcept;
    std::int64_t limit() const noexcept;
    std::int64_t step() const noexcept { return std::max<std::int64_t>(options.budget / 5, 1); }

    // ---- the connection's life
    void connect() noexcept;
    void greet();
    void greeted() noexcept;
    void greeting_refused(const std::string& message) noexcept;
    void retry_due() noexcept;
    void proved() noexcept;
    void lose(const std::string& reason) noexcept;
    void disconnect(const std::string& reason) noexcept;

    Loop& loop;
    const RedisOptions options;
    const std::string address;       // for log lines
    State state = State::down;
    std::unique_ptr<redisContext, FreeContext> context;
    std::unique_ptr<Watch> watch;    // goes before the context, which owns the descriptor
    std::string out;                 // commands not yet written, from `written` on
    std::size_t written = 0;
    bool blocked = false;            // the kernel took no more: the flush goes on at the next write event
    std::deque<Pending> pending;     // in the order of their replies
    RedisReply reply;
    std::unique_ptr<Timer> overdue;  // set while anything is pending; may fire early, never late
    bool overdue_set = false;
    std::int64_t look_due = 0;       // when it should fire
    std::int64_t awake_since = 0;    // no look came much later than it was due
    int late_looks = 0;              // that found a deadline missed, in a row
    std::unique_ptr<Timer> retry;    // the next try when down, the limit of this one when connecting
    Backoff backoff{50, 5000};
    Greeting greeting{*this};
    int greetings = 0;               // replies yet to come
    bool first_try = true;           // no connection was ever made or given up
    std::int64_t available_since = 0;
    std::string last_reason;         // logged; a repetition of it is not
    std::int64_t timeouts = 0, connects = 0;
};

namespace {

constexpr std::int64_t connect_limit = 1000;       // ms for connecting, at most as much for greeting
constexpr std::int64_t proving_time = 5000;        // ms after which a connection is a good one, unused as it may be
constexpr int most_late_looks = 4;
constexpr std::size_t kept_buffer = 256 * 1024;

void append_length(std::string& out, char type, std::size_t length) {
    char digits[24];
    char* end = std::to_chars(digits, digits + sizeof digits, length).ptr;
    out += type;
    out.append(digits, std::size_t(end - digits));
    out += "\r\n";
}

}  // namespace

// For one answer. Who takes longer for his greeting than a command may would cost each command its whole budget.
std::int64_t Redis::Connection::limit() const noexcept {
    return state == State::available ? options.budget : std::min(options.budget, connect_limit);
}

void Redis::Connection::append(const std::string_view* arguments, std::size_t count) {
    append_length(out, '*', count);
    for (std::size_t i = 0; i < count; ++i) {
        append_length(out, '$', arguments[i].size());
        out += arguments[i];
        out += "\r\n";
    }
}

void Redis::Connection::queue(const std::string_view* arguments, std::size_t count, Receiver& receiver,
                              std::int64_t limit) {
    std::size_t before = out.size();
    try {
        append(arguments, count);
        pending.push_back({&receiver, loop.now() + limit,
                           options.answered ? std::chrono::steady_clock::now()
                                            : std::chrono::steady_clock::time_point()});
    } catch (...) {
        out.resize(before);
        throw;
    }
    if (!blocked) {
        loop.post(*this);
    }
}

void Redis::Connection::forget(Receiver& receiver) noexcept {
    for (Pending& entry : pending) {
        if (entry.receiver == &receiver) {
            entry.receiver = nullptr;
        }
    }
}

void Redis::Connection::run() noexcept {
    while (written < out.size()) {
        ssize_t sent = ::send(context->fd, out.data() + written, out.size() - written, MSG_NOSIGNAL);
        if (sent >= 0) {
            written += std::size_t(sent);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            blocked = true;
            watch->want(true, true);
            return;
        } else if (errno != EINTR) {
            return lose(std::strerror(errno));
        }
    }
    written = 0;
    out.clear();
    if (out.capacity() > kept_buffer) {
        out.shrink_to_fit();
    }
    if (blocked) {
        blocked = false;
        watch->want(true, false);
    }
}

void Redis::Connection::on_ready(bool readable, bool writable) noexcept {
    if (state == State::connecting) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(context->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error != 0) {
            return lose(std::strerror(error));
        }
        return greet();
    }
    if (writable && blocked) {
        run();
    }
    if (readable && context) {
        read();
    }
}

// Reads once and hands out what is complete. False when there was nothing to read, or the connection is gone.
bool Redis::Connection::read() noexcept {
    char chunk[16 * 1024];
    ssize_t got = ::recv(context->fd, chunk, sizeof chunk, 0);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
        return false;
    }
    if (got <= 0) {
        lose(got == 0 ? "the server closed it" : std::strerror(errno));
        return false;
    }
    redisReader* reader = context->reader;
    redisReaderFeed(reader, chunk, std::size_t(got));
    for (;;) {
        void* complete = nullptr;
        if (redisReaderGetReply(reader, &complete) != REDIS_OK) {
            lose(std::string("the answer cannot be read: ") + reader->errstr);
            return false;
        }
        if (!complete) {
            return true;
        }
        if (pending.empty()) {
            lose("an answer came that nobody had asked for");
            return false;
        }
        deliver();
        if (!context) {
            return false;
        }
    }
}

void Redis::Connection::deliver() noexcept {
    Receiver* receiver = pending.front().receiver;
    if (state == State::available) {
        proved();
    }
    if (options.answered) {
        const auto took = std::chrono::steady_clock::now() - pending.front().sent;
        options.answered(std::chrono::duration_cast<std::chrono::microseconds>(took).count());
    }
    pending.pop_front();
    if (!receiver) {
        return reply.clear();
    }
    switch (reply.kind()) {
        case RedisReply::Kind::text:
            receiver->on_bulk(reply.text());
            break;
        case RedisReply::Kind::error:
            receiver->on_error(reply.text());
            break;
        case RedisReply::Kind::value:
            receiver->on_reply(reply.take_value());
            break;
    }
    reply.clear();
}

void Redis::Connection::watch_deadlines() noexcept {
    if (!overdue_set) {
        awake_since = loop.now();
        late_looks = 0;
        next_look();
    }
}

void Redis::Connection::next_look() noexcept {
    const std::int64_t left = pending.front().deadline - loop.now();
    const std::int64_t wait = left > 0 ? std::min(left, step()) : step();
    overdue_set = true;
    look_due = loop.now() + wait;
    overdue->set(wait);
}

// The oldest command's budget may be spent. Perhaps this process was the slow one, so what has arrived meanwhile is
// read before the connection is given up. Or the whole machine stood still, and Redis as well: then nothing has arrived
// yet, so looks go on until one comes on time, a few at most.
void Redis::Connection::look_for_overdue() noexcept {
    overdue_set = false;
    auto expired = [this] { return !pending.empty() && pending.front().deadline <= loop.now(); };
    for (int reads = 0; reads < 64 && expired(); ++reads) {
        if (!read()) {
            break;
        }
    }
    const std::int64_t now = loop.now();
    if (now - look_due > step()) {
        awake_since = now;
    }
    late_looks = expired() ? late_looks + 1 : 0;
    if (late_looks > 0 && (now - awake_since >= step() || late_looks > most_late_looks)) {
        const bool greeted = state == State::available;
        timeouts += greeted ? 1 : 0;
        return lose((greeted ? "no answer within " : "no greeting within ") + std::to_string(limit()) + " ms");
    }
    if (!pending.empty()) {
        next_look();
    }
}

void Redis::Connection::connect() noexcept {
    state = State::connecting;
    context.reset(options.unix_path.empty() ? redisConnectNonBlock(options.host.c_str(), options.port)
                                            : redisConnectUnixNonBlock(options.unix_path.c_str()));
    if (!context) {
        return lose("out of memory");
    }
    if (context->err) {
        return lose(context->errstr);
    }
    reply.attach(context->reader);
    watch = loop.watch(context->fd, *this);
    if (!watch) {
        return lose("no connection slot is left");
    }
    watch->want(false, true);
    retry->set(connect_limit);
}

void Redis::Connection::greet() {
    state = State::greeting;
    watch->want(true, false);
    greetings = 0;
    auto say = [this](std::initializer_list<std::string_view> command) {
        ++greetings;
        queue(command.begin(), command.size(), greeting, limit());
    };
    if (!options.username.empty()) {
        say({"AUTH", options.username, options.password});
    } else if (!options.password.empty()) {
        say({"AUTH", options.password});
    }
    if (options.database != 0) {
        say({"SELECT", std::to_string(options.database)});
    }
    say({"CLIENT", "SETNAME", options.client_name});
    say({"PING"});
    retry->cancel();
    watch_deadlines();
}

void Redis::Connection::greeted() noexcept {
    if (--greetings > 0) {
        return;
    }
    state = State::available;
    first_try = false;
    available_since = loop.now();
    ++connects;
    loop.log(LogLevel::notice, ("redis: connected to " + address).c_str());
}

void Redis::Connection::greeting_refused(const std::string& message) noexcept {
    // the name only helps whoever looks at CLIENT LIST; an ACL may forbid it
    constexpr int client_setname = 2;
    if (greetings == client_setname) {
        return greeted();
    }
    lose("the server refused it: " + message);
}

void Redis::Connection::retry_due() noexcept {
    if (state == State::connecting) {
        return lose("no connection within " + std::to_string(connect_limit) + " ms");
    }
    if (!loop.stopping()) {
        connect();
    }
}

// A greeting alone proves nothing: a connection that breaks at its first command is tried again ever more seldom.
void Redis::Connection::proved() noexcept {
    backoff.reset();
    last_reason.clear();
}

void Redis::Connection::lose(const std::string& reason) noexcept {
    if (state == State::available && loop.now() - available_since >= proving_time) {
        proved();
    }
    if (reason != last_reason) {
        last_reason = reason;
        std::string line = "redis: no connection to " + address + ", will be tried again: " + reason;
        loop.log(LogLevel::error, line.c_str());
    }
    state = State::down;
    first_try = false;
    if (!loop.stopping()) {
        retry->set(backoff.next());
    }
    disconnect(reason);
}

// The receivers are told last: they may look at us, and find us unavailable, or forget one another.
void Redis::Connection::disconnect(const std::string& reason) noexcept {
    unlink();
    watch.reset();
    context.reset();
    out.clear();
    written = 0;
    blocked = false;
    overdue->cancel();
    overdue_set = false;
    while (!pending.empty()) {
        Receiver* receiver = pending.front().receiver;
        pending.pop_front();
        if (receiver) {
            receiver->on_unavailable(reason);
        }
    }
}

Redis::Redis(Loop& loop, RedisOptions options)
    : connection_(std::make_unique<Connection>(loop, std::move(options))) {}

Redis::~Redis() { connection_->close(); }

bool Redis::available() const noexcept { return connection_->state == Connection::State::available; }

bool Redis::send(const std::string_view* arguments, std::size_t count, Receiver& receiver) {
    if (!available()) {
        return false;
    }
    Connection& connection = *connection_;
    connection.queue(arguments, count, receiver, connection.limit());
    connection.watch_deadlines();
    return true;
}

void Redis::forget(Receiver& receiver) noexcept { connection_->forget(receiver); }

std::size_t Redis::in_flight() const noexcept { return connection_->pending.size(); }

std::int64_t Redis::timeouts() const noexcept { return connection_->timeouts; }

std::int64_t Redis::reconnects() const noexcept {
    return std::max<std::int64_t>(connection_->connects - 1, 0);
}

namespace {

// A command's answer, awaited.
class Answer final : public Redis::Receiver {
  public:
    explicit Answer(Redis& redis) noexcept : redis_(redis) {}
    Answer(const Answer&) = delete;
    ~Answer() {
        if (waiting_) {
            redis_.forget(*this);
        }
    }

    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiting) noexcept { waiting_ = waiting; }
    RedisValue await_resume() {
        if (outcome_ == Outcome::error) {
            throw RedisError(reason_);
        }
        if (outcome_ == Outcome::unavailable) {
            throw RedisUnavailable(reason_);
        }
        return std::move(value_);
    }

    void on_reply(RedisValue value) noexcept override {
        value_ = std::move(value);
        resume(Outcome::value);
    }
    void on_error(std::string message) noexcept override {
        reason_ = std::move(message);
        resume(Outcome::error);
    }
    void on_unavailable(std::string reason) noexcept override {
        reason_ = std::move(reason);
        resume(Outcome::unavailable);
    }

  private:
    enum class Outcome { value, error, unavailable };

    void resume(Outcome outcome) noexcept {
        outcome_ = outcome;
        std::exchange(waiting_, {}).resume();
    }

    Redis& redis_;
    std::coroutine_handle<> waiting_;
    Outcome outcome_ = Outcome::value;
    RedisValue value_;
    std::string reason_;
};

}  // namespace

Task<RedisValue> Redis::command(std::vector<std::string> arguments) {
    std::vector<std::string_view> views(arguments.begin(), arguments.end());
    Answer answer(*this);
    if (!send(views.data(), views.size(), answer)) {
        throw RedisUnavailable("no connection to Redis");
    }
    RedisValue value = co_await answer;
    co_return value;
}

Task<bool> Redis::connected(std::int64_t milliseconds) {
    Loop& loop = connection_->loop;
    std::int64_t until = loop.now() + milliseconds;
    while (!available() && loop.now() < until) {
        co_await sleep(loop, 5);
    }
    co_return available();
}

bool Redis::starting() const noexcept { return connection_->first_try; }

Task<void> Redis::started() {
    Loop& loop = connection_->loop;
    const std::int64_t until = loop.now() + connection_->options.budget;
    while (starting() && loop.now() < until) {
        co_await sleep(loop, 5);
    }
}

}  // namespace portal::io
