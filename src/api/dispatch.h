// dispatch: one API request from its path to its answer, in the contract's order of checks (contract/README.md):
// a bad bearer, 404, 405, the principal and its scope, the rate limit, and only then the body and the handler.
#pragma once

#include "api/route.h"
#include "api/router.h"
#include "portal/authenticator.h"

namespace portal::api {

// `call` outlives the task. What can be answered from memory is: the task is finished then. Never throws but
// http::BodyAborted (nobody to answer). What a caller sees of an unexpected error is a 500; its cause is in the log
// with the request's id.
io::Task<http::Response> dispatch(Call& call, Authenticator& authenticator, const Router& router);

// What a verdict that refuses is answered: 429, or 503 where it could not be told. Its limit has the Retry-After.
http::Failure over_limit(const Verdict& verdict);

// What the exception that is being handled means to a caller; an unexpected one is logged. Rethrows http::BodyAborted.
http::Failure current_failure(const Call& call);

}  // namespace portal::api
