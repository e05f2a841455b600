#include "api/cookie_caller.h"

#include "api/dispatch.h"
#include "portal/credential.h"
#include "portal/portal_cookie.h"

namespace portal::api {
namespace {

std::optional<SessionCookie> meant(const http::Request& request, const Settings& settings,
                                   std::string_view cookies) {
    const std::string_view wanted =
        request.header("x-portal-workspace").value_or(request.workspace);
    std::optional<SessionCookie> found;
    bool several = false;
    each_cookie(cookies, [&](std::string_view name, std::string_view value) {
        auto cookie = session_cookie(settings, name, value);
        if (!cookie || (!wanted.empty() && !same_slug(cookie->slug, wanted))) {
            return;
        }
        several = several || (found && !same_slug(found->slug, cookie->slug));
        found = found ? found : cookie;
    });
    return several ? std::nullopt : found;
}

// What the cookie of this slug holds; "": nothing.
std::string token_of(const http::Request& request, const Settings& settings, std::string_view slug) {
    const std::string cookies = request.cookies();
    std::string token;
    each_cookie(cookies, [&](std::string_view name, std::string_view value) {
        const auto cookie = session_cookie(settings, name, value);
        if (token.empty() && cookie && same_slug(cookie->slug, slug)) {
            token = cookie->token;
        }
    });
    return token;
}

bool same_person(const Principal& one, const Principal& other) {
    const bool same_kind = one.kind == other.kind && one.workspace_id == other.workspace_id;
    switch (one.kind) {
        case Kind::customer:
            return same_kind && one.customer_id == other.customer_id;
        case Kind::member:
            return same_kind && one.member_id == other.member_id;
        default:
            return same_kind && one.addressee_is_company == other.addressee_is_company &&
                   one.addressee_id == other.addressee_id;
    }
}

}  // namespace

io::Task<void> authenticate_by_cookie(Call& call, Authenticator& authenticator) {
    const std::string cookies = call.request.cookies();
    const std::optional<SessionCookie> cookie = meant(call.request, call.portal.settings, cookies);
    if (!cookie) {
        co_return;
    }
    Authentication found;
    if (authenticator.authenticate_now(cookie->token, found.principal)) {
        found.state = Authentication::State::known;
    } else {
        found = co_await authenticator.authenticate(cookie->token, call.request.client_address);
    }
    if (found.state == Authentication::State::limited) {
        call.limit = found.verdict.limit;
        throw over_limit(found.verdict);
    }
    // another's session under this name, and a credential of another workspace than the location's,
    // count as none
    if (found.state != Authentication::State::known ||
        !same_slug(cookie->slug, found.principal.workspace_slug) ||
        !counts_here(call.request, cookie->slug)) {
        co_return;
    }
    require_own_page(call.request, call.portal.settings);
    call.caller = found.principal;
}

bool is_meant_here(const http::Request& request, const Principal& link) {
    const std::string_view page = request.header("x-portal-workspace").value_or("");
    return counts_here(request, link.workspace_slug) &&
           (page.empty() || same_slug(link.workspace_slug, page));
}

io::Task<void> require_nobody_else(Call& call, const Principal& next) {
    Services& portal = call.portal;
    if (call.request.header("x-portal-keep") != "1") {
        co_return;
    }
    std::string token = token_of(call.request, portal.settings, next.workspace_slug);
    if (token.empty()) {
        co_return;
    }
    std::optional<Principal> here =
        co_await find_principal(portal.db, portal.secrets, std::move(token));
    const bool living = here && here->workspace_id == next.workspace_id &&
                        (browser_session & only(here->kind)) != 0;
    if (living && !same_person(*here, next)) {
        throw http::Failure(409, "AnotherSession", "Another person is signed in.");
    }
}

std::vector<std::string> session_tokens(const http::Request& request, const Settings& settings) {
    const std::string cookies = request.cookies();
    std::vector<std::string> tokens;
    each_cookie(cookies, [&](std::string_view name, std::string_view value) {
        if (auto cookie = session_cookie(settings, name, value)) {
            tokens.emplace_back(cookie->token);
        }
    });
    return tokens;
}

bool has_session_cookie(const http::Request& request, const Settings& settings) {
    return !session_tokens(request, settings).empty();
}

}  // namespace portal::api
