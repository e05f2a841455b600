// UvLoop keeps the promises of io/loop.h: posted work in the same turn, one-shot timers, level-triggered watches.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "io/backoff.h"
#include "io/sleep.h"
#include "io_tasks.h"

namespace portal::io {
namespace {

struct Action final : Posted {
    explicit Action(std::function<void()> action_) : action(std::move(action_)) {}
    void run() noexcept override { action(); }
    std::function<void()> action;
};

struct SocketPair {
    SocketPair() { EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0); }
    ~SocketPair() {
        close(fds[0]);
        close(fds[1]);
    }
    int fds[2];
};

struct Reader final : Watcher {
    std::function<void(bool, bool)> ready;
    std::function<void()> shut = [] {};
    void on_ready(bool readable, bool writable) noexcept override { ready(readable, writable); }
    void on_shutdown() noexcept override { shut(); }
};

Task<std::int64_t> slept(Loop& loop, std::int64_t milliseconds) {
    std::int64_t before = loop.now();
    co_await sleep(loop, milliseconds);
    co_return loop.now() - before;
}

TEST(UvLoop, RunsATaskToItsEnd) {
    UvLoop loop;
    EXPECT_GE(loop.run_task(slept(loop, 20)), 20);
    EXPECT_GE(loop.run_task(slept(loop, 0)), 0);
}

TEST(UvLoop, ThrowsWhatItsTaskThrows) {
    UvLoop loop;
    auto fail = [](Loop& on) -> Task<void> {
        co_await sleep(on, 1);
        throw std::runtime_error("no");
    };
    EXPECT_THROW(loop.run_task(fail(loop)), std::runtime_error);
}

TEST(UvLoop, SaysWhenATaskCanNeverEnd) {
    UvLoop loop;
    auto forever = []() -> Task<void> { co_await std::suspend_always(); };
    EXPECT_THROW(loop.run_task(forever()), std::logic_error);
}

TEST(UvLoop, ADestroyedSleepNeverFires) {
    UvLoop loop;
    {
        Task<std::int64_t> task = slept(loop, 5);
        task.start();
    }
    EXPECT_GE(loop.run_task(slept(loop, 15)), 15);
}

TEST(UvLoop, TimersFireOnceAndCanBeSetAnewAndCancelled) {
    UvLoop loop;
    int fired = 0, cancelled = 0;
    std::unique_ptr<Timer> timer = loop.timer([&] {
        if (++fired == 1) {
            timer->set(1);
        }
    }, Loop::Hold::process);
    std::unique_ptr<Timer> other = loop.timer([&] { ++cancelled; }, Loop::Hold::process);
    timer->set(1000);
    timer->set(1);
    other->set(1);
    other->cancel();
    loop.run();   // ends by itself: nothing is left
    EXPECT_EQ(fired, 2);
    EXPECT_EQ(cancelled, 0);
}

TEST(UvLoop, ATimerMayDestroyItself) {
    UvLoop loop;
    bool fired = false;
    std::unique_ptr<Timer> timer;
    timer = loop.timer([&] {
        timer.reset();
        fired = true;
    }, Loop::Hold::nothing);
    timer->set(0);
    loop.run();
    EXPECT_TRUE(fired);
}

TEST(UvLoop, OnlyProcessTimersHold) {
    UvLoop loop;
    std::unique_ptr<Timer> process = loop.timer([] {}, Loop::Hold::process);
    std::unique_ptr<Timer> nothing = loop.timer([] {}, Loop::Hold::nothing);
    nothing->set(1);
    EXPECT_FALSE(loop.holding());
    process->set(1);
    EXPECT_TRUE(loop.holding());
    loop.run();
    EXPECT_FALSE(loop.holding());
}

TEST(UvLoop, PostedWorkRunsInTheSameTurnAfterTheEventsAtHand) {
    UvLoop loop;
    SocketPair first, second;
    std::string order;
    Action posted([&] {
        order += 'p';
        loop.stop();
    });
    Reader reader;
    reader.ready = [&](bool, bool) {
        order += 'r';
        loop.post(posted);
        loop.post(posted);
    };
    std::unique_ptr<Watch> one = loop.watch(first.fds[0], reader);
    std::unique_ptr<Watch> two = loop.watch(second.fds[0], reader);
    one->want(true, false);
    two->want(true, false);
    ASSERT_EQ(write(first.fds[1], "x", 1), 1);
    ASSERT_EQ(write(second.fds[1], "x", 1), 1);
    loop.run();
    EXPECT_EQ(order, "rrp");
}

TEST(UvLoop, WorkPostedByATimerDoesNotWaitForAnEvent) {
    UvLoop loop;
    SocketPair idle;
    Reader reader;
    reader.ready = [](bool, bool) {};
    std::unique_ptr<Watch> watch = loop.watch(idle.fds[0], reader);
    watch->want(true, false);
    Action posted([&] { loop.stop(); });
    std::unique_ptr<Timer> timer = loop.timer([&] { loop.post(posted); }, Loop::Hold::process);
    std::unique_ptr<Timer> guard = loop.timer([&] { loop.stop(); ADD_FAILURE() << "posted work waited"; },
                                              Loop::Hold::nothing);
    timer->set(1);
    guard->set(2000);
    loop.run();
}

TEST(UvLoop, DestroyedPostedWorkDoesNotRun) {
    UvLoop loop;
    bool ran = false;
    {
        Action posted([&] { ran = true; });
        loop.post(posted);
    }
    loop.run_task(slept(loop, 1));
    EXPECT_FALSE(ran);
}

TEST(UvLoop, WatchesAreLevelTriggered) {
    UvLoop loop;
    SocketPair pair;
    int wakes = 0;
    Reader reader;
    reader.ready = [&](bool readable, bool) {
        EXPECT_TRUE(readable);
        char byte;
        EXPECT_EQ(read(pair.fds[0], &byte, 1), 1);   // leaves the rest there
        if (++wakes == 3) {
            loop.stop();
        }
    };
    std::unique_ptr<Watch> watch = loop.watch(pair.fds[0], reader);
    watch->want(true, false);
    ASSERT_EQ(write(pair.fds[1], "abc", 3), 3);
    loop.run();
    EXPECT_EQ(wakes, 3);
}

TEST(UvLoop, AWatchMayDestroyItselfAndItsDescriptorBeReplaced) {
    UvLoop loop;
    Reader reader;
    std::optional<SocketPair> pair(std::in_place);
    std::unique_ptr<Watch> watch = loop.watch(pair->fds[0], reader);
    int old = pair->fds[0], wakes = 0;
    reader.ready = [&](bool, bool) {
        watch.reset();
        if (++wakes == 2) {
            return loop.stop();
        }
        pair.reset();
        pair.emplace();
        EXPECT_EQ(pair->fds[0], old);
        watch = loop.watch(pair->fds[0], reader);
        watch->want(true, false);
        ASSERT_EQ(write(pair->fds[1], "x", 1), 1);
    };
    watch->want(true, false);
    ASSERT_EQ(write(pair->fds[1], "x", 1), 1);
    loop.run();
    EXPECT_EQ(wakes, 2);
}

TEST(UvLoop, ShutdownTellsIdleWatchesOnly) {
    UvLoop loop;
    SocketPair pair;
    std::string told;
    Reader idle, busy;
    idle.shut = [&] { told += 'i'; };
    busy.shut = [&] { told += 'b'; };
    std::unique_ptr<Watch> one = loop.watch(pair.fds[0], idle);
    std::unique_ptr<Watch> two = loop.watch(pair.fds[1], busy);
    one->idle(true);
    EXPECT_FALSE(loop.stopping());
    loop.shutdown();
    EXPECT_TRUE(loop.stopping());
    EXPECT_EQ(told, "i");
}

TEST(Backoff, DoublesToItsCapWithJitterAndStartsAnew) {
    Backoff backoff(50, 400);
    for (std::int64_t step : {50, 100, 200, 400, 400}) {
        std::int64_t wait = backoff.next();
        EXPECT_GE(wait, step / 2);
        EXPECT_LE(wait, step);
    }
    backoff.reset();
    EXPECT_LE(backoff.next(), 50);
}

}  // namespace
}  // namespace portal::io
