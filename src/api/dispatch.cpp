#include "api/dispatch.h"

#include <iterator>
#include <optional>

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
    found.verdict.add_headers(call.extra_headers);
    if (found.state == Authentication::State::limited) {
        throw http::too_many_requests();
    }
    throw http::invalid_token();
}

io::Task<void> authenticate_by_ticket(Call& call) {
    if (call.request.credential.empty()) {
        co_return;
    }
    std::optional<OpenedTicket> opened = co_await open_stream_ticket(call.portal, call.request.credential);
    if (opened && (call.request.workspace.empty() ||
                   same_slug(opened->principal.workspace_slug, call.request.workspace))) {
        call.caller = opened->principal;
        call.ticket = opened->id;
    }
}

void require(const Route& route, const Principal& caller) {
    if (route.kinds == anyone) {
        return;
    }
    if (caller.kind == Kind::none || (route.kinds & only(caller.kind)) == 0) {
        throw http::unauthorized();
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
        return {&policy, limiter.text_key(policy, limiter_address(call.request.client_address))};
    }
    return {&policy, limiter.row_key(policy, call.caller.token_id)};
}

// Over a limit: a value and no exception, since a refusal is to cost as little as it can.
http::Failure refusal(const Verdict& verdict) {
    // the verdict's Retry-After is there already
    return verdict.unavailable ? http::Failure(503, "", "Service Unavailable") : http::too_many_requests();
}

io::Task<http::Response> answer(Call& call, Authenticator& authenticator, const Router& router, Groups groups) {
    http::Request& request = call.request;
    const auto token = bearer_token(request.header("authorization"));
    if (token && !authenticator.authenticate_now(*token, call.caller)) {
        call.caller = co_await authenticate(call, authenticator, *token);
    }
    const Match match = router.find(request.path);
    if (!match.any(groups)) {
        throw http::path_not_found();
    }
    if (request.method == http::Method::options) {
        const std::string methods = match.allow(groups);
        if (request.header("origin")) {
            co_return preflight(request, call.portal.settings, methods);
        }
        http::Response allowed = http::no_content();
        allowed.with("Allow", methods);
        co_return allowed;
    }
    const Route* route = match.method(request.method, groups);
    if (route == nullptr) {
        throw http::method_not_allowed(match.allow(groups));
    }
    call.parameters = match.parameters;
    if (call.caller.kind == Kind::none && (route->kinds & portal_session) != 0) {
        co_await authenticate_by_cookie(call, authenticator);
    }
    if (route->stream && call.caller.kind == Kind::none) {
        co_await authenticate_by_ticket(call);
        if (call.caller.kind == Kind::none && has_session_cookie(request, call.portal.settings)) {
            co_return http::no_content();   // the session is over: a browser stops dialling
        }
    }
    require(*route, call.caller);
    std::vector<Limit> limits(1, limit_of(call, *route));
    Verdict verdict = co_await call.portal.limiter.admit(std::move(limits));
    verdict.add_headers(call.extra_headers);
    if (!verdict.allowed) {
        co_return http::render(refusal(verdict), route->surface, request);
    }
    call.admitted = std::move(verdict.charged);
    if (route->body == Body::json) {
        call.body = co_await request.read_body(call.portal.settings.body_limit);
    }
    http::Response response = co_await route->handle(call);
    co_return response;
}

http::Failure unexpected(const Call& call, const char* what) {
    std::string line = "portal: " + std::string(call.request.path.substr(0, 64)) + " failed: " + what +
                       ", request_id: " + std::string(call.request.request_id);
    call.portal.loop.log(io::LogLevel::error, line.c_str());
    return http::internal_error();
}

}  // namespace

io::Task<http::Response> dispatch(http::Request& request, Services& portal, Authenticator& authenticator,
                                  const Router& router, Groups groups) {
    Call call{request, portal, {}, {}, {}, {}, {}, groups, {}};
    http::Response response;
    std::optional<http::Failure> failure;
    try {
        response = co_await answer(call, authenticator, router, groups);
    } catch (const http::Failure& refused) {
        failure = refused;
    } catch (const http::BodyTooLarge&) {
        failure = http::body_too_large();
    } catch (const http::BodyAborted&) {
        throw;
    } catch (const io::PostgresUnavailable&) {
        failure = http::unavailable(1);
    } catch (const io::PostgresError& error) {
        // 57014: cancelled by statement_timeout; 55P03: lock_timeout
        if (error.sqlstate == "57014" || error.sqlstate == "55P03" || error.sqlstate == "25006") {
            failure = http::unavailable(1);
        } else {
            failure = unexpected(call, error.what());
        }
    } catch (const std::exception& error) {
        failure = unexpected(call, error.what());
    } catch (...) {
        failure = unexpected(call, "an unknown exception");
    }
    if (failure) {
        response = http::render(*failure, surface_of(request.path), request);
    }
    call.extra_headers.insert(call.extra_headers.end(), std::make_move_iterator(response.headers.begin()),
                              std::make_move_iterator(response.headers.end()));
    response.headers = std::move(call.extra_headers);
    if (request.method != http::Method::options || failure) {
        add_cors(request, portal.settings, response.headers);
    }
    co_return response;
}

}  // namespace portal::api
