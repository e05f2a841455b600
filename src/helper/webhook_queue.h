// WebhookQueue: what the helper asks of portal.webhook_deliveries: claims, results and leases, each
// in one statement.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "helper/webhook_outcome.h"
#include "io/postgres.h"
#include "io/task.h"
#include "portal/uuid.h"

namespace portal::helper {

// A delivery that is ours to try.
struct ClaimedWebhook {
    Uuid id, endpoint_id, event_id;
    std::string url, type, timestamp, data;
    std::string secrets;        // JSON: [{"id","ciphertext"}], the newest first
    std::int64_t attempts = 0;  // this one counted
};

// What came of it.
struct WebhookResult {
    Uuid id, endpoint_id, attempt_id;
    WebhookOutcome outcome;
    int status = 0;
    std::string url;  // it was sent to
    std::string error, body;
    std::int64_t duration = 0;  // ms
};

// An endpoint that has just been disabled; mailed: its workspace has an address for that.
struct DisabledWebhook {
    std::string id, reason;
    bool mailed = false;
};

class WebhookQueue {
  public:
    // How many deliveries of one endpoint may be claimed now.
    struct Room {
        Uuid endpoint_id;
        int room = 0;
    };
    struct Claim {
        std::vector<ClaimedWebhook> deliveries;
        bool any_endpoint = false;  // somebody may want something later
    };

    WebhookQueue(io::Postgres& db, const Uuid& helper) : db_(db), helper_(helper.text()) {}

    // At most `most`, every endpoint in turn; of those not in `known` at most `fresh`. All throw
    // PostgresUnavailable or PostgresError.
    io::Task<Claim> claim(int most, int fresh, const std::vector<Room>& known);
    // Several at once; telling of the same attempt twice does no harm.
    io::Task<std::vector<DisabledWebhook>> record(const std::vector<WebhookResult>& results);
    // What waits for endpoints that are disabled or deleted is given up, a batch at a time; how
    // many.
    io::Task<std::int64_t> give_up();
    // An attempt that was not finished does not count.
    io::Task<void> return_leases();

  private:
    io::Postgres& db_;
    std::string helper_;
};

}  // namespace portal::helper
