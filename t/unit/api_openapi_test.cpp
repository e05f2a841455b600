// The OpenAPI document and the route table list the same.
#include <gtest/gtest.h>

#include <set>

#include "api/openapi.h"
#include "api/router.h"

namespace portal::api {
namespace {

using http::Json;
using Names = std::set<std::string>;

constexpr Groups all_groups = ~0u;

// Documented ahead of their routes. A route that comes is taken from this list.
const Names awaited = {};

std::string name_of(http::Method method) {
    switch (method) {
        case http::Method::get:
            return "get";
        case http::Method::post:
            return "post";
        case http::Method::put:
            return "put";
        case http::Method::patch:
            return "patch";
        case http::Method::del:
            return "delete";
        default:
            return "other";
    }
}

Names routes() {
    Names names;
    const Router router;
    for (const Route* route : router.routes()) {
        names.insert(name_of(route->method) + " " + std::string(route->pattern));
    }
    return names;
}

Names operations(const Json& document) {
    Names names;
    const char* path;
    json_t* item;
    json_object_foreach(document["paths"].get(), path, item) {
        const char* method;
        json_t* operation;
        json_object_foreach(item, method, operation) {
            if (std::string_view(method) != "parameters") {
                names.insert(std::string(method) + " " + path);
            }
        }
    }
    return names;
}

Names without(Names names, const Names& others) {
    std::erase_if(names, [&](const std::string& name) { return others.contains(name); });
    return names;
}

TEST(OpenApi, HasEveryRoute) {
    EXPECT_EQ(without(routes(), operations(Json::parse(openapi_document))), Names());
}

TEST(OpenApi, HasNothingButRoutes) {
    EXPECT_EQ(without(without(operations(Json::parse(openapi_document)), routes()), awaited),
              Names());
}

TEST(OpenApi, AwaitsNothingThatIsThere) {
    EXPECT_EQ(without(awaited, without(awaited, routes())), Names());
}

TEST(OpenApi, ListsWhatALocationServes) {
    const OpenApi all = make_openapi(all_groups, "https://portal.example.com");
    EXPECT_EQ(operations(Json::parse(all.body)), routes());
    const OpenApi sessions = make_openapi(group_bit(Group::sessions), "https://portal.example.com");
    const Json document = Json::parse(sessions.body);
    EXPECT_EQ(operations(document),
              Names({"get /api/openapi.json", "post /api/customer-sessions",
                     "delete /api/customer-sessions", "delete /api/customer-sessions/{id}",
                     "post /api/member-sessions"}));
    EXPECT_EQ(document["tags"].size(), 2u);
    EXPECT_NE(all.etag, sessions.etag);
}

TEST(OpenApi, NamesTheServerOfTheConfiguration) {
    const OpenApi made = make_openapi(all_groups, "https://portal.example.com");
    EXPECT_EQ(Json::parse(made.body)["servers"].dump(),
              R"([{"url":"https://portal.example.com"}])");
    EXPECT_NE(made.etag, make_openapi(all_groups, "https://other.example.com").etag);
    EXPECT_EQ(made.etag, make_openapi(all_groups, "https://portal.example.com").etag);
}

}  // namespace
}  // namespace portal::api
