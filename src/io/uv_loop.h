// UvLoop: the Loop of everything that is no nginx worker (portal-helper, portalctl, the unit tests), over libuv.
#pragma once

#include <uv.h>

#include <functional>
#include <memory>
#include <set>
#include <stdexcept>
#include <utility>

#include "io/loop.h"
#include "io/task.h"

namespace portal::io {

class UvLoop final : public Loop {
  public:
    using Log = std::function<void(LogLevel, const char* line)>;

    // Lines of the clients go to `log`; without one to standard error, debug ones dropped.
    explicit UvLoop(Log log = {});
    // Watches, timers and the owner's own libuv handles must be gone by then.
    ~UvLoop() override;
    UvLoop(const UvLoop&) = delete;
    UvLoop& operator=(const UvLoop&) = delete;

    std::int64_t now() const noexcept override;
    std::unique_ptr<Watch> watch(int fd, Watcher& watcher) override;
    std::unique_ptr<Timer> timer(std::function<void()> fired, Hold hold) override;
    void post(Posted& posted) noexcept override { queue_.push(posted); }
    bool stopping() const noexcept override { return stopping_; }
    void log(LogLevel level, const char* line) noexcept override;

    // Runs until stop(), or until nothing is left that could ever happen.
    void run();
    // run() returns at the end of this turn.
    void stop() noexcept;
    // Begins a graceful shutdown: stopping() is true from now on and idle watches are told. The owner calls stop()
    // when its own work is done.
    void shutdown() noexcept;
    // A timer set with Hold::process is pending: something is in flight.
    bool holding() const noexcept { return holding_ > 0; }

    // Drives a root task to its end and returns its value or throws its exception. Throws std::logic_error when the
    // loop was stopped, or ran dry, before.
    template <class T>
    T run_task(Task<T> task) {
        Finish finish(*this);
        task.start(&finish);
        if (!task.done()) {
            finish.waited_for = true;
            run();
        }
        if (!task.done()) {
            throw std::logic_error("loop stopped before its task was done");
        }
        return task.result();
    }

    // For libuv handles of the owner's own (signals, curl's sockets).
    uv_loop_t* raw() noexcept { return &loop_; }

  private:
    class UvWatch;
    class UvTimer;
    struct Finish final : Completion {
        explicit Finish(UvLoop& loop_) noexcept : loop(loop_) {}
        void completed() noexcept override {
            if (waited_for) {
                loop.stop();
            }
        }
        UvLoop& loop;
        bool waited_for = false;
    };

    // Outside run() libuv's clock stands still, and timers would count from when it stopped.
    void refresh() const noexcept;

    mutable uv_loop_t loop_;
    uv_prepare_t before_wait_;   // what timers posted runs before the loop sleeps,
    uv_check_t after_events_;    // what descriptors' events posted runs right after them
    PostedQueue queue_;
    std::set<UvWatch*> watches_;
    Log log_;
    int holding_ = 0;
    bool running_ = false;
    bool stopped_ = false;
    bool stopping_ = false;
};

}  // namespace portal::io
