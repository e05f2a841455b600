// PostgresPipeline: statements on one connection, many in flight, each followed by its own sync.
//
// An answer counts once its sync has come: the implicit transaction commits there, and a deferred constraint may
// still fail it after its rows were received.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "io/postgres_connection.h"

namespace portal::io {

struct FreeResult {
    void operator()(PGresult* result) const noexcept { PQclear(result); }
};
using Result = std::unique_ptr<PGresult, FreeResult>;

// A statement on its way; lives in its caller's coroutine.
class PostgresQuery;

class PostgresPipeline final : public PostgresConnection {
  public:
    // What becomes of statements. None of these may destroy the pipeline.
    class Owner : public Observer {
      public:
        // `result` is rows or the server's refusal.
        virtual void answered(PostgresQuery& query, Result result) noexcept = 0;
        // No answer will come. `undone`: the server refused it before anything happened.
        virtual void unanswered(PostgresQuery& query, bool undone, const std::string& reason) noexcept = 0;
        // A cancelled statement has left the pipeline.
        virtual void drained() noexcept = 0;

      protected:
        ~Owner() = default;
    };

    PostgresPipeline(Loop& loop, const PostgresTarget& target, std::int64_t connect_timeout, Owner& owner)
        : PostgresConnection(loop, target, connect_timeout, owner), owner_(owner) {}

    void send(PostgresQuery& query) noexcept;
    // Its caller is gone; the answer will be read and dropped.
    void forget(PostgresQuery& query) noexcept;
    std::size_t in_flight() const noexcept { return slots_.size(); }
    bool slow() const noexcept { return slow_ > 0; }   // a statement that may take its time is among them
    // Gives the connection up when a statement in flight has missed its deadline.
    void check_deadlines() noexcept;
    std::int64_t next_deadline() const noexcept;

    // Closes for good.
    void give_up(const std::string& reason) noexcept;

    void on_shutdown() noexcept override;

  private:
    // The server answers in this order: the preamble's preparation, the preamble, the statement's preparation, the
    // statement. What is not awaited was not asked for, or has come.
    struct Slot {
        PostgresQuery* query;             // null: cancelled
        std::string_view preamble, name;
        std::int64_t deadline;
        bool slow;
        bool preparing_preamble, in_preamble, preparing;
        bool undone = false;              // certain not to happen: its preparation failed, or it was refused
        bool failed = false;
        Result result;
    };

    bool begin() noexcept override;
    void input() noexcept override;
    void gone(const std::string& reason) noexcept override;
    bool prepare(const Statement& statement) noexcept;
    bool execute(const Statement& statement, const Parameters& parameters) noexcept;
    void unprepare(std::string_view name) noexcept;
    bool take(Result result) noexcept;    // false: lost
    bool finish() noexcept;               // false: lost
    bool late() const noexcept;
    void rest() noexcept;

    Owner& owner_;
    std::deque<Slot> slots_;
    std::size_t slow_ = 0;
    std::unordered_set<std::string_view> prepared_;
    std::vector<const char*> values_;     // of the statement being sent
};

}  // namespace portal::io
