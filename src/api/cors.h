// CORS (contract/README.md, Response headers): any origin for bearer calls, without credentials; origins of the
// allow-list (portal_cors_credentials) with them.
#pragma once

#include <string>
#include <vector>

#include "http/request.h"
#include "http/response.h"
#include "portal/settings.h"

namespace portal::api {

// Adds what a browser needs to let a foreign page read this answer; nothing when no Origin was sent.
void add_cors(const http::Request& request, const Settings& settings, http::Headers& headers);
// The answer to a preflight for a path with these methods.
http::Response preflight(const http::Request& request, const Settings& settings, const std::string& methods);

}  // namespace portal::api
