// Pages of results: {"data":[...],"meta":{"total","page","per_page","pages"}}. A list's statement returns the true
// total on every row; on a page past the end that is the one row there is, with no record in it.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "http/json.h"
#include "http/query.h"
#include "io/postgres.h"

// The statement's frame around `matching`, a NOT MATERIALIZED query for the rows that match, and `columns` of a row
// called r. $1 and $2 are limit and offset, `order` ends with the id so that the order is total.
#define PORTAL_PAGE(matching, order, columns)                                                   \
    "WITH matching AS NOT MATERIALIZED (" matching                                              \
    "), paged AS (SELECT *, row_number() OVER (ORDER BY " order                                 \
    ") AS position FROM matching ORDER BY position LIMIT $1::bigint OFFSET $2::bigint) "        \
    "SELECT (SELECT count(*) FROM matching) AS total, r.position, " columns                     \
    " FROM (SELECT 1) AS always LEFT JOIN paged r ON true ORDER BY r.position"

// One key of an ORDER BY: `name` up and "-name" down by `expression`, where `parameter` says so.
#define PORTAL_SORT(parameter, name, expression)                          \
    "CASE WHEN " parameter " = '" name "' THEN " expression " END, "      \
    "CASE WHEN " parameter " = '-" name "' THEN " expression " END DESC NULLS LAST, "

namespace portal {

struct PageRequest {
    std::int64_t page = 1;
    std::int64_t limit = 10;            // clamped to 100
    std::vector<std::string> sorting;   // "created_at", "-email": each column once, as it comes first

    // Query parameters page, limit and sorting (repeatable; each of `keys`, with or without '-').
    static PageRequest read(http::Query& query, std::initializer_list<std::string_view> keys = {});

    std::int64_t per_page() const { return limit < 1 ? 1 : limit > 100 ? 100 : limit; }
    std::int64_t offset() const {
        constexpr std::int64_t last = INT64_MAX / 100;   // further pages are as empty, and must not overflow
        return page < 1 ? 0 : (page > last ? last : page - 1) * per_page();
    }
    // The n-th key, "" past the last: what a statement's ORDER BY CASE compares with. It has as many as there are columns.
    std::string key(std::size_t index) const { return index < sorting.size() ? sorting[index] : ""; }
};

struct Page {
    http::Json data = http::Json::array();
    std::int64_t total = 0, page = 1, per_page = 10;

    http::Json json() const {
        http::Json meta = http::Json::object();
        meta.set("total", total).set("page", page).set("per_page", per_page);
        meta.set("pages", (total + per_page - 1) / per_page);
        http::Json whole = http::Json::object();
        whole.set("data", data).set("meta", meta);
        return whole;
    }
};

inline Page page_of(const io::Rows& rows, const PageRequest& request,
                    http::Json (*render)(const io::Row& row)) {
    Page page;
    page.page = request.page;
    page.per_page = request.per_page();
    page.total = rows.front().integer("total");
    for (int index = 0; index < rows.size(); ++index) {
        if (!rows[index].null("position")) {
            page.data.push(render(rows[index]));
        }
    }
    return page;
}

}  // namespace portal
