#include "http/failure.h"

#include <algorithm>

namespace portal::http {
namespace {

constexpr std::string_view challenge = "Bearer realm=\"portal\"";
constexpr std::string_view invalid_token_words =
    "The access token provided is expired, revoked, malformed, or invalid for other reasons.";
constexpr std::string_view insufficient_scope_words =
    "The request requires higher privileges than provided by the access token.";
constexpr std::string_view validation_words = "The given data was invalid.";

std::string_view phrase(int status) {
    switch (status) {
        case 400: return "Bad Request";
        case 401: return "Unauthorized";
        case 403: return "Forbidden";
        case 404: return "Not Found";
        case 405: return "Method Not Allowed";
        case 409: return "Conflict";
        case 413: return "Request Entity Too Large";
        case 422: return "Unprocessable Entity";
        case 429: return "Too Many Requests";
        case 503: return "Service Unavailable";
        default: return status >= 500 ? "Internal Server Error" : "Error";
    }
}

// The bare {"detail":"Not Found"} of what happens before a handler.
Failure bare(int status) { return Failure(status, "", std::string(phrase(status))); }

bool all_digits(const std::string& text) {
    return !text.empty() && text.size() <= 18 && text.find_first_not_of("0123456789") == std::string::npos;
}

Json location_json(const std::vector<std::string>& loc) {
    Json list = Json::array();
    for (const std::string& part : loc) {
        if (all_digits(part)) {
            list.push(std::int64_t(std::stoll(part)));
        } else {
            list.push(part);
        }
    }
    return list;
}

Json problems_json(const std::vector<Problem>& problems) {
    Json list = Json::array();
    for (const Problem& problem : problems) {
        Json entry = Json::object();
        entry.set("type", problem.type).set("loc", location_json(problem.loc)).set("msg", problem.msg);
        entry.set("input", problem.input.present() ? problem.input : Json(nullptr));
        if (problem.ctx.present()) {
            entry.set("ctx", problem.ctx);
        }
        list.push(entry);
    }
    return list;
}

// {"body","items","0"} -> "items.0"; a problem of the body as a whole is the body's.
std::string field_name(const std::vector<std::string>& loc) {
    std::string name;
    for (std::size_t at = loc.size() > 1 ? 1 : 0; at < loc.size(); ++at) {
        name += (name.empty() ? "" : ".") + loc[at];
    }
    return name;
}

// Most refusals are an object of one or two strings, and are to cost as little as they can.
std::string strings_json(std::initializer_list<std::pair<std::string_view, std::string_view>> members) {
    std::string out;
    out.reserve(128);
    char separator = '{';
    for (const auto& [name, value] : members) {
        out += separator;
        append_json(out, name);
        out += ':';
        append_json(out, value);
        separator = ',';
    }
    out += '}';
    return out;
}

std::string rest_json(const Failure& failure) {
    if (!failure.problems.empty()) {
        return Json::object({{"error", "RequestValidationError"}, {"detail", problems_json(failure.problems)}}).dump();
    }
    if (failure.error == "invalid_token" || failure.error == "insufficient_scope") {
        return strings_json({{"error", failure.error}, {"error_description", failure.detail}});
    }
    if (failure.error.empty()) {
        return strings_json({{"detail", failure.detail}});
    }
    return strings_json({{"error", failure.error}, {"detail", failure.detail}});
}

std::string client_portal_message(const Failure& failure) {
    if (failure.status == 401) {
        return "Unauthenticated.";
    }
    if (failure.error == "insufficient_scope") {
        return "This action is unauthorized.";
    }
    if (!failure.problems.empty()) {
        return std::string(validation_words);
    }
    if (failure.status == 404 && (failure.error.empty() || failure.detail == "Not found")) {
        return "Not found.";
    }
    return failure.detail;
}

std::string client_portal_json(const Failure& failure) {
    const std::string message = client_portal_message(failure);
    if (failure.problems.empty()) {
        return strings_json({{"message", message}});
    }
    Json errors = Json::object();
    for (const Problem& problem : failure.problems) {
        std::string field = field_name(problem.loc);
        if (!errors[field.c_str()].present()) {
            errors.set(field.c_str(), Json::array());
        }
        errors[field.c_str()].push(problem.msg);
    }
    return Json::object({{"message", message}, {"errors", errors}}).dump();
}

Json problem_details(const Failure& failure, Surface surface) {
    std::string detail = surface == Surface::client_portal ? client_portal_message(failure)
                         : failure.problems.empty()        ? failure.detail
                                                           : std::string(validation_words);
    Json body = Json::object({{"type", "about:blank"},
                              {"title", phrase(failure.status)},
                              {"status", failure.status},
                              {"detail", detail}});
    if (!failure.problems.empty()) {
        body.set("errors", problems_json(failure.problems));
    }
    return body;
}

// Named outright and not with q=0; "*/*" alone does not ask for it.
bool accepts_problem_details(const Request& request) {
    std::optional<std::string_view> accept = request.header("accept");
    if (!accept) {
        return false;
    }
    std::string list(*accept);
    std::transform(list.begin(), list.end(), list.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? char(c | 0x20) : c; });
    std::erase_if(list, [](char c) { return c == ' ' || c == '\t'; });
    constexpr std::string_view wanted = "application/problem+json";
    std::string_view rest = list;
    while (!rest.empty()) {
        std::size_t comma = rest.find(',');
        std::string_view range = rest.substr(0, comma);
        rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
        std::size_t semicolon = range.find(';');
        if (range.substr(0, semicolon) != wanted) {
            continue;
        }
        std::string_view parameters = semicolon == std::string_view::npos ? "" : range.substr(semicolon);
        std::size_t weight = parameters.find(";q=");
        std::string_view q = weight == std::string_view::npos ? "1" : parameters.substr(weight + 3);
        if (q.find_first_of("123456789") < q.find(';')) {
            return true;
        }
    }
    return false;
}

}  // namespace

Failure unauthorized() {
    return Failure(401, "Unauthorized", "Unauthorized").with("WWW-Authenticate", std::string(challenge));
}

Failure invalid_token() {
    std::string words(invalid_token_words);
    return Failure(401, "invalid_token", words)
        .with("WWW-Authenticate",
              std::string(challenge) + ", error=\"invalid_token\", error_description=\"" + words + "\"");
}

Failure insufficient_scope(std::string_view scope) {
    std::string words(insufficient_scope_words);
    return Failure(403, "insufficient_scope", words)
        .with("WWW-Authenticate", std::string(challenge) + ", error=\"insufficient_scope\", error_description=\"" +
                                      words + "\", scope=\"" + std::string(scope) + "\"");
}

Failure not_permitted(std::string detail) { return Failure(403, "NotPermitted", std::move(detail)); }

Failure resource_not_found(std::string detail) { return Failure(404, "ResourceNotFound", std::move(detail)); }

Failure path_not_found() { return bare(404); }

Failure method_not_allowed(std::string allow) { return bare(405).with("Allow", std::move(allow)); }

Failure body_too_large() { return bare(413); }

Failure too_many_requests() { return bare(429); }

Failure unavailable(int retry_after_seconds) {
    return bare(503).with("Retry-After", std::to_string(retry_after_seconds));
}

Failure internal_error() { return bare(500); }

Failure validation_failed(std::vector<Problem> problems) {
    Failure failure(422, "RequestValidationError", std::string(validation_words));
    failure.problems = std::move(problems);
    return failure;
}

Response render(const Failure& failure, Surface surface, const Request& request) {
    Response response;
    response.status = failure.status;
    response.headers = failure.headers;
    if (accepts_problem_details(request)) {
        response.content_type = "application/problem+json";
        response.body = problem_details(failure, surface).dump();
    } else if (surface == Surface::client_portal) {
        response.body = client_portal_json(failure);
    } else {
        response.body = rest_json(failure);
    }
    return response;
}

Response render_bare(int status, Surface surface, const Request& request) {
    if (accepts_problem_details(request)) {
        return render(bare(status), surface, request);
    }
    const std::string_view words = phrase(status);   // nothing in them needs an escape
    std::string body;
    body.reserve(64);
    body.append(surface == Surface::client_portal ? "{\"message\":\"" : "{\"detail\":\"").append(words).append("\"}");
    return json_response(status, std::move(body));
}

}  // namespace portal::http
