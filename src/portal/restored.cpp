#include "portal/restored.h"

namespace portal {
namespace {

// Of portal tokens only what browsers got for one: the links themselves are no sessions. What is told
// is no row's id: the helpers take it to mean everything.
constexpr io::Statement end_statement{"restored_end", R"(
WITH customer AS (
    UPDATE portal.customer_sessions SET revoked_at = now()
     WHERE revoked_at IS NULL AND expires_at > now()
    RETURNING 1
), member AS (
    UPDATE portal.member_sessions SET revoked_at = now()
     WHERE revoked_at IS NULL AND expires_at > now()
    RETURNING 1
), browser AS (
    UPDATE portal.client_portal_tokens SET revoked_at = now()
     WHERE parent_id IS NOT NULL AND revoked_at IS NULL AND expires_at > now()
    RETURNING 1
), code AS (
    UPDATE portal.login_challenges SET expires_at = least(expires_at, now()), selection_hash = NULL
     WHERE (consumed_at IS NULL AND expires_at > now())
        OR (selection_hash IS NOT NULL AND selection_expires_at > now())
    RETURNING 1
), link_code AS (
    UPDATE portal.link_challenges SET expires_at = now()
     WHERE consumed_at IS NULL AND expires_at > now()
    RETURNING 1
)
SELECT (SELECT count(*) FROM customer) + (SELECT count(*) FROM member) + (SELECT count(*) FROM browser)
           AS sessions,
       (SELECT count(*) FROM code) + (SELECT count(*) FROM link_code) AS codes,
       pg_notify('portal_changed', 'everything'))",
                                      io::Lane::main, io::Retry::never, 600000};

}  // namespace

io::Task<Restored> end_after_restore(io::Postgres& db) {
    io::Rows rows = co_await db.query(end_statement);
    co_return Restored{rows.front().integer("sessions"), rows.front().integer("codes")};
}

}  // namespace portal
