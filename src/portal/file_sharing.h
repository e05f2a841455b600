// FileShareSession: a file shared by a customer (its owner), its rules and its rows. Who else paid
// for it or downloaded it is a buyer, and sees it too. Lists are in file_sharing_list.h, downloads
// in file_sharing_download.h, payments in payment.h.
#pragma once

#include <optional>
#include <string>

#include "http/json.h"
#include "http/validation.h"
#include "io/postgres.h"
#include "io/task.h"
#include "portal/idempotency.h"

// What file_share_session_json() reads, of the sessions row called `alias`; prefix session_.
#define PORTAL_FILE_SHARE_SESSION_COLUMNS(alias)                                              \
    alias                                                                                     \
        ".id AS session_id, "                                                                 \
        "portal.time_text(" alias                                                             \
        ".created_at) AS session_created_at, "                                                \
        "portal.time_text(" alias ".modified_at) AS session_modified_at, " alias              \
        ".short_slug AS session_short_slug, " alias ".long_slug AS session_long_slug, " alias \
        ".status AS session_status, " alias ".max_downloads AS session_max_downloads, " alias \
        ".download_count AS session_download_count, " alias                                   \
        ".price_cents AS session_price_cents, " alias ".currency AS session_currency, " alias \
        ".title AS session_title, " alias ".file_name AS session_file_name, " alias           \
        ".file_size_bytes AS session_file_size_bytes, " alias                                 \
        ".ttl_seconds AS session_ttl_seconds, "                                               \
        "portal.time_text(" alias                                                             \
        ".expires_at) AS session_expires_at, "                                                \
        "portal.time_text(" alias                                                             \
        ".activated_at) AS session_activated_at, "                                            \
        "portal.time_text(" alias ".completed_at) AS session_completed_at, " alias            \
        ".user_id AS session_user_id, " alias ".workspace_id AS session_workspace_id, " alias \
        ".share_id AS session_share_id, " alias ".customer_id AS session_customer_id"

// The one living customer a body names: the external id wins. Parameters are the names of
// placeholders.
#define PORTAL_NAMED_CUSTOMER(workspace, id, external_id)                       \
    "SELECT id FROM portal.customers WHERE " external_id                        \
    "::text IS NULL AND workspace_id = " workspace "::uuid AND id = " id        \
    "::uuid AND deleted_at IS NULL "                                            \
    "UNION ALL SELECT id FROM portal.customers WHERE workspace_id = " workspace \
    " AND external_id = " external_id " AND deleted_at IS NULL"

// CTEs of the session $3 and of its rows in `table` that the customer $2 of the workspace $1 may see: all of its own
// session's, of one it bought its own; the newest 10,000. session: no row where it may not see it; own: is it its.
#define PORTAL_VISIBLE_ROWS(name, table) \
    "session AS MATERIALIZED ("                                                                      \
    "SELECT s.id, s.customer_id = $2::uuid AS own FROM portal.file_share_sessions s"                 \
    " WHERE s.workspace_id = $1::uuid AND s.id = $3::uuid"                                           \
    " AND (s.customer_id = $2 OR EXISTS (SELECT FROM portal.file_share_buyers b"                     \
    " WHERE b.workspace_id = $1 AND b.customer_id = $2 AND b.session_id = $3))"                      \
    "), " name " AS ("                                                                               \
    "SELECT all_of_it.* FROM session, LATERAL (SELECT * FROM portal." table                          \
    " WHERE workspace_id = $1 AND session_id = session.id"                                           \
    " ORDER BY created_at DESC, id DESC LIMIT 10000) all_of_it WHERE session.own"                    \
    " UNION ALL "                                                                                    \
    "SELECT its_own.* FROM session, LATERAL (SELECT * FROM portal." table                            \
    " WHERE workspace_id = $1 AND session_id = session.id AND customer_id = $2"                      \
    " ORDER BY created_at DESC, id DESC LIMIT 10000) its_own WHERE NOT session.own)"

namespace portal {

// FileShareSession, 20 members: what customers see. Its owner is nobody else's business.
http::Json file_share_session_json(const io::Row& row);
// The same and customer_id: what the workspace's backend sees.
http::Json managed_file_share_session_json(const io::Row& row);

// customer_id or external_customer_id of a body.
struct NamedCustomer {
    std::optional<std::string> id, external_id;

    static NamedCustomer read(http::Fields& fields);
    bool given() const { return id.has_value() || external_id.has_value(); }
    // 422 "Customer does not exist." at the member that named it.
    http::Problem unknown() const;
};

// What a body says of a row: `columns` has the members that were sent and are fine, named as the
// table's columns.
struct FileShareSessionInput {
    NamedCustomer customer;
    http::Json columns = http::Json::object();

    static FileShareSessionInput parse(http::Json body);  // of a new one: the owner is to be named
    static FileShareSessionInput parse_change(
        http::Json body);  // null clears what may be null, else keeps
};

// Throws 422 for a customer that does not exist and slugs that are taken, all at once.
io::Task<http::Json> create_file_share_session(io::Postgres& db, std::string workspace_id,
                                               FileShareSessionInput input, KeyClaim claim);
io::Task<http::Json> find_file_share_session(io::Postgres& db, std::string workspace_id,
                                             std::string id);
io::Task<http::Json> change_file_share_session(io::Postgres& db, std::string workspace_id,
                                               std::string id, FileShareSessionInput input);
// As its owner or a buyer sees it.
io::Task<http::Json> find_visible_file_share_session(io::Postgres& db, std::string workspace_id,
                                                     std::string customer_id, std::string id);

// Reading members of bodies into columns: what is sent and fine is set; null is set where `clears`.
class Columns {
  public:
    Columns(http::Fields& fields, http::Json& into, bool clears)
        : fields_(fields), into_(into), clears_(clears) {}
    void take(const char* name, std::optional<std::string> value, bool nullable);
    void integer(const char* name, http::Number rule, bool nullable);
    void currency(const char* name);  // three letters, kept as they are

  private:
    http::Fields& fields_;
    http::Json& into_;
    bool clears_;
};

}  // namespace portal
