// Task: values and exceptions come out of co_await, destroying cancels, frames are reused.
#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "io/task.h"

namespace portal::io {
namespace {

Task<int> number(int value) { co_return value; }

Task<int> sum(int depth) {
    if (depth == 0) {
        co_return 0;
    }
    int rest = co_await sum(depth - 1);
    co_return rest + 1;
}

Task<std::string> failing() {
    throw std::runtime_error("no");
    co_return "";
}

Task<std::string> catching() {
    std::string caught;
    try {
        caught = co_await failing();
    } catch (const std::runtime_error& error) {
        caught = error.what();
    }
    co_return caught;
}

// Stays suspended until resumed by hand.
struct Gate {
    std::coroutine_handle<> waiting;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) noexcept { waiting = handle; }
    void await_resume() const noexcept {}
};

struct Note {
    explicit Note(int& count_) : count(count_) {}
    ~Note() { ++count; }
    int& count;
};

Task<void> inner(Gate& gate, int& destroyed) {
    Note note(destroyed);
    co_await gate;
}

Task<void> outer(Gate& gate, int& destroyed) {
    Note note(destroyed);
    co_await inner(gate, destroyed);
}

struct Counter final : Completion {
    int completions = 0;
    void completed() noexcept override { ++completions; }
};

TEST(Task, StartsWhenAskedAndReturnsItsValue) {
    Task<int> task = number(7);
    EXPECT_FALSE(task.done());
    task.start();
    ASSERT_TRUE(task.done());
    EXPECT_EQ(task.result(), 7);
}

TEST(Task, ThrowsOutOfItsResult) {
    Task<std::string> task = failing();
    task.start();
    ASSERT_TRUE(task.done());
    EXPECT_THROW(task.result(), std::runtime_error);
}

TEST(Task, ExceptionsComeOutOfCoAwait) {
    Task<std::string> task = catching();
    task.start();
    EXPECT_EQ(task.result(), "no");
}

TEST(Task, MovesValuesThatCannotBeCopied) {
    auto make = []() -> Task<std::unique_ptr<int>> { co_return std::make_unique<int>(3); };
    Task<std::unique_ptr<int>> task = make();
    task.start();
    EXPECT_EQ(*task.result(), 3);
}

TEST(Task, TellsItsCompletionOnceWhenResumedToItsEnd) {
    Gate gate;
    int destroyed = 0;
    Counter counter;
    Task<void> task = outer(gate, destroyed);
    task.start(&counter);
    EXPECT_EQ(counter.completions, 0);
    gate.waiting.resume();
    EXPECT_EQ(counter.completions, 1);
    EXPECT_TRUE(task.done());
    EXPECT_EQ(destroyed, 2);
}

TEST(Task, DestroyingTheRootDestroysAllItAwaits) {
    Gate gate;
    int destroyed = 0;
    Counter counter;
    Task<void> task = outer(gate, destroyed);
    task.start(&counter);
    task.reset();
    EXPECT_EQ(destroyed, 2);
    EXPECT_EQ(counter.completions, 0);
    EXPECT_FALSE(task.valid());
}

TEST(Task, NestsDeeply) {
    Task<int> task = sum(200);
    task.start();
    EXPECT_EQ(task.result(), 200);
}

TEST(Frames, OfEverySizeAreUsableAndOwn) {
    for (std::size_t size : {1u, 63u, 64u, 65u, 4096u, 4097u, 100000u}) {
        char* first = static_cast<char*>(frame_allocate(size));
        char* second = static_cast<char*>(frame_allocate(size));
        std::fill_n(first, size, 'a');
        std::fill_n(second, size, 'b');
        EXPECT_EQ(first[0], 'a');
        EXPECT_EQ(first[size - 1], 'a');
        frame_free(first, size);
        frame_free(second, size);
    }
}

#if !defined(__SANITIZE_ADDRESS__)
TEST(Frames, AreReusedWithinTheirClass) {
    void* first = frame_allocate(100);
    frame_free(first, 100);
    EXPECT_EQ(frame_allocate(128), first);
    frame_free(first, 128);
}
#endif

}  // namespace
}  // namespace portal::io
