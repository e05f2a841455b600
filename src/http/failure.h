// Failure: how a handler says no. It is thrown, and rendered once, at the edge, in the shape of the route's surface
// (contract/README.md, Errors). One Failure may carry every validation problem of a request.
#pragma once

#include <exception>
#include <string>
#include <vector>

#include "http/json.h"
#include "http/request.h"
#include "http/response.h"

namespace portal::http {

// Which of the two products' error shapes a route answers in.
enum class Surface { rest, client_portal };

// One entry of a 422: {"type","loc":[...],"msg","input"[,"ctx"]} on rest, errors[field] += msg on client_portal.
struct Problem {
    std::string type;                 // "missing", "string_type", "value_error" ...
    std::vector<std::string> loc;     // {"body", "email"}; an all-digit element is rendered as a number
    std::string msg;
    Json input;                       // what was sent; null when absent
    Json ctx;                         // empty handle: no ctx member
};

struct Failure : std::exception {
    int status = 500;
    std::string error;                // "NotPermitted", "invalid_token"; "" for the bare {"detail"} form
    std::string detail;               // a sentence
    std::vector<Problem> problems;    // status 422 with error "RequestValidationError"
    Headers headers;                  // Allow, Retry-After, WWW-Authenticate ...

    Failure() = default;
    Failure(int status_, std::string error_, std::string detail_)
        : status(status_), error(std::move(error_)), detail(std::move(detail_)) {}
    Failure&& with(std::string_view name, std::string value) && {
        headers.push_back({name, std::move(value)});
        return std::move(*this);
    }
    const char* what() const noexcept override { return detail.c_str(); }
};

// The cases of the contract's table. Sentences differ by surface and are chosen when rendered.
Failure unauthorized();                               // no credentials or the wrong kind
Failure invalid_token();                              // unknown, expired or revoked bearer
Failure insufficient_scope(std::string_view scope);
Failure not_permitted(std::string detail);            // 403 NotPermitted
Failure resource_not_found(std::string detail = "Not found");
Failure path_not_found();                             // {"detail":"Not Found"} / "Not found."
Failure method_not_allowed(std::string allow);
Failure body_too_large();
Failure too_many_requests();                          // headers are the limiter's
Failure unavailable(int retry_after_seconds);         // 503 with Retry-After
Failure internal_error();
Failure validation_failed(std::vector<Problem> problems);

// `request`'s Accept picks application/problem+json (RFC 9457) over the surface's own shape.
Response render(const Failure& failure, Surface surface, const Request& request);
// The same for a status that says all: 429, 503. No Failure is made.
Response render_bare(int status, Surface surface, const Request& request);

}  // namespace portal::http
