// Visit: one request of the page as its parts pass it on, and the views that several of them show.
#pragma once

#include <string>
#include <string_view>

#include "http/query.h"
#include "page/answer.h"

namespace portal::page {

struct Visit {
    api::Call& call;
    Server& server;
    Address address;
    std::string_view language;
    std::string return_to;   // of ?return_to= or the form's field: a path of the site (http/site_path.h), else ""
    http::Headers headers{};   // sent with whatever answer follows, failures too

    std::string say(std::string_view key, Texts::Values values = {}) const {
        return server.site.texts().say(language, key, values);
    }
    // "45 seconds", "2 minutes"
    std::string duration(std::int64_t seconds) const;
};

// "/acme/portal", or "/portal" where there is no house.
std::string portal_path(const std::optional<House>& house);

// That of the portal's page, with what it is to remember: "/acme/portal?step=code&return_to=%2Faccount%2F".
std::string page_path(const Visit& visit, const std::optional<House>& house, std::string_view step = "");
// Takes what was asked for by ?return_to= or the form's field; anything but a path of the site is passed over.
void take_return(Visit& visit, http::Query& values);

View email_view(const Visit& visit, std::optional<House> house);
View code_view(const Visit& visit, std::optional<House> house);
View link_view(const Visit& visit, std::optional<House> house, std::string token);
// A code was mailed to `email` (masked; "": it is told no more) to prove that a client portal's link is one's own.
View link_code_view(const Visit& visit, std::optional<House> house, std::string token, std::string challenge,
                    const std::string& email);
// Somebody else is signed in: whether the link is to take that session's place, which the form says by `replace`.
View replace_view(const Visit& visit, std::optional<House> house, std::string token);
// No link, or none that still opens anything: how to get one.
View missing_link_view(const Visit& visit, std::optional<House> house, bool ended);
// What went wrong, by its status.
View failure_view(const Visit& visit, int status);

}  // namespace portal::page
