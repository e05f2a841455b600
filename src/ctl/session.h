// Session: what a verb works with. The configuration, the secrets, the event loop and the database
// are opened when first asked for, so that `secret new` and `--help` need none of them.
#pragma once

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "http/json.h"
#include "io/postgres.h"
#include "io/task.h"
#include "io/uv_loop.h"
#include "portal/config_file.h"
#include "portal/origin.h"
#include "portal/secrets.h"

namespace portal::ctl {

// How a verb ends when it does not throw; the same numbers for every verb.
enum Exit { done = 0, refused_by_rule = 1, wrong_usage = 2, cannot_reach = 3 };

// A sentence for the operator, and what to do about it.
struct Refused : std::runtime_error {
    using std::runtime_error::runtime_error;
};
struct Unreachable : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class Session {
  public:
    // Set by the options every verb takes.
    std::string config_path = ConfigFile::default_path();
    bool json = false;
    std::string workspace_slug;

    int exit_code = done;  // of a verb that has printed what is wrong itself

    const ConfigFile& config();
    const Secrets& secrets();
    io::UvLoop& loop();
    io::Postgres& db();
    // As the audit log calls who runs this: portalctl:<user>, the one that sudo was called by.
    static std::string actor();
    // The owner's connection string where there is one.
    const std::string& conninfo();

    template <class T>
    T run(io::Task<T> task) {
        return loop().run_task(std::move(task));
    }
    // The workspace --workspace names.
    const std::string& workspace_id();

  private:
    std::optional<ConfigFile> config_;
    std::optional<Secrets> secrets_;
    std::unique_ptr<io::UvLoop> loop_;
    std::unique_ptr<io::Postgres> connections_;  // goes before the loop
    Program origin_{actor()};
    std::unique_ptr<io::Postgres> db_;
    std::string workspace_id_;
};

}  // namespace portal::ctl
