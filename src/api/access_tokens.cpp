// contract/management.md: workspace access tokens.
#include "api/route.h"
#include "http/query.h"
#include "http/validation.h"
#include "portal/access_token.h"

namespace portal::api {
namespace {

using http::Json;
using http::Response;

io::Task<Response> list(Call& call) {
    http::Query query(call.request.query);
    PageRequest request = PageRequest::read(query);
    const bool all = query.boolean("all").value_or(false);
    query.done();
    Page page = co_await list_access_tokens(call.portal.db, call.caller.workspace_id.text(), all,
                                            std::move(request));
    co_return http::json_response(200, page.json().dump());
}

io::Task<Response> create(Call& call) {
    auto input = AccessTokenInput::parse(
        http::parse_body(call.body, call.request.header("content-type"), http::Surface::rest),
        false);
    KeyClaim claim(call.caller, IdempotencyKey::read(call.request, call.portal.secrets,
                                                     "/api/workspace-access-tokens", call.body));
    NewAccessToken made = co_await create_access_token(call.portal.db, call.portal.secrets,
                                                       call.caller.workspace_id.text(),
                                                       std::move(input), std::move(claim));
    co_return http::json_response(201, made.json().dump());
}

io::Task<Response> change(Call& call) {
    auto [id, change] = http::read_both(
        [&] { return http::require_uuid4(call.parameters[0], {"path", "id"}); },
        [&] {
            return AccessTokenChange::parse(http::parse_body(
                call.body, call.request.header("content-type"), http::Surface::rest));
        });
    Json token =
        co_await change_access_token(call.portal.db, call.caller.workspace_id.text(),
                                     call.caller.token_id.text(), id.text(), std::move(change));
    call.portal.configs.bump(id);  // it has its new scopes on this node from now on
    co_return http::json_response(200, token.dump());
}

io::Task<Response> revoke(Call& call) {
    const Uuid id = http::require_uuid4(call.parameters[0], {"path", "id"});
    co_await revoke_access_token(call.portal.db, call.caller.workspace_id.text(),
                                 call.caller.token_id.text(), id.text());
    call.portal.configs.bump(id);
    co_return http::no_content();
}

using enum http::Method;
constexpr auto group = Group::management;
constexpr auto rest = http::Surface::rest;
constexpr auto reads = Scope::workspace_access_tokens_read;
constexpr auto writes = Scope::workspace_access_tokens_write;
constexpr auto limit = LimitClass::standard;

constexpr Route routes[] = {
    {get, "/api/workspace-access-tokens", group, rest, workspace_token, reads, limit, Body::none,
     list},
    {post, "/api/workspace-access-tokens", group, rest, workspace_token, writes, limit, Body::json,
     create},
    {patch, "/api/workspace-access-tokens/{id}", group, rest, workspace_token, writes, limit,
     Body::json, change},
    {del, "/api/workspace-access-tokens/{id}", group, rest, workspace_token, writes, limit,
     Body::none, revoke},
};

}  // namespace

std::span<const Route> access_token_routes() { return routes; }

}  // namespace portal::api
