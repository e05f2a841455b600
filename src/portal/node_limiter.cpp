#include "portal/node_limiter.h"

#include <arpa/inet.h>
#include <time.h>

#include <algorithm>
#include <cstring>

namespace portal {
namespace {

std::int64_t milliseconds(clockid_t clock) noexcept {
    timespec now;
    clock_gettime(clock, &now);
    return std::int64_t(now.tv_sec) * 1000 + now.tv_nsec / 1000000;
}

std::int64_t seconds_up(std::int64_t milliseconds) { return (milliseconds + 999) / 1000; }

std::int64_t milliseconds_of(const Policy& policy) { return std::int64_t(policy.window) * 1000; }

// What logs count by. Their times are cut to the millisecond, so two of them a window apart may be less than a window
// apart in truth: one more millisecond keeps the limit literal.
std::uint32_t counted_window(const Policy& policy) { return policy.window * 1000 + 1; }

// `reset_in` in milliseconds.
http::RateLimit told(const Policy& policy, std::uint32_t remaining, std::int64_t reset_in) {
    return {policy.name, policy.quota, policy.window, remaining, seconds_up(unix_ms() + reset_in), seconds_up(reset_in)};
}

// Tells policies apart in keys made of a row's id.
std::uint64_t name_hash(std::string_view name) {
    std::uint64_t hash = 0xcbf29ce484222325;   // FNV-1a
    for (char character : name) {
        hash = (hash ^ std::uint8_t(character)) * 0x100000001b3;
    }
    return hash;
}

}  // namespace

std::int64_t monotonic_ms() noexcept { return milliseconds(CLOCK_MONOTONIC); }

std::int64_t unix_ms() noexcept {
    constexpr std::int64_t coarse_lag = 10;   // the longest tick of any kernel
    return milliseconds(CLOCK_REALTIME_COARSE) + coarse_lag;
}

NodeLimiter::NodeLimiter(io::Loop& loop, Zone& zone, io::Redis* redis, const Secrets& secrets,
                         const std::vector<Policy>& overrides)
    : zone_(zone), redis_(redis), secrets_(secrets), overrides_(overrides) {
    if (redis != nullptr) {
        log_ = std::make_unique<RedisLog>(loop, *redis);
    }
}

const Policy& NodeLimiter::resolve(const Policy& policy) const noexcept {
    for (const Policy& each : overrides_) {
        if (each.name == policy.name) {
            return each;
        }
    }
    return policy;
}

LimitKey NodeLimiter::row_key(const Policy& policy, const Uuid& row) const {
    LimitKey key;
    const std::uint64_t mixed = name_hash(policy.name);
    std::memcpy(key.bytes.data(), row.bytes.data(), key.bytes.size());
    for (std::size_t at = 0; at < 8; ++at) {
        key.bytes[at] ^= std::uint8_t(mixed >> (8 * at));
    }
    return key;
}

LimitKey NodeLimiter::text_key(const Policy& policy, std::string_view text) const {
    std::string named(policy.name);
    named += '\0';
    named += text;
    const Digest digest = secrets_.limiter_digest(named);
    LimitKey key;
    std::memcpy(key.bytes.data(), digest.data(), key.bytes.size());
    return key;
}

NodeLimiter::Admissions NodeLimiter::prepare(const Limits& limits) const {
    Admissions admissions(limits.size());
    for (std::size_t index = 0; index < limits.size(); ++index) {
        const Policy& policy = resolve(*limits[index].policy);
        admissions[index].key = limits[index].key;
        admissions[index].quota = policy.quota;
        admissions[index].window = counted_window(policy);
    }
    return admissions;
}

void NodeLimiter::refuse(Verdict& verdict, const Policy& policy, const Zone::Admission& admission) const {
    zone_.count(Counter::limiter_denied);
    verdict.allowed = false;
    verdict.limit = told(policy, 0, admission.reset_in);
    verdict.limit.reset_in = std::max<std::int64_t>(1, verdict.limit.reset_in);
    verdict.limit.retry_after = verdict.limit.reset_in;
}

// 503: Redis cannot be asked, or the zone is full.
void NodeLimiter::refuse_unavailable(Verdict& verdict, Counter why) const {
    zone_.count(why);
    verdict.allowed = false;
    verdict.unavailable = true;
    verdict.limit = {};
    verdict.limit.retry_after = 1;
}

// Of several limits the headers tell of the one with the least remaining.
void NodeLimiter::tell(Verdict& verdict, Limits& limits, const Admissions& admissions) const {
    zone_.count(verdict.degraded ? Counter::limiter_degraded : Counter::limiter_admitted);
    std::size_t least = 0;
    for (std::size_t index = 0; index < limits.size(); ++index) {
        limits[index].zone_at = admissions[index].logged_at;
        if (admissions[index].remaining < admissions[least].remaining) {
            least = index;
        }
    }
    // a step rounded up may be logged a little ahead: nothing is told beyond the window itself
    const Policy& policy = resolve(*limits[least].policy);
    verdict.limit = told(policy, admissions[least].remaining,
                         std::min(admissions[least].reset_in, milliseconds_of(policy)));
    verdict.charged = std::move(limits);
}

io::Task<Verdict> NodeLimiter::admit(Limits limits) {
    bool fails_closed = false;
    for (const Limit& limit : limits) {
        zone_.expect_limit(limit.key);
        fails_closed = fails_closed || resolve(*limit.policy).on_error == Policy::OnError::deny;
    }
    if (fails_closed && redis_ != nullptr && redis_->starting()) {
        return admit_started(std::move(limits));
    }
    return decide(std::move(limits), fails_closed);
}

// A worker that has just begun is no Redis that is down: what fails closed waits for its first connection.
io::Task<Verdict> NodeLimiter::admit_started(Limits limits) {
    co_await redis_->started();
    io::Task<Verdict> decision = decide(std::move(limits), true);
    Verdict verdict = co_await decision;
    co_return verdict;
}

io::Task<Verdict> NodeLimiter::decide(Limits limits, bool fails_closed) {
    using Decided = io::Task<Verdict>;
    Pending pending;
    Verdict& verdict = pending.verdict;
    Admissions& admissions = pending.admissions;
    admissions = prepare(limits);
    const bool with_redis = redis_ != nullptr && redis_->available();
    verdict.degraded = redis_ != nullptr && !with_redis;
    if (verdict.degraded && fails_closed) {
        refuse_unavailable(verdict, Counter::limiter_unavailable);
        return Decided::ready(std::move(verdict));
    }

    std::size_t deciding = 0;
    const Zone::Outcome outcome =
        zone_.admit(admissions.data(), admissions.size(), with_redis, monotonic_ms(), deciding);
    if (outcome == Zone::Outcome::denied) {
        refuse(verdict, resolve(*limits[deciding].policy), admissions[deciding]);
        return Decided::ready(std::move(verdict));
    }
    if (outcome == Zone::Outcome::full) {
        refuse_unavailable(verdict, Counter::limiter_full);
        return Decided::ready(std::move(verdict));
    }
    const bool asks = std::any_of(admissions.begin(), admissions.end(),
                                  [](const Zone::Admission& admission) { return admission.ask; });
    if (!asks) {
        zone_.count(Counter::lease_hits);
        tell(verdict, limits, admissions);
        return Decided::ready(std::move(verdict));
    }
    pending.limits = std::move(limits);
    pending.fails_closed = fails_closed;
    return ask(std::move(pending));
}

io::Task<Verdict> NodeLimiter::ask(Pending pending) {
    const Zone::Admission* asked[RedisLog::most_limits];
    std::size_t places[RedisLog::most_limits];
    std::size_t asks = 0;
    for (std::size_t index = 0; index < pending.limits.size(); ++index) {
        if (pending.admissions[index].ask) {
            places[asks] = index;
            asked[asks++] = &pending.admissions[index];
        }
    }
    zone_.count(Counter::redis_asks);
    RedisLog::Answers answers = co_await RedisLog::Ask(*log_, asked, asks);
    if (answers.available) {
        take_answers(pending, places, asks, answers);
    } else {
        take_silence(pending);
    }
    co_return std::move(pending.verdict);
}

void NodeLimiter::take_silence(Pending& pending) const {
    pending.verdict.degraded = true;
    if (!pending.fails_closed) {
        return tell(pending.verdict, pending.limits, pending.admissions);
    }
    withdraw(pending);
    refuse_unavailable(pending.verdict, Counter::limiter_unavailable);
}

void NodeLimiter::take_answers(Pending& pending, const std::size_t* places, std::size_t asks,
                               const RedisLog::Answers& answers) const {
    const std::int64_t now = monotonic_ms();
    Limits& limits = pending.limits;
    bool refused = false;
    for (std::size_t index = 0; index < asks; ++index) {
        const RedisLog::Answer& answer = answers.of[index];
        Zone::Admission& admission = pending.admissions[places[index]];
        if (answer.state == RedisLog::Answer::State::admitted) {
            limits[places[index]].redis_at = answer.logged_at;
            admission.tell(answer.remaining + std::max<int>(answer.granted, 1) - 1, answer.reset_in);
            zone_.granted(admission, answer.granted, answer.remaining, answer.reset_in, answer.logged_at, now);
        } else if (answer.state == RedisLog::Answer::State::refused) {
            admission.reset_in = answer.reset_in;
            // a lease that came in meanwhile covers it, but only where no other limit hangs on the same answer
            if (!zone_.denied(admission, answer.reset_in, now, asks == 1)) {
                refused = true;
                admission.logged_at = 0;   // taken out already
                refuse(pending.verdict, resolve(*limits[places[index]].policy), admission);
            }
        }
    }
    if (refused) {
        withdraw(pending);
    } else {
        tell(pending.verdict, limits, pending.admissions);
    }
}

// What the zone logged for a request that is refused after all.
void NodeLimiter::withdraw(const Pending& pending) const {
    const std::int64_t now = monotonic_ms();
    for (std::size_t index = 0; index < pending.limits.size(); ++index) {
        if (pending.admissions[index].logged_at != 0) {
            zone_.withdraw(pending.admissions[index], now);
        }
    }
}

void NodeLimiter::give_back(const Limits& charged) noexcept {
    const std::int64_t now = monotonic_ms();
    for (const Limit& limit : charged) {
        const Policy& policy = resolve(*limit.policy);
        Zone::Admission admission;
        admission.key = limit.key;
        admission.logged_at = limit.zone_at;
        zone_.withdraw(admission, now);
        if (log_ && limit.redis_at != 0) {
            log_->give_back(limit.key, policy.quota, counted_window(policy), limit.redis_at, 1);
        }
    }
}

bool NodeLimiter::exhausted(const Limit& limit) const noexcept {
    const Policy& policy = resolve(*limit.policy);
    return zone_.exhausted(limit.key, policy.quota, counted_window(policy), monotonic_ms());
}

std::string limiter_address(std::string_view address) {
    if (address.find(':') == std::string_view::npos || address.starts_with("unix:")) {
        return std::string(address);
    }
    constexpr std::string_view mapped = "::ffff:";
    if (address.starts_with(mapped) && address.find('.') != std::string_view::npos) {
        return std::string(address.substr(mapped.size()));
    }
    in6_addr bytes{};
    if (inet_pton(AF_INET6, std::string(address).c_str(), &bytes) != 1) {
        return std::string(address);
    }
    std::memset(bytes.s6_addr + 8, 0, 8);
    char text[INET6_ADDRSTRLEN];
    return std::string(inet_ntop(AF_INET6, &bytes, text, sizeof text)) + "/64";
}

}  // namespace portal
