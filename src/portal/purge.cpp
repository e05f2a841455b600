#include "portal/purge.h"

namespace portal {
namespace {

using io::Lane;
using io::Retry;
using io::Statement;

constexpr std::int64_t patience = 30000;  // ms, like the role's statement_timeout

//   $1 days  $2 rows
#define PURGE(table, ended)                                                                  \
    "DELETE FROM portal." table " WHERE id IN (SELECT id FROM portal." table " WHERE " ended \
    " < now() - make_interval(days => $1::integer) ORDER BY " ended                          \
    " LIMIT $2::bigint FOR UPDATE SKIP LOCKED)"

constexpr Statement customer_sessions{"purge_customer_sessions",
                                      PURGE("customer_sessions", "least(expires_at, revoked_at)"),
                                      Lane::main, Retry::never, patience};
constexpr Statement member_sessions{"purge_member_sessions",
                                    PURGE("member_sessions", "least(expires_at, revoked_at)"),
                                    Lane::main, Retry::never, patience};
constexpr Statement portal_tokens{"purge_portal_tokens",
                                  PURGE("client_portal_tokens", "least(expires_at, revoked_at)"),
                                  Lane::main, Retry::never, patience};
// With what is left of their mail.
constexpr Statement login_challenges{"purge_login_challenges",
                                     PURGE("login_challenges", "created_at"), Lane::main,
                                     Retry::never, patience};
constexpr Statement link_challenges{"purge_link_challenges", PURGE("link_challenges", "created_at"),
                                    Lane::main, Retry::never, patience};
constexpr Statement mail{"purge_mail", R"(
DELETE FROM portal.outbox
 WHERE id IN (SELECT id FROM portal.outbox
               WHERE state <> 'queued' AND coalesce(sent_at, failed_at) < now() - make_interval(days => $1::integer)
               ORDER BY coalesce(sent_at, failed_at) LIMIT $2::bigint FOR UPDATE SKIP LOCKED))",
                         Lane::main, Retry::never, patience};
// With their attempts.
constexpr Statement webhooks{"purge_webhooks", R"(
DELETE FROM portal.webhook_deliveries
 WHERE id IN (SELECT id FROM portal.webhook_deliveries
               WHERE state <> 'pending' AND finished_at < now() - make_interval(days => $1::integer)
               ORDER BY finished_at LIMIT $2::bigint FOR UPDATE SKIP LOCKED))",
                             Lane::main, Retry::never, patience};
constexpr Statement webhook_attempts{"purge_webhook_attempts", PURGE("webhook_attempts", "created_at"), Lane::main,
                                     Retry::never, patience};
// Whose deliveries have gone before.
constexpr Statement webhook_endpoints{"purge_webhook_endpoints", PURGE("webhook_endpoints", "deleted_at"), Lane::main,
                                      Retry::never, patience};
constexpr Statement webhook_secrets{"purge_webhook_secrets", PURGE("webhook_secrets", "expires_at"), Lane::main,
                                    Retry::never, patience};
// Nobody but this function may.
constexpr Statement audit{"purge_audit", "SELECT FROM portal.purge_audit($1::integer, $2::bigint)", Lane::main,
                          Retry::never, patience};
constexpr Statement stream_tickets{"purge_stream_tickets", PURGE("stream_tickets", "expires_at"),
                                   Lane::main, Retry::never, patience};
// The table has no id of its own.
constexpr Statement idempotency_keys{"purge_idempotency_keys", R"(
DELETE FROM portal.idempotency_keys
 WHERE ctid IN (SELECT ctid FROM portal.idempotency_keys
                 WHERE expires_at < now() - make_interval(days => $1::integer)
                 ORDER BY expires_at LIMIT $2::bigint FOR UPDATE SKIP LOCKED)
   AND expires_at < now() - make_interval(days => $1::integer))",
                                     Lane::main, Retry::never, patience};

// What has no number has not been told yet. An audience can resume over its newest events, so those stay; how far the
// purge has come with it is noted. An event goes once it has gone from all its audiences.
//
//   $1 days  $2 rows  $3, $4 where the last batch ended  $5 events an audience keeps
constexpr Statement events{"purge_events", R"(
WITH old AS MATERIALIZED (
    SELECT id, workspace_id, audience, number, timestamp
      FROM portal.events
     WHERE number IS NOT NULL AND timestamp < now() - make_interval(days => $1::integer)
       AND (timestamp, id) > ($3::timestamptz, $4::uuid)
     ORDER BY timestamp, id LIMIT $2::bigint
), seen AS MATERIALIZED (
    SELECT a.workspace_id, a.audience, a.number
      FROM old
     CROSS JOIN LATERAL portal.audiences_of(old.audience) AS one
      JOIN portal.event_audiences a ON a.workspace_id = old.workspace_id AND a.audience = one AND a.number = old.number
), history AS MATERIALIZED (
    -- the oldest number an audience keeps; none: it has fewer
    SELECT h.workspace_id, h.audience, k.number
      FROM (SELECT DISTINCT workspace_id, audience FROM seen) h,
           LATERAL (SELECT a.number FROM portal.event_audiences a
                     WHERE a.workspace_id = h.workspace_id AND a.audience = h.audience
                     ORDER BY a.number DESC OFFSET $5::bigint - 1 LIMIT 1) k
), beyond AS MATERIALIZED (
    SELECT workspace_id, audience, seen.number
      FROM seen JOIN history USING (workspace_id, audience) WHERE seen.number < history.number
), unseen AS (
    DELETE FROM portal.event_audiences a USING beyond b
     WHERE a.workspace_id = b.workspace_id AND a.audience = b.audience AND a.number = b.number
), floors AS (
    INSERT INTO portal.event_floors AS floor (workspace_id, audience, number)
    SELECT workspace_id, audience, max(number) FROM beyond GROUP BY 1, 2 ORDER BY 1, 2
        ON CONFLICT (workspace_id, audience) DO UPDATE SET number = greatest(floor.number, excluded.number)
), kept AS (
    SELECT * FROM seen EXCEPT SELECT * FROM beyond
), gone AS (
    DELETE FROM portal.events e USING old
     WHERE e.id = old.id
       AND NOT EXISTS (SELECT FROM kept k WHERE k.workspace_id = old.workspace_id AND k.number = old.number)
    RETURNING 1
)
SELECT (SELECT count(*) FROM gone) AS gone, (SELECT count(*) FROM old) AS seen, last.timestamp::text AS timestamp,
       last.id
  FROM (SELECT 1) AS always
  LEFT JOIN (SELECT timestamp, id FROM old ORDER BY timestamp DESC, id DESC LIMIT 1) last ON true)",
                           Lane::main, Retry::never, patience};

}  // namespace

std::vector<PurgeRule> purge_rules(const HousekeepingConfig& config) {
    return {
        {"customer sessions", &customer_sessions, config.sessions},
        {"member sessions", &member_sessions, config.sessions},
        {"portal tokens", &portal_tokens, config.portal_tokens},
        // They hold addresses as anybody typed them: not a day longer.
        {"login codes", &login_challenges, 1},
        {"link codes", &link_challenges, 1},
        {"stream tickets", &stream_tickets, 0},
        {"idempotency keys", &idempotency_keys, config.idempotency_keys},
        {"mails", &mail, config.mail},
        {"webhook attempts", &webhook_attempts, config.webhooks},
        {"webhook deliveries", &webhooks, config.webhooks},
        {"webhook endpoints", &webhook_endpoints, config.webhooks},
        // Nothing is signed with them any more.
        {"webhook secrets", &webhook_secrets, 0},
        {"audit rows", &audit, config.audit},
    };
}

io::Task<std::int64_t> purge_batch(io::Postgres& db, PurgeRule rule, std::int64_t batch) {
    io::Parameters parameters(rule.days, batch);
    io::Rows rows = co_await db.query(*rule.statement, std::move(parameters));
    co_return rows.affected();
}

io::Task<std::int64_t> EventPurge::batch(io::Postgres& db, std::int64_t size) {
    io::Parameters parameters(days_, size, after_time_, after_id_, history_);
    io::Rows rows = co_await db.query(events, std::move(parameters));
    const io::Row row = rows.front();
    done_ = row.integer("seen") < size;
    if (!done_) {
        after_time_ = row.string("timestamp");
        after_id_ = row.string("id");
    }
    co_return row.integer("gone");
}

}  // namespace portal
