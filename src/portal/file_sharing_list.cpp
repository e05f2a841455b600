#include "portal/file_sharing_list.h"

#include <array>

#include "portal/file_sharing.h"

// A page is cut from `mine`, rows of created_at and id, and only then are its sessions read: an
// index is all that the way to the page needs, and the total. $1 limit, $2 offset, $3 workspace.
#define FILE_SHARE_PAGE(mine, total, order) \
    "WITH mine AS " mine ", paged AS MATERIALIZED (SELECT * FROM mine ORDER BY " order              \
    " LIMIT $1::bigint OFFSET $2::bigint), placed AS MATERIALIZED ("                                \
    "SELECT id, row_number() OVER (ORDER BY " order ") AS position FROM paged) "                    \
    "SELECT " total " AS total, placed.position, " PORTAL_FILE_SHARE_SESSION_COLUMNS("s")           \
    " FROM (SELECT 1) AS always LEFT JOIN (placed JOIN portal.file_share_sessions s "               \
    "ON s.workspace_id = $3::uuid AND s.id = placed.id) ON true ORDER BY placed.position"
#define COUNTED "(SELECT count(*) FROM mine)"

// The n-th key of the order as a number, which '-' turns round; NULL where there is none.
#define FILE_SHARE_KEY(parameter)                                                                \
    "CASE " parameter                                                                            \
    "::text "                                                                                    \
    "WHEN 'created_at' THEN date_part('epoch', created_at) "                                     \
    "WHEN '-created_at' THEN -date_part('epoch', created_at) "                                   \
    "WHEN 'download_count' THEN download_count::float8 "                                         \
    "WHEN '-download_count' THEN -download_count::float8 "                                       \
    "WHEN 'status' THEN " FILE_SHARE_STATUS_RANK " WHEN '-status' THEN -" FILE_SHARE_STATUS_RANK \
    " END, "
#define FILE_SHARE_STATUS_RANK                                                                     \
    "array_position(ARRAY['active', 'completed', 'created', 'destroyed', 'expired', 'reported'], " \
    "status::text)::float8"
#define FILE_SHARE_KEYS FILE_SHARE_KEY("$4") FILE_SHARE_KEY("$5") FILE_SHARE_KEY("$6") "id"
#define FILE_SHARE_MATCHES(parameter) \
    "position(lower(" parameter "::text) IN lower(concat_ws(E'\\n', s.title, s.file_name))) > 0"

namespace portal {
namespace {

using io::Lane;
using io::Parameters;
using io::Retry;
using io::Statement;

constexpr std::int64_t deadline = 5000;

// ---- a customer's list: two index scans, its own and its buyer's, which never have a session in
// common

// Both come in the order asked for, no further than the page reaches (an offset beyond every list
// is as good as one that would overflow), and are merged.
#define OWN_OR_BOUGHT(direction)                                                      \
    "((SELECT created_at, id FROM portal.file_share_sessions "                        \
    "WHERE workspace_id = $3::uuid AND customer_id = $4::uuid "                       \
    "ORDER BY created_at " direction ", id " direction                                \
    " LIMIT least($2, 1000000000000) + $1) "                                          \
    "UNION ALL (SELECT session_created_at, session_id FROM portal.file_share_buyers " \
    "WHERE workspace_id = $3 AND customer_id = $4 "                                   \
    "ORDER BY session_created_at " direction ", session_id " direction                \
    " LIMIT least($2, 1000000000000) + $1))"
#define COUNTED_OF_BOTH                                                                           \
    "(SELECT count(*) FROM portal.file_share_sessions WHERE workspace_id = $3 AND customer_id = " \
    "$4) + "                                                                                      \
    "(SELECT count(*) FROM portal.file_share_buyers WHERE workspace_id = $3 AND customer_id = $4)"
constexpr Statement newest_statement{
    "file_share_newest",
    FILE_SHARE_PAGE(OWN_OR_BOUGHT("DESC"), COUNTED_OF_BOTH, "created_at DESC, id DESC"), Lane::main,
    Retry::read, deadline};
constexpr Statement oldest_statement{
    "file_share_oldest", FILE_SHARE_PAGE(OWN_OR_BOUGHT("ASC"), COUNTED_OF_BOTH, "created_at, id"),
    Lane::main, Retry::read, deadline};

//   $4 to $6 keys  $7 customer  $8 status
constexpr Statement sorted_statement{"file_share_sorted",
                                     FILE_SHARE_PAGE(R"( MATERIALIZED (
    SELECT created_at, id, status, download_count FROM portal.file_share_sessions
     WHERE workspace_id = $3::uuid AND customer_id = $7::uuid AND ($8::text IS NULL OR status = $8)
    UNION ALL
    SELECT s.created_at, s.id, s.status, s.download_count
      FROM portal.file_share_buyers b
      JOIN portal.file_share_sessions s ON s.workspace_id = b.workspace_id AND s.id = b.session_id
     WHERE b.workspace_id = $3 AND b.customer_id = $7 AND ($8 IS NULL OR s.status = $8)))",
                                                     COUNTED, FILE_SHARE_KEYS),
                                     Lane::main, Retry::read, deadline};

//   $9 part of title or file name
constexpr Statement searched_statement{"file_share_searched",
                                       FILE_SHARE_PAGE(R"( MATERIALIZED (
    SELECT s.created_at, s.id, s.status, s.download_count FROM portal.file_share_sessions s
     WHERE s.workspace_id = $3::uuid AND s.customer_id = $7::uuid AND ($8::text IS NULL OR s.status = $8)
       AND )" FILE_SHARE_MATCHES("$9") R"(
    UNION ALL
    SELECT s.created_at, s.id, s.status, s.download_count
      FROM portal.file_share_buyers b
      JOIN portal.file_share_sessions s ON s.workspace_id = b.workspace_id AND s.id = b.session_id
     WHERE b.workspace_id = $3 AND b.customer_id = $7 AND ($8 IS NULL OR s.status = $8)
       AND )" FILE_SHARE_MATCHES("$9") ")",
                                                       COUNTED, FILE_SHARE_KEYS),
                                       Lane::main, Retry::read, deadline};

// ---- a workspace's list

#define OF_WORKSPACE                                                                               \
    " NOT MATERIALIZED (SELECT created_at, id FROM portal.file_share_sessions WHERE workspace_id " \
    "= $3::uuid)"
constexpr Statement all_newest_statement{
    "file_share_all_newest", FILE_SHARE_PAGE(OF_WORKSPACE, COUNTED, "created_at DESC, id DESC"),
    Lane::main, Retry::read, deadline};
constexpr Statement all_oldest_statement{"file_share_all_oldest",
                                         FILE_SHARE_PAGE(OF_WORKSPACE, COUNTED, "created_at, id"),
                                         Lane::main, Retry::read, deadline};

//   $4 to $6 keys  $7 status  $8 part of title or file name
constexpr Statement all_filtered_statement{"file_share_all_filtered",
                                           FILE_SHARE_PAGE(R"( NOT MATERIALIZED (
    SELECT s.created_at, s.id, s.status, s.download_count FROM portal.file_share_sessions s
     WHERE s.workspace_id = $3::uuid AND ($7::text IS NULL OR s.status = $7)
       AND ($8::text IS NULL OR )" FILE_SHARE_MATCHES("$8") "))",
                                                           COUNTED, FILE_SHARE_KEYS),
                                           Lane::main, Retry::read, deadline};

//   $9 owner
constexpr Statement all_of_owner_statement{"file_share_all_of_owner",
                                           FILE_SHARE_PAGE(R"( MATERIALIZED (
    SELECT s.created_at, s.id, s.status, s.download_count FROM portal.file_share_sessions s
     WHERE s.workspace_id = $3::uuid AND s.customer_id = $9::uuid AND ($7::text IS NULL OR s.status = $7)
       AND ($8::text IS NULL OR )" FILE_SHARE_MATCHES("$8") "))",
                                                           COUNTED, FILE_SHARE_KEYS),
                                           Lane::main, Retry::read, deadline};

// The two orders an index has; anything else is sorted.
enum class Order { newest, oldest, sorted };

Order order_of(const PageRequest& request) {
    if (request.sorting.empty() || request.sorting.front() == "-created_at") {
        return request.sorting.size() <= 1 ? Order::newest : Order::sorted;
    }
    return request.sorting.size() == 1 && request.sorting.front() == "created_at" ? Order::oldest
                                                                                  : Order::sorted;
}

Parameters sorted_parameters(const std::string& workspace_id, PageRequest request) {
    if (request.sorting.empty()) {
        request.sorting.push_back("-created_at");
    }
    return Parameters(request.per_page(), request.offset(), workspace_id, request.key(0),
                      request.key(1), request.key(2));
}

}  // namespace

FileShareFilter FileShareFilter::read(http::Query& query, bool managed) {
    constexpr std::array<std::string_view, 6> statuses{"created", "active",    "completed",
                                                       "expired", "destroyed", "reported"};
    FileShareFilter filter;
    filter.status = query.choice("status", statuses);
    filter.query = query.string("query");
    if (std::optional<Uuid> id = managed ? query.uuid4("customer_id") : std::nullopt) {
        filter.customer_id = id->text();
    }
    return filter;
}

PageRequest read_file_share_page(http::Query& query) {
    return PageRequest::read(query, {"created_at", "status", "download_count"});
}

io::Task<Page> list_visible_file_share_sessions(io::Postgres& db, std::string workspace_id,
                                                std::string customer_id, FileShareFilter filter,
                                                PageRequest request) {
    const Order order = filter.any() ? Order::sorted : order_of(request);
    const Statement* statement = nullptr;
    Parameters parameters;
    if (order != Order::sorted) {
        statement = order == Order::newest ? &newest_statement : &oldest_statement;
        parameters = Parameters(request.per_page(), request.offset(), workspace_id, customer_id);
    } else {
        statement = filter.query ? &searched_statement : &sorted_statement;
        parameters = sorted_parameters(workspace_id, request);
        parameters.add(customer_id).add(filter.status);
        if (filter.query) {
            parameters.add(filter.query);
        }
    }
    io::Rows rows = co_await db.query(*statement, std::move(parameters));
    co_return page_of(rows, request, file_share_session_json);
}

io::Task<Page> list_file_share_sessions(io::Postgres& db, std::string workspace_id,
                                        FileShareFilter filter, PageRequest request) {
    const Order order = filter.any() ? Order::sorted : order_of(request);
    const Statement* statement = nullptr;
    Parameters parameters;
    if (order != Order::sorted) {
        statement = order == Order::newest ? &all_newest_statement : &all_oldest_statement;
        parameters = Parameters(request.per_page(), request.offset(), workspace_id);
    } else {
        statement = filter.customer_id ? &all_of_owner_statement : &all_filtered_statement;
        parameters = sorted_parameters(workspace_id, request);
        parameters.add(filter.status).add(filter.query);
        if (filter.customer_id) {
            parameters.add(filter.customer_id);
        }
    }
    io::Rows rows = co_await db.query(*statement, std::move(parameters));
    co_return page_of(rows, request, managed_file_share_session_json);
}

}  // namespace portal
