// The OpenAPI document: embedded at build time from src/api/openapi/, served at /api/openapi.json.
#pragma once

#include <string>
#include <string_view>

#include "api/route.h"

namespace portal::api {

// All there is, whether served or not: what the build joined.
extern const std::string_view openapi_document;

struct OpenApi {
    std::string body;
    std::string etag;
};

// The document of the routes that these groups serve, for clients that reach them below `base_url`.
OpenApi make_openapi(Groups groups, const std::string& base_url);

}  // namespace portal::api
