// contract/management.md: companies, for a workspace's backend.
#include "api/route.h"
#include "http/query.h"
#include "http/validation.h"
#include "portal/company.h"

namespace portal::api {
namespace {

using http::Json;
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

// Linking it to a customer is changing what belongs to that customer.
void require_customer_scope(const Call& call, const Json& body) {
    const Json customer = body["customer_id"];
    if (customer.present() && !customer.is_null() && !call.caller.has(Scope::customers_write)) {
        throw http::insufficient_scope(scope_name(Scope::customers_write));
    }
}

io::Task<Response> save(Call& call) {
    Json body =
        http::parse_body(call.body, call.request.header("content-type"), http::Surface::rest);
    require_customer_scope(call, body);
    auto input = CompanyInput::parse(std::move(body));
    KeyClaim claim(call.caller, IdempotencyKey::read(call.request, call.portal.secrets,
                                                     "/api/companies", call.body));
    const std::string workspace = call.caller.workspace_id.text();
    Saved saved =
        co_await save_company(call.portal.db, workspace, std::move(input), std::move(claim));
    co_return http::json_response(saved.made ? 201 : 200, saved.row.dump());
}

io::Task<Response> show(Call& call) {
    const std::int64_t id = http::require_number(call.parameters[0]);
    const std::string workspace = call.caller.workspace_id.text();
    Json company = co_await find_company(call.portal.db, workspace, id);
    co_return http::json_response(200, company.dump());
}

io::Task<Response> change(Call& call) {
    const std::int64_t id = http::require_number(call.parameters[0]);
    Json body =
        http::parse_body(call.body, call.request.header("content-type"), http::Surface::rest);
    require_customer_scope(call, body);
    auto change = CompanyInput::parse_change(std::move(body));
    const std::string workspace = call.caller.workspace_id.text();
    Json company = co_await change_company(call.portal.db, workspace, id, std::move(change));
    co_return http::json_response(200, company.dump());
}

io::Task<Response> remove(Call& call) {
    const std::int64_t id = http::require_number(call.parameters[0]);
    const std::string workspace = call.caller.workspace_id.text();
    co_await delete_company(call.portal.db, workspace, id);
    co_return http::no_content();
}

using enum http::Method;
constexpr auto group = Group::management;
constexpr auto rest = http::Surface::rest;
constexpr auto standard = LimitClass::standard;

constexpr Route routes[] = {
    {get, "/api/companies", group, rest, workspace_token, Scope::client_portal_read, standard,
     Body::none, list},
    {post, "/api/companies", group, rest, workspace_token, Scope::client_portal_write, standard,
     Body::json, save},
    {get, "/api/companies/{id}", group, rest, workspace_token, Scope::client_portal_read, standard,
     Body::none, show},
    {patch, "/api/companies/{id}", group, rest, workspace_token, Scope::client_portal_write,
     standard, Body::json, change},
    {del, "/api/companies/{id}", group, rest, workspace_token, Scope::client_portal_write, standard,
     Body::none, remove},
};

}  // namespace

std::span<const Route> company_routes() { return routes; }

}  // namespace portal::api
