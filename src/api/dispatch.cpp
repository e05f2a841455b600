#include "api/dispatch.h"

#include "api/cookie_caller.h"
#include "api/cors.h"
#include "portal/portal_cookie.h"
#include "portal/stream_ticket.h"

namespace portal::api {
namespace {

// Who a token stands for that the zone does not know.
io::Task<Principal> authenticate(Call& call, Authenticator& authenticator, std::string_view token) {
    Authentication found = co_await authenticator.authenticate(token, call.request.client_address);
    if (found.state == Authentication::State::known) {
        co_return found.principal;
    }
    call.limit = found.verdict.limit;
    if (found.state == Authentication::State::limited) {
        throw over_limit(found.verdict);
    }
    throw http::invalid_token();
}

io::Task<void> authenticate_by_ticket(Call& call) {
    if (call.request.credential.empty()) {
        co_return;
    }
    std::optional<OpenedTicket> opened = co_await open_stream_ticket(call.portal, call.request.credential);
    if (opened && counts_here(call.request, opened->principal.workspace_slug)) {
        call.caller = opened->principal;
        call.ticket = opened->id;
    }
}

void require(const Route& route, const Principal& caller, const http::Request& request) {
    if (route.kinds == anyone) {
        return;
    }
    // the wrong kind and another workspace's than the location's count as none
    if (caller.kind == Kind::none || (route.kinds & only(caller.kind)) == 0 ||
        !counts_here(request, caller.workspace_slug)) {
        throw http::unauthorized();
    }
    if (caller.code_wanted) {
        throw http::not_permitted("This link opens with a code that is sent by mail.");
    }
    if (route.scope != Scope::none && !caller.has(route.scope)) {
        throw http::insufficient_scope(scope_name(route.scope));
    }
}

const Policy& policy_of(LimitClass limit) {
    switch (limit) {
        case LimitClass::client_portal: return limits::client_portal;
        case LimitClass::restricted: return limits::restricted;
        case LimitClass::code_send: return limits::code_send;
        case LimitClass::code_try: return limits::code_try;
        case LimitClass::standard: break;
    }
    return limits::standard;
}

Limit limit_of(const Call& call, const Route& route) {
    const Policy& policy = policy_of(route.limit);
    const Limiter& limiter = call.portal.limiter;
    if (route.kinds == anyone) {
        return {&policy, limiter.client_key(policy, call.request.client_address)};
    }
    return {&policy, limiter.row_key(policy, call.caller.token_id)};
}

// Over a limit: no exception, since a refusal is to cost as little as it can. Its Retry-After is told with
// the limit.
http::Response refusal(const Verdict& verdict, http::Surface surface, const http::Request& request) {
    return http::render_bare(verdict.unavailable ? 503 : 429, surface, request);
}

// ---- the steps, last first: each goes on to the next, and is a coroutine only where it has to wait

using Answer = io::Task<http::Response>;

Answer handle_with_body(Call& call, const Route& route) {
    call.body = co_await call.request.read_body(call.portal.settings.body_limit);
    http::Response response = co_await route.handle(call);
    co_return response;
}

Answer handle_admitted(Call& call, const Route& route, Verdict verdict) {
    call.limit = verdict.limit;
    if (!verdict.allowed) {
        return Answer::ready(refusal(verdict, route.surface, call.request));
    }
    call.admitted = std::move(verdict.charged);
    return route.body == Body::json ? handle_with_body(call, route) : route.handle(call);
}

Answer await_admission(Call& call, const Route& route, io::Task<Verdict> admission) {
    Verdict verdict = co_await admission;
    Answer rest = handle_admitted(call, route, std::move(verdict));
    http::Response response = co_await rest;
    co_return response;
}

Answer admit(Call& call, const Route& route) {
    require(route, call.caller, call.request);
    Limits limits(1, limit_of(call, route));
    io::Task<Verdict> admission = call.portal.limiter.admit(std::move(limits));
    if (!admission.done()) {
        return await_admission(call, route, std::move(admission));
    }
    return handle_admitted(call, route, admission.result());
}

// A caller without a bearer: by his cookie, or the ticket of an event stream.
Answer admit_by_cookie(Call& call, const Route& route, Authenticator& authenticator) {
    if ((route.kinds & browser_session) != 0) {
        co_await authenticate_by_cookie(call, authenticator);
    }
    if (route.stream && call.caller.kind == Kind::none) {
        co_await authenticate_by_ticket(call);
        if (call.caller.kind == Kind::none && has_session_cookie(call.request, call.portal.settings)) {
            co_return http::no_content();   // the session is over: a browser stops dialling
        }
    }
    Answer rest = admit(call, route);
    http::Response response = co_await rest;
    co_return response;
}

http::Response options(const Call& call, const std::string& methods) {
    if (call.request.header("origin")) {
        return preflight(call.request, call.portal.settings, methods);
    }
    http::Response allowed = http::no_content();
    allowed.with("Allow", methods);
    return allowed;
}

Answer find_route(Call& call, Authenticator& authenticator, const Router& router) {
    const http::Method method = call.request.method;
    const Match match = router.find(call.request.path);
    if (!match.any(call.groups)) {
        throw http::path_not_found();
    }
    if (method == http::Method::options) {
        return Answer::ready(options(call, match.allow(call.groups)));
    }
    const Route* route = match.method(method, call.groups);
    if (route == nullptr) {
        throw http::method_not_allowed(match.allow(call.groups));
    }
    call.route = route;
    call.parameters = match.parameters;
    if (call.caller.kind == Kind::none && (route->stream || (route->kinds & browser_session) != 0)) {
        return admit_by_cookie(call, *route, authenticator);
    }
    return admit(call, *route);
}

Answer look_up_token(Call& call, Authenticator& authenticator, const Router& router, std::string_view token) {
    call.caller = co_await authenticate(call, authenticator, token);
    Answer rest = find_route(call, authenticator, router);
    http::Response response = co_await rest;
    co_return response;
}

Answer begin(Call& call, Authenticator& authenticator, const Router& router) {
    const auto token = bearer_token(call.request.header("authorization"));
    if (token && !authenticator.authenticate_now(*token, call.caller)) {
        return look_up_token(call, authenticator, router, *token);
    }
    return find_route(call, authenticator, router);
}

// ---- their end

http::Failure unexpected(const Call& call, const char* what) {
    std::string line = "portal: " + std::string(call.request.path.substr(0, 64)) + " failed: " + what +
                       ", request_id: " + std::string(call.request.request_id);
    call.portal.loop.log(io::LogLevel::error, line.c_str());
    return http::internal_error();
}

// The answer to the exception that is being handled.
http::Response failed(const Call& call) {
    return http::render(current_failure(call), surface_of(call.request.path), call.request);
}

// A preflight's answer has its own CORS headers.
http::Response finished(const Call& call, http::Response response, bool failure) {
    response.limit = call.limit;
    if (call.request.method != http::Method::options || failure) {
        add_cors(call.request, call.portal.settings, response.headers);
    }
    return response;
}

Answer await_end(Call& call, Answer rest) {
    http::Response response;
    bool failure = false;
    try {
        response = co_await rest;
    } catch (...) {
        failure = true;
        response = failed(call);
    }
    co_return finished(call, std::move(response), failure);
}

}  // namespace

http::Failure over_limit(const Verdict& verdict) {
    return verdict.unavailable ? http::Failure(503, "", "Service Unavailable") : http::too_many_requests();
}

http::Failure current_failure(const Call& call) {
    http::Failure failure;
    try {
        throw;
    } catch (const http::Failure& refused) {
        failure = refused;
    } catch (const http::BodyTooLarge&) {
        failure = http::body_too_large();
    } catch (const http::BodyAborted&) {
        throw;
    } catch (const io::PostgresUnavailable&) {
        failure = http::unavailable(1);
    } catch (const std::exception& error) {
        failure = unexpected(call, error.what());
    } catch (...) {
        failure = unexpected(call, "an unknown exception");
    }
    return failure;
}

io::Task<http::Response> dispatch(Call& call, Authenticator& authenticator, const Router& router) {
    http::Response response;
    bool failure = false;
    try {
        Answer answer = begin(call, authenticator, router);
        if (!answer.done()) {
            return await_end(call, std::move(answer));
        }
        response = answer.result();
    } catch (...) {
        failure = true;
        response = failed(call);
    }
    return Answer::ready(finished(call, std::move(response), failure));
}

}  // namespace portal::api
