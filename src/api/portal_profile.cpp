// contract/customer-portal.md: the portal before anyone signs in, and the profile of who has.
#include "portal/portal_profile.h"

#include "api/route.h"

namespace portal::api {
namespace {

using http::Json;
using http::Response;

io::Task<Response> get_workspace(Call& call) {
    std::string slug(call.parameters[0]);
    Json workspace = co_await find_portal_workspace(call.portal.db, std::move(slug));
    co_return http::json_response(200, workspace.dump());
}

io::Task<Response> introspect(Call& call) {
    Json state = co_await find_session_state(call.portal.db, call.caller);
    co_return http::json_response(200, state.dump());
}

io::Task<Response> get_user(Call& call) {
    Json user = co_await find_session_user(call.portal.db, call.caller);
    co_return http::json_response(200, user.dump());
}

io::Task<Response> get_me(Call& call) {
    Json customer = co_await find_portal_customer(call.portal.db, call.caller);
    co_return http::json_response(200, customer.dump());
}

io::Task<Response> change_me(Call& call) {
    if (call.caller.role == Role::member) {
        throw insufficient_role();
    }
    auto change = PortalCustomerChange::parse(call.body, call.request.header("content-type"));
    Json customer = co_await change_portal_customer(call.portal.db, call.caller, std::move(change));
    co_return http::json_response(200, customer.dump());
}

using enum http::Method;
constexpr auto group = Group::portal;
constexpr auto surface = http::Surface::rest;
constexpr auto limit = LimitClass::standard;

// clang-format off
constexpr Route routes[] = {
    {get, "/api/customer-portal/workspaces/{slug}", group, surface, anyone, Scope::none, LimitClass::restricted,
     Body::none, get_workspace},
    {get, "/api/customer-portal/customer-session/introspect", group, surface, portal_session, Scope::none, limit,
     Body::none, introspect},
    {get, "/api/customer-portal/customer-session/user", group, surface, portal_session, Scope::none, limit,
     Body::none, get_user},
    {get, "/api/customer-portal/customers/me", group, surface, portal_session, Scope::none, limit,
     Body::none, get_me},
    {patch, "/api/customer-portal/customers/me", group, surface, portal_session, Scope::none, limit,
     Body::json, change_me},
};
// clang-format on

}  // namespace

std::span<const Route> portal_profile_routes() { return routes; }

}  // namespace portal::api
