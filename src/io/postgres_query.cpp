#include "io/postgres_query.h"

namespace portal::io {
namespace {

std::string field(const PGresult* result, int code) {
    const char* text = PQresultErrorField(result, code);
    return text ? text : "";
}

// The server is right to refuse, but only for now: no time, no memory, no room, going down, being a standby.
bool is_passing(std::string_view state) {
    return state == "55P03" || state == "57014" || state == "25006" || state.starts_with("53") ||
           state.starts_with("57P") || state.starts_with("08");
}

// "invalid input syntax for type uuid: "x"" quotes what was sent, which is nobody else's business.
std::string without_values(const std::string& message) {
    std::string kept;
    bool inside = false;
    for (char c : message.substr(0, message.find(": "))) {
        if (c == '"') {
            inside = !inside;
        }
        if (!inside || c == '"') {
            kept += c;
        }
    }
    return kept;
}

}  // namespace

Rows PostgresQuery::await_resume() {
    stage = Stage::fresh;
    if (!result) {
        throw PostgresUnavailable(unavailable);
    }
    ExecStatusType status = PQresultStatus(result.get());
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        return Rows(result.release());
    }
    std::string state = field(result.get(), PG_DIAG_SQLSTATE);
    std::string message = field(result.get(), PG_DIAG_MESSAGE_PRIMARY);
    if (is_passing(state)) {
        throw PostgresUnavailable(state + ": " + message);
    }
    if (state.starts_with("22")) {
        message = without_values(message);
    }
    throw PostgresError(state, field(result.get(), PG_DIAG_CONSTRAINT_NAME), message);
}

}  // namespace portal::io
