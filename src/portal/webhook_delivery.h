// Webhook deliveries: one event for one endpoint, its tries, and sending it once more.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/json.h"
#include "http/query.h"
#include "io/postgres.h"
#include "io/task.h"
#include "portal/idempotency.h"
#include "portal/page.h"

namespace portal {

// The type of the event that a workspace sends itself to see whether an endpoint works.
inline constexpr std::string_view webhook_test_type = "webhook.test";

// "evt_" and the event's uuid: webhook-id, the same for every try and every redelivery.
std::string webhook_event_id(std::string_view event_uuid);
// The uuid in it; a bare uuid is taken, too.
std::string_view webhook_event_uuid(std::string_view id);

// What a receiver gets: {"type","timestamp","data"}. `stored` is the event's data as its trigger
// stored it, told as event_data() does.
std::string webhook_body(std::string_view type, std::string_view timestamp,
                         std::string_view stored);

struct WebhookDeliveryFilter {
    std::optional<std::string> endpoint_id, event_id, type, state;

    // Query parameters endpoint_id, event_id, type and state.
    static WebhookDeliveryFilter read(http::Query& query);
};

// The table's columns without the event's data, and `log`: its last ten tries, newest first.
http::Json webhook_delivery_json(const io::Row& row);

// Newest first.
io::Task<Page> list_webhook_deliveries(io::Postgres& db, std::string workspace_id,
                                       WebhookDeliveryFilter filter, PageRequest request);
// Sends an event again, at once and with a schedule of its own, to every enabled endpoint that
// takes its type, or to the one named. What is being sent at this moment is left alone. Answers
// with the deliveries; throws 404 for what is no event of this workspace, or one too old to be
// kept.
io::Task<http::Json> redeliver_webhook_event(io::Postgres& db, std::string workspace_id,
                                             std::string event_uuid,
                                             std::optional<std::string> endpoint_id);
// Sends `webhook.test` to one endpoint. Throws 404, or 403 when it is disabled.
io::Task<http::Json> test_webhook_endpoint(io::Postgres& db, std::string workspace_id,
                                           std::string endpoint_id, KeyClaim claim = {});

}  // namespace portal
