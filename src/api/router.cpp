#include "api/router.h"

#include <algorithm>

namespace portal::api {
namespace {

std::vector<std::string_view> split(std::string_view path) {
    std::vector<std::string_view> parts;
    while (!path.empty()) {
        path.remove_prefix(1);
        auto end = std::min(path.find('/'), path.size());
        parts.push_back(path.substr(0, end));
        path.remove_prefix(end);
    }
    return parts;
}

std::string_view method_name(http::Method method) {
    switch (method) {
        case http::Method::get: return "GET, HEAD";
        case http::Method::post: return "POST";
        case http::Method::put: return "PUT";
        case http::Method::patch: return "PATCH";
        case http::Method::del: return "DELETE";
        default: return "";
    }
}

bool served(const Route* route, Groups groups) { return (groups & group_bit(route->group)) != 0; }

}  // namespace

const Route* Match::method(http::Method method, Groups groups) const {
    const http::Method wanted = method == http::Method::head ? http::Method::get : method;
    for (const Route* route : *routes) {
        if (route->method == wanted && served(route, groups)) {
            return route;
        }
    }
    return nullptr;
}

bool Match::any(Groups groups) const {
    return routes != nullptr &&
           std::ranges::any_of(*routes, [groups](const Route* route) { return served(route, groups); });
}

std::string Match::allow(Groups groups) const {
    std::string names;
    for (const Route* route : *routes) {
        if (served(route, groups)) {
            names.append(method_name(route->method)).append(", ");
        }
    }
    return names + "OPTIONS";
}

Router::Router() {
    add(customer_session_routes());
    add(client_portal_routes());
    add(contact_routes());
    add(company_routes());
    add(portal_item_routes());
    add(portal_me_routes());
    add(portal_file_routes());
    add(file_sharing_routes());
    add(openapi_routes());
    add(portal_profile_routes());
    add(portal_member_routes());
    add(member_routes());
    add(customer_routes());
    add(access_token_routes());
    add(workspace_routes());
    add(webhook_routes());
    add(portal_login_routes());
    add(event_stream_routes());
}

void Router::add(std::span<const Route> routes) {
    for (const Route& route : routes) {
        routes_.push_back(&route);
        if (route.pattern.find('{') == std::string_view::npos) {
            literal_[route.pattern].push_back(&route);
            continue;
        }
        auto parts = split(route.pattern);
        auto known = std::find_if(patterns_.begin(), patterns_.end(), [&](auto& each) { return each.parts == parts; });
        if (known == patterns_.end()) {
            patterns_.push_back({std::move(parts), {}});
            known = patterns_.end() - 1;
        }
        known->routes.push_back(&route);
    }
}

Match Router::find(std::string_view path) const {
    if (path.size() > 1 && path.ends_with('/')) {
        path.remove_suffix(1);
    }
    Match match;
    if (auto literal = literal_.find(path); literal != literal_.end()) {
        match.routes = &literal->second;
        return match;
    }
    for (const Pattern& pattern : patterns_) {
        std::string_view rest = path;
        std::size_t parameter = 0;
        bool fits = true;
        for (std::string_view part : pattern.parts) {
            if (!rest.starts_with('/')) {
                fits = false;
                break;
            }
            rest.remove_prefix(1);
            std::string_view value = rest.substr(0, std::min(rest.find('/'), rest.size()));
            rest.remove_prefix(value.size());
            if (part.starts_with('{') && !value.empty()) {
                match.parameters[parameter++] = value;
            } else if (part != value) {
                fits = false;
                break;
            }
        }
        if (fits && rest.empty()) {
            match.routes = &pattern.routes;
            return match;
        }
    }
    match.parameters = {};
    return match;
}

http::Surface surface_of(std::string_view path) {
    constexpr std::string_view client_portal = "/api/v1/client-portal";
    return path.starts_with(client_portal) ? http::Surface::client_portal : http::Surface::rest;
}

}  // namespace portal::api
