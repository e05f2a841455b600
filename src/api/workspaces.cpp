// contract/management.md: the workspace of the token that asks.
#include "api/route.h"
#include "http/validation.h"
#include "portal/workspace.h"

namespace portal::api {
namespace {

using http::Json;
using http::Response;

// Any other is as unknown as one that is none.
Uuid require_own(const Call& call) {
    const Uuid id = http::require_uuid4(call.parameters[0], {"path", "id"});
    if (id != call.caller.workspace_id) {
        throw http::resource_not_found();
    }
    return id;
}

io::Task<Response> show(Call& call) {
    require_own(call);
    Json workspace = co_await find_workspace(call.portal.db, call.caller.workspace_id.text());
    co_return http::json_response(200, workspace.dump());
}

io::Task<Response> change(Call& call) {
    auto [id, change] = http::read_both([&] { return require_own(call); },
                                        [&] {
                                            return WorkspaceChange::parse(
                                                http::parse_body(call.body,
                                                                 call.request.header("content-type"),
                                                                 http::Surface::rest),
                                                false);
                                        });
    Json workspace = co_await change_workspace(call.portal.db, id.text(), std::move(change));
    call.portal.configs.bump(id);  // the member model is on or off on this node from now on
    co_return http::json_response(200, workspace.dump());
}

using enum http::Method;
constexpr auto group = Group::management;
constexpr auto rest = http::Surface::rest;

constexpr Route routes[] = {
    {get, "/api/workspaces/{id}", group, rest, workspace_token, Scope::workspaces_read,
     LimitClass::standard, Body::none, show},
    {patch, "/api/workspaces/{id}", group, rest, workspace_token, Scope::workspaces_write,
     LimitClass::standard, Body::json, change},
};

}  // namespace

std::span<const Route> workspace_routes() { return routes; }

}  // namespace portal::api
