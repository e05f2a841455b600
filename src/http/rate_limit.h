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

    // Bytes that each() writes at most; 0: it calls nothing.
    std::size_t room() const noexcept { return policy.empty() && retry_after == 0 ? 0 : 2 * policy.size() + 160; }
    // Calls put(name, value) for each header; the values lie in `space`.
    template <class Put>
    void each(char* space, Put put) const;
};

// A header's value as it grows.
class RateLimitValue {
  public:
    explicit RateLimitValue(char*& space) noexcept : end_(space), text_(space) {}
    RateLimitValue& operator<<(std::string_view text) noexcept {
        end_ += text.copy(end_, text.size());
        return *this;
    }
    RateLimitValue& operator<<(std::int64_t number) noexcept {
        constexpr std::size_t longest = 20;
        end_ = std::to_chars(end_, end_ + longest, number).ptr;
        return *this;
    }
    operator std::string_view() const noexcept { return {text_, std::size_t(end_ - text_)}; }

  private:
    char*& end_;
    const char* text_;
};

template <class Put>
void RateLimit::each(char* space, Put put) const {
    using Value = RateLimitValue;
    if (!policy.empty()) {
        put("X-RateLimit-Limit", Value(space) << quota);
        put("X-RateLimit-Remaining", Value(space) << remaining);
        put("X-RateLimit-Reset", Value(space) << reset_at);
        put("RateLimit-Policy", Value(space) << "\"" << policy << "\";q=" << quota << ";w=" << window);
        put("RateLimit", Value(space) << "\"" << policy << "\";r=" << remaining << ";t=" << reset_in);
    }
    if (retry_after != 0) {
        put("Retry-After", Value(space) << retry_after);
    }
}

}  // namespace portal::http
