// contract/management.md: members, as a workspace's backend manages them.
#include "api/route.h"
#include "http/validation.h"
#include "portal/email.h"
#include "portal/member.h"

namespace portal::api {
namespace {

using http::Json;
using http::Response;

constexpr std::string_view roles[] = {"owner", "billing_manager", "member"};

// What the credential itself says; the statements that change something look again.
void require_member_model(const Call& call) {
    if (!call.caller.member_model) {
        throw no_member_model();
    }
}

Json body_of(const Call& call) {
    return http::parse_body(call.body, call.request.header("content-type"), http::Surface::rest);
}

io::Task<Response> list(Call& call) {
    require_member_model(call);
    http::Query query(call.request.query);
    const PageRequest request = PageRequest::read(query);
    MemberFilter filter;
    if (std::optional<Uuid> customer = query.uuid4("customer_id")) {
        filter.customer_id = customer->text();
    }
    filter.email = query.string("email");
    filter.external_id = query.string("external_id");
    filter.role = query.choice("role", roles);
    query.done();
    std::string workspace = call.caller.workspace_id.text();
    Page page =
        co_await list_members(call.portal.db, std::move(workspace), std::move(filter), request);
    co_return http::json_response(200, page.json().dump());
}

io::Task<Response> create(Call& call) {
    if (!call.request.header("idempotency-key")) {
        require_member_model(call);  // what a key made is answered with the model off, too
    }
    auto input = MemberInput::parse(body_of(call));
    auto key = IdempotencyKey::read(call.request, call.portal.secrets, "/api/members", call.body);
    KeyClaim claim(call.caller, std::move(key));
    std::string workspace = call.caller.workspace_id.text();
    Json member = co_await create_member(call.portal.db, std::move(workspace), std::move(input),
                                         std::move(claim));
    co_return http::json_response(201, member.dump());
}

io::Task<Response> show(Call& call) {
    require_member_model(call);
    const Uuid id = http::require_uuid4(call.parameters[0], {"path", "id"});
    std::string workspace = call.caller.workspace_id.text();
    std::string which = id.text();
    Json member = co_await find_member(call.portal.db, std::move(workspace), std::move(which));
    co_return http::json_response(200, member.dump());
}

io::Task<Response> change(Call& call) {
    require_member_model(call);
    auto [id, change] =
        http::read_both([&] { return http::require_uuid4(call.parameters[0], {"path", "id"}); },
                        [&] { return MemberChange::parse(body_of(call)); });
    std::string workspace = call.caller.workspace_id.text();
    std::string which = id.text();
    Json member = co_await change_member(call.portal.db, std::move(workspace), std::move(which),
                                         std::move(change));
    call.portal.configs.bump(id);
    co_return http::json_response(200, member.dump());
}

io::Task<Response> remove(Call& call) {
    require_member_model(call);
    const Uuid id = http::require_uuid4(call.parameters[0], {"path", "id"});
    std::string workspace = call.caller.workspace_id.text();
    std::string which = id.text();
    co_await remove_member(call.portal.db, std::move(workspace), std::move(which));
    call.portal.configs.bump(id);
    co_return http::no_content();
}

using enum http::Method;
constexpr auto group = Group::management;
constexpr auto surface = http::Surface::rest;
constexpr auto limit = LimitClass::standard;

// clang-format off
constexpr Route routes[] = {
    {get, "/api/members", group, surface, workspace_token, Scope::members_read, limit, Body::none, list},
    {post, "/api/members", group, surface, workspace_token, Scope::members_write, limit, Body::json, create},
    {get, "/api/members/{id}", group, surface, workspace_token, Scope::members_read, limit, Body::none, show},
    {patch, "/api/members/{id}", group, surface, workspace_token, Scope::members_write, limit, Body::json, change},
    {del, "/api/members/{id}", group, surface, workspace_token, Scope::members_write, limit, Body::none, remove},
};
// clang-format on

}  // namespace

std::span<const Route> member_routes() { return routes; }

}  // namespace portal::api
