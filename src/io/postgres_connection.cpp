#include "io/postgres_connection.h"

namespace portal::io {
namespace {

constexpr std::int64_t proving_time = 5000;   // ms after which a connection is a good one, unused as it may be

}  // namespace

PostgresConnection::PostgresConnection(Loop& loop, const PostgresTarget& target, std::int64_t connect_timeout,
                                       Observer& observer)
    : loop_(loop), observer_(observer), target_(target), connect_timeout_(connect_timeout),
      retry_(loop.timer([this] { retry_due(); }, Loop::Hold::nothing)) {}

void PostgresConnection::connect() noexcept {
    state_ = State::connecting;
    polling_ = true;
    connection_.reset(target_.start(first_host_));
    if (!connection_ || PQstatus(connection_.get()) == CONNECTION_BAD) {
        return lose(connection_ ? one_line(PQerrorMessage(connection_.get())) : "out of memory");
    }
    PQsetNoticeProcessor(
        connection_.get(),
        [](void* self, const char* message) {
            std::string line = "postgres: " + one_line(message);
            static_cast<PostgresConnection*>(self)->loop_.log(LogLevel::debug, line.c_str());
        },
        this);
    watch_ = loop_.watch(PQsocket(connection_.get()), *this);
    if (!watch_) {
        return lose("no connection slot is left");
    }
    watch_->want(false, true);
    retry_->set(connect_timeout_);
}

// PQconnectPoll may put another socket in the old one's place, even under the same number.
void PostgresConnection::poll() noexcept {
    watch_.reset();
    PostgresPollingStatusType status = PQconnectPoll(connection_.get());
    if (status == PGRES_POLLING_FAILED) {
        return lose(one_line(PQerrorMessage(connection_.get())));
    }
    watch_ = loop_.watch(PQsocket(connection_.get()), *this);
    if (!watch_) {
        return lose("no connection slot is left");
    }
    if (status == PGRES_POLLING_OK) {
        watch_->want(true, false);
        PQsetnonblocking(connection_.get(), 1);
        polling_ = false;
        if (!begin()) {
            lose(one_line(PQerrorMessage(connection_.get())));
        }
        return;
    }
    watch_->want(status == PGRES_POLLING_READING, status == PGRES_POLLING_WRITING);
}

void PostgresConnection::established() noexcept {
    retry_->cancel();
    failing_ = false;
    proved_ = false;
    ready_since_ = loop_.now();
    state_ = State::ready;
    observer_.connection_up();
}

void PostgresConnection::on_ready(bool readable, bool writable) noexcept {
    if (polling_) {
        return poll();
    }
    if (writable && unsent_ && !flush()) {
        return;
    }
    if (readable && consume()) {
        input();
    }
}

bool PostgresConnection::consume() noexcept {
    if (!PQconsumeInput(connection_.get())) {
        lose(one_line(PQerrorMessage(connection_.get())));
        return false;
    }
    return !unsent_ || flush();
}

bool PostgresConnection::flush() noexcept {
    int left = PQflush(connection_.get());
    if (left < 0) {
        lose(one_line(PQerrorMessage(connection_.get())));
        return false;
    }
    if (unsent_ != (left > 0)) {
        unsent_ = left > 0;
        watch_->want(true, unsent_);
    }
    return true;
}

void PostgresConnection::retry_due() noexcept {
    if (state_ == State::connecting) {
        ++first_host_;   // whoever was asked first may be the one that keeps silent
        return lose("no connection within " + std::to_string(connect_timeout_) + " ms");
    }
    if (!loop_.stopping()) {
        connect();
    }
}

void PostgresConnection::close() noexcept {
    state_ = State::down;
    unsent_ = false;
    retry_->cancel();
    if (watch_ && PQsocket(connection_.get()) < 0) {
        watch_->lost();
    }
    watch_.reset();
    connection_.reset();
}

void PostgresConnection::lose(const std::string& reason) noexcept {
    std::string kept = reason;
    failing_ = state_ != State::ready || !(proved_ || loop_.now() - ready_since_ >= proving_time);
    close();
    if (!loop_.stopping()) {
        retry_->set(backoff_.next());
    }
    gone(kept);
    observer_.connection_down(kept);
}

}  // namespace portal::io
