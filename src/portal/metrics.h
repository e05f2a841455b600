// Metrics: what a node has counted, in the zone's memory: its workers' counters and gauges, and the helper's report.
//
// Counters only grow and outlive reloads. Each worker adds to one of a few stripes, so that two of them rarely meet on
// a cache line; a reader sums. Gauges are told by each worker once a second in a place of its own, and one that has
// kept silent for a while, because it ended or was killed, counts no more. Nothing here takes a lock or waits.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace portal {

enum class Counter : std::uint8_t {
    limiter_admitted,
    limiter_degraded,      // admitted by the zone alone because Redis did not answer
    limiter_denied,
    limiter_unavailable,   // refused because Redis did not answer: 503
    limiter_full,          // no free log: 503
    redis_asks,
    lease_hits,            // admitted without asking Redis
    degraded_seconds,      // seconds in which some worker had no Redis
    principal_hits,
    principal_misses,
    stale_served,
    config_hits,
    config_misses,
    access_passed,         // portal_auth and portal_rate_limit on the site's own locations
    access_unauthorized,
    access_forbidden,
    access_limited,
    access_unavailable,
    access_dry_run,        // would have been refused
    count_,
};

// What is timed: an API request from its first byte on, to a millisecond; a statement from enqueueing to its answer;
// a Redis command.
enum class Timing : std::uint8_t { request, postgres_lookup, postgres, redis, count_ };

// What a worker has just now.
enum class Gauge : std::uint8_t {
    postgres_connections,   // up
    postgres_in_flight,
    postgres_waiting,       // statements without a connection yet
    redis_up,               // 0 or 1
    redis_in_flight,
    helper_up,              // 0 or 1
    streams,
    count_,
};

// What a helper reports. `_total` ones count since it started; the others are of the whole installation.
enum class HelperFigure : std::uint8_t {
    lines,                  // workers and others that have dialled it
    mails_waiting,          // at most 100,000
    mails_oldest,           // seconds the first of them has been due
    webhooks_waiting,
    webhooks_oldest,
    events_waiting,         // without a number yet
    events_oldest,
    mails_sent_total,
    mails_refused_total,
    mails_deferred_total,
    webhooks_succeeded_total,
    webhooks_failed_total,
    count_,
};

template <class What, class Value = std::uint64_t>
class Figures {
  public:
    Value& operator[](What what) noexcept { return values_[std::size_t(what)]; }
    Value operator[](What what) const noexcept { return values_[std::size_t(what)]; }
    static constexpr std::size_t size() noexcept { return std::size_t(What::count_); }
    auto begin() const noexcept { return values_.begin(); }
    auto end() const noexcept { return values_.end(); }

  private:
    std::array<Value, std::size_t(What::count_)> values_{};
};

using Gauges = Figures<Gauge>;
using HelperReport = Figures<HelperFigure>;

class Metrics {
  public:
    // Upper bounds in microseconds, the last one without.
    static constexpr std::array<std::int64_t, 14> bounds{100,   250,   500,    1000,   2500,   5000,    10000,
                                                         25000, 50000, 100000, 250000, 500000, 1000000, 2500000};
    struct Histogram {
        std::array<std::uint64_t, bounds.size() + 1> counts{};   // not cumulative
        std::uint64_t sum = 0;                                   // microseconds
    };
    // The statuses told apart; the last stands for all others.
    static constexpr std::array<int, 22> statuses{200, 201, 202, 204, 206, 302, 303, 304, 400, 401, 403,
                                                  404, 405, 409, 410, 413, 415, 422, 429, 500, 503, 0};
    static constexpr std::size_t most_routes = 192;

    // Bytes, laid out as zeroes.
    static std::size_t size() noexcept;

    // `worker` picks the stripe.
    Metrics(void* memory, unsigned worker) noexcept;

    // ---- writing
    void count(Counter counter, std::uint64_t by = 1) noexcept;
    // Where requests of this route are counted, whichever build of the module asks: routes come and go with upgrades,
    // their places stay. Where all places are taken, the last is everybody's.
    std::size_t place_of(std::string_view route) noexcept;
    void request(std::size_t place, int status) noexcept;
    void took(Timing timing, std::int64_t microseconds) noexcept;
    // One second without Redis, however many workers say so. Times are milliseconds of the monotonic clock.
    void degraded(std::int64_t now) noexcept;
    void tell(std::uint32_t pid, const Gauges& gauges, std::int64_t now) noexcept;
    void leave(std::uint32_t pid) noexcept;
    void report(const HelperReport& report, std::int64_t now) noexcept;

    // ---- reading
    std::uint64_t counted(Counter counter) const noexcept;
    std::array<std::uint64_t, statuses.size()> requests(std::size_t place) const noexcept;
    Histogram timed(Timing timing) const noexcept;
    struct Workers {
        std::uint64_t count = 0;
        Gauges sum;
    };
    Workers workers(std::int64_t now) const noexcept;
    std::optional<HelperReport> helper(std::int64_t now) const noexcept;   // nullopt: none lately

  private:
    struct Tables;
    struct Stripe;

    Tables& tables_;
    Stripe& stripe_;
};

// Microseconds of the monotonic clock, read now.
std::int64_t monotonic_us() noexcept;

}  // namespace portal
