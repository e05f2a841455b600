// ETags and what a client says it has already.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "http/request.h"
#include "http/response.h"

namespace portal::http {

// Whether an If-None-Match ("*", or a list of tags) names this tag, weak or strong.
bool etag_matches(std::optional<std::string_view> if_none_match, std::string_view etag);

// 200, or 304 where the client has it already. Body and tag outlive all answers, or lie in `owner`.
Response tagged_response(const Request& request, std::string_view body, std::string_view etag,
                         std::shared_ptr<const void> owner = nullptr);

}  // namespace portal::http
