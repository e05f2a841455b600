// sleep: co_await sleep(loop, 200) goes on after 200 ms. Destroying the waiting coroutine takes the timer away.
#pragma once

#include <coroutine>
#include <memory>

#include "io/loop.h"

namespace portal::io {

class [[nodiscard]] Sleep {
  public:
    Sleep(Loop& loop, std::int64_t milliseconds, Loop::Hold hold) noexcept
        : loop_(loop), milliseconds_(milliseconds), hold_(hold) {}
    Sleep(const Sleep&) = delete;
    Sleep& operator=(const Sleep&) = delete;

    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiting) {
        timer_ = loop_.timer([waiting] { waiting.resume(); }, hold_);
        timer_->set(milliseconds_);
    }
    void await_resume() const noexcept {}

  private:
    Loop& loop_;
    std::int64_t milliseconds_;
    Loop::Hold hold_;
    std::unique_ptr<Timer> timer_;
};

inline Sleep sleep(Loop& loop, std::int64_t milliseconds, Loop::Hold hold = Loop::Hold::process) noexcept {
    return Sleep(loop, milliseconds, hold);
}

}  // namespace portal::io
