#include "portal/webhook_delivery.h"

#include <array>
#include <vector>

#include "http/validation.h"
#include "portal/event_data.h"
#include "portal/uuid.h"
#include "portal/webhook_endpoint.h"

// clang-format off
// What webhook_delivery_json() reads, of the row called `alias`; prefix delivery_.
#define PORTAL_WEBHOOK_DELIVERY_COLUMNS(alias)                                                                \
    alias ".id AS delivery_id, portal.time_text(" alias ".created_at) AS delivery_created_at, "               \
    alias ".workspace_id AS delivery_workspace_id, " alias ".endpoint_id AS delivery_endpoint_id, "           \
    alias ".event_id AS delivery_event_id, " alias ".type AS delivery_type, "                                 \
    "portal.time_text(" alias ".timestamp) AS delivery_timestamp, " alias ".state AS delivery_state, "        \
    alias ".attempts AS delivery_attempts, CASE WHEN " alias ".state = 'pending' AND " alias                  \
    ".lease_owner IS NULL THEN portal.time_text(" alias ".next_attempt_at) END AS delivery_next_attempt_at, " \
    "portal.time_text(" alias ".finished_at) AS delivery_finished_at, "                                       \
    "(SELECT coalesce(json_agg(json_build_object('created_at', portal.time_text(a.created_at), "              \
    "'status', a.status, 'error', a.error, 'duration_ms', a.duration_ms, 'answer', a.answer) "                \
    "ORDER BY a.created_at DESC), '[]') FROM (SELECT * FROM portal.webhook_attempts t "                       \
    "WHERE t.workspace_id = " alias ".workspace_id AND t.delivery_id = " alias ".id "                         \
    "ORDER BY t.created_at DESC LIMIT 10) a) AS delivery_log"
// clang-format on

namespace portal {
namespace {

using http::Json;
using io::Parameters;
using io::Statement;

constexpr Statement list_statement{
    "webhook_delivery_list",
    PORTAL_PAGE(
        "SELECT * FROM portal.webhook_deliveries WHERE workspace_id = $3::uuid "
        "AND ($4::uuid IS NULL OR endpoint_id = $4) AND ($5::uuid IS NULL OR event_id = $5) "
        "AND ($6::text IS NULL OR type = $6) AND ($7::text IS NULL OR state = $7)",
        "created_at DESC, id", PORTAL_WEBHOOK_DELIVERY_COLUMNS("r")),
    io::Lane::main, io::Retry::read, 5000};

constexpr Statement find_statement{"webhook_delivery_find",
                                   "SELECT " PORTAL_WEBHOOK_DELIVERY_COLUMNS("d") R"(
  FROM portal.webhook_deliveries d
 WHERE d.workspace_id = $1::uuid AND d.id = $2::uuid)",
                                   io::Lane::main, io::Retry::read};

// An endpoint that came after the event gets it, too, as long as the event is kept; a test is only
// for the endpoint it was made for.  $1 workspace  $2 event  $3 endpoint or NULL
constexpr Statement redeliver_statement{"webhook_redeliver", R"(
WITH source AS MATERIALIZED (
    (SELECT id AS event_id, type, timestamp, data FROM portal.events WHERE workspace_id = $1::uuid AND id = $2::uuid)
    UNION ALL
    (SELECT event_id, type, timestamp, data FROM portal.webhook_deliveries
      WHERE workspace_id = $1 AND event_id = $2 LIMIT 1)
    LIMIT 1
), queued AS (
    INSERT INTO portal.webhook_deliveries AS d (workspace_id, endpoint_id, event_id, type, timestamp, data)
    SELECT $1, e.id, s.event_id, s.type, s.timestamp, s.data
      FROM source s
      JOIN portal.webhook_endpoints e ON e.workspace_id = $1 AND e.enabled AND e.deleted_at IS NULL
     WHERE ($3::uuid IS NULL OR e.id = $3)
       AND CASE WHEN s.type = 'webhook.test'
                THEN EXISTS (SELECT FROM portal.webhook_deliveries t
                              WHERE t.workspace_id = $1 AND t.event_id = $2 AND t.endpoint_id = e.id)
                ELSE e.event_types IS NULL OR s.type = ANY (e.event_types) END
    ON CONFLICT (event_id, endpoint_id) DO UPDATE
       SET state = 'pending', attempts = 0, next_attempt_at = now(), finished_at = NULL
     WHERE d.lease_owner IS NULL
    RETURNING *
)
SELECT q.id IS NOT NULL AS queued, )" PORTAL_WEBHOOK_DELIVERY_COLUMNS("q") R"(
  FROM source s
  LEFT JOIN queued q ON true
 ORDER BY q.created_at, q.id)"};

//   $1 workspace  $2 endpoint  $3 the delivery's id
//   $4 who  $5 path  $6 Idempotency-Key  $7 payload hash
constexpr Statement test_statement{"webhook_test", R"(
WITH target AS MATERIALIZED (
    SELECT * FROM portal.webhook_endpoints WHERE workspace_id = $1::uuid AND id = $2::uuid AND deleted_at IS NULL
), making AS MATERIALIZED (
    SELECT $3::uuid AS resource_id, NULL::text AS token_ciphertext, 202 AS status, 'infinity'::timestamptz AS expires_at
      FROM target
     WHERE enabled
), claim AS (
)" PORTAL_CLAIM_KEY("$1", "$4", "$5", "$6", "$7", "making") R"(
), made AS (
    INSERT INTO portal.webhook_deliveries (id, workspace_id, endpoint_id, event_id, type, timestamp, data)
    SELECT $3, $1, t.id, gen_random_uuid(), 'webhook.test', now(), jsonb_build_object('endpoint_id', t.id)
      FROM target t
     WHERE t.enabled AND ($6 IS NULL OR EXISTS (SELECT FROM claim))
    RETURNING *
)
SELECT t.enabled, )" PORTAL_WEBHOOK_DELIVERY_COLUMNS("m") R"(
  FROM target t
  LEFT JOIN made m ON true)"};

}  // namespace

std::string webhook_event_id(std::string_view event_uuid) {
    return "evt_" + std::string(event_uuid);
}

std::string_view webhook_event_uuid(std::string_view id) {
    return id.substr(id.starts_with("evt_") ? 4 : 0);
}

std::string webhook_body(std::string_view type, std::string_view timestamp,
                         std::string_view stored) {
    std::string body = "{\"type\":";
    http::append_json(body, type);
    body += ",\"timestamp\":";
    http::append_json(body, timestamp);
    body += ",\"data\":";
    body += event_data(type, http::Json::parse(stored)).dump();
    body += '}';
    return body;
}

WebhookDeliveryFilter WebhookDeliveryFilter::read(http::Query& query) {
    WebhookDeliveryFilter filter;
    if (std::optional<Uuid> endpoint = query.uuid4("endpoint_id")) {
        filter.endpoint_id = endpoint->text();
    }
    if (std::optional<std::string> event = query.string("event_id")) {
        // what is no id is no event's
        std::optional<Uuid> uuid = Uuid::parse(webhook_event_uuid(*event));
        filter.event_id = uuid.value_or(Uuid{}).text();
    }
    std::vector<std::string_view> types = webhook_event_types();
    types.push_back(webhook_test_type);
    filter.type = query.choice("type", types);
    constexpr std::array<std::string_view, 3> states{"pending", "succeeded", "failed"};
    filter.state = query.choice("state", states);
    return filter;
}

Json webhook_delivery_json(const io::Row& row) {
    return Json::object({
        {"id", row.text("delivery_id")},
        {"created_at", row.text("delivery_created_at")},
        {"workspace_id", row.text("delivery_workspace_id")},
        {"endpoint_id", row.text("delivery_endpoint_id")},
        {"event_id", webhook_event_id(row.text("delivery_event_id"))},
        {"type", row.text("delivery_type")},
        {"timestamp", row.text("delivery_timestamp")},
        {"state", row.text("delivery_state")},
        {"attempts", row.integer("delivery_attempts")},
        {"next_attempt_at", row.optional("delivery_next_attempt_at")},
        {"finished_at", row.optional("delivery_finished_at")},
        {"log", Json::parse(row.text("delivery_log"))},
    });
}

io::Task<Page> list_webhook_deliveries(io::Postgres& db, std::string workspace_id,
                                       WebhookDeliveryFilter filter, PageRequest request) {
    Parameters parameters(request.per_page(), request.offset(), workspace_id, filter.endpoint_id,
                          filter.event_id, filter.type, filter.state);
    io::Rows rows = co_await db.query(list_statement, std::move(parameters));
    co_return page_of(rows, request, webhook_delivery_json);
}

io::Task<Json> redeliver_webhook_event(io::Postgres& db, std::string workspace_id,
                                       std::string event_uuid,
                                       std::optional<std::string> endpoint_id) {
    if (!Uuid::parse(event_uuid) || (endpoint_id && !Uuid::parse(*endpoint_id))) {
        throw http::resource_not_found();
    }
    Parameters parameters(workspace_id, event_uuid, endpoint_id);
    io::Rows rows = co_await query_once_more(db, redeliver_statement, std::move(parameters));
    if (rows.empty()) {
        throw http::resource_not_found();
    }
    Json deliveries = Json::array();
    for (int at = 0; at < rows.size(); ++at) {
        if (rows[at].boolean("queued")) {
            deliveries.push(webhook_delivery_json(rows[at]));
        }
    }
    Json answer = Json::object();
    answer.set("deliveries", deliveries);
    co_return answer;
}

io::Task<Json> test_webhook_endpoint(io::Postgres& db, std::string workspace_id,
                                     std::string endpoint_id, KeyClaim claim) {
    if (!Uuid::parse(endpoint_id)) {
        throw http::resource_not_found();
    }
    Parameters parameters(workspace_id, endpoint_id, Uuid::random().text());
    claim.add_to(parameters);
    io::Rows rows =
        co_await query_once_more(db, test_statement, std::move(parameters), claim.key.given());
    if (rows.empty()) {
        throw http::resource_not_found();
    }
    if (!rows.front().null("delivery_id")) {
        co_return webhook_delivery_json(rows.front());
    }
    std::optional<Uuid> earlier = co_await claimed_resource(db, workspace_id, claim);
    if (!earlier) {
        if (!rows.front().boolean("enabled")) {
            throw http::not_permitted("The endpoint is disabled.");
        }
        throw still_running();
    }
    Parameters which(workspace_id, earlier->text());
    io::Rows kept = co_await db.query(find_statement, std::move(which));
    if (kept.empty()) {
        throw http::resource_not_found();
    }
    co_return webhook_delivery_json(kept.front());
}

}  // namespace portal
