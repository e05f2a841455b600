// Task<T>: the lazy, move-only coroutine every asynchronous function here returns.
//
//   Task<Rows> list(Services& portal) { auto rows = co_await portal.db.query(...); co_return rows; }
//
// A Task starts when it is awaited, or, at the root, when its owner calls start(). Its value or its exception comes
// out of co_await. Destroying a Task cancels it: the frame goes, every awaiter in it unlinks itself from what it was
// waiting for, and the late reply finds nobody. So a client abort, a timeout and a shutdown are one mechanism.
//
// A function that has its answer at once need not be a coroutine: Task::ready(value) is a Task without a frame.
//
// Frames come from per-thread free lists (frame_allocate), so a request costs no malloc once the lists are warm.
// GCC 12 miscompiles some co_await expressions: one co_await per full expression, with named operands, and no
// ?:, &&, ||, initializer list or capturing lambda around it.
#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <type_traits>
#include <utility>
#include <variant>

namespace portal::io {

// Memory of a coroutine frame. Per thread, in classes of 64 bytes; plain new/delete under AddressSanitizer.
void* frame_allocate(std::size_t size);
void frame_free(void* frame, std::size_t size) noexcept;

// The same for what a request's containers hold.
template <class T>
struct FrameAllocator {
    using value_type = T;
    FrameAllocator() noexcept = default;
    template <class U>
    FrameAllocator(const FrameAllocator<U>&) noexcept {}
    T* allocate(std::size_t count) {
        static_assert(alignof(T) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);
        return static_cast<T*>(frame_allocate(count * sizeof(T)));
    }
    void deallocate(T* memory, std::size_t count) noexcept { frame_free(memory, count * sizeof(T)); }
    friend bool operator==(FrameAllocator, FrameAllocator) noexcept { return true; }
};

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
    using Value = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

    Task() noexcept = default;
    explicit Task(Handle handle) noexcept : state_(handle) {}
    Task(Task&& other) noexcept : state_(std::exchange(other.state_, Handle())) {}
    Task& operator=(Task&& other) noexcept {
        if (this != &other) {
            reset();
            state_ = std::exchange(other.state_, Handle());
        }
        return *this;
    }
    // Finished from the start.
    static Task ready(Value value) noexcept {
        Task task;
        task.state_.template emplace<1>(std::move(value));
        return task;
    }
    Task(const Task&) = delete;
    Task& operator=(const Task&) = delete;
    ~Task() { reset(); }

    // Root use: runs until the first suspension. `completion` is told when the task finishes later on or at once.
    void start(Completion* completion = nullptr) {
        if (Handle handle = frame()) {
            handle.promise().completion = completion;
            handle.resume();
        } else if (completion != nullptr) {
            completion->completed();
        }
    }
    bool valid() const noexcept { return is_ready() || frame(); }
    bool done() const noexcept { return is_ready() || (frame() && frame().done()); }
    // The value of a finished root task, or its exception thrown.
    T result() {
        if (!is_ready()) {
            return frame().promise().take();
        }
        if constexpr (!std::is_void_v<T>) {
            return std::move(*std::get_if<1>(&state_));
        }
    }
    // Cancels: destroys the frame and all it awaits.
    void reset() noexcept {
        Handle handle = frame();
        state_ = Handle();
        if (handle) {
            handle.destroy();
        }
    }

    bool await_ready() const noexcept { return is_ready(); }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) noexcept {
        frame().promise().continuation = awaiting;
        return frame();
    }
    T await_resume() { return result(); }

  private:
    bool is_ready() const noexcept { return state_.index() == 1; }
    Handle frame() const noexcept { return is_ready() ? Handle() : *std::get_if<0>(&state_); }

    std::variant<Handle, Value> state_;
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
