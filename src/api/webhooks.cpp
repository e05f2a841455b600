// contract/management.md: webhooks, their deliveries and redelivery.
#include "api/route.h"
#include "http/query.h"
#include "http/validation.h"
#include "portal/webhook_delivery.h"
#include "portal/webhook_endpoint.h"

namespace portal::api {
namespace {

using http::Json;
using http::Response;

Json body_of(Call& call) {
    return http::parse_body(call.body, call.request.header("content-type"), http::Surface::rest);
}

// Of a route whose body may be left out.
Json optional_body_of(Call& call) { return call.body.empty() ? Json::object() : body_of(call); }

std::string endpoint_id(Call& call) {
    return http::require_uuid4(call.parameters[0], {"path", "id"}).text();
}

io::Task<Response> list(Call& call) {
    http::Query query(call.request.query);
    PageRequest request = PageRequest::read(query);
    query.done();
    Page page = co_await list_webhook_endpoints(call.portal.db, call.caller.workspace_id.text(),
                                                std::move(request));
    co_return http::json_response(200, page.json().dump());
}

io::Task<Response> create(Call& call) {
    auto input = WebhookEndpointInput::parse(body_of(call), call.portal.settings.webhook_targets);
    KeyClaim claim(call.caller, IdempotencyKey::read(call.request, call.portal.secrets,
                                                     "/api/webhooks/endpoints", call.body));
    ReadableEvents readable = ReadableEvents::of(call.caller);
    Json made = co_await create_webhook_endpoint(
        call.portal.db, call.portal.secrets, call.caller.workspace_id.text(), std::move(readable),
        std::move(input), std::move(claim));
    co_return http::json_response(201, made.dump());
}

io::Task<Response> find(Call& call) {
    std::string id = endpoint_id(call);
    Json endpoint = co_await find_webhook_endpoint(call.portal.db, call.caller.workspace_id.text(),
                                                   std::move(id));
    co_return http::json_response(200, endpoint.dump());
}

io::Task<Response> change(Call& call) {
    auto [id, input] = http::read_both([&] { return endpoint_id(call); },
                                       [&] {
                                           return WebhookEndpointInput::parse_change(
                                               body_of(call), call.portal.settings.webhook_targets);
                                       });
    ReadableEvents readable = ReadableEvents::of(call.caller);
    Json endpoint =
        co_await change_webhook_endpoint(call.portal.db, call.caller.workspace_id.text(),
                                         std::move(id), std::move(readable), std::move(input));
    co_return http::json_response(200, endpoint.dump());
}

io::Task<Response> remove(Call& call) {
    std::string id = endpoint_id(call);
    co_await delete_webhook_endpoint(call.portal.db, call.caller.workspace_id.text(),
                                     std::move(id));
    co_return http::no_content();
}

io::Task<Response> rotate(Call& call) {
    auto [id, brought] =
        http::read_both([&] { return endpoint_id(call); },
                        [&] { return parse_webhook_secret(optional_body_of(call)); });
    Json endpoint = co_await rotate_webhook_secret(call.portal.db, call.portal.secrets,
                                                   call.caller.workspace_id.text(), std::move(id),
                                                   std::move(brought));
    co_return http::json_response(200, endpoint.dump());
}

io::Task<Response> test(Call& call) {
    std::string id = endpoint_id(call);
    KeyClaim claim(call.caller,
                   IdempotencyKey::read(call.request, call.portal.secrets,
                                        "/api/webhooks/endpoints/" + id + "/test", call.body));
    Json delivery = co_await test_webhook_endpoint(call.portal.db, call.caller.workspace_id.text(),
                                                   std::move(id), std::move(claim));
    co_return http::json_response(202, delivery.dump());
}

io::Task<Response> deliveries(Call& call) {
    http::Query query(call.request.query);
    PageRequest request = PageRequest::read(query);
    WebhookDeliveryFilter filter = WebhookDeliveryFilter::read(query);
    query.done();
    Page page = co_await list_webhook_deliveries(call.portal.db, call.caller.workspace_id.text(),
                                                 std::move(filter), std::move(request));
    co_return http::json_response(200, page.json().dump());
}

io::Task<Response> redeliver(Call& call) {
    auto [event, endpoint] = http::read_both(
        [&] {
            return http::require_uuid4(webhook_event_uuid(call.parameters[0]), {"path", "id"}).text();
        },
        [&] {
            http::Fields fields(optional_body_of(call));
            std::optional<Uuid> sent = fields.uuid4("endpoint_id", {.nullable = true});
            fields.done();
            return sent;
        });
    std::optional<std::string> which;
    if (endpoint) {
        which = endpoint->text();
    }
    Json answer = co_await redeliver_webhook_event(call.portal.db, call.caller.workspace_id.text(),
                                                   std::move(event), std::move(which));
    co_return http::json_response(202, answer.dump());
}

using enum http::Method;
constexpr auto group = Group::management;
constexpr auto rest = http::Surface::rest;
constexpr auto reads = Scope::webhooks_read;
constexpr auto writes = Scope::webhooks_write;
constexpr auto limit = LimitClass::standard;

constexpr Route routes[] = {
    {get, "/api/webhooks/endpoints", group, rest, workspace_token, reads, limit, Body::none, list},
    {post, "/api/webhooks/endpoints", group, rest, workspace_token, writes, limit, Body::json,
     create},
    {get, "/api/webhooks/endpoints/{id}", group, rest, workspace_token, reads, limit, Body::none,
     find},
    {patch, "/api/webhooks/endpoints/{id}", group, rest, workspace_token, writes, limit, Body::json,
     change},
    {del, "/api/webhooks/endpoints/{id}", group, rest, workspace_token, writes, limit, Body::none,
     remove},
    {patch, "/api/webhooks/endpoints/{id}/secret", group, rest, workspace_token, writes, limit,
     Body::json, rotate},
    {post, "/api/webhooks/endpoints/{id}/test", group, rest, workspace_token, writes, limit,
     Body::none, test},
    {get, "/api/webhooks/deliveries", group, rest, workspace_token, reads, limit, Body::none,
     deliveries},
    {post, "/api/webhooks/events/{id}/redeliver", group, rest, workspace_token, writes, limit,
     Body::json, redeliver},
};

}  // namespace

std::span<const Route> webhook_routes() { return routes; }

}  // namespace portal::api
