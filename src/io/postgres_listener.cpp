#include "io/postgres_listener.h"

#include "io/postgres_pipeline.h"

namespace portal::io {
namespace {

// A listener hears nothing on a dead line either, so it asks now and then.
constexpr std::int64_t probe_every = 1000;

}  // namespace

PostgresListener::PostgresListener(Loop& loop, const PostgresTarget& target, std::int64_t connect_timeout,
                                   Observer& observer, std::vector<std::string> channels, Notified notified,
                                   std::function<void()> connected)
    : PostgresConnection(loop, target, connect_timeout, observer), channels_(std::move(channels)),
      notified_(std::move(notified)), connected_(std::move(connected)),
      probe_(loop.timer([this] { probe(); }, Loop::Hold::nothing)) {}

bool PostgresListener::begin() noexcept {
    std::string sql;
    for (const std::string& channel : channels_) {
        char* quoted = PQescapeIdentifier(connection(), channel.data(), channel.size());
        if (!quoted) {
            return false;
        }
        sql += std::string("LISTEN ") + quoted + ";";
        PQfreemem(quoted);
    }
    return ask(sql.c_str());
}

bool PostgresListener::ask(const char* sql) noexcept {
    asked_ = true;
    return PQsendQuery(connection(), sql) != 0 && flush();
}

void PostgresListener::input() noexcept {
    while (asked_ && !PQisBusy(connection())) {
        Result result(PQgetResult(connection()));
        if (!result) {
            asked_ = false;
            answered();
            probe_->set(probe_every);
            if (state() == State::connecting) {
                established();
                connected_();
            }
        } else if (PQresultStatus(result.get()) == PGRES_FATAL_ERROR) {
            return lose(one_line(PQresultErrorMessage(result.get())));
        }
    }
    PQisBusy(connection());   // takes in what came unasked
    while (PGnotify* notify = PQnotifies(connection())) {
        notified_(notify->relname, notify->extra);
        PQfreemem(notify);
    }
}

void PostgresListener::probe() noexcept {
    if (asked_) {
        return lose("the server no longer answers");
    }
    if (!ask("")) {
        return lose(one_line(PQerrorMessage(connection())));
    }
    probe_->set(probe_every);
}

}  // namespace portal::io
