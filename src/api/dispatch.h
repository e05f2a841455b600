// dispatch: one API request from its path to its answer, in the contract's order of checks (contract/README.md):
// a bad bearer, 404, 405, the principal and its scope, the rate limit, and only then the body and the handler.
#pragma once

#include "api/router.h"
#include "http/request.h"
#include "http/response.h"
#include "portal/authenticator.h"
#include "portal/services.h"

namespace portal::api {

// Never throws but http::BodyAborted (nobody to answer). What a caller sees of an unexpected error is a 500; its
// cause is in the log with the request's id.
io::Task<http::Response> dispatch(http::Request& request, Services& portal, Authenticator& authenticator,
                                  const Router& router, Groups groups);

}  // namespace portal::api
