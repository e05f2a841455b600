#include "portal/session_list.h"

#include "portal/uuid.h"

namespace portal {
namespace {

using http::Json;
using io::Parameters;
using io::Statement;

//   $3 workspace  $4 session  $5 customer  $6 dead ones too
#define SESSIONS(type, member, table)                                                            \
    "SELECT '" type "' AS type, id, created_at, modified_at, workspace_id, customer_id, " member \
    " AS member_id, return_url, expires_at, last_used_at, revoked_at FROM portal." table         \
    " WHERE workspace_id = $3::uuid AND ($4::uuid IS NULL OR id = $4) AND ($5::uuid IS NULL OR " \
    "customer_id = $5) "                                                                         \
    "AND ($6::boolean OR (revoked_at IS NULL AND expires_at > now()))"

constexpr Statement list_statement{
    "session_list",
    PORTAL_PAGE(SESSIONS("customer", "NULL::uuid", "customer_sessions") " UNION ALL " SESSIONS(
                    "member", "member_id", "member_sessions"),
                "created_at DESC, id",
                "r.type, r.id, portal.time_text(r.created_at) AS created_at, "
                "portal.time_text(r.modified_at) AS modified_at, r.workspace_id, r.customer_id, "
                "r.member_id, "
                "r.return_url, portal.time_text(r.expires_at) AS expires_at, "
                "portal.time_text(r.last_used_at) AS last_used_at, portal.time_text(r.revoked_at) "
                "AS revoked_at"),
    io::Lane::main, io::Retry::read, 5000};

#define REVOKE(table)                                                                           \
    "UPDATE portal." table                                                                      \
    " SET revoked_at = now() WHERE workspace_id = $1::uuid AND ($2::uuid IS NULL OR id = $2) "  \
    "AND ($3::uuid IS NULL OR customer_id = $3) AND revoked_at IS NULL AND expires_at > now() " \
    "RETURNING 1"

constexpr Statement revoke_statement{"session_revoke_matching",
                                     "WITH customer AS (" REVOKE("customer_sessions") "), member AS (" REVOKE(
                                         "member_sessions") ") SELECT (SELECT count(*) FROM customer) + "
                                                            "(SELECT count(*) FROM member) AS count",
                                     io::Lane::main, io::Retry::never, 60000};

Json session_json(const io::Row& row) {
    return Json::object({
        {"id", row.text("id")},
        {"created_at", row.text("created_at")},
        {"modified_at", row.optional("modified_at")},
        {"workspace_id", row.text("workspace_id")},
        {"type", row.text("type")},
        {"customer_id", row.text("customer_id")},
        {"member_id", row.optional("member_id")},
        {"return_url", row.optional("return_url")},
        {"expires_at", row.text("expires_at")},
        {"last_used_at", row.optional("last_used_at")},
        {"revoked_at", row.optional("revoked_at")},
    });
}

}  // namespace

io::Task<Page> list_sessions(io::Postgres& db, std::string workspace_id, SessionFilter filter,
                             PageRequest request) {
    Parameters parameters(request.per_page(), request.offset(), workspace_id, filter.id,
                          filter.customer_id, filter.with_dead);
    io::Rows rows = co_await db.query(list_statement, std::move(parameters));
    co_return page_of(rows, request, session_json);
}

io::Task<std::int64_t> revoke_sessions(io::Postgres& db, std::string workspace_id,
                                       SessionFilter filter) {
    if (filter.id && !Uuid::parse(*filter.id)) {
        co_return 0;
    }
    Parameters parameters(workspace_id, filter.id, filter.customer_id);
    io::Rows rows = co_await db.query(revoke_statement, std::move(parameters));
    co_return rows.front().integer("count");
}

}  // namespace portal
