// Customer and member sessions as an operator sees them: listed, and ended in numbers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "http/json.h"
#include "io/postgres.h"
#include "io/task.h"
#include "portal/page.h"

namespace portal {

// Whose; absent: the whole workspace's.
struct SessionFilter {
    std::optional<std::string> id, customer_id;
    bool with_dead = false;  // expired and revoked ones too
};

// Of both tables, newest first: their columns, and `type` customer or member.
io::Task<Page> list_sessions(io::Postgres& db, std::string workspace_id, SessionFilter filter,
                             PageRequest request);

// Ends the living ones that match; how many there were.
io::Task<std::int64_t> revoke_sessions(io::Postgres& db, std::string workspace_id,
                                       SessionFilter filter);

}  // namespace portal
