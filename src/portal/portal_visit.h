// PortalVisit: a contact or company at its client portal: the link opened, and what it sees
// (contract/client-portal.md). The caller of all but the exchange is a link's or its session's.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "http/json.h"
#include "io/task.h"
#include "portal/own_session.h"
#include "portal/page.h"
#include "portal/principal.h"
#include "portal/services.h"

namespace portal {

// nullopt: the token is of no living link (nor of a session).
io::Task<std::optional<Principal>> find_portal_link(Services& portal, std::string token);

// A fresh browser session for a link, which it ends with. The first time, and then at most once an
// hour, the link counts as accessed. `challenge`: whose code was right, where one is asked for
// (portal/link_code.h); it is spent, of any number of parallel calls by one. nullopt: that was over,
// or the link.
io::Task<std::optional<ExchangedSession>> open_portal_link(Services& portal, Principal link,
                                                           std::string device,
                                                           std::optional<Uuid> challenge);

// Ends the caller's browser session. A link's own token ends nothing: the mail it stands in is still
// to be of use.
io::Task<void> end_portal_visit(Services& portal, Principal caller);

// What the tenant's configuration lets an addressee see.
struct PortalOffer {
    http::Json config;  // `data` of GET /config
    std::vector<std::string> modules;
    bool file_sharing = false, activity = false;
};
io::Task<PortalOffer> find_portal_offer(Services& portal, Principal caller);

// {addressee: {type, id, name, email}, workspace: {id, name, slug}, config, expires_at}. Throws 401
// when the link went meanwhile.
io::Task<http::Json> describe_portal_visit(Services& portal, Principal caller);

// Items of these modules, newest first: a contact's own; a company's own and its contacts'.
io::Task<Page> list_visited_items(Services& portal, Principal caller,
                                  std::vector<std::string> modules, PageRequest request);

// What happened to them, newest first, as the stream tells it: {id, type, timestamp, data}. It
// reaches as far back as events are kept.
io::Task<Page> list_portal_activity(Services& portal, Principal caller,
                                    std::vector<std::string> modules, PageRequest request);

}  // namespace portal
