// ETags and what a client says it has already.
#pragma once

#include <optional>
#include <string_view>

namespace portal::http {

// Whether an If-None-Match ("*", or a list of tags) names this tag, weak or strong.
bool etag_matches(std::optional<std::string_view> if_none_match, std::string_view etag);

}  // namespace portal::http
