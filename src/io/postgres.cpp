#include "io/postgres.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <limits>

#include "io/postgres_listener.h"
#include "io/postgres_pipeline.h"
#include "io/postgres_query.h"

namespace portal::io {
namespace {

constexpr std::size_t depth = 64;   // statements in flight per connection; the rest wait for whichever is free first
constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t silence_time = 1000;   // ms: a server that answers nobody for so long is frozen, or gone

}  // namespace

// Answers are handed to their coroutines from a posted event and not where they were read, so that whatever a caller
// does next (ask again, vanish) meets the pool at rest.
struct Postgres::Pool final : Posted, PostgresPipeline::Owner, PostgresQuery::Canceller {
    // Statements wait in three queues, so that none is held up by one of another kind.
    enum Queue { lookup, quick, slow, queues };

    Pool(Loop& loop_, PostgresOptions options_)
        : loop(loop_), options(std::move(options_)), target(options),
          overdue(loop.timer([this] { look_for_overdue(); }, Loop::Hold::process)) {
        auto fill = [this](std::vector<std::unique_ptr<PostgresPipeline>>& lane, int count) {
            for (int i = 0; i < count; ++i) {
                lane.push_back(std::make_unique<PostgresPipeline>(loop, target, options.connect_timeout, *this));
            }
        };
        fill(lookups, options.lookup_connections);
        fill(mains, options.main_connections);
    }

    void connect() noexcept {
        each([](PostgresPipeline& pipeline) { pipeline.connect(); });
    }
    void close() noexcept;

    template <class Action>
    void each(Action action) {
        for (auto* lane : {&lookups, &mains}) {
            for (auto& pipeline : *lane) {
                action(*pipeline);
            }
        }
    }

    // ---- statements
    void enqueue(PostgresQuery& query);
    void cancel(PostgresQuery& query) noexcept override;
    Queue queue_of(const PostgresQuery& query) const noexcept;
    PostgresPipeline* choose(Queue queue) noexcept;
    void dispatch() noexcept;
    void run() noexcept override;

    // ---- answers
    void answered(PostgresQuery& query, Result result) noexcept override;
    void unanswered(PostgresQuery& query, bool undone, const std::string& reason) noexcept override;
    void drained() noexcept override;
    void fail(PostgresQuery& query, const std::string& reason) noexcept;
    void fail_waiting(const std::string& reason) noexcept;
    void look_for_overdue() noexcept;

    // ---- connections
    void connection_up() noexcept override;
    void connection_down(const std::string& reason) noexcept override;
    bool any(PostgresConnection::State state) noexcept;
    bool refusing() noexcept;
    void wake() noexcept;

    Loop& loop;
    const PostgresOptions options;
    const PostgresTarget target;
    std::vector<std::unique_ptr<PostgresPipeline>> lookups, mains;
    std::unique_ptr<PostgresListener> listener;
    std::array<std::deque<PostgresQuery*>, queues> waiting;
    std::deque<PostgresQuery*> finished;
    std::size_t pending = 0;            // waiting or in flight, cancelled ones in flight included
    std::unique_ptr<Timer> overdue;     // set while anything is pending; may fire early, never late
    std::int64_t overdue_at = never;
    bool closed = false;
    std::int64_t heard_at = 0;          // the server's last answer on any connection
    bool silent = false;                // a deadline has passed, and nothing at all was heard for silence_time
    std::string last_reason;            // logged; a repetition of it is not
};

Postgres::Pool::Queue Postgres::Pool::queue_of(const PostgresQuery& query) const noexcept {
    if (query.statement.lane == Lane::lookup) {
        return lookup;
    }
    return query.slow() ? slow : quick;
}

// Lists may take their time, so they share the last main connection, and quick statements go round it meanwhile.
// Where a lane has no connection up, the other one's serve.
PostgresPipeline* Postgres::Pool::choose(Queue queue) noexcept {
    auto ready = [](const std::unique_ptr<PostgresPipeline>& pipeline) {
        return pipeline->state() == PostgresConnection::State::ready;
    };
    auto* lane = queue == lookup ? &lookups : &mains;
    if (std::none_of(lane->begin(), lane->end(), ready)) {
        lane = queue == lookup ? &mains : &lookups;
    } else if (queue == slow && ready(lane->back())) {
        return lane->back()->in_flight() < depth ? lane->back().get() : nullptr;
    }
    PostgresPipeline* best = nullptr;
    for (const auto& pipeline : *lane) {
        if (!ready(pipeline) || pipeline->in_flight() >= depth) {
            continue;
        }
        if (!best || std::pair(pipeline->slow(), pipeline->in_flight()) < std::pair(best->slow(), best->in_flight())) {
            best = pipeline.get();
        }
    }
    return best;
}

void Postgres::Pool::enqueue(PostgresQuery& query) {
    if (closed) {
        throw PostgresUnavailable("the pool is closed");
    }
    if (pending >= options.queue) {
        throw PostgresUnavailable("too many statements are waiting");
    }
    wake();
    if (refusing()) {
        throw PostgresUnavailable(last_reason);
    }
    Queue queue = queue_of(query);
    query.stage = PostgresQuery::Stage::waiting;
    if (options.answered) {
        query.enqueued = std::chrono::steady_clock::now();
    }
    waiting[queue].push_back(&query);
    ++pending;
    if (query.deadline < overdue_at) {
        overdue_at = query.deadline;
        overdue->set(query.deadline - loop.now());
    }
    dispatch();
}

void Postgres::Pool::dispatch() noexcept {
    for (int queue = 0; queue < queues; ++queue) {
        while (!waiting[queue].empty()) {
            PostgresPipeline* pipeline = choose(Queue(queue));
            if (!pipeline) {
                break;
            }
            PostgresQuery* query = waiting[queue].front();
            waiting[queue].pop_front();
            pipeline->send(*query);
        }
    }
}

void Postgres::Pool::run() noexcept {
    dispatch();
    if (loop.stopping() && pending > 0) {
        wake();
        if (refusing()) {
            fail_waiting(last_reason);
        }
    }
    while (!finished.empty()) {
        PostgresQuery* query = finished.front();
        finished.pop_front();
        query->resume();
    }
}

void Postgres::Pool::cancel(PostgresQuery& query) noexcept {
    switch (query.stage) {
        case PostgresQuery::Stage::waiting:
            std::erase(waiting[queue_of(query)], &query);
            drained();
            break;
        case PostgresQuery::Stage::in_flight:
            query.pipeline->forget(query);
            break;
        case PostgresQuery::Stage::finished:
            std::erase(finished, &query);
            break;
        case PostgresQuery::Stage::fresh:
            break;
    }
}

void Postgres::Pool::drained() noexcept {
    if (--pending == 0) {
        overdue->cancel();
        overdue_at = never;
    }
    loop.post(*this);
}

void Postgres::Pool::answered(PostgresQuery& query, Result result) noexcept {
    silent = false;
    heard_at = loop.now();
    if (options.answered) {
        const auto took = std::chrono::steady_clock::now() - query.enqueued;
        options.answered(query.statement.lane,
                         std::chrono::duration_cast<std::chrono::microseconds>(took).count());
    }
    query.result = std::move(result);
    query.stage = PostgresQuery::Stage::finished;
    finished.push_back(&query);
    drained();
}

void Postgres::Pool::fail(PostgresQuery& query, const std::string& reason) noexcept {
    query.unavailable = reason;
    query.stage = PostgresQuery::Stage::finished;
    finished.push_back(&query);
    drained();
}

void Postgres::Pool::fail_waiting(const std::string& reason) noexcept {
    for (auto& queue : waiting) {
        while (!queue.empty()) {
            PostgresQuery* query = queue.front();
            queue.pop_front();
            fail(*query, reason);
        }
    }
}

void Postgres::Pool::unanswered(PostgresQuery& query, bool undone, const std::string& reason) noexcept {
    // a server that dies takes every connection with it, and each may be found dead only when it is used
    const std::size_t most = lookups.size() + mains.size();
    bool again = undone || (query.statement.retry == Retry::read && query.repeats < most);
    if (closed || !again || query.deadline <= loop.now()) {
        return fail(query, reason);
    }
    query.repeats += undone ? 0 : 1;
    query.stage = PostgresQuery::Stage::waiting;
    waiting[queue_of(query)].push_front(&query);
    loop.post(*this);
}

void Postgres::Pool::look_for_overdue() noexcept {
    overdue_at = never;
    each([this](PostgresPipeline& pipeline) {
        const bool ready = pipeline.state() == PostgresConnection::State::ready;
        pipeline.check_deadlines();
        const bool dropped = ready && pipeline.state() != PostgresConnection::State::ready;
        silent = silent || (dropped && loop.now() - heard_at >= silence_time);   // one slow statement is no silence
        overdue_at = std::min(overdue_at, pipeline.next_deadline());
    });
    std::int64_t now = loop.now();
    for (auto& queue : waiting) {
        std::deque<PostgresQuery*> kept;
        for (PostgresQuery* query : std::exchange(queue, {})) {
            if (query->deadline <= now) {
                fail(*query, "no connection was free in time");
            } else {
                overdue_at = std::min(overdue_at, query->deadline);
                kept.push_back(query);
            }
        }
        queue = std::move(kept);
    }
    if (overdue_at != never) {
        overdue->set(overdue_at - now);
    }
}

void Postgres::Pool::connection_up() noexcept {
    silent = false;
    bool complete = true;
    each([&complete](PostgresPipeline& pipeline) {
        complete = complete && pipeline.state() == PostgresConnection::State::ready;
    });
    if (listener) {
        complete = complete && listener->state() == PostgresConnection::State::ready;
    }
    if (complete) {
        last_reason.clear();
        loop.log(LogLevel::notice, "postgres: connected");
    }
    loop.post(*this);
}

void Postgres::Pool::connection_down(const std::string& reason) noexcept {
    if (reason != last_reason) {
        last_reason = reason;
        loop.log(LogLevel::error, ("postgres: a connection is lost, will be tried again: " + reason).c_str());
    }
    loop.post(*this);
}

bool Postgres::Pool::any(PostgresConnection::State state) noexcept {
    bool found = false;
    each([&found, state](PostgresPipeline& pipeline) { found = found || pipeline.state() == state; });
    return found;
}

// Nothing is up and nothing may be hoped for: every connection's last attempt has failed. Or the server keeps silent:
// a request that has waited for it once is not made to wait for each of its statements, until a new connection
// succeeds; draining, there is none that would be tried by itself.
bool Postgres::Pool::refusing() noexcept {
    if (silent && !loop.stopping()) {
        return true;
    }
    bool hopeless = true;
    each([&hopeless](PostgresPipeline& pipeline) {
        hopeless = hopeless && pipeline.failing() && pipeline.state() != PostgresConnection::State::ready;
    });
    return hopeless;
}

// While the process drains no connection comes back by itself, but its last requests are still to be served.
void Postgres::Pool::wake() noexcept {
    using State = PostgresConnection::State;
    if (!loop.stopping() || closed || any(State::ready) || any(State::connecting)) {
        return;
    }
    PostgresPipeline* untried = nullptr;
    each([&untried](PostgresPipeline& pipeline) {
        if (!untried && !pipeline.failing()) {
            untried = &pipeline;
        }
    });
    if (untried) {
        untried->connect();
    }
}

void Postgres::Pool::close() noexcept {
    closed = true;
    listener.reset();
    each([](PostgresPipeline& pipeline) { pipeline.give_up("the pool is closed"); });
    fail_waiting("the pool is closed");
    unlink();
    run();
}

Postgres::Postgres(Loop& loop, PostgresOptions options) {
    if (options.lookup_connections < 0 || options.main_connections < 0 ||
        options.lookup_connections + options.main_connections == 0) {
        throw std::invalid_argument("a pool needs at least one connection");
    }
    own_ = std::make_unique<Pool>(loop, std::move(options));
    pool_ = own_.get();
    if (pool_->options.connect_at_once) {
        connect();
    }
}

Postgres::Postgres(const Postgres& connections, const Preamble& preamble)
    : pool_(connections.pool_), preamble_(&preamble) {}

Postgres::~Postgres() {
    if (own_) {
        own_->close();
    }
}

void Postgres::connect() noexcept { pool_->connect(); }

Task<Rows> Postgres::query(const Statement& statement, Parameters parameters) {
    if (parameters.has_nul()) {
        throw PostgresError("22021", "", "a value contains a NUL character");
    }
    PostgresQuery query(*pool_, statement, parameters,
                        pool_->loop.now() + std::max(statement.deadline, pool_->options.least_deadline));
    if (preamble_ && statement.retry == Retry::never) {
        query.preamble = &preamble_->statement();
        query.preamble_parameters = preamble_->parameters();
    }
    pool_->enqueue(query);
    Rows rows = co_await query;
    co_return rows;
}

bool Postgres::available() const noexcept { return pool_->any(PostgresConnection::State::ready); }

Postgres::Load Postgres::load() const noexcept {
    Load load;
    pool_->each([&load](PostgresPipeline& pipeline) {
        load.connections += pipeline.state() == PostgresConnection::State::ready ? 1 : 0;
        load.in_flight += pipeline.in_flight();
    });
    for (const auto& queue : pool_->waiting) {
        load.waiting += queue.size();
    }
    load.refusing = pool_->refusing();
    return load;
}

void Postgres::listen(std::vector<std::string> channels,
                      std::function<void(std::string_view channel, std::string_view payload)> notified,
                      std::function<void()> connected) {
    if (pool_->listener) {
        throw std::logic_error("a pool listens once");
    }
    pool_->listener = std::make_unique<PostgresListener>(pool_->loop, pool_->target, pool_->options.connect_timeout,
                                                         *pool_, std::move(channels), std::move(notified),
                                                         std::move(connected));
    pool_->listener->connect();
}

Parameters& Parameters::add(std::string_view text) {
    begins_.push_back(text_.size());
    text_.append(text) += '\0';
    has_nul_ = has_nul_ || text.find('\0') != std::string_view::npos;
    return *this;
}

Parameters& Parameters::add(std::int64_t value) {
    char digits[24];
    char* end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    return add(std::string_view(digits, std::size_t(end - digits)));
}

Parameters& Parameters::add(const std::vector<std::string>& list) {
    std::string text = "{";
    for (const std::string& element : list) {
        text += text.size() > 1 ? ",\"" : "\"";
        for (char c : element) {
            if (c == '"' || c == '\\') {
                text += '\\';
            }
            text += c;
        }
        text += '"';
    }
    text += '}';
    return add(std::string_view(text));
}

int Row::index(const char* column) const {
    const int columns = PQnfields(result_);
    auto is = [&](int at) { return std::strcmp(PQfname(result_, at), column) == 0; };
    for (int at : {last_ + 1, last_}) {   // where most look-ups end
        if (at < columns && is(at)) {
            return last_ = at;
        }
    }
    for (int at = 0; at < columns; ++at) {
        if (is(at)) {
            return last_ = at;
        }
    }
    throw std::logic_error(std::string("a statement returns no column \"") + column + "\"");
}

}  // namespace portal::io
