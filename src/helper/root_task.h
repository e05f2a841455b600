// RootTask: work that goes on for as long as the helper runs. Nobody awaits it, so nobody would see it fail: should it
// throw, that is logged, the helper stops as SIGTERM has it stop, and ends with a failure, for which it is started anew.
#pragma once

#include "io/loop.h"
#include "io/task.h"

namespace portal::helper {

class RootTask final : io::Completion {
  public:
    // `what` is for the log line, and outlives this.
    RootTask(io::Loop& loop, const char* what) : loop_(loop), what_(what) {}
    RootTask(const RootTask&) = delete;

    void start(io::Task<void> task);
    // Cancels.
    void reset() noexcept { task_.reset(); }

    // One of this process has thrown.
    static bool failed() noexcept { return failed_; }

  private:
    void completed() noexcept override;

    static inline bool failed_ = false;

    io::Loop& loop_;
    const char* what_;
    io::Task<void> task_;
};

}  // namespace portal::helper
