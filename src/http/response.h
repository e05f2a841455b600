// Response: status, headers and a body in memory, or a stream. The host adds what every answer carries (X-Request-ID, nosniff,
// Cache-Control, Referrer-Policy, CORS).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "http/rate_limit.h"
#include "http/stream.h"
#include "io/task.h"

namespace portal::http {

struct Header {
    std::string_view name;   // a string literal
    std::string value;
};
using Headers = std::vector<Header, io::FrameAllocator<Header>>;

struct Response {
    int status = 200;
    std::string body;                                   // empty: no Content-Type is sent
    std::string_view text;                              // sent where body is empty: it outlives all answers, or
    std::shared_ptr<const void> owner;                  // ... lies in this
    std::string_view etag;                              // likewise; empty: none
    std::string_view content_type = "application/json";
    Headers headers;
    RateLimit limit;                                    // told in headers of its own
    std::unique_ptr<StreamBody> stream;                 // instead of body: goes on after the headers

    Response& with(std::string_view name, std::string value) {
        headers.push_back({name, std::move(value)});
        return *this;
    }
};

inline Response json_response(int status, std::string body) {
    Response response;
    response.status = status;
    response.body = std::move(body);
    return response;
}
inline Response no_content() {
    Response response;
    response.status = 204;
    return response;
}

}  // namespace portal::http
