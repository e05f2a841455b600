// contract/management.md: companies, for a workspace's backend.
#include "api/numbered_row.h"
#include "http/query.h"
#include "portal/company.h"

namespace portal::api {
namespace {

using http::Response;

io::Task<Response> list(Call& call) {
    http::Query query(call.request.query);
    PageRequest request = PageRequest::read(query, {"id", "name", "email", "created_at"});
    CompanyFilter filter;
    filter.query = query.string("query");
    if (const std::optional<Uuid> customer = query.uuid4("customer_id")) {
        filter.customer_id = customer->text();
    }
    filter.email = query.string("email", 320);
    filter.external_id = query.string("external_id");
    query.done();
    const std::string workspace = call.caller.workspace_id.text();
    Page page =
        co_await list_companies(call.portal.db, workspace, std::move(filter), std::move(request));
    co_return http::json_response(200, page.json().dump());
}

struct Companies {
    static constexpr const char* path = "/api/companies";
    using Input = CompanyInput;
    static constexpr auto save = save_company;
    static constexpr auto find = find_company;
    static constexpr auto change = change_company;
    static constexpr auto remove = delete_company;
    static constexpr bool linked = true;
};

using enum http::Method;
constexpr auto group = Group::management;
constexpr auto rest = http::Surface::rest;
constexpr auto standard = LimitClass::standard;

constexpr Route routes[] = {
    {get, "/api/companies", group, rest, workspace_token, Scope::client_portal_read, standard,
     Body::none, list},
    {post, "/api/companies", group, rest, workspace_token, Scope::client_portal_write, standard,
     Body::json, save_row<Companies>},
    {get, "/api/companies/{id}", group, rest, workspace_token, Scope::client_portal_read, standard,
     Body::none, show_row<Companies>},
    {patch, "/api/companies/{id}", group, rest, workspace_token, Scope::client_portal_write,
     standard, Body::json, change_row<Companies>},
    {del, "/api/companies/{id}", group, rest, workspace_token, Scope::client_portal_write, standard,
     Body::none, remove_row<Companies>},
};

}  // namespace

std::span<const Route> company_routes() { return routes; }

}  // namespace portal::api
