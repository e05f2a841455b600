// Diagnosis: from what a database said to what an operator can do about it. Also the plain,
// blocking connection that migrations and checks use.
#pragma once

#include <libpq-fe.h>

#include <memory>
#include <string>
#include <vector>

#include "http/failure.h"
#include "io/postgres.h"

namespace portal::ctl {

using Connection = std::unique_ptr<PGconn, decltype(&PQfinish)>;
using Result = std::unique_ptr<PGresult, decltype(&PQclear)>;

// Blocks for at most five seconds. Throws Unreachable with the reason and what to look at.
Connection connect(const std::string& conninfo);
// Throws Refused with the server's words when the statement fails.
Result execute(PGconn* connection, const char* sql);
Result execute(PGconn* connection, const char* sql, std::initializer_list<std::string> parameters);

// What a rule said, one sentence a problem: "email: Field required".
std::vector<std::string> sentences_of(const http::Failure& failure);

// Connects once more, in order to learn why it was not possible before.
std::string why_postgres_is_unreachable(const std::string& conninfo, const std::string& otherwise);
// "the schema is not there: run portalctl migrate", for the mistakes of set-up.
std::string explain(const io::PostgresError& error, const std::string& conninfo);

}  // namespace portal::ctl
