// After a backup was restored: what was ended since it was made is alive again, and every node
// remembers rows that are no more.
#pragma once

#include <cstdint>

#include "io/postgres.h"
#include "io/task.h"

namespace portal {

struct Restored {
    std::int64_t sessions = 0;  // how many were ended, of all workspaces
    std::int64_t codes = 0;     // likewise, login codes and choices
};

// Ends all sessions and open login codes, and has every node read everything anew.
io::Task<Restored> end_after_restore(io::Postgres& db);

}  // namespace portal
