// Webhook endpoints: where a workspace's backend wants to be told of events, and the secret that
// proves who tells.
//
// An endpoint takes only events whose read scope its maker has, and only who may read all that it
// takes may change it: a new URL is a new reader.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/json.h"
#include "io/postgres.h"
#include "io/task.h"
#include "portal/idempotency.h"
#include "portal/page.h"
#include "portal/principal.h"
#include "portal/secrets.h"
#include "portal/webhook_target.h"

namespace portal {

// Every type of event there is, in the order of the documentation.
const std::vector<std::string_view>& webhook_event_types();
// Those whose read scope is among `scopes`; an operator reads all.
struct ReadableEvents {
    std::vector<std::string> types;
    bool all = true;

    static ReadableEvents of(const Principal& caller);
    static ReadableEvents of_operator();
};

struct WebhookEndpointInput {
    http::Json members;                 // checked: url, event_types (null: all), enabled
    std::optional<std::string> secret;  // "whsec_…" of a system being replaced

    static WebhookEndpointInput parse(http::Json body, const WebhookTargets& targets);
    // What is absent stays; the secret has a route of its own.
    static WebhookEndpointInput parse_change(http::Json body, const WebhookTargets& targets);
};

// The secret that a body brings: "whsec_…", or none.
std::optional<std::string> parse_webhook_secret(http::Json body);

// The table's columns. With `secret`, which is shown when it is made and never again, that is its
// last member.
http::Json webhook_endpoint_json(const io::Row& row);

// Throw 403 for events that `readable` does not have. With a key the same endpoint and secret are
// shown again.
io::Task<http::Json> create_webhook_endpoint(io::Postgres& db, const Secrets& secrets,
                                             std::string workspace_id, ReadableEvents readable,
                                             WebhookEndpointInput input, KeyClaim claim = {});
// These throw 404 for what is no endpoint of this workspace.
io::Task<http::Json> change_webhook_endpoint(io::Postgres& db, std::string workspace_id,
                                             std::string id, ReadableEvents readable,
                                             WebhookEndpointInput input);
io::Task<http::Json> find_webhook_endpoint(io::Postgres& db, std::string workspace_id,
                                           std::string id);
io::Task<void> delete_webhook_endpoint(io::Postgres& db, std::string workspace_id, std::string id);
// A new secret, or the one brought along. The one before it signs too for 24 hours; an older one is
// gone at once.
io::Task<http::Json> rotate_webhook_secret(io::Postgres& db, const Secrets& secrets,
                                           std::string workspace_id, std::string id,
                                           std::optional<std::string> brought);
// Newest first.
io::Task<Page> list_webhook_endpoints(io::Postgres& db, std::string workspace_id,
                                      PageRequest request);

}  // namespace portal
