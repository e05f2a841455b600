// The browser's caller: who a request is by the portal's cookie, where no bearer was sent.
#pragma once

#include "api/route.h"
#include "portal/authenticator.h"

namespace portal::api {

// Sets call.caller when one of its cookies is a living session's. Several workspaces' cookies may
// come: the header X-Portal-Workspace says which is meant, else portal_workspace, else there is
// only one. A cookie that has run out is as none. Throws 403 NotPermitted for what does not come
// from our own page.
io::Task<void> authenticate_by_cookie(Call& call, Authenticator& authenticator);

// A link counts as none in a location of another workspace, and to a page of another (its
// X-Portal-Workspace).
bool is_meant_here(const http::Request& request, const Principal& link);

// With X-Portal-Keep: 1, throws 409 AnotherSession when the cookie that `next` is about to get holds a
// living session of somebody else: of another customer, member or addressee, or of the other portal.
io::Task<void> require_nobody_else(Call& call, const Principal& next);

// What the browser's session cookies hold, whoever's they are.
std::vector<std::string> session_tokens(const http::Request& request, const Settings& settings);
// Whether it came with a session's cookie at all.
bool has_session_cookie(const http::Request& request, const Settings& settings);

}  // namespace portal::api
