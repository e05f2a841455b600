#include "io/uv_loop.h"

#include <algorithm>
#include <cstdio>
#include <string>

namespace portal::io {

// libuv wants its handles to live until their close callback, so they are objects of their own: the Watch or Timer
// that owned one may go at any time, from inside its own callback too.

class UvLoop::UvWatch final : public Watch {
  public:
    UvWatch(UvLoop& loop, Watcher& watcher) : loop_(loop), watcher_(watcher), handle_(new Handle) {
        handle_->owner = this;
        handle_->poll.data = handle_;
    }
    ~UvWatch() override {
        if (!open_) {
            delete handle_;
            return;
        }
        loop_.watches_.erase(this);
        handle_->owner = nullptr;
        uv_close(reinterpret_cast<uv_handle_t*>(&handle_->poll),
                 [](uv_handle_t* closed) { delete static_cast<Handle*>(closed->data); });
    }

    bool open(int fd) {
        if (uv_poll_init(&loop_.loop_, &handle_->poll, fd) != 0) {
            return false;
        }
        open_ = true;
        loop_.watches_.insert(this);
        return true;
    }

    void want(bool read, bool write) noexcept override {
        int events = (read ? UV_READABLE : 0) | (write ? UV_WRITABLE : 0);
        if (events != events_) {
            events_ = events;
            arm();
        }
    }

    void idle(bool idle) noexcept override { idle_ = idle; }
    bool idle() const noexcept { return idle_; }
    Watcher& watcher() noexcept { return watcher_; }

  private:
    struct Handle {
        uv_poll_t poll;
        UvWatch* owner;
    };

    void arm() noexcept {
        if (events_ == 0) {
            uv_poll_stop(&handle_->poll);
        } else {
            uv_poll_start(&handle_->poll, events_, ready);
        }
    }

    static void ready(uv_poll_t* poll, int status, int events) noexcept {
        Handle* handle = static_cast<Handle*>(poll->data);
        bool failed = status < 0;
        handle->owner->watcher_.on_ready(failed || (events & UV_READABLE) != 0,
                                         failed || (events & UV_WRITABLE) != 0);
        // after an error libuv has stopped the handle; the watcher may not be done with it
        if (failed && handle->owner) {
            handle->owner->arm();
        }
    }

    UvLoop& loop_;
    Watcher& watcher_;
    Handle* handle_;
    int events_ = 0;
    bool open_ = false;
    bool idle_ = false;
};

class UvLoop::UvTimer final : public Timer {
  public:
    UvTimer(UvLoop& loop, std::function<void()> fired, Hold hold)
        : loop_(loop), hold_(hold), handle_(new Handle{{}, this, std::move(fired)}) {
        uv_timer_init(&loop.loop_, &handle_->timer);
        handle_->timer.data = handle_;
    }
    ~UvTimer() override {
        cancel();
        uv_close(reinterpret_cast<uv_handle_t*>(&handle_->timer),
                 [](uv_handle_t* closed) { delete static_cast<Handle*>(closed->data); });
    }

    void set(std::int64_t milliseconds) noexcept override {
        hold(true);
        loop_.refresh();
        uv_timer_start(&handle_->timer, fire, std::uint64_t(std::max<std::int64_t>(milliseconds, 0)), 0);
    }
    void cancel() noexcept override {
        hold(false);
        uv_timer_stop(&handle_->timer);
    }

  private:
    struct Handle {
        uv_timer_t timer;
        UvTimer* owner;
        std::function<void()> fired;
    };

    static void fire(uv_timer_t* timer) noexcept {
        Handle* handle = static_cast<Handle*>(timer->data);
        handle->owner->hold(false);
        handle->fired();
    }

    void hold(bool set) noexcept {
        if (hold_ == Hold::process && set != set_) {
            set_ = set;
            loop_.holding_ += set ? 1 : -1;
        }
    }

    UvLoop& loop_;
    Hold hold_;
    Handle* handle_;
    bool set_ = false;
};

UvLoop::UvLoop(Log log) : log_(std::move(log)) {
    if (uv_loop_init(&loop_) != 0) {
        throw std::runtime_error("libuv: no event loop could be made");
    }
    before_wait_.data = after_events_.data = this;
    uv_prepare_init(&loop_, &before_wait_);
    uv_prepare_start(&before_wait_, [](uv_prepare_t* handle) {
        static_cast<UvLoop*>(handle->data)->queue_.run_all();
    });
    uv_check_init(&loop_, &after_events_);
    uv_check_start(&after_events_, [](uv_check_t* handle) {
        static_cast<UvLoop*>(handle->data)->queue_.run_all();
    });
    uv_unref(reinterpret_cast<uv_handle_t*>(&before_wait_));
    uv_unref(reinterpret_cast<uv_handle_t*>(&after_events_));
}

UvLoop::~UvLoop() {
    uv_close(reinterpret_cast<uv_handle_t*>(&before_wait_), nullptr);
    uv_close(reinterpret_cast<uv_handle_t*>(&after_events_), nullptr);
    uv_run(&loop_, UV_RUN_NOWAIT);   // takes a stop() nobody waited for,
    uv_run(&loop_, UV_RUN_NOWAIT);   // runs the close callbacks
    if (uv_loop_close(&loop_) != 0) {
        log(LogLevel::error, "loop: closed with handles left open");
    }
}

void UvLoop::refresh() const noexcept {
    if (!running_) {
        uv_update_time(&loop_);
    }
}

std::int64_t UvLoop::now() const noexcept {
    refresh();
    return std::int64_t(uv_now(&loop_));
}

std::unique_ptr<Watch> UvLoop::watch(int fd, Watcher& watcher) {
    auto watch = std::make_unique<UvWatch>(*this, watcher);
    if (!watch->open(fd)) {
        return nullptr;
    }
    return watch;
}

std::unique_ptr<Timer> UvLoop::timer(std::function<void()> fired, Hold hold) {
    return std::make_unique<UvTimer>(*this, std::move(fired), hold);
}

void UvLoop::log(LogLevel level, const char* line) noexcept {
    if (log_) {
        log_(level, line);
    } else if (level != LogLevel::debug) {
        std::fprintf(stderr, "%s\n", line);
    }
}

void UvLoop::run() {
    refresh();
    running_ = true;
    while (!stopped_) {
        queue_.run_all();
        if (stopped_) {
            break;
        }
        if (uv_run(&loop_, UV_RUN_ONCE) == 0 && queue_.empty()) {
            break;
        }
    }
    stopped_ = running_ = false;
}

void UvLoop::stop() noexcept {
    stopped_ = true;
    uv_stop(&loop_);
}

void UvLoop::shutdown() noexcept {
    stopping_ = true;
    std::set<UvWatch*> told = watches_;
    for (UvWatch* watch : told) {
        if (watches_.contains(watch) && watch->idle()) {
            watch->watcher().on_shutdown();
        }
    }
}

}  // namespace portal::io
