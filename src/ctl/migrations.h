// Migrations: the numbered files of conf/sql and what of them a database has.
#pragma once

#include <libpq-fe.h>

#include <string>
#include <vector>

namespace portal::ctl {

struct Migration {
    int version = 0;
    std::string name;  // "003_customers"
    std::string path;
};

// Sorted by version. Throws std::invalid_argument when there is none, or two have one number.
std::vector<Migration> read_migrations(const std::string& directory);

// The highest version a database has; 0 for one without our schema.
int schema_version(PGconn* connection);

// Applies what is missing, each file in a transaction of its own, while nobody else does. Returns
// what was applied. Throws Refused when the database is newer than the files, or a file fails.
std::vector<Migration> migrate(PGconn* connection, const std::vector<Migration>& migrations);

}  // namespace portal::ctl
