// contract/management.md: sessions, downloads and payments, as a workspace's backend tells of them.
#include "portal/file_sharing.h"

#include "api/route.h"
#include "http/query.h"
#include "http/validation.h"
#include "portal/file_sharing_download.h"
#include "portal/file_sharing_list.h"
#include "portal/payment.h"

namespace portal::api {
namespace {

using http::Json;
using http::Response;

Json body_of(const Call& call) {
    return http::parse_body(call.body, call.request.header("content-type"), http::Surface::rest);
}

std::string session_of(const Call& call) {
    return http::require_uuid4(call.parameters[0], {"path", "id"}).text();
}

std::string payment_of(const Call& call) {
    return http::require_uuid4(call.parameters[1], {"path", "payment_id"}).text();
}

KeyClaim claim_of(const Call& call, const std::string& path) {
    return KeyClaim(call.caller,
                    IdempotencyKey::read(call.request, call.portal.secrets,
                                         "/api/file-sharing/sessions" + path, call.body));
}

// ---- sessions

io::Task<Response> list_sessions(Call& call) {
    http::Query query(call.request.query);
    PageRequest request = read_file_share_page(query);
    FileShareFilter filter = FileShareFilter::read(query, true);
    query.done();
    const std::string workspace = call.caller.workspace_id.text();
    Page page = co_await list_file_share_sessions(call.portal.db, workspace, filter, request);
    co_return http::json_response(200, page.json().dump());
}

io::Task<Response> create_session(Call& call) {
    const std::string workspace = call.caller.workspace_id.text();
    auto input = FileShareSessionInput::parse(body_of(call));
    KeyClaim claim = claim_of(call, "");
    Json session = co_await create_file_share_session(call.portal.db, workspace, std::move(input),
                                                      std::move(claim));
    co_return http::json_response(201, session.dump());
}

io::Task<Response> get_session(Call& call) {
    const std::string workspace = call.caller.workspace_id.text();
    const std::string id = session_of(call);
    Json session = co_await find_file_share_session(call.portal.db, workspace, id);
    co_return http::json_response(200, session.dump());
}

io::Task<Response> change_session(Call& call) {
    const std::string workspace = call.caller.workspace_id.text();
    auto [id, input] =
        http::read_both([&] { return session_of(call); },
                        [&] { return FileShareSessionInput::parse_change(body_of(call)); });
    Json session =
        co_await change_file_share_session(call.portal.db, workspace, id, std::move(input));
    co_return http::json_response(200, session.dump());
}

// ---- downloads

io::Task<Response> create_download(Call& call) {
    const std::string workspace = call.caller.workspace_id.text();
    auto [session, input] = http::read_both(
        [&] { return session_of(call); },
        [&] {
            // nothing has to be told of a download
            return FileShareDownloadInput::parse(call.body.empty() ? Json::object() : body_of(call));
        });
    KeyClaim claim = claim_of(call, "/" + session + "/downloads");
    Json download = co_await create_file_share_download(call.portal.db, workspace, session,
                                                        std::move(input), std::move(claim));
    co_return http::json_response(201, download.dump());
}

// ---- payments

io::Task<Response> create_session_payment(Call& call) {
    const std::string workspace = call.caller.workspace_id.text();
    auto [session, input] = http::read_both([&] { return session_of(call); },
                                            [&] { return PaymentInput::parse(body_of(call)); });
    KeyClaim claim = claim_of(call, "/" + session + "/payments");
    Json payment = co_await create_payment(call.portal.db, workspace, session, std::move(input),
                                           std::move(claim));
    co_return http::json_response(201, payment.dump());
}

io::Task<Response> change_session_payment(Call& call) {
    const std::string workspace = call.caller.workspace_id.text();
    auto [ids, input] =
        http::read_both([&] { return http::read_both([&] { return session_of(call); },
                                                     [&] { return payment_of(call); }); },
                        [&] { return PaymentInput::parse_change(body_of(call)); });
    Json payment =
        co_await change_payment(call.portal.db, workspace, ids.first, ids.second, std::move(input));
    co_return http::json_response(200, payment.dump());
}

using enum http::Method;
constexpr auto group = Group::management;
constexpr auto rest = http::Surface::rest;
constexpr auto standard = LimitClass::standard;

constexpr Route routes[] = {
    {get, "/api/file-sharing/sessions", group, rest, workspace_token, Scope::file_sharing_read,
     standard, Body::none, list_sessions},
    {post, "/api/file-sharing/sessions", group, rest, workspace_token, Scope::file_sharing_write,
     standard, Body::json, create_session},
    {get, "/api/file-sharing/sessions/{id}", group, rest, workspace_token, Scope::file_sharing_read,
     standard, Body::none, get_session},
    {patch, "/api/file-sharing/sessions/{id}", group, rest, workspace_token,
     Scope::file_sharing_write, standard, Body::json, change_session},
    {post, "/api/file-sharing/sessions/{id}/downloads", group, rest, workspace_token,
     Scope::file_sharing_write, standard, Body::json, create_download},
    {post, "/api/file-sharing/sessions/{id}/payments", group, rest, workspace_token,
     Scope::payments_write, standard, Body::json, create_session_payment},
    {patch, "/api/file-sharing/sessions/{id}/payments/{payment_id}", group, rest, workspace_token,
     Scope::payments_write, standard, Body::json, change_session_payment},
};

}  // namespace

std::span<const Route> file_sharing_routes() { return routes; }

}  // namespace portal::api
