// RedisLog: the limiter's line to Redis. All asks of one turn of the loop travel as one EVALSHA (limit_script.h).
#pragma once

#include <array>
#include <coroutine>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/loop.h"
#include "io/redis.h"
#include "portal/zone.h"

namespace portal {

class RedisLog : private io::Posted {
    struct Batch;

  public:
    static constexpr std::size_t most_limits = 4;

    struct Answer {
        enum class State : std::uint8_t { refused, admitted, room };
        State state = State::refused;
        std::uint16_t granted = 0;
        std::uint32_t remaining = 0;
        std::int64_t reset_in = 0;    // ms
        std::int64_t logged_at = 0;   // Redis's clock, ms
    };
    struct Answers {
        bool available = false;       // false: Redis did not answer in time
        std::array<Answer, most_limits> of{};
    };

    RedisLog(io::Loop& loop, io::Redis& redis);
    ~RedisLog() override;

    // co_await: all of `admissions` or none, in one script call with whatever else is asked this turn. The admissions
    // are read at once. Cancelling leaves the admission logged.
    class Ask {
      public:
        Ask(RedisLog& log, const Zone::Admission* const* admissions, std::size_t count)
            : log_(log), admissions_(admissions), count_(count) {}
        Ask(const Ask&) = delete;
        ~Ask();
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> waiting);
        Answers await_resume() const noexcept { return answers_; }

      private:
        friend class RedisLog;
        RedisLog& log_;
        const Zone::Admission* const* admissions_;
        std::size_t count_;
        Batch* batch_ = nullptr;
        std::size_t place_ = 0;
        std::coroutine_handle<> waiting_;
        Answers answers_;
    };

    // Takes `count` admissions logged at `logged_at` out again; nobody waits for it.
    void give_back(const LimitKey& key, std::uint32_t quota, std::uint32_t window, std::int64_t logged_at,
                   std::uint16_t count) noexcept;

  private:
    // Logs of one form and window lie in two hashes of Redis.
    struct Group {
        bool exact;
        std::uint32_t window;
        std::string young, old;
    };

    void run() noexcept override;
    Batch& open_batch(std::size_t limits);
    char group_of(Batch& batch, std::uint32_t quota, std::uint32_t window);
    void put_field(Batch& batch, const LimitKey& key);
    void put_exact(Batch& batch, const Zone::Admission& admission);
    void put(Batch& batch, const LimitKey& key, std::uint32_t quota, std::uint32_t window, std::uint16_t want,
             std::uint16_t lease, std::uint16_t back, std::int64_t back_at);
    bool send(Batch& batch, bool with_text);
    void recycle(Batch& batch) noexcept;

    io::Loop& loop_;
    io::Redis& redis_;
    std::string sha_;
    std::string failure_;   // logged; a repetition of it is not, until the script works again
    std::vector<std::unique_ptr<Batch>> batches_;   // all there are
    std::vector<Batch*> spare_, open_;
    std::vector<Group> groups_;                     // all that were ever asked about
    std::vector<std::string_view> arguments_;       // of the command being made
};

}  // namespace portal
