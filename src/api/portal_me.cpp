// contract/client-portal.md: what a contact or company sees at its client portal, by its link's
// token or by the cookie that is exchanged for it.
#include <algorithm>

#include "api/route.h"
#include "http/query.h"
#include "http/validation.h"
#include "portal/device.h"
#include "portal/file_sharing_list.h"
#include "portal/portal_cookie.h"
#include "portal/portal_item.h"
#include "portal/portal_visit.h"

namespace portal::api {
namespace {

using http::Json;
using http::Response;

io::Task<Response> exchange_link(Call& call) {
    const Settings& settings = call.portal.settings;
    require_no_foreign_page(call.request, settings);
    http::Fields fields(http::parse_body(
        call.body, call.request.header("content-type").value_or(""), http::Surface::client_portal));
    std::string token = fields.string("token", {.required = true}).value_or("");
    fields.done();
    std::string device = device_words(call.request.header("user-agent").value_or(""));
    std::optional<ExchangedSession> session =
        co_await open_portal_link(call.portal, std::move(token), std::move(device));
    if (!session) {
        throw http::invalid_token();
    }
    Response response = http::no_content();
    response.with("Set-Cookie",
                  set_session_cookie(settings, session->slug, session->token, session->expires_in));
    co_return response;
}

io::Task<Response> log_out(Call& call) {
    co_await end_portal_visit(call.portal, call.caller);
    Response response = http::no_content();
    response.with("Set-Cookie",
                  clear_session_cookie(call.portal.settings, call.caller.workspace_slug));
    co_return response;
}

io::Task<Response> show_me(Call& call) {
    Json visit = co_await describe_portal_visit(call.portal, call.caller);
    co_return http::json_response(200, Json::object({{"data", visit}}).dump());
}

io::Task<Response> list_items(Call& call) {
    http::Query query(call.request.query);
    PageRequest request = PageRequest::read(query);
    const std::optional<std::string> module = query.choice("module", portal_modules);
    query.done();
    PortalOffer offer = co_await find_portal_offer(call.portal, call.caller);
    std::vector<std::string> modules = std::move(offer.modules);
    if (module) {
        if (std::ranges::find(modules, *module) == modules.end()) {
            throw http::not_permitted("The portal does not show this module");
        }
        modules.assign(1, *module);
    }
    Page page = co_await list_visited_items(call.portal, call.caller, std::move(modules),
                                            std::move(request));
    co_return http::json_response(200, page.json().dump());
}

// The linked customer's; without one there are none.
io::Task<Response> list_files(Call& call) {
    http::Query query(call.request.query);
    PageRequest request = read_file_share_page(query);
    FileShareFilter filter = FileShareFilter::read(query, false);
    query.done();
    PortalOffer offer = co_await find_portal_offer(call.portal, call.caller);
    if (!offer.file_sharing) {
        throw http::not_permitted("The portal shares no files");
    }
    const std::string workspace = call.caller.workspace_id.text();
    const std::string customer = call.caller.customer_id.text();
    Page page = co_await list_visible_file_share_sessions(call.portal.db, workspace, customer,
                                                          filter, request);
    co_return http::json_response(200, page.json().dump());
}

io::Task<Response> list_activity(Call& call) {
    http::Query query(call.request.query);
    PageRequest request = PageRequest::read(query);
    query.done();
    PortalOffer offer = co_await find_portal_offer(call.portal, call.caller);
    if (!offer.activity) {
        throw http::not_permitted("The portal shows no activity");
    }
    Page page = co_await list_portal_activity(call.portal, call.caller, std::move(offer.modules),
                                              std::move(request));
    co_return http::json_response(200, page.json().dump());
}

using enum http::Method;
constexpr auto group = Group::client_portal;
constexpr auto surface = http::Surface::client_portal;
constexpr auto limit = LimitClass::standard;

constexpr Route routes[] = {
    {post, "/api/v1/client-portal/me/exchange", group, surface, anyone, Scope::none,
     LimitClass::restricted, Body::json, exchange_link},
    {post, "/api/v1/client-portal/me/logout", group, surface, addressee, Scope::none, limit,
     Body::none, log_out},
    {get, "/api/v1/client-portal/me", group, surface, addressee, Scope::none, limit, Body::none,
     show_me},
    {get, "/api/v1/client-portal/me/items", group, surface, addressee, Scope::none, limit,
     Body::none, list_items},
    {get, "/api/v1/client-portal/me/files", group, surface, addressee, Scope::none, limit,
     Body::none, list_files},
    {get, "/api/v1/client-portal/me/activity", group, surface, addressee, Scope::none, limit,
     Body::none, list_activity},
};

}  // namespace

std::span<const Route> portal_me_routes() { return routes; }

}  // namespace portal::api
