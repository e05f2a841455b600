// contract/customer-portal.md: a customer's files and payments. A session sees what is its own
// customer's.
#include "api/route.h"
#include "http/query.h"
#include "http/validation.h"
#include "portal/file_sharing.h"
#include "portal/file_sharing_download.h"
#include "portal/file_sharing_list.h"
#include "portal/payment.h"

namespace portal::api {
namespace {

using http::Json;
using http::Response;

// Whose session this is, as every statement asks.
struct Viewer {
    explicit Viewer(const Principal& caller)
        : workspace(caller.workspace_id.text()), customer(caller.customer_id.text()) {}
    std::string workspace, customer;
};

std::string session_of(const Call& call) {
    return http::require_uuid4(call.parameters[0], {"path", "id"}).text();
}

// Payments are not for everybody on a team.
void require_payments_allowed(const Principal& caller) {
    if (!caller.sees_payments()) {
        throw http::not_permitted("Insufficient role for this operation");
    }
}

io::Task<Response> list_sessions(Call& call) {
    http::Query query(call.request.query);
    PageRequest request = read_file_share_page(query);
    FileShareFilter filter = FileShareFilter::read(query, false);
    query.done();
    const Viewer viewer(call.caller);
    Page page = co_await list_visible_file_share_sessions(call.portal.db, viewer.workspace,
                                                          viewer.customer, filter, request);
    co_return http::json_response(200, page.json().dump());
}

io::Task<Response> get_session(Call& call) {
    std::string id = session_of(call);
    const Viewer viewer(call.caller);
    Json session = co_await find_visible_file_share_session(call.portal.db, viewer.workspace,
                                                            viewer.customer, id);
    co_return http::json_response(200, session.dump());
}

io::Task<Response> list_downloads(Call& call) {
    std::string id = session_of(call);
    const Viewer viewer(call.caller);
    Json downloads = co_await list_visible_file_share_downloads(call.portal.db, viewer.workspace,
                                                                viewer.customer, id);
    co_return http::json_response(200, downloads.dump());
}

io::Task<Response> list_session_payments(Call& call) {
    require_payments_allowed(call.caller);
    std::string id = session_of(call);
    const Viewer viewer(call.caller);
    Json payments = co_await list_visible_session_payments(call.portal.db, viewer.workspace,
                                                           viewer.customer, id);
    co_return http::json_response(200, payments.dump());
}

io::Task<Response> list_payments(Call& call) {
    require_payments_allowed(call.caller);
    http::Query query(call.request.query);
    PageRequest request = PageRequest::read(query);
    query.done();
    const Viewer viewer(call.caller);
    Page page =
        co_await list_own_payments(call.portal.db, viewer.workspace, viewer.customer, request);
    co_return http::json_response(200, page.json().dump());
}

using enum http::Method;
constexpr auto group = Group::portal;
constexpr auto rest = http::Surface::rest;
constexpr auto standard = LimitClass::standard;

constexpr Route routes[] = {
    {get, "/api/customer-portal/file-sharing/sessions", group, rest, portal_session, Scope::none,
     standard, Body::none, list_sessions},
    {get, "/api/customer-portal/file-sharing/sessions/{id}", group, rest, portal_session,
     Scope::none, standard, Body::none, get_session},
    {get, "/api/customer-portal/file-sharing/sessions/{id}/downloads", group, rest, portal_session,
     Scope::none, standard, Body::none, list_downloads},
    {get, "/api/customer-portal/file-sharing/sessions/{id}/payments", group, rest, portal_session,
     Scope::none, standard, Body::none, list_session_payments},
    {get, "/api/customer-portal/payments", group, rest, portal_session, Scope::none, standard,
     Body::none, list_payments},
};

}  // namespace

std::span<const Route> portal_file_routes() { return routes; }

}  // namespace portal::api
