#include "helper/webhook_outcome.h"

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string>

#include "portal/secrets.h"

namespace portal::helper {

namespace {

constexpr std::int64_t second = 1000, minute = 60 * second, hour = 60 * minute;
constexpr std::int64_t longest_wait = 24 * hour;
constexpr std::int64_t overload_pause =
    5 * second;  // of one that says it has too much and not for how long

// Up to a tenth longer: what failed together is not tried again together.
std::int64_t with_jitter(std::int64_t delay) {
    std::uint16_t random = 0;
    random_bytes(&random, sizeof random);
    return delay + delay / 10 * random / 65536;
}

}  // namespace

std::int64_t webhook_retry_delay(std::int64_t attempts) {
    constexpr std::array<std::int64_t, last_webhook_attempt - 1> delays{
        5 * second, 5 * minute, 30 * minute, 2 * hour, 5 * hour,
        10 * hour,  14 * hour,  20 * hour,   24 * hour};
    if (attempts >= last_webhook_attempt) {
        return 0;
    }
    return delays[std::size_t(std::max<std::int64_t>(attempts, 1)) - 1];
}

std::optional<std::int64_t> retry_after_of(std::string_view header, std::time_t now) {
    std::int64_t seconds = 0;
    auto [stop, error] = std::from_chars(header.data(), header.data() + header.size(), seconds);
    const bool number = !header.empty() && stop == header.data() + header.size();
    if (number && error == std::errc::result_out_of_range) {
        return longest_wait;
    }
    if (!number || error != std::errc()) {
        const std::time_t when = curl_getdate(std::string(header).c_str(), nullptr);
        if (when < 0) {
            return std::nullopt;
        }
        seconds = when - now;
    }
    return std::clamp<std::int64_t>(seconds, 0, longest_wait / second) * second;
}

WebhookOutcome judge_webhook(const WebhookAnswer& answer, std::int64_t attempts, std::time_t now) {
    WebhookOutcome outcome;
    if (answer.status >= 200 && answer.status <= 299) {
        outcome.state = WebhookOutcome::State::succeeded;
        return outcome;
    }
    if (answer.status == 410) {
        outcome.state = WebhookOutcome::State::failed;
        outcome.gone = true;
        return outcome;
    }
    std::optional<std::int64_t> asked;
    if (answer.retry_after) {
        asked = retry_after_of(*answer.retry_after, now);
    }
    const bool overloaded = answer.status == 429 || answer.status == 502 || answer.status == 504;
    if (asked || overloaded) {
        outcome.pause = asked.value_or(overload_pause);
    }
    const std::int64_t delay = webhook_retry_delay(attempts);
    if (delay == 0) {
        outcome.state = WebhookOutcome::State::failed;
        return outcome;
    }
    outcome.retry_after = std::max(with_jitter(delay), outcome.pause);
    return outcome;
}

}  // namespace portal::helper
