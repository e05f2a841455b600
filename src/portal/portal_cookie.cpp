#include "portal/portal_cookie.h"

#include "http/failure.h"
#include "portal/email.h"

namespace portal {
namespace {

constexpr std::string_view challenge_name = "challenge";
constexpr std::string_view language_name = "language";   // the page's, which remembers the choice
constexpr std::string_view foreign_page = "This request must come from the portal's own page.";

bool secure(const Settings& settings) { return settings.base_url.starts_with("https:"); }

// An embedded page's cookie belongs to the pair of embedder and portal.
std::string set_cookie(const Settings& settings, std::string_view name, std::string_view value,
                       std::int64_t seconds) {
    std::string line(cookie_prefix(settings));
    line.append(name).append("=").append(value);
    line += "; Path=/; Max-Age=" + std::to_string(seconds) + "; HttpOnly";
    if (secure(settings)) {
        line += "; Secure";
    }
    line += settings.frame_ancestors.empty() ? "; SameSite=Lax" : "; SameSite=None; Partitioned";
    return line;
}

// An origin has no path.
std::string_view own_origin(const Settings& settings) {
    std::string_view url = settings.base_url;
    return url.substr(0, url.find('/', url.find("://") + 3));
}

bool is_json(std::optional<std::string_view> content_type) {
    std::string type =
        ascii_lower(content_type.value_or("").substr(0, content_type.value_or("").find(';')));
    type.erase(type.find_last_not_of(" \t") + 1);
    return type == "application/json";
}

}  // namespace

std::string_view cookie_prefix(const Settings& settings) {
    return secure(settings) ? "__Host-portal_" : "portal_";
}

bool is_portal_cookie(std::string_view name) {
    return name.starts_with("__Host-portal_") || name.starts_with("portal_");
}

bool same_slug(std::string_view one, std::string_view other) {
    return ascii_lower(one) == ascii_lower(other);
}

bool counts_here(const http::Request& request, std::string_view slug) {
    return request.workspace.empty() || same_slug(slug, request.workspace);
}

std::optional<SessionCookie> session_cookie(const Settings& settings, std::string_view name,
                                            std::string_view value) {
    const std::string_view prefix = cookie_prefix(settings);
    if (!name.starts_with(prefix) || value.empty()) {
        return std::nullopt;
    }
    name.remove_prefix(prefix.size());
    if (name == challenge_name || name == language_name) {
        return std::nullopt;
    }
    return SessionCookie{name, value};
}

std::string set_session_cookie(const Settings& settings, std::string_view slug,
                               std::string_view token, std::int64_t seconds) {
    return set_cookie(settings, slug, token, seconds);
}

std::string clear_session_cookie(const Settings& settings, std::string_view slug) {
    return set_cookie(settings, slug, "", 0);
}

std::string set_challenge_cookie(const Settings& settings, const Uuid& challenge,
                                 std::int64_t seconds) {
    return set_cookie(settings, challenge_name, challenge.text(), seconds);
}

std::string clear_challenge_cookie(const Settings& settings) {
    return set_cookie(settings, challenge_name, "", 0);
}

std::optional<Uuid> challenge_cookie(const Settings& settings, std::string_view header) {
    const std::string wanted = std::string(cookie_prefix(settings)) + std::string(challenge_name);
    std::optional<Uuid> found;
    each_cookie(header, [&](std::string_view name, std::string_view value) {
        if (!found && name == wanted) {
            found = Uuid::parse(value);
        }
    });
    return found;
}

bool is_own_page(const Settings& settings, std::optional<std::string_view> fetch_site,
                 std::optional<std::string_view> origin) {
    if (fetch_site) {
        return *fetch_site == "same-origin";
    }
    return origin && *origin == own_origin(settings);
}

void require_own_page(const http::Request& request, const Settings& settings) {
    const auto fetch_site = request.header("sec-fetch-site");
    bool allowed = false;
    if (request.method == http::Method::get || request.method == http::Method::head) {
        allowed = fetch_site != "cross-site" && fetch_site != "same-site";
    } else {
        allowed = is_json(request.header("content-type")) &&
                  is_own_page(settings, fetch_site, request.header("origin"));
    }
    if (!allowed) {
        throw http::not_permitted(std::string(foreign_page));
    }
}

bool is_foreign_page(const http::Request& request, const Settings& settings) {
    const auto fetch_site = request.header("sec-fetch-site");
    const auto origin = request.header("origin");
    return (fetch_site || origin) && !is_own_page(settings, fetch_site, origin);
}

void require_no_foreign_page(const http::Request& request, const Settings& settings) {
    if (!is_json(request.header("content-type")) || is_foreign_page(request, settings)) {
        throw http::not_permitted(std::string(foreign_page));
    }
}

}  // namespace portal
