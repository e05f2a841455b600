// Router: from a path to the routes on it. A path with and without its last slash is the same.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "api/route.h"

namespace portal::api {

inline constexpr Groups default_groups =
    group_bit(Group::sessions) | group_bit(Group::portal) | group_bit(Group::client_portal);

struct Match {
    std::vector<const Route*> const* routes = nullptr;   // all methods of the path; null: no such path
    std::array<std::string_view, 2> parameters{};

    const Route* method(http::Method method, Groups groups) const;   // HEAD finds GET
    bool any(Groups groups) const;
    std::string allow(Groups groups) const;                          // "GET, HEAD, OPTIONS"
};

class Router {
  public:
    Router();   // every surface's table
    Match find(std::string_view path) const;
    const std::vector<const Route*>& routes() const { return routes_; }

  private:
    struct Pattern {
        std::vector<std::string_view> parts;   // "{id}" stands for any one
        std::vector<const Route*> routes;
    };
    void add(std::span<const Route> routes);

    std::unordered_map<std::string_view, std::vector<const Route*>> literal_;
    std::vector<Pattern> patterns_;
    std::vector<const Route*> routes_;
};

// Which surface's shape an answer for this path takes, whether or not a route is there.
http::Surface surface_of(std::string_view path);

}  // namespace portal::api
