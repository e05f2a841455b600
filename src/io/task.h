// Task<T>: the lazy, move-only coroutine every asynchronous function here returns.
//
//   Task<Rows> list(Services& portal) { auto rows = co_await portal.db.query(...); co_return rows; }
//
// A Task starts when it is awaited, or, at the root, when its owner calls start(). Its value or its exception comes
// out of co_await. Destroying a Task cancels it: the frame goes, every awaiter in it unlinks itself from what it was
// waiting for, and the late reply finds nobody. So a client abort, a timeout and a shutdown are one mechanism.
//
// Frames come from per-thread free lists (frame_allocate), so a request costs no malloc once the lists are warm.
// GCC 12 miscompiles some co_await expressions: one co_await per full expression, with named operands, and no
// ?:, &&, ||, initializer list or capturing lambda around it.
#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <utility>
#include <variant>

namespace portal::io {

// Memory of a coroutine frame. Per thread, in classes of 64 bytes; plain new/delete under AddressSanitizer.
void* frame_allocate(std::size_t size);
void frame_free(void* frame, std::size_t size) noexcept;

// Told once when a root task has finished (returned or thrown). Called from inside the final suspension: it must not
// destroy the task there and then, only note it or post the work to the loop.
class Completion {
  public:
    virtual void completed() noexcept = 0;

  protected:
    ~Completion() = default;
};

namespace detail {

struct PromiseBase {
    std::coroutine_handle<> continuation;
    Completion* completion = nullptr;

    static void* operator new(std::size_t size) { return frame_allocate(size); }
    static void operator delete(void* frame, std::size_t size) noexcept { frame_free(frame, size); }

    std::suspend_always initial_suspend() noexcept { return {}; }

    struct Final {
        bool await_ready() noexcept { return false; }
        template <class Promise>
        std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) noexcept {
            PromiseBase& promise = self.promise();
            if (promise.continuation) {
                return promise.continuation;
            }
            if (promise.completion) {
                promise.completion->completed();
            }
            return std::noop_coroutine();
        }
        void await_resume() noexcept {}
    };
    Final final_suspend() noexcept { return {}; }
};

template <class T>
struct Promise;

}  // namespace detail

template <class T>
class [[nodiscard]] Task {
  public:
    using promise_type = detail::Promise<T>;
    using Handle = std::coroutine_handle<promise_type>;

    Task() noexcept = default;
    explicit Task(Handle handle) noexcept : handle_(handle) {}
    Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
    Task& operator=(Task&& other) noexcept {
        if (this != &other) {
            reset();
            handle_ = std::exchange(other.handle_, {});
        }
        return *this;
    }
    Task(const Task&) = delete;
    Task& operator=(const Task&) = delete;
    ~Task() { reset(); }

    // Root use: runs until the first suspension. `completion` is told when the task finishes later on or at once.
    void start(Completion* completion = nullptr) {
        handle_.promise().completion = completion;
        handle_.resume();
    }
    bool valid() const noexcept { return bool(handle_); }
    bool done() const noexcept { return handle_ && handle_.done(); }
    // The value of a finished root task, or its exception thrown.
    T result() { return handle_.promise().take(); }
    // Cancels: destroys the frame and all it awaits.
    void reset() noexcept {
        if (handle_) {
            std::exchange(handle_, {}).destroy();
        }
    }

    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) noexcept {
        handle_.promise().continuation = awaiting;
        return handle_;
    }
    T await_resume() { return handle_.promise().take(); }

  private:
    Handle handle_;
};

namespace detail {

template <class T>
struct Promise : PromiseBase {
    std::variant<std::monostate, T, std::exception_ptr> outcome;

    Task<T> get_return_object() noexcept {
        return Task<T>(std::coroutine_handle<Promise>::from_promise(*this));
    }
    template <class U>
    void return_value(U&& value) {
        outcome.template emplace<1>(std::forward<U>(value));
    }
    void unhandled_exception() noexcept { outcome.template emplace<2>(std::current_exception()); }
    T take() {
        if (outcome.index() == 2) {
            std::rethrow_exception(std::get<2>(outcome));
        }
        return std::move(std::get<1>(outcome));
    }
};

template <>
struct Promise<void> : PromiseBase {
    std::exception_ptr failure;

    Task<void> get_return_object() noexcept {
        return Task<void>(std::coroutine_handle<Promise>::from_promise(*this));
    }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { failure = std::current_exception(); }
    void take() {
        if (failure) {
            std::rethrow_exception(failure);
        }
    }
};

}  // namespace detail
}  // namespace portal::io
