// contract/events.md: live updates, as server-sent events.
#include <charconv>
#include <cstring>
#include <limits>

#include "api/route.h"
#include "http/query.h"
#include "portal/stream_ticket.h"

namespace portal::api {
namespace {

using http::Json;
using http::Response;

// The last number the reader has; -1 for none. What is no number of ours is from another history, like one too high.
std::int64_t last_event_id(const http::Request& request) {
    std::string text(request.header("last-event-id").value_or(""));
    if (text.empty()) {
        http::Query query(request.query);
        text = query.string("last_event_id").value_or("");
    }
    if (text.empty()) {
        return -1;
    }
    std::int64_t number = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size() && number >= 0
               ? number
               : std::numeric_limits<std::int64_t>::max();
}

// 16 bytes that stand for the client's address, as limits know it.
Uuid address_key(const Call& call) {
    const Digest digest = call.portal.secrets.limiter_digest(limiter_address(call.request.client_address));
    Uuid key;
    std::memcpy(key.bytes.data(), digest.data(), key.bytes.size());
    return key;
}

io::Task<Response> stream(Call& call) {
    Response response;
    response.content_type = "text/event-stream; charset=utf-8";
    response.with("Cache-Control", "no-store");
    response.with("X-Accel-Buffering", "no");
    if (call.request.method == http::Method::head) {
        co_return response;
    }
    if (call.portal.events == nullptr) {
        throw http::unavailable(1);
    }
    EventStreamRequest request{call.caller, last_event_id(call.request), address_key(call), call.ticket};
    bool too_many = false;
    try {
        response.stream = co_await call.portal.events->open(std::move(request));
    } catch (const TooManyStreams&) {
        too_many = true;
    }
    if (too_many) {
        throw http::too_many_requests().with("Retry-After", "5");
    }
    co_return response;
}

io::Task<Response> make_ticket(Call& call) {
    StreamTicket ticket = co_await make_stream_ticket(call.portal, call.caller);
    co_return http::json_response(
        201, Json::object({{"ticket", ticket.text}, {"expires_in", StreamTicket::seconds}}).dump());
}

using enum http::Method;
constexpr auto limit = LimitClass::standard;

// clang-format off
constexpr Route routes[] = {
    {get, "/api/customer-portal/customers/stream", Group::portal, http::Surface::rest, portal_session, Scope::none, limit,
     Body::none, stream, true},
    {post, "/api/customer-portal/customers/stream-ticket", Group::portal, http::Surface::rest, portal_session, Scope::none, limit,
     Body::none, make_ticket},
    {get, "/api/v1/client-portal/me/stream", Group::client_portal, http::Surface::client_portal, addressee, Scope::none, limit,
     Body::none, stream, true},
    {post, "/api/v1/client-portal/me/stream-ticket", Group::client_portal, http::Surface::client_portal, addressee, Scope::none, limit,
     Body::none, make_ticket},
};
// clang-format on

}  // namespace

std::span<const Route> event_stream_routes() { return routes; }

}  // namespace portal::api
