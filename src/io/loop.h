// Loop: what the clients in this folder need of an event loop. Two exist: nginx's own in a worker
// (ngx_portal_module/event_loop), libuv's in portal-helper, portalctl and the unit tests (io/uv_loop).
// Everything runs on the loop's one thread; nothing here blocks.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace portal::io {

// Something to be run once, later in this turn of the loop, after the events at hand. Owned by whoever posts it;
// destroying it takes it out of the queue. Posting one that is already queued does nothing.
class Posted {
  public:
    Posted() = default;
    Posted(const Posted&) = delete;
    Posted& operator=(const Posted&) = delete;
    virtual ~Posted() { unlink(); }
    virtual void run() noexcept = 0;

    bool queued() const noexcept { return next_ != nullptr; }
    void unlink() noexcept {
        if (next_) {
            next_->previous_ = previous_;
            previous_->next_ = next_;
            next_ = previous_ = nullptr;
        }
    }

  private:
    friend class PostedQueue;
    Posted* next_ = nullptr;
    Posted* previous_ = nullptr;
};

// The queue a Loop keeps; its owner calls run_all() once a turn. Work posted while it runs is run too.
class PostedQueue {
  public:
    PostedQueue() noexcept { head_.next_ = head_.previous_ = &head_; }
    bool empty() const noexcept { return head_.next_ == &head_; }
    void push(Posted& posted) noexcept {
        if (posted.queued()) {
            return;
        }
        posted.next_ = &head_;
        posted.previous_ = head_.previous_;
        head_.previous_->next_ = &posted;
        head_.previous_ = &posted;
    }
    void run_all() noexcept {
        while (!empty()) {
            Posted* first = head_.next_;
            first->unlink();
            first->run();
        }
    }

  private:
    struct Head final : Posted {
        void run() noexcept override {}
    };
    Head head_;
};

class Watcher {
  public:
    virtual void on_ready(bool readable, bool writable) noexcept = 0;
    // The process is going down gracefully and nothing is in flight here: close now.
    virtual void on_shutdown() noexcept {}

  protected:
    ~Watcher() = default;
};

// Level-triggered readiness of one descriptor, which stays the caller's. Destroying the Watch deregisters it; that
// must happen before the descriptor is closed or replaced.
class Watch {
  public:
    virtual ~Watch() = default;
    virtual void want(bool read, bool write) noexcept = 0;
    // An idle connection may be closed on a graceful shutdown (Watcher::on_shutdown); a busy one is waited for.
    virtual void idle(bool idle) noexcept = 0;
    // The descriptor is closed already (libpq does that on its own): nothing is to be deregistered.
    virtual void lost() noexcept {}
};

// One-shot. set() replaces what was set before. fired: the callback runs with the timer already unset.
class Timer {
  public:
    virtual ~Timer() = default;
    virtual void set(std::int64_t milliseconds) noexcept = 0;
    virtual void cancel() noexcept = 0;
};

enum class LogLevel { error, warning, notice, info, debug };

class Loop {
  public:
    // Does a pending timer keep a process alive that is shutting down gracefully?
    enum class Hold { process, nothing };

    virtual ~Loop() = default;
    // Monotonic milliseconds, read once per turn. Comparable between the processes of one host.
    virtual std::int64_t now() const noexcept = 0;
    // nullptr when no connection slot is left.
    virtual std::unique_ptr<Watch> watch(int fd, Watcher& watcher) = 0;
    virtual std::unique_ptr<Timer> timer(std::function<void()> fired, Hold hold) = 0;
    virtual void post(Posted& posted) noexcept = 0;
    // True once a graceful shutdown has begun: nothing new (reconnects, idle connections) is to be started.
    virtual bool stopping() const noexcept = 0;
    // One line, lower case, module word first ("redis: connection lost, next try in 200 ms"); never a secret.
    virtual void log(LogLevel level, const char* line) noexcept = 0;
};

}  // namespace portal::io
