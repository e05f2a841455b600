// contract/management.md: portal items, for a workspace's backend.
#include "api/route.h"
#include "http/query.h"
#include "http/validation.h"
#include "portal/portal_item.h"

namespace portal::api {
namespace {

using http::Json;
using http::Response;

io::Task<Response> list(Call& call) {
    http::Query query(call.request.query);
    PageRequest request =
        PageRequest::read(query, {"id", "created_at", "due_at", "title", "status", "amount_cents"});
    PortalItemFilter filter;
    filter.query = query.string("query");
    filter.contact_id = query.integer("contact_id", 1);
    filter.company_id = query.integer("company_id", 1);
    filter.module = query.choice("module", portal_modules);
    filter.status = query.string("status");
    filter.external_id = query.string("external_id");
    query.done();
    const std::string workspace = call.caller.workspace_id.text();
    Page page = co_await list_portal_items(call.portal.db, workspace, std::move(filter),
                                           std::move(request));
    co_return http::json_response(200, page.json().dump());
}

io::Task<Response> save(Call& call) {
    Json body =
        http::parse_body(call.body, call.request.header("content-type"), http::Surface::rest);
    auto input = PortalItemInput::parse(std::move(body));
    KeyClaim claim(call.caller, IdempotencyKey::read(call.request, call.portal.secrets,
                                                     "/api/portal-items", call.body));
    const std::string workspace = call.caller.workspace_id.text();
    Saved saved =
        co_await save_portal_item(call.portal.db, workspace, std::move(input), std::move(claim));
    co_return http::json_response(saved.made ? 201 : 200, saved.row.dump());
}

io::Task<Response> show(Call& call) {
    const std::int64_t id = http::require_number(call.parameters[0]);
    const std::string workspace = call.caller.workspace_id.text();
    Json portal_item = co_await find_portal_item(call.portal.db, workspace, id);
    co_return http::json_response(200, portal_item.dump());
}

io::Task<Response> change(Call& call) {
    const std::int64_t id = http::require_number(call.parameters[0]);
    Json body =
        http::parse_body(call.body, call.request.header("content-type"), http::Surface::rest);
    auto change = PortalItemInput::parse_change(std::move(body));
    const std::string workspace = call.caller.workspace_id.text();
    Json portal_item =
        co_await change_portal_item(call.portal.db, workspace, id, std::move(change));
    co_return http::json_response(200, portal_item.dump());
}

io::Task<Response> remove(Call& call) {
    const std::int64_t id = http::require_number(call.parameters[0]);
    const std::string workspace = call.caller.workspace_id.text();
    co_await delete_portal_item(call.portal.db, workspace, id);
    co_return http::no_content();
}

using enum http::Method;
constexpr auto group = Group::management;
constexpr auto rest = http::Surface::rest;
constexpr auto standard = LimitClass::standard;

constexpr Route routes[] = {
    {get, "/api/portal-items", group, rest, workspace_token, Scope::client_portal_read, standard,
     Body::none, list},
    {post, "/api/portal-items", group, rest, workspace_token, Scope::client_portal_write, standard,
     Body::json, save},
    {get, "/api/portal-items/{id}", group, rest, workspace_token, Scope::client_portal_read,
     standard, Body::none, show},
    {patch, "/api/portal-items/{id}", group, rest, workspace_token, Scope::client_portal_write,
     standard, Body::json, change},
    {del, "/api/portal-items/{id}", group, rest, workspace_token, Scope::client_portal_write,
     standard, Body::none, remove},
};

}  // namespace

std::span<const Route> portal_item_routes() { return routes; }

}  // namespace portal::api
