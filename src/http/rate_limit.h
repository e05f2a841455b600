// RateLimit: what an answer tells of its caller's limit (contract/README.md, Rate limits; the headers without X- are
// those of draft-ietf-httpapi-ratelimit-headers).
#pragma once

#include <charconv>
#include <cstdint>
#include <string_view>

namespace portal::http {

struct RateLimit {
    std::string_view policy;        // its name, 64 characters at most; empty: of no limit is told
    std::uint32_t quota = 0;
    std::uint32_t window = 0;       // seconds
    std::uint32_t remaining = 0;
    std::int64_t reset_at = 0;      // Unix seconds, rounded up
    std::int64_t reset_in = 0;      // seconds, rounded up
    std::int64_t retry_after = 0;   // seconds; 0: not refused

    // Calls put(name, value) for each header; a value lasts as long as the call.
    template <class Put>
    void each(Put put) const;
};

// A header's value as it grows.
class RateLimitValue {
  public:
    RateLimitValue& operator<<(std::string_view text) {
        end_ += text.substr(0, 64).copy(end_, 64);
        return *this;
    }
    RateLimitValue& operator<<(std::int64_t number) {
        end_ = std::to_chars(end_, text_ + sizeof text_, number).ptr;
        return *this;
    }
    operator std::string_view() const { return {text_, std::size_t(end_ - text_)}; }

  private:
    char text_[128];
    char* end_ = text_;
};

template <class Put>
void RateLimit::each(Put put) const {
    using Value = RateLimitValue;
    if (!policy.empty()) {
        put("X-RateLimit-Limit", Value() << quota);
        put("X-RateLimit-Remaining", Value() << remaining);
        put("X-RateLimit-Reset", Value() << reset_at);
        put("RateLimit-Policy", Value() << "\"" << policy << "\";q=" << quota << ";w=" << window);
        put("RateLimit", Value() << "\"" << policy << "\";r=" << remaining << ";t=" << reset_in);
    }
    if (retry_after != 0) {
        put("Retry-After", Value() << retry_after);
    }
}

}  // namespace portal::http
