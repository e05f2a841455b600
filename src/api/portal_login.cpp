// contract/customer-portal.md: login by e-mailed code, and a person's own sessions.
#include "api/cookie_caller.h"
#include "api/route.h"
#include "http/query.h"
#include "http/validation.h"
#include "io/sleep.h"
#include "portal/device.h"
#include "portal/email.h"
#include "portal/login.h"
#include "portal/login_code.h"
#include "portal/own_session.h"
#include "portal/portal_cookie.h"

namespace portal::api {
namespace {

using http::Json;
using http::Response;

// Without a bearer a body needs its Content-Type: a form of another site could send one without.
std::string_view content_type(const Call& call) {
    return call.request.header("content-type").value_or("");
}

std::string device_of(const Call& call) {
    return device_words(call.request.header("user-agent").value_or(""));
}

// What the browser remembers of its last request for a code. A foreign page's request is not to
// make use of it.
std::optional<Uuid> remembered_challenge(const Call& call) {
    if (is_foreign_page(call.request, call.portal.settings)) {
        return std::nullopt;
    }
    return challenge_cookie(call.portal.settings, call.request.cookies());
}

http::Failure wrong_code() {
    return http::Failure(401, "CustomerSessionCodeInvalidOrExpired",
                         "This customer session code is invalid or has expired.")
        .with("WWW-Authenticate", "Bearer realm=\"portal\"");
}

// Five mails in fifteen minutes to an address of a workspace. Beyond it nothing is to be seen from
// outside, in the headers neither.
io::Task<bool> charge_code_mail(Call& call, const LoginInput& input) {
    Limiter& limiter = call.portal.limiter;
    const Policy& policy = limits::code_mail;
    const std::string workspace = input.workspace_id ? input.workspace_id->text() : "";
    Limits limits{{&policy, limiter.text_key(policy, workspace + "\n" + input.email)}};
    Verdict verdict = co_await limiter.admit(std::move(limits));
    if (verdict.unavailable) {
        limiter.give_back(call.admitted);
        call.admitted.clear();
        throw http::unavailable(1);
    }
    co_return verdict.allowed;
}

// What differs between one who exists and one who does not is a look-up of some microseconds.
// Answers leave on a grid, so that not even that can be measured.
constexpr std::int64_t grid = 10;  // ms
std::int64_t to_the_grid(std::int64_t since, std::int64_t now) {
    return grid - (now - since) % grid;
}

io::Task<Response> request_code(Call& call) {
    io::Loop& loop = call.portal.loop;
    const std::int64_t begun = loop.now();
    auto input = LoginInput::parse(call.body, content_type(call));
    if (!input.challenge_id) {
        input.challenge_id = remembered_challenge(call);
    }
    const bool mail = co_await charge_code_mail(call, input);
    const std::string address = limiter_address(call.request.client_address);
    Challenge challenge = co_await request_login_code(call.portal, std::move(input), mail, address);
    const std::int64_t rest = to_the_grid(begun, loop.now());
    co_await io::sleep(loop, rest);
    Json body =
        Json::object({{"challenge_id", challenge.id.text()}, {"expires_in", challenge.expires_in}});
    Response response = http::json_response(202, body.dump());
    response.with("Set-Cookie",
                  set_challenge_cookie(call.portal.settings, challenge.id, challenge.expires_in));
    co_return response;
}

// The challenge is the body's, else the cookie's, else the one of this client's address, whose tries
// are not for a stranger of that address to use up.
io::Task<Login> try_code(Call& call, AuthenticateInput input) {
    Services& portal = call.portal;
    std::optional<Uuid> challenge =
        input.challenge_id ? input.challenge_id : remembered_challenge(call);
    const bool by_address = !challenge && call.request.login_by_address;
    if (by_address) {
        const std::string address = limiter_address(call.request.client_address);
        challenge = co_await find_challenge_by_address(portal, address);
    }
    if (!challenge) {
        throw wrong_code();
    }
    bool may_try = by_address;
    if (!by_address) {
        may_try = co_await take_try(portal, *challenge);
    }
    const bool right = is_login_code(portal.secrets, *challenge, *input.code);
    if (!may_try || !right) {
        co_await note_wrong_code(portal, *challenge);
        throw wrong_code();
    }
    const std::string device = device_of(call);
    Login login =
        co_await redeem_login_code(portal, *challenge, !by_address, std::move(input), device);
    co_return login;
}

Response choice_response(const Login& login) {
    const bool workspace = login.state == Login::State::choose_workspace;
    Json body = Json::object({
        {"error", workspace ? "workspace_selection_required" : "customer_selection_required"},
        {"detail", workspace ? "This address belongs to several workspaces. Choose one."
                             : "This address belongs to several customers. Choose one."},
        {workspace ? "workspaces" : "customers", login.choices},
        {"selection_token", login.token},
    });
    return http::json_response(409, body.dump());
}

io::Task<Response> authenticate_code(Call& call) {
    const Settings& settings = call.portal.settings;
    const bool cookie_wanted = call.request.header("x-portal-cookie") == "1";
    if (cookie_wanted) {
        require_no_foreign_page(call.request, settings);
    }
    auto input = AuthenticateInput::parse(call.body, content_type(call));
    const bool choosing = input.selection_token.has_value();
    const std::string device = device_of(call);
    Login login;
    if (choosing) {
        login = co_await redeem_selection(call.portal, std::move(input), device);
    } else {
        login = co_await try_code(call, std::move(input));
    }
    if (login.state == Login::State::refused) {
        throw wrong_code();
    }
    // a right code costs nothing
    call.portal.limiter.give_back(call.admitted);
    call.admitted.clear();
    if (login.state != Login::State::signed_in) {
        co_return choice_response(login);
    }
    Json body = Json::object();
    body.set(cookie_wanted ? "workspace" : "token",
             cookie_wanted ? login.workspace : Json(login.token));
    Response response = http::json_response(200, body.dump());
    if (cookie_wanted) {
        response.with("Set-Cookie",
                      set_session_cookie(settings, login.slug, login.token, login.expires_in));
    }
    response.with("Set-Cookie", clear_challenge_cookie(settings));
    co_return response;
}

io::Task<Response> exchange_link(Call& call) {
    require_no_foreign_page(call.request, call.portal.settings);
    http::Fields fields(http::parse_body(call.body, content_type(call), http::Surface::rest));
    std::string token = fields.string("token", {.required = true}).value_or("");
    fields.done();
    std::optional<Principal> link = co_await find_session_link(call.portal, std::move(token));
    if (!link || !is_meant_here(call.request, *link)) {
        throw http::invalid_token();
    }
    co_await require_nobody_else(call, *link);
    const std::string device = device_of(call);
    std::optional<ExchangedSession> session =
        co_await exchange_session(call.portal, *link, device);
    if (!session) {
        throw http::invalid_token();
    }
    Response response = http::no_content();
    response.with("Set-Cookie", set_session_cookie(call.portal.settings, session->slug,
                                                   session->token, session->expires_in));
    co_return response;
}

Response signed_out(const Call& call) {
    Response response = http::no_content();
    response.with("Set-Cookie",
                  clear_session_cookie(call.portal.settings, call.caller.workspace_slug));
    return response;
}

io::Task<Response> log_out(Call& call) {
    // one that has just ended elsewhere is as good
    co_await end_own_session(call.portal, call.caller, call.caller.token_id);
    co_return signed_out(call);
}

io::Task<Response> list_sessions(Call& call) {
    http::Query query(call.request.query);
    PageRequest request = PageRequest::read(query, {"created_at"});
    query.done();
    Page page = co_await list_own_sessions(call.portal, call.caller, request);
    co_return http::json_response(200, page.json().dump());
}

io::Task<Response> end_session(Call& call) {
    const Uuid id = http::require_uuid4(call.parameters[0], {"path", "id"});
    const bool ended = co_await end_own_session(call.portal, call.caller, id);
    if (!ended) {
        throw http::resource_not_found();
    }
    co_return id == call.caller.token_id ? signed_out(call) : http::no_content();
}

// DELETE .../sessions?others=true; nothing else may be meant by it.
io::Task<Response> end_sessions(Call& call) {
    http::Query query(call.request.query);
    static constexpr std::string_view allowed[] = {"true"};
    query.choice("others", allowed);
    if (!query.given("others")) {
        query.missing("others");
    }
    query.done();
    const std::int64_t revoked = co_await end_other_sessions(call.portal, call.caller);
    co_return http::json_response(200, Json::object({{"revoked", revoked}}).dump());
}

using enum http::Method;
constexpr auto group = Group::portal;
constexpr auto rest = http::Surface::rest;

constexpr Route routes[] = {
    {post, "/api/customer-portal/customer-session/request", group, rest, anyone, Scope::none,
     LimitClass::code_send, Body::json, request_code},
    {post, "/api/customer-portal/customer-session/authenticate", group, rest, anyone, Scope::none,
     LimitClass::code_try, Body::json, authenticate_code},
    {post, "/api/customer-portal/customer-session/exchange", group, rest, anyone, Scope::none,
     LimitClass::restricted, Body::json, exchange_link},
    {post, "/api/customer-portal/customer-session/logout", group, rest, portal_session,
     Scope::customer_portal_write, LimitClass::standard, Body::none, log_out},
    {get, "/api/customer-portal/customer-session/sessions", group, rest, portal_session,
     Scope::customer_portal_write, LimitClass::standard, Body::none, list_sessions},
    {del, "/api/customer-portal/customer-session/sessions", group, rest, portal_session,
     Scope::customer_portal_write, LimitClass::standard, Body::none, end_sessions},
    {del, "/api/customer-portal/customer-session/sessions/{id}", group, rest, portal_session,
     Scope::customer_portal_write, LimitClass::standard, Body::none, end_session},
};

}  // namespace

std::span<const Route> portal_login_routes() { return routes; }

}  // namespace portal::api
