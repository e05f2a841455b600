#include "helper/webhook_queue.h"

#include <algorithm>
#include <map>
#include <utility>

namespace portal::helper {

namespace {

using io::Parameters;
using io::Statement;

constexpr std::int64_t lease = 60000;  // ms: an attempt, the record of it, and time to spare
constexpr int give_up_batch = 1000;

// `waiting` hops from one endpoint that has something pending to the next, so that it costs the
// same however much waits for each; `turn` lets every endpoint have its first before any has its
// second.
//   $1 helper  $2 lease in ms  $3 most in all  $4 most of an endpoint not listed
//   $5 endpoints  $6 most of each
constexpr Statement claim_statement{"webhook_claim", R"(
WITH RECURSIVE waiting (endpoint_id) AS (
    (SELECT endpoint_id FROM portal.webhook_deliveries WHERE state = 'pending' ORDER BY endpoint_id LIMIT 1)
    UNION ALL
    SELECT (SELECT d.endpoint_id FROM portal.webhook_deliveries d
             WHERE d.state = 'pending' AND d.endpoint_id > w.endpoint_id
             ORDER BY d.endpoint_id LIMIT 1)
      FROM waiting w
     WHERE w.endpoint_id IS NOT NULL
), open AS MATERIALIZED (
    SELECT e.id, coalesce(k.room, $4::integer) AS room
      FROM waiting
      JOIN portal.webhook_endpoints e ON e.id = waiting.endpoint_id
      JOIN portal.workspaces w ON w.id = e.workspace_id AND w.blocked_at IS NULL AND w.deleted_at IS NULL
      LEFT JOIN unnest($5::uuid[], $6::integer[]) AS k (id, room) ON k.id = e.id
     WHERE e.enabled AND e.deleted_at IS NULL AND coalesce(e.paused_until <= now(), true)
       AND coalesce(k.room, $4) > 0
), due AS MATERIALIZED (
    SELECT d.id
      FROM open, LATERAL (
           SELECT locked.id, row_number() OVER () AS turn
             FROM (SELECT one.id
                     FROM portal.webhook_deliveries one
                    WHERE one.endpoint_id = open.id AND one.state = 'pending' AND one.next_attempt_at <= now()
                    ORDER BY one.next_attempt_at
                    LIMIT open.room
                      FOR UPDATE SKIP LOCKED) locked) d
     ORDER BY d.turn
     LIMIT $3::integer
), claimed AS (
    UPDATE portal.webhook_deliveries d
       SET lease_owner = $1::uuid, next_attempt_at = now() + $2::bigint * interval '1 ms', attempts = attempts + 1
      FROM due
     WHERE d.id = due.id
    RETURNING d.*
)
SELECT EXISTS (SELECT FROM portal.webhook_endpoints WHERE enabled AND deleted_at IS NULL) AS any_endpoint,
       c.id, c.endpoint_id, c.event_id, e.url, c.type, portal.time_text(c.timestamp) AS timestamp, c.data,
       (SELECT json_agg(json_build_object('id', s.id, 'ciphertext', s.ciphertext)
                        ORDER BY s.expires_at DESC NULLS FIRST)
          FROM portal.webhook_secrets s
         WHERE s.endpoint_id = c.endpoint_id AND (s.expires_at IS NULL OR s.expires_at > now())) AS secrets,
       c.attempts
  FROM (SELECT 1) always
  LEFT JOIN claimed c ON true
  LEFT JOIN portal.webhook_endpoints e ON e.id = c.endpoint_id)",
                                    io::Lane::main, io::Retry::never, 5000};

// A success counts whoever holds the lease by now; anything else only for who claimed it. An
// endpoint's own back-off doubles from batch to batch that brings nothing but failures; a pause that
// an earlier answer asked for is kept. Failures more than two days apart are no row of them. What
// was sent to a URL the endpoint no longer has says nothing about the one it has.
//   $1 helper
//   of each attempt: $2 delivery  $3 its state  $4 ms to the next try  $5 its own id  $6 status
//   $7 error  $8 ms it took  $9 answer
//   of each endpoint: $10 id  $11 did one succeed  $12 did one fail
//   $13 pause in ms  $14 is it gone  $15 its URL
constexpr Statement record_statement{"webhook_record", R"(
WITH told AS (
    SELECT * FROM unnest($2::uuid[], $3::text[], $4::bigint[], $5::uuid[], $6::integer[], $7::text[], $8::integer[],
                         $9::text[]) AS t (id, state, wait, attempt, status, error, duration, answer)
), recorded AS (
    UPDATE portal.webhook_deliveries d
       SET state = t.state, lease_owner = NULL,
           next_attempt_at = now() + t.wait * interval '1 ms',
           finished_at = CASE WHEN t.state <> 'pending' THEN now() END
      FROM told t
     WHERE d.id = t.id AND d.state = 'pending'
       AND (d.lease_owner = $1::uuid OR t.state = 'succeeded')
), logged AS (
    INSERT INTO portal.webhook_attempts (id, created_at, workspace_id, delivery_id, status, error, duration_ms, answer)
    SELECT t.attempt, now() - t.duration * interval '1 ms', d.workspace_id, t.id, nullif(t.status, 0),
           nullif(t.error, ''), t.duration, nullif(t.answer, '')
      FROM told t
      JOIN portal.webhook_deliveries d ON d.id = t.id
    ON CONFLICT (id) DO NOTHING
), judged AS (
    SELECT * FROM unnest($10::uuid[], $11::boolean[], $12::boolean[], $13::bigint[], $14::boolean[], $15::text[])
                  AS j (id, succeeded, failed, pause, gone, url)
), noted AS (
    UPDATE portal.webhook_endpoints e
       SET failures = n.failures, failing_since = n.failing_since, last_failure_at = n.last_failure_at,
           paused_until = greatest(CASE WHEN e.paused_until > now() THEN e.paused_until END, n.paused_until),
           enabled = n.reason IS NULL, disabled_reason = n.reason
      FROM (SELECT b.*, CASE WHEN b.gone THEN 'gone'
                             WHEN b.failing_since <= now() - interval '5 days' THEN 'failing' END AS reason
              FROM (SELECT e.id, e.url, j.gone,
                           CASE WHEN j.succeeded THEN 0 ELSE least(e.failures + 1, 20) END AS failures,
                           CASE WHEN j.succeeded THEN NULL
                                WHEN e.last_failure_at > now() - interval '2 days'
                                THEN coalesce(e.failing_since, now())
                                ELSE now() END AS failing_since,
                           CASE WHEN j.failed THEN now() ELSE e.last_failure_at END AS last_failure_at,
                           CASE WHEN j.pause > 0 THEN now() + j.pause * interval '1 ms'
                                WHEN NOT j.succeeded AND e.failures >= 1
                                THEN now() + least(power(2, e.failures - 1), 60) * interval '1 s' END AS paused_until
                      FROM judged j
                      JOIN portal.webhook_endpoints e ON e.id = j.id AND e.url = j.url
                     WHERE j.failed OR e.failures > 0 OR e.failing_since IS NOT NULL) b) n
     WHERE e.id = n.id AND e.url = n.url AND e.enabled AND e.deleted_at IS NULL
    RETURNING e.id, e.workspace_id, e.disabled_reason
), ended AS (
    SELECT n.*, w.mail_reply_to IS NOT NULL AND n.disabled_reason = 'failing' AS mailed
      FROM noted n
      JOIN portal.workspaces w ON w.id = n.workspace_id
     WHERE n.disabled_reason IS NOT NULL
), mail AS (
    INSERT INTO portal.outbox (workspace_id, kind, payload)
    SELECT workspace_id, 'webhook_disabled', jsonb_build_object('endpoint_id', id) FROM ended WHERE mailed
)
SELECT id, disabled_reason, mailed FROM ended)",
                                     io::Lane::main, io::Retry::never, 5000};

//   $1 rows
constexpr Statement give_up_statement{"webhook_give_up", R"(
UPDATE portal.webhook_deliveries
   SET state = 'failed', finished_at = now(), lease_owner = NULL
 WHERE id IN (SELECT d.id
                FROM portal.webhook_endpoints e
                JOIN portal.webhook_deliveries d ON d.endpoint_id = e.id AND d.state = 'pending'
               WHERE NOT e.enabled
               LIMIT $1::integer
                 FOR UPDATE OF d SKIP LOCKED))",
                                      io::Lane::main, io::Retry::never, 5000};

constexpr Statement return_statement{"webhook_return_leases", R"(
UPDATE portal.webhook_deliveries
   SET lease_owner = NULL, next_attempt_at = now(), attempts = greatest(attempts - 1, 0)
 WHERE lease_owner = $1::uuid AND state = 'pending')",
                                     io::Lane::main, io::Retry::never, 1500};

const char* word(WebhookOutcome::State state) {
    switch (state) {
        case WebhookOutcome::State::succeeded:
            return "succeeded";
        case WebhookOutcome::State::failed:
            return "failed";
        default:
            return "pending";
    }
}

// Of all that a batch tells of one endpoint.
struct Judgement {
    bool succeeded = false, failed = false, gone = false;
    std::int64_t pause = 0;
};

}  // namespace

io::Task<WebhookQueue::Claim> WebhookQueue::claim(int most, int fresh,
                                                  const std::vector<Room>& known) {
    std::vector<std::string> ids, rooms;
    for (const Room& one : known) {
        ids.push_back(one.endpoint_id.text());
        rooms.push_back(std::to_string(one.room));
    }
    Parameters parameters(helper_, lease, most, fresh, ids, rooms);
    io::Rows rows = co_await db_.query(claim_statement, std::move(parameters));
    Claim claim;
    claim.any_endpoint = rows.front().boolean("any_endpoint");
    for (int at = 0; at < rows.size(); ++at) {
        const io::Row row = rows[at];
        if (row.null("id")) {
            continue;
        }
        ClaimedWebhook& one = claim.deliveries.emplace_back();
        one.id = *Uuid::parse(row.text("id"));
        one.endpoint_id = *Uuid::parse(row.text("endpoint_id"));
        one.event_id = *Uuid::parse(row.text("event_id"));
        one.url = row.string("url");
        one.type = row.string("type");
        one.timestamp = row.string("timestamp");
        one.data = row.string("data");
        one.secrets = row.string("secrets");
        one.attempts = row.integer("attempts");
    }
    co_return claim;
}

io::Task<std::vector<DisabledWebhook>> WebhookQueue::record(
    const std::vector<WebhookResult>& results) {
    std::vector<std::string> ids, states, waits, attempts, statuses, errors, durations, answers;
    std::map<std::pair<Uuid, std::string>, Judgement> judgements;   // by endpoint and URL
    for (const WebhookResult& one : results) {
        ids.push_back(one.id.text());
        states.emplace_back(word(one.outcome.state));
        waits.push_back(std::to_string(one.outcome.retry_after));
        attempts.push_back(one.attempt_id.text());
        statuses.push_back(std::to_string(one.status));
        errors.push_back(one.error);
        durations.push_back(std::to_string(one.duration));
        answers.push_back(one.body);
        Judgement& judgement = judgements[{one.endpoint_id, one.url}];
        const bool good = one.outcome.state == WebhookOutcome::State::succeeded;
        judgement.succeeded = judgement.succeeded || good;
        judgement.failed = judgement.failed || !good;
        judgement.gone = judgement.gone || one.outcome.gone;
        judgement.pause = std::max(judgement.pause, one.outcome.pause);
    }
    std::vector<std::string> endpoints, succeeded, failed, pauses, gone, urls;
    for (const auto& [target, judgement] : judgements) {
        endpoints.push_back(target.first.text());
        urls.push_back(target.second);
        succeeded.emplace_back(judgement.succeeded ? "t" : "f");
        failed.emplace_back(judgement.failed ? "t" : "f");
        pauses.push_back(std::to_string(judgement.pause));
        gone.emplace_back(judgement.gone ? "t" : "f");
    }
    Parameters parameters(helper_, ids, states, waits, attempts, statuses, errors, durations,
                          answers, endpoints, succeeded, failed, pauses, gone, urls);
    io::Rows rows = co_await db_.query(record_statement, std::move(parameters));
    std::vector<DisabledWebhook> disabled;
    for (int at = 0; at < rows.size(); ++at) {
        disabled.push_back({rows[at].string("id"), rows[at].string("disabled_reason"),
                            rows[at].boolean("mailed")});
    }
    co_return disabled;
}

io::Task<std::int64_t> WebhookQueue::give_up() {
    Parameters parameters(give_up_batch);
    io::Rows rows = co_await db_.query(give_up_statement, std::move(parameters));
    co_return rows.affected();
}

io::Task<void> WebhookQueue::return_leases() {
    Parameters parameters(helper_);
    co_await db_.query(return_statement, std::move(parameters));
}

}  // namespace portal::helper
