// NodeLimiter: the Limiter of a worker: the zone's log and, when there is one, Redis's.
#pragma once

#include <memory>
#include <vector>

#include "io/redis.h"
#include "portal/limiter.h"
#include "portal/redis_log.h"
#include "portal/zone.h"

namespace portal {

class NodeLimiter final : public Limiter {
  public:
    // `redis` may be null: the limits then live in the zone and hold for this one node.
    // `overrides` replace policies of the same name (portal_rate_limit_class, portal_rate_limit_on_error).
    NodeLimiter(io::Loop& loop, Zone& zone, io::Redis* redis, const Secrets& secrets,
                const std::vector<Policy>& overrides);

    io::Task<Verdict> admit(Limits limits) override;
    void give_back(const Limits& charged) noexcept override;
    bool exhausted(const Limit& limit) const noexcept override;
    LimitKey row_key(const Policy& policy, const Uuid& row) const override;
    LimitKey text_key(const Policy& policy, std::string_view text) const override;

  private:
    using Admissions = std::vector<Zone::Admission, io::FrameAllocator<Zone::Admission>>;   // of each limit
    // What the zone has admitted and Redis is still to be asked about.
    struct Pending {
        Limits limits;
        Admissions admissions;
        Verdict verdict;
        bool fails_closed = false;
    };

    io::Task<Verdict> admit_started(Limits limits);
    io::Task<Verdict> decide(Limits limits, bool fails_closed);
    io::Task<Verdict> ask(Pending pending);
    void take_answers(Pending& pending, const std::size_t* places, std::size_t asks,
                      const RedisLog::Answers& answers) const;
    void take_silence(Pending& pending) const;
    void withdraw(const Pending& pending) const;
    void refuse_unavailable(Verdict& verdict, Counter why) const;
    const Policy& resolve(const Policy& policy) const noexcept;
    Admissions prepare(const Limits& limits) const;
    void refuse(Verdict& verdict, const Policy& policy, const Zone::Admission& admission) const;
    void tell(Verdict& verdict, Limits& limits, const Admissions& admissions) const;

    Zone& zone_;
    io::Redis* redis_;
    const Secrets& secrets_;
    const std::vector<Policy>& overrides_;
    std::unique_ptr<RedisLog> log_;
};

std::int64_t monotonic_ms() noexcept;
std::int64_t unix_ms() noexcept;   // read without asking the processor's counter: never behind, a few ms ahead

}  // namespace portal
