// contract/management.md: contacts, for a workspace's backend.
#include "api/numbered_row.h"
#include "http/query.h"
#include "portal/contact.h"

namespace portal::api {
namespace {

using http::Response;

io::Task<Response> list(Call& call) {
    http::Query query(call.request.query);
    PageRequest request = PageRequest::read(query, {"id", "name", "email", "created_at"});
    ContactFilter filter;
    filter.query = query.string("query");
    filter.company_id = query.integer("company_id", 1);
    if (const std::optional<Uuid> customer = query.uuid4("customer_id")) {
        filter.customer_id = customer->text();
    }
    filter.email = query.string("email", 320);
    filter.external_id = query.string("external_id");
    query.done();
    const std::string workspace = call.caller.workspace_id.text();
    Page page =
        co_await list_contacts(call.portal.db, workspace, std::move(filter), std::move(request));
    co_return http::json_response(200, page.json().dump());
}

struct Contacts {
    static constexpr const char* path = "/api/contacts";
    using Input = ContactInput;
    static constexpr auto save = save_contact;
    static constexpr auto find = find_contact;
    static constexpr auto change = change_contact;
    static constexpr auto remove = delete_contact;
    static constexpr bool linked = true;
};

using enum http::Method;
constexpr auto group = Group::management;
constexpr auto rest = http::Surface::rest;
constexpr auto standard = LimitClass::standard;

constexpr Route routes[] = {
    {get, "/api/contacts", group, rest, workspace_token, Scope::client_portal_read, standard,
     Body::none, list},
    {post, "/api/contacts", group, rest, workspace_token, Scope::client_portal_write, standard,
     Body::json, save_row<Contacts>},
    {get, "/api/contacts/{id}", group, rest, workspace_token, Scope::client_portal_read, standard,
     Body::none, show_row<Contacts>},
    {patch, "/api/contacts/{id}", group, rest, workspace_token, Scope::client_portal_write,
     standard, Body::json, change_row<Contacts>},
    {del, "/api/contacts/{id}", group, rest, workspace_token, Scope::client_portal_write, standard,
     Body::none, remove_row<Contacts>},
};

}  // namespace

std::span<const Route> contact_routes() { return routes; }

}  // namespace portal::api
