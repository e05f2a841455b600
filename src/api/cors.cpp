#include "api/cors.h"

#include <algorithm>

namespace portal::api {
namespace {

bool may_send_credentials(const Settings& settings, std::string_view origin) {
    const auto& allowed = settings.credential_origins;
    return std::find(allowed.begin(), allowed.end(), origin) != allowed.end();
}

void add_origin(const http::Request& request, const Settings& settings, http::Headers& headers) {
    auto origin = request.header("origin");
    if (may_send_credentials(settings, *origin)) {
        headers.push_back({"Access-Control-Allow-Origin", std::string(*origin)});
        headers.push_back({"Access-Control-Allow-Credentials", "true"});
        headers.push_back({"Vary", "Origin"});
    } else {
        headers.push_back({"Access-Control-Allow-Origin", "*"});
    }
}

}  // namespace

void add_cors(const http::Request& request, const Settings& settings, http::Headers& headers) {
    if (!request.header("origin")) {
        return;
    }
    add_origin(request, settings, headers);
    headers.push_back({"Access-Control-Expose-Headers",
                       "X-Request-ID, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, RateLimit-Policy, "
                       "RateLimit, Retry-After, ETag, Location, WWW-Authenticate"});
}

http::Response preflight(const http::Request& request, const Settings& settings, const std::string& methods) {
    http::Response response = http::no_content();
    add_origin(request, settings, response.headers);
    response.with("Access-Control-Allow-Methods", methods);
    response.with("Access-Control-Allow-Headers",
                  "Authorization, Content-Type, Accept, Idempotency-Key, If-None-Match, Last-Event-ID, Prefer, "
                  "X-Portal-Cookie, X-Portal-Workspace");
    response.with("Access-Control-Max-Age", "7200");
    return response;
}

}  // namespace portal::api
