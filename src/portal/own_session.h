// OwnSession: a person's own sessions: made from a link, listed, ended
// (contract/customer-portal.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "io/task.h"
#include "portal/page.h"
#include "portal/principal.h"
#include "portal/services.h"
#include "portal/uuid.h"

namespace portal {

struct ExchangedSession {
    std::string token, slug;
    std::int64_t expires_in = 0;  // seconds
};

// Whose session a link's token is of. nullopt: of no living one.
io::Task<std::optional<Principal>> find_session_link(Services& portal, std::string token);
// A fresh session for a link's, which it ends with. nullopt: it has ended in between.
io::Task<std::optional<ExchangedSession>> exchange_session(Services& portal, Principal link,
                                                           std::string device);

// The living sessions of this customer or member: {id, created_at, expires_at, last_seen_at,
// device, signed_in_by, current}.
io::Task<Page> list_own_sessions(Services& portal, Principal caller, PageRequest request);
// False: none of the caller's living ones.
io::Task<bool> end_own_session(Services& portal, Principal caller, Uuid id);
// All but this one, which no longer hangs on the link it came from. How many there were.
io::Task<std::int64_t> end_other_sessions(Services& portal, Principal caller);

}  // namespace portal
