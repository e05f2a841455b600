// RootTask: one that throws stops the process as SIGTERM does, and is remembered; the others leave no trace.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <stdexcept>
#include <string>

#include "helper/root_task.h"
#include "io/sleep.h"
#include "io/uv_loop.h"

namespace portal::helper {
namespace {

volatile std::sig_atomic_t terminated = 0;

io::Task<void> work(io::Loop& loop, bool fails) {
    co_await io::sleep(loop, 1);
    if (fails) {
        throw std::logic_error("a column that is not there");
    }
}

TEST(RootTask, ThatThrowsEndsTheProcess) {
    std::string told;
    io::UvLoop loop([&told](io::LogLevel level, const char* line) {
        told += level == io::LogLevel::error ? line : "";
    });
    terminated = 0;
    auto before = std::signal(SIGTERM, [](int) { terminated = 1; });
    {
        RootTask ended(loop, "one"), cancelled(loop, "another"), failing(loop, "outbox");
        ended.start(work(loop, false));
        cancelled.start(work(loop, true));
        cancelled.reset();
        loop.run();
        EXPECT_FALSE(RootTask::failed());
        EXPECT_EQ(told, "");
        EXPECT_EQ(terminated, 0);

        failing.start(work(loop, true));
        loop.run();
    }
    std::signal(SIGTERM, before);
    EXPECT_TRUE(RootTask::failed());
    EXPECT_EQ(told, "helper: outbox cannot go on: a column that is not there");
    EXPECT_EQ(terminated, 1);
}

}  // namespace
}  // namespace portal::helper
