// Link codes: where a workspace asks for it (feature_settings.require_code), whoever opens a client
// portal's link on a new device also enters a code that is mailed to the addressee
// (contract/client-portal.md). A device is known by a living session of the same addressee.
//
// The code is that of the challenge's id, as at sign-in (portal/login_code.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "io/task.h"
#include "portal/principal.h"
#include "portal/services.h"
#include "portal/uuid.h"

namespace portal {

// `sessions`: tokens of the browser's session cookies, of whatever workspaces.
io::Task<bool> is_known_device(Services& portal, const Principal& link,
                               const std::vector<std::string>& sessions);

// Where the addressee is mailed; nullopt: it has no address.
io::Task<std::optional<std::string>> find_link_address(Services& portal, const Principal& link);
// "j***@example.com": enough to know one's own by.
std::string masked_address(const std::string& email);

struct LinkChallenge {
    Uuid id;
    std::int64_t expires_in = 0;  // seconds
};

// Mails a code. `again`: the same once more, three times at most; then, or when it is over, a fresh
// one.
io::Task<LinkChallenge> send_link_code(Services& portal, const Principal& link,
                                       std::optional<Uuid> again);

// Takes one of the challenge's five tries, before a code is compared: so that no more than five ever
// are, however many come at once. False: none is left, or there is no such open challenge.
// open_portal_link() gives it back.
io::Task<bool> take_link_try(Services& portal, const Principal& link, const Uuid& challenge);
// Goes into the audit log.
io::Task<void> note_wrong_link_code(Services& portal, const Principal& link);

}  // namespace portal
