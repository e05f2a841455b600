// contract/customer-sessions.md
#include "api/route.h"
#include "http/query.h"
#include "http/validation.h"
#include "portal/customer_session.h"

namespace portal::api {
namespace {

using http::Json;
using http::JsonText;
using http::Response;

io::Task<Response> create_customer_session(Call& call) {
    auto input = CustomerSessionInput::parse(call.body, call.request.header("content-type"));
    auto key = IdempotencyKey::read(call.request, call.portal.secrets, "/api/customer-sessions", call.body);
    JsonText session =
        co_await portal::create_customer_session(call.portal, call.caller, std::move(input), std::move(key));
    co_return http::json_response(201, std::move(session).dump());
}

io::Task<Response> create_member_session(Call& call) {
    auto input = MemberSessionInput::parse(call.body, call.request.header("content-type"));
    auto key = IdempotencyKey::read(call.request, call.portal.secrets, "/api/member-sessions", call.body);
    JsonText session = co_await portal::create_member_session(call.portal, call.caller, std::move(input), std::move(key));
    co_return http::json_response(201, std::move(session).dump());
}

io::Task<Response> revoke_session(Call& call) {
    const Uuid id = http::require_uuid4(call.parameters[0], {"path", "id"});
    co_await portal::revoke_session(call.portal, call.caller, id);
    co_return http::no_content();
}

io::Task<Response> revoke_customer_sessions(Call& call) {
    http::Query query(call.request.query);
    const std::optional<Uuid> customer = query.uuid4("customer_id");
    if (!query.given("customer_id")) {
        query.missing("customer_id");
    }
    query.done();
    std::int64_t revoked = co_await portal::revoke_customer_sessions(call.portal, call.caller, *customer);
    co_return http::json_response(200, Json::object({{"revoked", revoked}}).dump());
}

using enum http::Method;
constexpr auto group = Group::sessions;
constexpr auto rest = http::Surface::rest;

constexpr Route routes[] = {
    {post, "/api/customer-sessions", group, rest, workspace_token, Scope::customer_sessions_write,
     LimitClass::standard, Body::json, create_customer_session},
    {del, "/api/customer-sessions", group, rest, workspace_token, Scope::customer_sessions_write,
     LimitClass::standard, Body::none, revoke_customer_sessions},
    {del, "/api/customer-sessions/{id}", group, rest, workspace_token, Scope::customer_sessions_write,
     LimitClass::standard, Body::none, revoke_session},
    {post, "/api/member-sessions", group, rest, workspace_token, Scope::member_sessions_write,
     LimitClass::standard, Body::json, create_member_session},
};

}  // namespace

std::span<const Route> customer_session_routes() { return routes; }

}  // namespace portal::api
