#include "ctl/session.h"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>

#include "portal/workspace.h"

namespace portal::ctl {

const ConfigFile& Session::config() {
    if (!config_) {
        config_ = ConfigFile::load(config_path);
    }
    return *config_;
}

const Secrets& Session::secrets() {
    if (!secrets_) {
        secrets_ = config().load_secrets();
    }
    return *secrets_;
}

io::UvLoop& Session::loop() {
    if (!loop_) {
        // what the clients log is for a service's log; a verb says itself what went wrong
        loop_ = std::make_unique<io::UvLoop>([](io::LogLevel, const char*) {});
    }
    return *loop_;
}

std::string Session::actor() {
    const char* sudo = std::getenv("SUDO_USER");
    const passwd* user = getpwuid(getuid());
    if (getuid() == 0 && sudo && *sudo) {
        return std::string("portalctl:") + sudo;
    }
    return "portalctl:" + (user ? std::string(user->pw_name) : std::to_string(getuid()));
}

const std::string& Session::conninfo() {
    const ConfigFile& file = config();
    const std::string& chosen = file.owner_postgres.empty() ? file.postgres : file.owner_postgres;
    if (chosen.empty()) {
        throw std::invalid_argument(config_path +
                                    " names no database: add postgres = \"host=... dbname=...\"");
    }
    return chosen;
}

io::Postgres& Session::db() {
    if (!db_) {
        std::string chosen = conninfo();
        io::PostgresOptions options;
        try {
            options = io::PostgresOptions::resolve(chosen);
        } catch (const std::invalid_argument& error) {
            throw Unreachable(std::string("cannot reach PostgreSQL: ") + error.what());
        }
        options.main_connections = 1;
        options.connect_timeout = 5000;
        options.least_deadline = 15000;  // whoever types would rather wait than wonder
        options.application_name = "portalctl";
        connections_ = std::make_unique<io::Postgres>(loop(), std::move(options));
        db_ = std::make_unique<io::Postgres>(*connections_, origin_);
    }
    return *db_;
}

const std::string& Session::workspace_id() {
    if (workspace_id_.empty()) {
        http::Json workspace = run(find_workspace(db(), workspace_slug));
        workspace_id_ = workspace["id"].text();
    }
    return workspace_id_;
}

}  // namespace portal::ctl
