// Limiter: literal rate limits (contract/README.md, Rate limits).
//
// No window of `window` ever admits more than `quota`. Both the node's shared zone and Redis log every admission and
// both must allow it; without Redis configured the zone alone decides. Redis down or slow: Policy::on_error.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "http/rate_limit.h"
#include "io/task.h"
#include "portal/secrets.h"

namespace portal {

struct Policy {
    enum class OnError : std::uint8_t {
        degrade,   // the zone alone decides, and limiter_degraded counts it
        deny,      // 503 with Retry-After
    };
    std::string_view name;        // "client-portal", as RateLimit-Policy tells it
    std::uint32_t quota;          // N
    std::uint32_t window;         // seconds
    OnError on_error = OnError::degrade;
};

// The contract's classes.
namespace limits {
inline constexpr Policy bad_token{"bad-token", 30, 60};
inline constexpr Policy restricted{"restricted", 60, 60};
inline constexpr Policy client_portal{"client-portal", 60, 60};
inline constexpr Policy standard{"default", 500, 60};
inline constexpr Policy code_send{"code-send", 10, 900, Policy::OnError::deny};   // of an address
inline constexpr Policy code_mail{"code-mail", 5, 900, Policy::OnError::deny};    // of a workspace and an e-mail
inline constexpr Policy code_try{"code-try", 10, 900, Policy::OnError::deny};
inline constexpr Policy invitation_mail{"mail", 5, 3600, Policy::OnError::deny};
inline constexpr Policy member_mail{"member-mail", 20, 3600, Policy::OnError::deny};
}  // namespace limits

// Which counter: 16 bytes of a digest, or a row's id mixed with the policy.
struct LimitKey {
    std::array<std::uint8_t, 16> bytes{};
};

struct Limit {
    const Policy* policy;
    LimitKey key;
    // filled in by admit(): where the admission is logged, for give_back()
    std::int64_t zone_at = 0;
    std::int64_t redis_at = 0;
};
using Limits = std::vector<Limit, io::FrameAllocator<Limit>>;

// What came of an admission.
struct Verdict {
    bool allowed = true;
    bool degraded = false;        // Redis was not asked, or did not answer
    bool unavailable = false;     // refused because Redis could not be asked (503)
    http::RateLimit limit;        // of the limit with the least remaining
    Limits charged;               // what was admitted, for give_back(); empty when refused
};

// An address as limits know it: IPv4-mapped IPv6 is IPv4, IPv6 its /64.
std::string limiter_address(std::string_view client_address);

class Limiter {
  public:
    virtual ~Limiter() = default;
    // All limits admit or none does. Never throws for Redis's sake.
    virtual io::Task<Verdict> admit(Limits limits) = 0;
    // Gives admissions (Verdict::charged) back: refused later on, or not to be counted.
    virtual void give_back(const Limits& charged) noexcept = 0;
    // Would be refused by what this node knows: a look, nothing is logged and Redis is not asked.
    virtual bool exhausted(const Limit& limit) const noexcept = 0;
    // The key of a row's (token's, session's) counter, and of an address or e-mail (never stored in clear).
    virtual LimitKey row_key(const Policy& policy, const Uuid& row) const = 0;
    virtual LimitKey text_key(const Policy& policy, std::string_view text) const = 0;
    // Of whoever asks from an address.
    LimitKey client_key(const Policy& policy, std::string_view client_address) const {
        return text_key(policy, limiter_address(client_address));
    }
};

}  // namespace portal
