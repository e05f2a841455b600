#include "portal/page.h"

namespace portal {

PageRequest PageRequest::read(http::Query& query, std::initializer_list<std::string_view> keys) {
    std::vector<std::string> descending;
    for (std::string_view key : keys) {
        descending.push_back("-" + std::string(key));
    }
    std::vector<std::string_view> allowed(keys);
    allowed.insert(allowed.end(), descending.begin(), descending.end());
    PageRequest request;
    request.page = query.integer("page", 1).value_or(request.page);
    request.limit = query.integer("limit", 1).value_or(request.limit);
    if (!allowed.empty()) {
        request.sorting = query.choices("sorting", allowed);
    }
    return request;
}

}  // namespace portal
