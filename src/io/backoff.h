// Backoff: how long to wait before trying again. Doubles from `first` to `cap`; each wait is drawn from the upper half
// of its step, so that the workers of a host do not knock together.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>

namespace portal::io {

class Backoff {
  public:
    explicit Backoff(std::int64_t first = 50, std::int64_t cap = 5000) noexcept
        : first_(first), cap_(cap), step_(first), random_(std::random_device{}()) {}

    // Milliseconds until the next attempt.
    std::int64_t next() {
        std::uniform_int_distribution<std::int64_t> wait(step_ / 2, step_);
        step_ = std::min(step_ * 2, cap_);
        return wait(random_);
    }
    // It worked: the next failure starts from `first` again.
    void reset() noexcept { step_ = first_; }

  private:
    std::int64_t first_, cap_, step_;
    std::minstd_rand random_;
};

}  // namespace portal::io
