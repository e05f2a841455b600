// What an attempt's answer means: for the delivery, and for its endpoint.
#pragma once

#include <cstdint>
#include <ctime>
#include <optional>
#include <string_view>

#include "helper/webhook_client.h"

namespace portal::helper {

struct WebhookOutcome {
    enum class State { succeeded, failed, pending };

    State state = State::pending;
    std::int64_t retry_after = 0;  // ms until the next try, when pending
    std::int64_t pause = 0;        // ms in which nothing is to be sent to the endpoint
    bool gone = false;             // it wants no more: 410
};

inline constexpr std::int64_t last_webhook_attempt = 10;

// ms from attempt number `attempts` to the next, before jitter; 0: there is none.
std::int64_t webhook_retry_delay(std::int64_t attempts);
// Retry-After as seconds or as a date, in ms from `now`, bounded to a day; nullopt when it is
// neither.
std::optional<std::int64_t> retry_after_of(std::string_view header, std::time_t now);

// `attempts` counts this one. Two of the same take their next try at different times.
WebhookOutcome judge_webhook(const WebhookAnswer& answer, std::int64_t attempts, std::time_t now);

}  // namespace portal::helper
