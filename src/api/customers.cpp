// contract/management.md: customers, for a workspace's backend.
#include "api/route.h"
#include "http/query.h"
#include "http/validation.h"
#include "portal/customer.h"

namespace portal::api {
namespace {

using http::Json;
using http::Response;

// /api/customers/{id} and /api/customers/external/{external_id} differ in how they name a customer.
CustomerReference by_id(const Call& call) {
    CustomerReference which;
    which.id = http::require_uuid4(call.parameters[0], {"path", "id"}).text();
    return which;
}

CustomerReference by_external_id(const Call& call) {
    std::string_view id = call.parameters[0];
    if (!http::valid_utf8(id)) {
        throw http::resource_not_found();  // nothing that is stored
    }
    CustomerReference which;
    which.external_id = std::string(id);
    return which;
}

// ---- the list

io::Task<Response> list(Call& call) {
    http::Query query(call.request.query);
    PageRequest request = PageRequest::read(query, {"email", "name", "created_at"});
    CustomerFilter filter;
    filter.email = query.string("email");
    filter.query = query.string("query");
    for (const auto& [key, value] : query.map("metadata")) {
        if (!filter.metadata.present()) {
            filter.metadata = Json::object();
        }
        filter.metadata.set(key.c_str(), value);
    }
    query.done();
    Page page = co_await list_customers(call.portal.db, call.caller.workspace_id.text(),
                                        std::move(filter), std::move(request));
    co_return http::json_response(200, page.json().dump());
}

io::Task<Response> create(Call& call) {
    auto input = CustomerInput::parse(
        http::parse_body(call.body, call.request.header("content-type"), http::Surface::rest));
    KeyClaim claim(call.caller, IdempotencyKey::read(call.request, call.portal.secrets,
                                                     "/api/customers", call.body));
    Json customer = co_await create_customer(call.portal.db, call.caller.workspace_id.text(),
                                             std::move(input), std::move(claim));
    co_return http::json_response(201, customer.dump());
}

// ---- one customer, named by its id or by its external id

template <CustomerReference (*named)(const Call&)>
io::Task<Response> show(Call& call) {
    CustomerReference which = named(call);
    Json customer =
        co_await find_customer(call.portal.db, call.caller.workspace_id.text(), std::move(which));
    co_return http::json_response(200, customer.dump());
}

template <CustomerReference (*named)(const Call&)>
io::Task<Response> change(Call& call) {
    auto [which, change] = http::read_both(
        [&] { return named(call); },
        [&] {
            return CustomerChange::parse(http::parse_body(call.body,
                                                          call.request.header("content-type"),
                                                          http::Surface::rest),
                                         false);
        });
    Json customer = co_await change_customer(call.portal.db, call.caller.workspace_id.text(),
                                             std::move(which), std::move(change));
    co_return http::json_response(200, customer.dump());
}

template <CustomerReference (*named)(const Call&)>
io::Task<Response> remove(Call& call) {
    auto [which, anonymize] = http::read_both([&] { return named(call); },
                                              [&] {
                                                  http::Query query(call.request.query);
                                                  const auto sent = query.boolean("anonymize");
                                                  query.done();
                                                  return sent.value_or(false);
                                              });
    const Uuid id = co_await delete_customer(call.portal.db, call.caller.workspace_id.text(),
                                             std::move(which), anonymize);
    call.portal.configs.bump(id);  // its sessions are refused on this node from now on
    co_return http::no_content();
}

io::Task<Response> export_it(Call& call) {
    auto [which, after] = http::read_both([&] { return by_id(call); },
                                          [&] {
                                              http::Query query(call.request.query);
                                              const auto sent = query.integer("after", 0);
                                              query.done();
                                              return sent.value_or(0);
                                          });
    std::string body = co_await export_customer(call.portal.db, call.caller.workspace_id.text(),
                                                std::move(which), after);
    co_return http::json_response(200, std::move(body));
}

using enum http::Method;
constexpr auto group = Group::management;
constexpr auto rest = http::Surface::rest;
constexpr auto reads = Scope::customers_read;
constexpr auto writes = Scope::customers_write;
constexpr auto limit = LimitClass::standard;

constexpr Route routes[] = {
    {get, "/api/customers", group, rest, workspace_token, reads, limit, Body::none, list},
    {post, "/api/customers", group, rest, workspace_token, writes, limit, Body::json, create},
    {get, "/api/customers/external/{external_id}", group, rest, workspace_token, reads, limit,
     Body::none, show<by_external_id>},
    {patch, "/api/customers/external/{external_id}", group, rest, workspace_token, writes, limit,
     Body::json, change<by_external_id>},
    {del, "/api/customers/external/{external_id}", group, rest, workspace_token, writes, limit,
     Body::none, remove<by_external_id>},
    {get, "/api/customers/{id}", group, rest, workspace_token, reads, limit, Body::none,
     show<by_id>},
    {patch, "/api/customers/{id}", group, rest, workspace_token, writes, limit, Body::json,
     change<by_id>},
    {del, "/api/customers/{id}", group, rest, workspace_token, writes, limit, Body::none,
     remove<by_id>},
    {get, "/api/customers/{id}/export", group, rest, workspace_token, reads, limit, Body::none,
     export_it},
};

}  // namespace

std::span<const Route> customer_routes() { return routes; }

}  // namespace portal::api
