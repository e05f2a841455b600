// Visit: one request of the page as its parts pass it on, and the views that several of them show.
#pragma once

#include <string>
#include <string_view>

#include "page/answer.h"

namespace portal::page {

struct Visit {
    api::Call& call;
    Server& server;
    Address address;
    std::string_view language;

    std::string say(std::string_view key, Texts::Values values = {}) const {
        return server.site.texts().say(language, key, values);
    }
    // "45 seconds", "2 minutes"
    std::string duration(std::int64_t seconds) const;
};

// "/acme/portal", or "/portal" where there is no house.
std::string portal_path(const std::optional<House>& house);

View email_view(const Visit& visit, std::optional<House> house);
View code_view(const Visit& visit, std::optional<House> house);
View link_view(const Visit& visit, std::optional<House> house, std::string token);
// No link, or none that still opens anything: how to get one.
View missing_link_view(const Visit& visit, std::optional<House> house, bool ended);
// What went wrong, by its status.
View failure_view(const Visit& visit, int status);

}  // namespace portal::page
