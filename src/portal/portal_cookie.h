// The portal's cookies (contract/README.md, Cookies and forgery): how they are called, written and
// read, and which requests they may speak for. Shared by the API and the site's own locations.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/request.h"
#include "portal/settings.h"
#include "portal/uuid.h"

namespace portal {

// "__Host-" needs https, which the base URL decides, never the connection.
std::string_view cookie_prefix(const Settings& settings);

// Calls each(name, value) for every cookie of a Cookie header.
template <class Each>
void each_cookie(std::string_view header, Each each) {
    while (!header.empty()) {
        std::size_t end = header.find(';');
        std::string_view pair = header.substr(0, end);
        header.remove_prefix(end == header.npos ? header.size() : end + 1);
        while (pair.starts_with(' ')) {
            pair.remove_prefix(1);
        }
        if (!pair.empty()) {
            std::size_t equals = pair.find('=');
            each(pair.substr(0, equals),
                 equals == pair.npos ? std::string_view() : pair.substr(equals + 1));
        }
    }
}

// Ours under whatever base URL: not for an upstream.
bool is_portal_cookie(std::string_view name);

struct SessionCookie {
    std::string_view slug;
    std::string_view token;
};
// The session cookie that `name` and `value` are, if they are one. Slugs are compared without
// regard to case.
std::optional<SessionCookie> session_cookie(const Settings& settings, std::string_view name,
                                            std::string_view value);
bool same_slug(std::string_view one, std::string_view other);
// Whether a workspace counts in the request's location: its portal_workspace names it, or any.
bool counts_here(const http::Request& request, std::string_view slug);

// The value of Set-Cookie. No life: the browser forgets it.
std::string set_session_cookie(const Settings& settings, std::string_view slug,
                               std::string_view token, std::int64_t seconds);
std::string clear_session_cookie(const Settings& settings, std::string_view slug);
std::string set_challenge_cookie(const Settings& settings, const Uuid& challenge,
                                 std::int64_t seconds);
std::string clear_challenge_cookie(const Settings& settings);
std::optional<Uuid> challenge_cookie(const Settings& settings, std::string_view header);

// May a request that comes by cookie change something? Of its Sec-Fetch-Site and Origin.
bool is_own_page(const Settings& settings, std::optional<std::string_view> fetch_site,
                 std::optional<std::string_view> origin);
// The rules of an API request by cookie; throws 403 NotPermitted.
void require_own_page(const http::Request& request, const Settings& settings);
// A browser sent it from somebody else's page.
bool is_foreign_page(const http::Request& request, const Settings& settings);
// Of a request that sets a session's cookie: JSON, from our page or from what is no browser.
void require_no_foreign_page(const http::Request& request, const Settings& settings);

}  // namespace portal
