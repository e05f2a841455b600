#include "io/postgres_pipeline.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "io/postgres_query.h"

namespace portal::io {
namespace {

constexpr std::string_view read_only = "25006";          // a standby, or a primary that has become one
constexpr std::string_view unknown_statement = "26000";  // somebody else's session: a pooler, DISCARD ALL
constexpr std::string_view duplicate_statement = "42P05";

std::string_view field(const Result& result, int code) {
    const char* text = PQresultErrorField(result.get(), code);
    return text ? text : "";
}

}  // namespace

bool PostgresPipeline::begin() noexcept {
    prepared_.clear();
    if (!PQenterPipelineMode(connection())) {
        return false;
    }
    idle(true);
    established();
    return true;
}

void PostgresPipeline::send(PostgresQuery& query) noexcept {
    const Statement& statement = query.statement;
    const Statement* preamble = query.preamble;
    const bool preparing_preamble = preamble && prepared_.insert(preamble->name).second;
    const bool preparing = prepared_.insert(statement.name).second;
    query.stage = PostgresQuery::Stage::in_flight;
    query.pipeline = this;
    slots_.push_back(Slot{&query, preamble ? preamble->name : "", statement.name, query.deadline, query.slow(),
                          preparing_preamble, preamble != nullptr, preparing, false, false, nullptr});
    slow_ += query.slow() ? 1 : 0;
    if (slots_.size() == 1) {
        idle(false);
    }

    const bool sent = (!preparing_preamble || prepare(*preamble)) &&
                      (!preamble || execute(*preamble, query.preamble_parameters)) &&
                      (!preparing || prepare(statement)) && execute(statement, query.parameters) &&
                      PQpipelineSync(connection()) != 0;
    if (!sent) {
        return lose(one_line(PQerrorMessage(connection())));
    }
    flush();
}

bool PostgresPipeline::prepare(const Statement& statement) noexcept {
    return PQsendPrepare(connection(), statement.name, statement.sql, 0, nullptr) != 0;
}

bool PostgresPipeline::execute(const Statement& statement, const Parameters& parameters) noexcept {
    values_.clear();
    for (std::size_t i = 0; i < parameters.size(); ++i) {
        values_.push_back(parameters.data(i));
    }
    return PQsendQueryPrepared(connection(), statement.name, int(values_.size()), values_.data(), nullptr, nullptr,
                               0) != 0;
}

// The front slot was to prepare it, and has not.
void PostgresPipeline::unprepare(std::string_view name) noexcept {
    prepared_.erase(name);
    for (std::size_t i = 1; i < slots_.size(); ++i) {
        Slot& later = slots_[i];
        later.undone = later.undone || (later.name == name && !later.preparing) ||
                       (later.preamble == name && !later.preparing_preamble);
    }
}

void PostgresPipeline::forget(PostgresQuery& query) noexcept {
    for (Slot& slot : slots_) {
        if (slot.query == &query) {
            slot.query = nullptr;
        }
    }
}

void PostgresPipeline::input() noexcept {
    int nothing = 0;
    while (!slots_.empty() && !PQisBusy(connection())) {
        Result result(PQgetResult(connection()));
        if (!result) {
            // a null ends each command's results; several in a row mean that libpq expects no more of them
            if (++nothing > 3) {
                return lose("the connection is out of step");
            }
            continue;
        }
        nothing = 0;
        if (!take(std::move(result))) {
            return;
        }
    }
    if (slots_.empty()) {
        PQisBusy(connection());   // digests what came unasked, so that it does not pile up
        rest();
    }
}

bool PostgresPipeline::take(Result result) noexcept {
    Slot& slot = slots_.front();
    switch (PQresultStatus(result.get())) {
        case PGRES_PIPELINE_SYNC:
            return finish();
        case PGRES_PIPELINE_ABORTED:
            return true;
        case PGRES_COMMAND_OK:
        case PGRES_TUPLES_OK:
            if (slot.preparing_preamble) {
                slot.preparing_preamble = false;
            } else if (slot.in_preamble) {
                slot.in_preamble = false;
            } else if (slot.preparing) {
                slot.preparing = false;
            } else if (!slot.failed) {
                slot.result = std::move(result);
            }
            return true;
        case PGRES_FATAL_ERROR:
            break;
        default:
            lose("a statement was answered with something that is no rows");
            return false;
    }

    std::string_view severity = field(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    if (PQstatus(connection()) == CONNECTION_BAD || severity == "FATAL" || severity == "PANIC") {
        lose(one_line(PQresultErrorMessage(result.get())));
        return false;
    }
    if (std::exchange(slot.preparing_preamble, false)) {
        unprepare(slot.preamble);
    }
    if (std::exchange(slot.preparing, false)) {
        unprepare(slot.name);
    }
    if (!slot.failed) {
        slot.failed = true;
        slot.result = std::move(result);
    }
    return true;
}

// The front slot's sync has come.
bool PostgresPipeline::finish() noexcept {
    Slot slot = std::move(slots_.front());
    std::string_view state = slot.failed ? field(slot.result, PG_DIAG_SQLSTATE) : std::string_view();
    bool unprepared = slot.undone && state == unknown_statement;
    bool useless = state == read_only || state == duplicate_statement || (state == unknown_statement && !unprepared);
    if (useless) {
        // its slot stays in front, to be told with the rest
        if (state == read_only) {
            avoid_host();
        }
        slots_.front().undone = true;
        lose(one_line(PQresultErrorMessage(slot.result.get())));
        return false;
    }
    slots_.pop_front();
    slow_ -= slot.slow ? 1 : 0;
    answered();
    if (!slot.query) {
        owner_.drained();
    } else if (unprepared) {
        owner_.unanswered(*slot.query, true, "the statement was not prepared");
    } else if (!slot.result) {
        lose("a statement was not answered");
        owner_.unanswered(*slot.query, false, "the statement was not answered");
        return false;
    } else {
        owner_.answered(*slot.query, std::move(slot.result));
    }
    return true;
}

// Last first: whoever is sent again goes to the head of the queue, and they are to keep their order.
void PostgresPipeline::gone(const std::string& reason) noexcept {
    std::deque<Slot> slots = std::move(slots_);
    slots_.clear();
    slow_ = 0;
    while (!slots.empty()) {
        Slot slot = std::move(slots.back());
        slots.pop_back();
        if (slot.query) {
            owner_.unanswered(*slot.query, slot.undone, reason);
        } else {
            owner_.drained();
        }
    }
}

bool PostgresPipeline::late() const noexcept {
    return std::any_of(slots_.begin(), slots_.end(),
                       [now = loop_.now()](const Slot& slot) { return slot.deadline <= now; });
}

void PostgresPipeline::check_deadlines() noexcept {
    // perhaps this process was the slow one: what has arrived meanwhile counts
    if (late() && consume()) {
        input();
        if (late()) {
            lose("no answer in time");
        }
    }
}

std::int64_t PostgresPipeline::next_deadline() const noexcept {
    std::int64_t next = std::numeric_limits<std::int64_t>::max();
    for (const Slot& slot : slots_) {
        next = std::min(next, slot.deadline);
    }
    return next;
}

// Nothing in flight. While the process drains, connections are opened for whoever asks and closed behind them.
void PostgresPipeline::rest() noexcept {
    if (loop_.stopping()) {
        close();
    } else {
        idle(true);
    }
}

void PostgresPipeline::give_up(const std::string& reason) noexcept {
    close();
    gone(reason);
}

void PostgresPipeline::on_shutdown() noexcept {
    if (slots_.empty() && state() == State::ready) {
        close();
    }
}

}  // namespace portal::io
