// Request: what a route may know of an HTTP request. The host (the nginx module; a struct in unit tests) implements it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "io/task.h"

namespace portal::http {

enum class Method { get, head, post, put, patch, del, options, other };

// The request body is over the limit: 413, sent before it was read whole.
struct BodyTooLarge {};
// The client went silent or away half-way through the body: there is nobody to answer (the host closes with 408/499).
struct BodyAborted {};

class Request {
  public:
    virtual ~Request() = default;

    Method method = Method::other;
    std::string_view path;            // percent-decoded and normalised, begins with '/'
    std::string_view query;           // as sent, without '?'
    std::string_view client_address;  // what realip left, textual; "unix:" for a unix socket peer
    std::string_view request_id;      // 32 hex digits, also in the error log
    std::string_view workspace;       // slug of the location's portal_workspace; empty: of any
    static constexpr std::string_view no_workspace = "-";   // as such, where its variable is empty: no slug is as short
    bool login_by_address = false;    // portal_login_by_address
    std::string_view credential;      // what the query named ticket or …_session_token, blotted out there

    // First value of a header, by lower-case name.
    virtual std::optional<std::string_view> header(std::string_view lower_case_name) const = 0;
    // All Cookie headers (HTTP/2 splits them), joined by "; ".
    virtual std::string cookies() const { return std::string(header("cookie").value_or("")); }
    // The whole body, once. Throws BodyTooLarge past `limit` bytes, BodyAborted when it never came.
    virtual io::Task<std::string> read_body(std::size_t limit) = 0;
};

std::string percent_decode(std::string_view text, bool plus_is_space);
// application/x-www-form-urlencoded: unreserved characters stay, '+' is %2B, '@' is %40.
std::string percent_encode(std::string_view text);

}  // namespace portal::http
