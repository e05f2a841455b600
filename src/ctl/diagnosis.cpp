#include "ctl/diagnosis.h"

#include <vector>

#include "ctl/session.h"

namespace portal::ctl {
namespace {

std::string one_line(std::string text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) {
        text.pop_back();
    }
    for (char& c : text) {
        if (c == '\n' || c == '\t') {
            c = ' ';
        }
    }
    return text;
}

bool holds(const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
}

// What to do about libpq's words.
std::string remedy(const std::string& words) {
    if (holds(words, "password authentication") || holds(words, "Peer authentication") ||
        holds(words, "no password supplied") || holds(words, "pg_hba.conf")) {
        return "let this role in (pg_hba.conf), or name another one in the configuration";
    }
    if (holds(words, "role") && holds(words, "does not exist")) {
        return "create the role: CREATE ROLE … LOGIN";
    }
    if (holds(words, "database") && holds(words, "does not exist")) {
        return "create it: CREATE DATABASE … OWNER portal_owner";
    }
    return "is PostgreSQL running, and are host and port in the configuration right?";
}

Result checked(PGconn* connection, PGresult* raw) {
    Result result(raw, &PQclear);
    ExecStatusType status = PQresultStatus(raw);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY ||
        status == PGRES_COPY_IN) {
        return result;
    }
    if (PQstatus(connection) == CONNECTION_BAD) {
        throw Unreachable("the connection to PostgreSQL was lost: " +
                          one_line(PQerrorMessage(connection)));
    }
    throw Refused(one_line(PQresultErrorMessage(raw)));
}

}  // namespace

Connection connect(const std::string& conninfo) {
    const char* names[] = {"dbname", "connect_timeout", "application_name", "client_encoding",
                           nullptr};
    const char* values[] = {conninfo.c_str(), "5", "portalctl", "UTF8", nullptr};
    Connection connection(PQconnectdbParams(names, values, 1), &PQfinish);
    if (PQstatus(connection.get()) != CONNECTION_OK) {
        std::string words = one_line(PQerrorMessage(connection.get()));
        throw Unreachable("cannot reach PostgreSQL: " + words + " — " + remedy(words));
    }
    PQsetNoticeReceiver(
        connection.get(), [](void*, const PGresult*) {}, nullptr);
    return connection;
}

Result execute(PGconn* connection, const char* sql) {
    return checked(connection, PQexec(connection, sql));
}

Result execute(PGconn* connection, const char* sql, std::initializer_list<std::string> parameters) {
    std::vector<const char*> values;
    for (const std::string& parameter : parameters) {
        values.push_back(parameter.c_str());
    }
    return checked(connection, PQexecParams(connection, sql, int(values.size()), nullptr,
                                            values.data(), nullptr, nullptr, 0));
}

std::vector<std::string> sentences_of(const http::Failure& failure) {
    if (failure.problems.empty()) {
        return {failure.detail};
    }
    std::vector<std::string> sentences;
    for (const http::Problem& problem : failure.problems) {
        std::string place;
        for (const std::string& part : problem.loc) {
            const bool position = problem.type == "json_invalid";
            if (part != "body" && part != "query" && !position) {
                place += (place.empty() ? "" : ".") + part;
            }
        }
        std::string sentence = place.empty() ? problem.msg : place + ": " + problem.msg;
        if (problem.ctx.is_object() && problem.type == "json_invalid") {
            sentence += ": " + std::string(problem.ctx["error"].text());
        }
        sentences.push_back(std::move(sentence));
    }
    return sentences;
}

std::string why_postgres_is_unreachable(const std::string& conninfo, const std::string& otherwise) {
    try {
        connect(conninfo);
    } catch (const Unreachable& error) {
        return error.what();
    }
    return "PostgreSQL did not answer in time: " + otherwise +
           " — try again, or look at its load and locks";
}

std::string explain(const io::PostgresError& error, const std::string& conninfo) {
    if (error.sqlstate == "3F000" || error.sqlstate == "42P01" || error.sqlstate == "42883" ||
        error.sqlstate == "42703") {
        return "the database's schema is missing or old (" + error.message +
               ") — run: portalctl migrate";
    }
    if (error.sqlstate == "42501") {
        return error.message +
               " — set owner_postgres in the configuration to the owner's connection";
    }
    if (error.sqlstate == "25006") {
        return "this server is a read-only standby — name the primary, or add "
               "target_session_attrs=read-write to " +
               std::string(conninfo.find("://") == std::string::npos ? "the connection string"
                                                                     : "the URI");
    }
    return "the database refused it: " + error.message;
}

}  // namespace portal::ctl
