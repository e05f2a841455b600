// contract/management.md: portal items, for a workspace's backend.
#include "api/numbered_row.h"
#include "http/query.h"
#include "portal/portal_item.h"

namespace portal::api {
namespace {

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

struct PortalItems {
    static constexpr const char* path = "/api/portal-items";
    using Input = PortalItemInput;
    static constexpr auto save = save_portal_item;
    static constexpr auto find = find_portal_item;
    static constexpr auto change = change_portal_item;
    static constexpr auto remove = delete_portal_item;
    static constexpr bool linked = false;
};

using enum http::Method;
constexpr auto group = Group::management;
constexpr auto rest = http::Surface::rest;
constexpr auto standard = LimitClass::standard;

constexpr Route routes[] = {
    {get, "/api/portal-items", group, rest, workspace_token, Scope::client_portal_read, standard,
     Body::none, list},
    {post, "/api/portal-items", group, rest, workspace_token, Scope::client_portal_write, standard,
     Body::json, save_row<PortalItems>},
    {get, "/api/portal-items/{id}", group, rest, workspace_token, Scope::client_portal_read,
     standard, Body::none, show_row<PortalItems>},
    {patch, "/api/portal-items/{id}", group, rest, workspace_token, Scope::client_portal_write,
     standard, Body::json, change_row<PortalItems>},
    {del, "/api/portal-items/{id}", group, rest, workspace_token, Scope::client_portal_write,
     standard, Body::none, remove_row<PortalItems>},
};

}  // namespace

std::span<const Route> portal_item_routes() { return routes; }

}  // namespace portal::api
