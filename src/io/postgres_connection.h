// PostgresConnection: one libpq connection that connects, breaks and comes back. What is said on it is its heirs'
// business: statements (PostgresPipeline) or notifications (PostgresListener).
#pragma once

#include <libpq-fe.h>

#include <cstdint>
#include <memory>
#include <string>

#include "io/backoff.h"
#include "io/loop.h"
#include "io/postgres_target.h"

namespace portal::io {

class PostgresConnection : public Watcher {
  public:
    enum class State {
        down,         // waits for the next try, or to be asked for
        connecting,
        ready,
    };

    // What a pool hears of its connections. None of these may destroy one.
    class Observer {
      public:
        virtual void connection_up() noexcept = 0;
        virtual void connection_down(const std::string& reason) noexcept = 0;

      protected:
        ~Observer() = default;
    };

    PostgresConnection(Loop& loop, const PostgresTarget& target, std::int64_t connect_timeout, Observer& observer);
    virtual ~PostgresConnection() = default;
    PostgresConnection(const PostgresConnection&) = delete;

    void connect() noexcept;
    // Without a word, and without another try.
    void close() noexcept;
    State state() const noexcept { return state_; }
    // The last attempt to connect failed, or the connection broke before it was of any use.
    bool failing() const noexcept { return failing_; }

    void on_ready(bool readable, bool writable) noexcept final;

  protected:
    // Connected: say what there is to say first, then established().
    virtual bool begin() noexcept = 0;
    // Something arrived.
    virtual void input() noexcept = 0;
    // The connection is gone (state() is down already).
    virtual void gone(const std::string& reason) noexcept = 0;

    void established() noexcept;
    // Proof that the server does its work: the next failure is a first one again.
    void answered() noexcept {
        proved_ = true;
        backoff_.reset();
    }
    void lose(const std::string& reason) noexcept;
    // The host is of no use to us (a standby): the next attempt begins with another one.
    void avoid_host() noexcept { ++first_host_; }
    bool consume() noexcept;   // false: lost
    bool flush() noexcept;     // false: lost
    void idle(bool idle) noexcept { watch_->idle(idle); }
    PGconn* connection() const noexcept { return connection_.get(); }

    Loop& loop_;
    Observer& observer_;

  private:
    struct Finish {
        void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
    };

    void poll() noexcept;
    void retry_due() noexcept;

    const PostgresTarget& target_;
    const std::int64_t connect_timeout_;
    std::unique_ptr<PGconn, Finish> connection_;
    std::unique_ptr<Watch> watch_;   // goes before the connection, which owns the socket
    std::unique_ptr<Timer> retry_;   // the next try when down, the limit of this one when connecting
    Backoff backoff_{50, 1000};
    State state_ = State::down;
    bool polling_ = false;           // libpq itself is still talking
    bool failing_ = false;
    bool proved_ = false;            // something was answered on it
    std::int64_t ready_since_ = 0;
    bool unsent_ = false;            // libpq holds bytes the kernel did not take
    std::size_t first_host_ = 0;
};

}  // namespace portal::io
