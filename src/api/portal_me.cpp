// contract/client-portal.md: what a contact or company sees at its client portal, by its link's
// token or by the cookie that is exchanged for it.
#include <algorithm>

#include "api/cookie_caller.h"
#include "api/mail_limit.h"
#include "api/route.h"
#include "http/query.h"
#include "http/validation.h"
#include "portal/business_failure.h"
#include "portal/device.h"
#include "portal/file_sharing_list.h"
#include "portal/link_code.h"
#include "portal/login_code.h"
#include "portal/portal_cookie.h"
#include "portal/portal_item.h"
#include "portal/portal_token.h"
#include "portal/portal_visit.h"

namespace portal::api {
namespace {

using http::Json;
using http::Response;

struct LinkInput {
    std::string token;
    std::optional<std::string> code;
    std::optional<Uuid> challenge_id;

    static LinkInput parse(const Call& call) {
        http::Fields fields(http::parse_body(call.body,
                                             call.request.header("content-type").value_or(""),
                                             http::Surface::client_portal));
        LinkInput input;
        input.token = fields.string("token", {.required = true}).value_or("");
        input.code = fields.string("code", {.nullable = true});
        input.challenge_id = fields.uuid4(
            "challenge_id", {.required = input.code.has_value(), .nullable = !input.code});
        fields.done();
        return input;
    }
};

http::Failure wrong_code() {
    return business_failure("code", "This code is invalid or has expired.");
}

io::Task<Response> mail_code(Call& call, const Principal& link, std::optional<Uuid> again) {
    std::optional<std::string> email = co_await find_link_address(call.portal, link);
    if (!email) {
        throw Addressee{link.addressee_is_company, link.addressee_id}.has_no_email();
    }
    Limits limits = code_mail_to(call, link.workspace_id, *email);
    co_await charge_besides(call, std::move(limits));
    LinkChallenge challenge = co_await send_link_code(call.portal, link, again);
    const std::string address = masked_address(*email);
    Json data = Json::object({{"challenge_id", challenge.id.text()},
                              {"expires_in", challenge.expires_in},
                              {"email", address}});
    Json body = Json::object({{"message", "A code was sent to " + address}, {"data", data}});
    co_return http::json_response(202, body.dump());
}

// The challenge whose code was entered, which is not spent yet.
io::Task<Uuid> prove_code(Call& call, const Principal& link, const LinkInput& input) {
    Limits limits{code_try_of(call)};
    Limits charged = co_await charge_besides(call, std::move(limits));
    const bool may_try = co_await take_link_try(call.portal, link, *input.challenge_id);
    const bool right = is_login_code(call.portal.secrets, *input.challenge_id, *input.code);
    if (!may_try || !right) {
        co_await note_wrong_link_code(call.portal, link);
        throw wrong_code();
    }
    call.portal.limiter.give_back(charged);  // a right code costs nothing
    co_return *input.challenge_id;
}

io::Task<Response> exchange_link(Call& call) {
    const Settings& settings = call.portal.settings;
    require_no_foreign_page(call.request, settings);
    LinkInput input = LinkInput::parse(call);
    std::optional<Principal> link = co_await find_portal_link(call.portal, input.token);
    if (!link || !is_meant_here(call.request, *link)) {
        throw http::invalid_token();
    }
    co_await require_nobody_else(call, *link);
    bool proof_wanted = link->code_wanted;
    if (proof_wanted) {
        const std::vector<std::string> sessions = session_tokens(call.request, settings);
        const bool known = co_await is_known_device(call.portal, *link, sessions);
        proof_wanted = !known;
    }
    if (proof_wanted && !input.code) {
        Response asked = co_await mail_code(call, *link, input.challenge_id);
        co_return asked;
    }
    std::optional<Uuid> challenge;
    if (proof_wanted) {
        challenge = co_await prove_code(call, *link, input);
    }
    std::string device = device_words(call.request.header("user-agent").value_or(""));
    std::optional<ExchangedSession> session =
        co_await open_portal_link(call.portal, *link, std::move(device), challenge);
    if (!session) {
        throw challenge ? wrong_code() : http::invalid_token();
    }
    const bool token_wanted = call.request.header("x-portal-cookie") == "0";
    Response response =
        token_wanted ? http::json_response(200, Json::object({{"token", session->token}}).dump())
                     : http::no_content();
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
