#include "ctl/migrations.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <stdexcept>

#include "ctl/diagnosis.h"
#include "ctl/session.h"
#include "portal/config_file.h"

namespace portal::ctl {
namespace {

// One at a time in a database; the number is ours by choice ("portal" in ASCII).
constexpr const char* lock_sql = "SELECT pg_advisory_lock(123611531538796)";
constexpr const char* unlock_sql = "SELECT pg_advisory_unlock(123611531538796)";

constexpr const char* bookkeeping_sql = R"(
CREATE SCHEMA IF NOT EXISTS portal;
CREATE TABLE IF NOT EXISTS portal.schema_migrations (
    version     integer     PRIMARY KEY,
    name        text        NOT NULL,
    applied_at  timestamptz NOT NULL DEFAULT now()
))";

void apply(PGconn* connection, const Migration& migration) {
    std::string sql = read_file(migration.path, false);
    execute(connection, "BEGIN");
    try {
        execute(connection, sql.c_str());
        execute(connection,
                "INSERT INTO portal.schema_migrations (version, name) VALUES ($1::integer, $2)",
                {std::to_string(migration.version), migration.name});
        execute(connection, "COMMIT");
    } catch (const Refused& error) {
        Result ignored(PQexec(connection, "ROLLBACK"), &PQclear);
        throw Refused(migration.name + " failed and was rolled back: " + error.what());
    }
}

}  // namespace

std::vector<Migration> read_migrations(const std::string& directory) {
    std::vector<Migration> found;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
        std::string stem = entry.path().stem().string();
        bool numbered = stem.size() > 4 && std::isdigit(stem[0]) && std::isdigit(stem[1]) &&
                        std::isdigit(stem[2]) && stem[3] == '_';
        if (entry.path().extension() == ".sql" && numbered) {
            found.push_back({std::stoi(stem.substr(0, 3)), stem, entry.path().string()});
        }
    }
    if (found.empty()) {
        throw std::invalid_argument(
            "no migrations in " + directory + (error ? ": " + error.message() : "") +
            " — name their directory with --migrations or in the configuration");
    }
    std::sort(found.begin(), found.end(),
              [](const Migration& a, const Migration& b) { return a.version < b.version; });
    for (std::size_t at = 1; at < found.size(); ++at) {
        if (found[at].version == found[at - 1].version) {
            throw std::invalid_argument("two migrations have one number: " + found[at - 1].name +
                                        " and " + found[at].name);
        }
    }
    return found;
}

int schema_version(PGconn* connection) {
    Result table =
        execute(connection, "SELECT to_regclass('portal.schema_migrations') IS NOT NULL");
    if (std::string(PQgetvalue(table.get(), 0, 0)) != "t") {
        return 0;
    }
    Result highest =
        execute(connection, "SELECT coalesce(max(version), 0) FROM portal.schema_migrations");
    return std::stoi(PQgetvalue(highest.get(), 0, 0));
}

std::vector<Migration> migrate(PGconn* connection, const std::vector<Migration>& migrations) {
    execute(connection, lock_sql);
    int version = schema_version(connection);
    int newest = migrations.back().version;
    if (version > newest) {
        throw Refused("the database has schema version " + std::to_string(version) +
                      ", these files end at " + std::to_string(newest) +
                      " — upgrade portalctl and its migrations; nothing was changed");
    }
    if (version < newest) {
        execute(connection, bookkeeping_sql);
    }
    std::vector<Migration> applied;
    for (const Migration& migration : migrations) {
        if (migration.version > version) {
            apply(connection, migration);
            applied.push_back(migration);
        }
    }
    execute(connection, unlock_sql);
    return applied;
}

}  // namespace portal::ctl
