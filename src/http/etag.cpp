#include "http/etag.h"

namespace portal::http {

bool etag_matches(std::optional<std::string_view> if_none_match, std::string_view etag) {
    std::string_view list = if_none_match.value_or("");
    while (!list.empty()) {
        std::size_t start = list.find_first_not_of(" \t,");
        if (start == std::string_view::npos) {
            return false;
        }
        list.remove_prefix(start);
        if (list.front() == '*') {
            return true;
        }
        std::string_view tag = list.starts_with("W/") ? list.substr(2) : list;
        std::size_t close = tag.starts_with('"') ? tag.find('"', 1) : std::string_view::npos;
        if (close == std::string_view::npos) {
            return false;  // no list of tags
        }
        if (tag.substr(0, close + 1) == etag) {
            return true;
        }
        list = tag.substr(close + 1);
    }
    return false;
}

Response tagged_response(const Request& request, std::string_view body, std::string_view etag,
                         std::shared_ptr<const void> owner) {
    Response response;
    if (etag_matches(request.header("if-none-match"), etag)) {
        response.status = 304;
    } else {
        response.text = body;
    }
    response.etag = etag;
    response.owner = std::move(owner);
    return response;
}

}  // namespace portal::http
