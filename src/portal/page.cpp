#include "portal/page.h"

#include <algorithm>

namespace portal {
namespace {

std::string_view column_of(std::string_view key) { return key.substr(key.starts_with('-')); }

}  // namespace

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
        for (std::string& key : query.choices("sorting", allowed)) {
            const auto same_column = [&](const std::string& earlier) {
                return column_of(earlier) == column_of(key);
            };
            if (std::ranges::none_of(request.sorting, same_column)) {
                request.sorting.push_back(std::move(key));
            }
        }
    }
    return request;
}

}  // namespace portal
