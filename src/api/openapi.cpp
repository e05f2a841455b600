#include "api/openapi.h"

#include <map>
#include <optional>
#include <set>
#include <utility>

#include "api/router.h"
#include "http/etag.h"
#include "portal/hmac.h"

namespace portal::api {
namespace {

using http::Json;
using http::Response;
using enum http::Method;

std::optional<http::Method> method_of(std::string_view name) {
    for (auto [known, method] : {std::pair<std::string_view, http::Method>{"get", get},
                                 {"post", post},
                                 {"put", put},
                                 {"patch", patch},
                                 {"delete", del}}) {
        if (known == name) {
            return method;
        }
    }
    return std::nullopt;
}

// An operation that no route of these groups answers; `parameters` of a path is none.
bool unserved(const Match& match, const char* key, Groups groups) {
    const std::optional<http::Method> method = method_of(key);
    return method && match.method(*method, groups) == nullptr;
}

// Removes what is not served; the tags of what is left.
std::set<std::string> keep_served(json_t* paths, Groups groups) {
    const Router router;
    std::set<std::string> tags;
    const char* path;
    json_t* item;
    void* next;
    json_object_foreach_safe(paths, next, path, item) {
        const Match match = router.find(path);
        if (!match.any(groups)) {
            json_object_del(paths, path);
            continue;
        }
        const char* key;
        json_t* operation;
        void* after;
        json_object_foreach_safe(item, after, key, operation) {
            if (unserved(match, key, groups)) {
                json_object_del(item, key);
            } else if (json_t* tag = json_array_get(json_object_get(operation, "tags"), 0)) {
                tags.insert(json_string_value(tag));
            }
        }
    }
    return tags;
}

Json described(const Json& all, const std::set<std::string>& tags) {
    Json kept = Json::array();
    for (std::size_t at = 0; at < all.size(); ++at) {
        if (tags.contains(std::string(all[at]["name"].text()))) {
            kept.push(all[at]);
        }
    }
    return kept;
}

// Made when it is first asked for: a process has one base URL, and few locations.
const OpenApi& openapi_of(Groups groups, const std::string& base_url) {
    static std::map<std::pair<Groups, std::string>, OpenApi> made;
    auto known = made.find({groups, base_url});
    if (known == made.end()) {
        known = made.emplace(std::pair(groups, base_url), make_openapi(groups, base_url)).first;
    }
    return known->second;
}

io::Task<Response> get_openapi(Call& call) {
    const OpenApi& document = openapi_of(call.groups, call.portal.settings.base_url);
    Response response = http::tagged_response(call.request, document.body, document.etag);
    response.with("Cache-Control", "no-cache");
    co_return response;
}

constexpr Route routes[] = {
    {get, "/api/openapi.json", Group::every, http::Surface::rest, anyone, Scope::none,
     LimitClass::restricted, Body::none, get_openapi},
};

}  // namespace

OpenApi make_openapi(Groups groups, const std::string& base_url) {
    Json document = Json::parse(openapi_document);
    Json server = Json::object({{"url", base_url}});
    Json servers = Json::array();
    servers.push(server);
    document.set("servers", servers);
    const std::set<std::string> tags = keep_served(document["paths"].get(), groups);
    document.set("tags", described(document["tags"], tags));
    OpenApi made;
    made.body = document.dump();
    made.etag = "\"" + hex(sha256(made.body)).substr(0, 32) + "\"";
    return made;
}

std::span<const Route> openapi_routes() { return routes; }

}  // namespace portal::api
