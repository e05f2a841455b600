// Alarm: sleeping until a time or until somebody rings. A ring while nobody sleeps is kept for the next sleep.
#pragma once

#include <coroutine>
#include <memory>
#include <utility>

#include "io/loop.h"

namespace portal::helper {

class Alarm {
  public:
    explicit Alarm(io::Loop& loop)
        : timer_(loop.timer([this] { wake(); }, io::Loop::Hold::nothing)) {}
    Alarm(const Alarm&) = delete;

    // The sleeper wakes from the loop, never from inside this call.
    void ring() noexcept {
        if (sleeper_) {
            timer_->set(0);
        } else {
            rung_ = true;
        }
    }

    auto sleep(std::int64_t milliseconds) noexcept { return Sleeping{*this, milliseconds}; }

  private:
    struct Sleeping {
        Alarm& alarm;
        std::int64_t milliseconds;

        Sleeping(Alarm& alarm_, std::int64_t milliseconds_) noexcept
            : alarm(alarm_), milliseconds(milliseconds_) {}
        Sleeping(const Sleeping&) = delete;
        ~Sleeping() {
            alarm.sleeper_ = nullptr;
            alarm.timer_->cancel();
        }
        bool await_ready() const noexcept { return std::exchange(alarm.rung_, false); }
        void await_suspend(std::coroutine_handle<> sleeper) noexcept {
            alarm.sleeper_ = sleeper;
            alarm.timer_->set(milliseconds);
        }
        void await_resume() const noexcept {}
    };

    void wake() {
        if (std::coroutine_handle<> sleeper = std::exchange(sleeper_, nullptr)) {
            sleeper.resume();
        }
    }

    std::unique_ptr<io::Timer> timer_;
    std::coroutine_handle<> sleeper_;
    bool rung_ = false;
};

}  // namespace portal::helper
