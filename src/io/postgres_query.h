// PostgresQuery: one statement from enqueueing to its answer, awaited by Postgres::query.
#pragma once

#include <chrono>
#include <coroutine>
#include <string>

#include "io/postgres_pipeline.h"

namespace portal::io {

class PostgresQuery {
  public:
    enum class Stage { fresh, waiting, in_flight, finished };

    // Takes a query out of wherever it is when its coroutine is destroyed.
    class Canceller {
      public:
        virtual void cancel(PostgresQuery& query) noexcept = 0;

      protected:
        ~Canceller() = default;
    };

    PostgresQuery(Canceller& canceller, const Statement& statement_, const Parameters& parameters_,
                  std::int64_t deadline_) noexcept
        : statement(statement_), parameters(parameters_), deadline(deadline_), canceller_(canceller) {}
    PostgresQuery(const PostgresQuery&) = delete;
    ~PostgresQuery() {
        if (stage != Stage::fresh) {
            canceller_.cancel(*this);
        }
    }

    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiting) noexcept { waiting_ = waiting; }
    // The rows; throws PostgresUnavailable or PostgresError.
    Rows await_resume();
    void resume() noexcept { waiting_.resume(); }

    bool slow() const noexcept { return statement.deadline > Statement{nullptr, nullptr}.deadline; }

    const Statement& statement;
    const Parameters& parameters;
    const std::int64_t deadline;   // in the loop's time
    const Statement* preamble = nullptr;   // to be sent ahead
    Parameters preamble_parameters;
    std::chrono::steady_clock::time_point enqueued;
    Stage stage = Stage::fresh;
    PostgresPipeline* pipeline = nullptr;   // in flight there
    std::size_t repeats = 0;
    Result result;                 // finished with an answer,
    std::string unavailable;       // or without one, and why

  private:
    Canceller& canceller_;
    std::coroutine_handle<> waiting_;
};

}  // namespace portal::io
