// Postgres: a few pipelined libpq connections that heal themselves.
//
// Every query is one prepared statement followed by its own sync, so each is its own transaction and an error harms
// nobody else in the pipeline. A write may have a preamble: a statement sent ahead of it, before the same sync and so in
// its transaction. Statements are prepared per connection at first use. A deadline runs from enqueueing; when it passes
// the caller gets PostgresUnavailable, and when the statement was already sent its connection is dropped (results are
// positional). A cancelled query's result is read and discarded.
// When a connection is lost, a statement marked Retry::read is sent again, as often as there are connections; the rest fail with
// PostgresUnavailable, since nobody can tell whether they happened.
// While the process drains, connections close once they are idle, and one is opened for each request that still asks.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <libpq-fe.h>

#include "io/loop.h"
#include "io/task.h"

namespace portal::io {

// No answer can be had now: down, too slow, or too much queued. HTTP 503 with Retry-After.
struct PostgresUnavailable : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// The server refused the statement. `constraint` is the violated constraint's name where there is one; `message`
// is a RAISEd text or the server's words (no parameters in it; never shown to a client unless our own RAISE made it).
// What it refuses only for now is PostgresUnavailable instead: lock_timeout (55P03), statement_timeout (57014), no
// resources (53...), going down (57P...). Nothing has happened then. What a standby refuses (25006) is tried on other
// connections, the next host's first, until its deadline.
struct PostgresError : std::runtime_error {
    PostgresError(std::string state, std::string constraint, std::string message)
        : std::runtime_error(state + ": " + message),
          sqlstate(std::move(state)), constraint(std::move(constraint)), message(std::move(message)) {}
    std::string sqlstate, constraint, message;
};

enum class Lane {
    lookup,   // short reads that authenticate: a connection of their own, never behind a slow one
    main,     // everything else
};
enum class Retry { never, read };

// Stands beside the type it fills, as a constant: static constexpr Statement find{"customer_find", R"(SELECT ...)"}.
// `name` is unique in the program. Parameters are sent as text; write casts ($1::uuid) where types are not inferred.
struct Statement {
    const char* name;
    const char* sql;
    Lane lane = Lane::main;
    Retry retry = Retry::never;
    std::int64_t deadline = 1000;   // ms from enqueueing; lists and exports 5000
};

// A statement's parameters, in order, one after the other in one text. NULL is std::nullopt / std::nullptr_t.
class Parameters {
  public:
    Parameters() = default;
    template <class... Values>
    explicit Parameters(const Values&... values) {
        begins_.reserve(sizeof...(values));
        text_.reserve(sizeof...(values) * 32);
        (add(values), ...);
    }
    Parameters& add(std::string_view text);
    Parameters& add(const std::string& text) { return add(std::string_view(text)); }
    Parameters& add(const char* text) { return add(std::string_view(text)); }
    Parameters& add(bool value) { return add(value ? "t" : "f"); }
    Parameters& add(int value) { return add(std::int64_t(value)); }
    Parameters& add(std::int64_t value);
    Parameters& add(std::nullptr_t) { begins_.push_back(null); return *this; }
    Parameters& add(std::nullopt_t) { return add(nullptr); }
    template <class Value>
    Parameters& add(const std::optional<Value>& value) {
        if (value) {
            return add(*value);
        }
        return add(nullptr);
    }
    // text[] in PostgreSQL's array syntax
    Parameters& add(const std::vector<std::string>& list);

    std::size_t size() const { return begins_.size(); }
    // Text in PostgreSQL ends at a NUL: such a value cannot be sent whole, and is refused with SQLSTATE 22021.
    bool has_nul() const { return has_nul_; }
    const char* data(std::size_t index) const {
        return begins_[index] == null ? nullptr : text_.data() + begins_[index];
    }

  private:
    static constexpr std::size_t null = SIZE_MAX;
    std::string text_;   // each ends with a NUL
    std::vector<std::size_t> begins_;
    bool has_nul_ = false;
};

// One row of Rows; valid as long as they are. Columns are found fastest in the order of the statement.
class Row {
  public:
    Row(const PGresult* result, int row) : result_(result), row_(row) {}
    bool null(const char* column) const { return PQgetisnull(result_, row_, index(column)) != 0; }
    std::string_view text(const char* column) const {   // "" when NULL
        return text(index(column));
    }
    std::string string(const char* column) const { return std::string(text(column)); }
    std::optional<std::string> optional(const char* column) const {
        return std::optional<std::string>(nullable(column));
    }
    std::optional<std::string_view> nullable(const char* column) const {   // lives as long as the rows
        const int at = index(column);
        return PQgetisnull(result_, row_, at) != 0 ? std::nullopt : std::optional(text(at));
    }
    std::int64_t integer(const char* column) const { return std::strtoll(text(column).data(), nullptr, 10); }
    bool boolean(const char* column) const { return text(column) == "t"; }

  private:
    std::string_view text(int at) const {
        return {PQgetvalue(result_, row_, at), std::size_t(PQgetlength(result_, row_, at))};
    }
    int index(const char* column) const;   // throws std::logic_error for a name the statement does not return
    const PGresult* result_;
    int row_;
    mutable int last_ = 0;   // the column asked for last: the next look-up begins behind it
};

class Rows {
  public:
    Rows() = default;
    explicit Rows(PGresult* result) : result_(result, &PQclear) {}
    int size() const { return result_ ? PQntuples(result_.get()) : 0; }
    bool empty() const { return size() == 0; }
    Row operator[](int row) const { return Row(result_.get(), row); }
    Row front() const { return Row(result_.get(), 0); }
    std::int64_t affected() const { return std::strtoll(PQcmdTuples(result_.get()), nullptr, 10); }

  private:
    std::shared_ptr<PGresult> result_;
};

struct PostgresOptions {
    // libpq key=value string or URI, several hosts and target_session_attrs included. Names are resolved when the
    // options are made (resolve()), never on the loop.
    std::string conninfo;
    int lookup_connections = 1;
    int main_connections = 2;
    std::size_t queue = 512;                  // statements in flight and waiting, per pool; beyond: unavailable
    std::int64_t connect_timeout = 1000;      // ms
    std::int64_t least_deadline = 0;          // ms; for statements that have less themselves
    std::string application_name = "portal";
    bool connect_at_once = true;              // else when connect() is called
    // Called with how many microseconds each answer took, from enqueueing. May be empty; must not throw.
    std::function<void(Lane lane, std::int64_t microseconds)> answered;

    // Adds numeric hostaddr for each host name. Blocking: at start-up, or in the helper off the loop. Throws
    // std::invalid_argument with a reason fit for an operator.
    static PostgresOptions resolve(std::string conninfo);
};

// What a write is preceded by, in its transaction and without a round trip of its own: settings that end with it. Its
// rows are dropped.
class Preamble {
  public:
    virtual const Statement& statement() const = 0;
    // Asked for at each write. Must hold no NUL.
    virtual Parameters parameters() const = 0;

  protected:
    ~Preamble() = default;
};

class Postgres {
  public:
    // Throws std::invalid_argument when libpq cannot read the connection string.
    Postgres(Loop& loop, PostgresOptions options);
    // The same connections with a preamble for whatever is not Retry::read; both outlive this.
    Postgres(const Postgres& connections, const Preamble& preamble);
    ~Postgres();   // what is pending fails with PostgresUnavailable first, where the connections are its own
    Postgres(const Postgres&) = delete;

    // Opens the connections; for a pool that does not do so at once.
    void connect() noexcept;

    // Throws PostgresUnavailable or PostgresError. Copies nothing but `parameters`; the Statement must be static.
    // While no connection is up it waits for one, but fails at once when the last attempts to connect have failed.
    Task<Rows> query(const Statement& statement, Parameters parameters = {});

    // At least one connection is up.
    bool available() const noexcept;

    struct Load {
        std::size_t connections = 0;   // up
        std::size_t in_flight = 0, waiting = 0;
        bool refusing = false;         // a query would fail at once
    };
    Load load() const noexcept;

    // Asks for notifications on a channel, now and after each reconnect (helper only: keeps one connection for it).
    // `connected` is called whenever listening has (again) begun: what was told in between is lost. Once per pool;
    // neither function may throw or destroy the pool.
    void listen(std::vector<std::string> channels,
                std::function<void(std::string_view channel, std::string_view payload)> notified,
                std::function<void()> connected);

  private:
    struct Pool;
    std::unique_ptr<Pool> own_;
    Pool* pool_;
    const Preamble* preamble_ = nullptr;
};

}  // namespace portal::io
