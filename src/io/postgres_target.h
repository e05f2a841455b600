// PostgresTarget: where a pool connects to, taken apart once so that attempts can begin at any of its hosts.
#pragma once

#include <libpq-fe.h>

#include <string>
#include <utility>
#include <vector>

#include "io/postgres.h"

namespace portal::io {

class PostgresTarget {
  public:
    // Throws std::invalid_argument when libpq cannot read the connection string.
    explicit PostgresTarget(const PostgresOptions& options);

    // Begins to connect, hosts in their order from number `first` on, the ones before it last: libpq goes on to the
    // next host by itself when one refuses, but would wait for ever for one that says nothing. Null: out of memory.
    PGconn* start(std::size_t first) const;

    // The target as a key=value string, with the address of each host that is a name. Blocks; throws like the above.
    std::string resolved() const;

  private:
    using Setting = std::pair<std::string, std::string>;

    std::vector<Setting> settings_;   // but for these, which are lists:
    std::vector<std::string> hosts_, addresses_, ports_;
    std::string application_name_;
};

// One line of what libpq says, which likes to end in a line feed and sometimes to span several.
std::string one_line(const char* message);

}  // namespace portal::io
