#include "helper/webhook_sender.h"

#include <algorithm>
#include <ctime>
#include <stdexcept>
#include <utility>

#include "http/json.h"
#include "io/sleep.h"
#include "portal/webhook_delivery.h"
#include "portal/webhook_signature.h"

namespace portal::helper {

namespace {

constexpr std::int64_t poll_interval = 100;       // ms, while there is an endpoint
constexpr std::int64_t idle_interval = 2000;      // ms, while there is none
constexpr std::int64_t give_up_interval = 5000;   // ms
constexpr std::int64_t record_again = 500;        // ms, when the database cannot be reached
constexpr std::int64_t forgotten_after = 300000;  // ms without a delivery: the window begins anew
constexpr int most_in_flight = 512;               // attempts at a time and results not yet recorded
constexpr int first_window = 4, widest_window = 64;
constexpr std::size_t largest_record = 200;
constexpr int last_records = 2;  // that may fail when the helper stops

constexpr const char* user_agent = "User-Agent: portal-webhooks/1";

}  // namespace

// One attempt in flight.
struct WebhookSender::Job final : io::Completion {
    Job(WebhookSender& sender_, ClaimedWebhook webhook_)
        : sender(sender_), webhook(std::move(webhook_)) {}
    void completed() noexcept override { sender.loop_.post(sender.reaper_); }

    WebhookSender& sender;
    ClaimedWebhook webhook;
    io::Task<void> task;
};

WebhookSender::WebhookSender(io::Loop& loop, io::Postgres& db, const Secrets& secrets,
                             const WebhookConfig& config, const Uuid& helper)
    : loop_(loop),
      secrets_(secrets),
      client_(loop, config),
      queue_(db, helper),
      claim_alarm_(loop),
      record_alarm_(loop),
      record_size_(largest_record),
      claims_(loop, "webhook claims"),
      records_(loop, "webhook records"),
      give_ups_(loop, "webhook give-ups") {}

WebhookSender::~WebhookSender() {
    claims_.reset();
    records_.reset();
    give_ups_.reset();
    jobs_.clear();
}

void WebhookSender::start() {
    claims_.start(claim_loop());
    records_.start(record_loop());
    give_ups_.start(give_up_loop());
}

// What is claimed is being sent, never waiting here: a lease is as long as an attempt.
io::Task<void> WebhookSender::claim_loop() {
    while (!stopping_) {
        const std::int64_t begun = loop_.now();
        claiming_ = true;
        const bool more = co_await claim();
        claiming_ = false;
        forget_idle_endpoints();
        if (!more) {
            // where looking takes long (thousands of endpoints that fail), it is done less often; no
            // longer than the idle pause: it may have been a database that was away
            const std::int64_t least = any_endpoint_ ? poll_interval : idle_interval;
            const std::int64_t pause = std::clamp(10 * (loop_.now() - begun), least, idle_interval);
            co_await claim_alarm_.sleep(pause);
        }
    }
    loop_.post(reaper_);
}

// True when there is more that could be claimed at once.
io::Task<bool> WebhookSender::claim() {
    const int free = most_in_flight - int(in_flight());
    if (free <= 0) {
        co_return false;
    }
    // nobody takes more than half of what is left
    const int share = std::max(1, free / 2);
    std::vector<WebhookQueue::Room> known;
    for (const auto& [id, endpoint] : endpoints_) {
        known.push_back({id, std::min(std::max(0, endpoint.window - endpoint.in_flight), share)});
    }
    const int fresh = std::min(first_window, share);
    bool more = false;
    try {
        WebhookQueue::Claim claim = co_await queue_.claim(free, fresh, known);
        any_endpoint_ = claim.any_endpoint;
        std::map<Uuid, int> taken;
        for (ClaimedWebhook& webhook : claim.deliveries) {
            Endpoint& endpoint = endpoints_[webhook.endpoint_id];
            endpoint.window = endpoint.window == 0 ? first_window : endpoint.window;
            endpoint.used = loop_.now();
            ++endpoint.in_flight;
            ++taken[webhook.endpoint_id];
        }
        for (const WebhookQueue::Room& asked : known) {
            if (asked.room > 0) {  // else nothing was learnt of it
                endpoints_[asked.endpoint_id].more = taken[asked.endpoint_id] >= asked.room;
                taken.erase(asked.endpoint_id);
            }
        }
        for (const auto& [id, count] : taken) {
            endpoints_[id].more = count >= fresh;
        }
        more = int(claim.deliveries.size()) == free;
        for (ClaimedWebhook& webhook : claim.deliveries) {
            Job& job = jobs_.emplace_back(*this, std::move(webhook));
            job.task = deliver(job);
            job.task.start(&job);
        }
    } catch (const io::PostgresUnavailable&) {  // the pool logs it
    } catch (const io::PostgresError& error) {
        complain("cannot claim", error);
        any_endpoint_ = false;  // not ten times a second
    }
    co_return more&& int(in_flight()) < most_in_flight;
}

io::Task<void> WebhookSender::deliver(Job& job) {
    const ClaimedWebhook& webhook = job.webhook;
    const std::string id = webhook_event_id(webhook.event_id.text());
    const std::int64_t now = std::time(nullptr);
    std::string body, signed_by;
    WebhookAnswer answer;
    try {
        body = webhook_body(webhook.type, webhook.timestamp, webhook.data);
        signed_by = signatures(webhook, id, now, body);
        answer.error = signed_by.empty() ? "the endpoint's secret cannot be read" : "";
    } catch (const std::runtime_error& error) {
        answer.error = std::string("the event cannot be told: ") + error.what();
    }
    if (!signed_by.empty()) {
        const std::vector<std::string> headers{"Content-Type: application/json",
                                               user_agent,
                                               "Accept: */*",
                                               "Expect:",
                                               "webhook-id: " + id,
                                               "webhook-timestamp: " + std::to_string(now),
                                               "webhook-signature: " + signed_by};
        answer = co_await client_.post(webhook.url, headers, body);
    }
    finished(webhook, std::move(answer));
}

// With every secret the endpoint has, the newest first.
std::string WebhookSender::signatures(const ClaimedWebhook& webhook, const std::string& id,
                                      std::int64_t timestamp, const std::string& body) const {
    std::string all;
    if (webhook.secrets.empty()) {
        return all;
    }
    const http::Json list = http::Json::parse(webhook.secrets);
    for (std::size_t at = 0; at < list.size(); ++at) {
        std::optional<std::string> secret =
            secrets_.decrypt(list[at]["ciphertext"].text(), list[at]["id"].text());
        std::optional<std::string> key;
        if (secret) {
            key = webhook_key(*secret);
        }
        if (key) {
            all += (all.empty() ? "" : " ") + webhook_signature(*key, id, timestamp, body);
        }
    }
    return all;
}

void WebhookSender::finished(const ClaimedWebhook& webhook, WebhookAnswer answer) {
    WebhookResult& result = results_.emplace_back();
    result.id = webhook.id;
    result.endpoint_id = webhook.endpoint_id;
    result.attempt_id = Uuid::random();
    result.url = webhook.url;
    result.outcome = judge_webhook(answer, webhook.attempts, std::time(nullptr));
    result.status = answer.status;
    result.error = std::move(answer.error);
    result.body = std::move(answer.body);
    result.duration = answer.duration;

    Endpoint& endpoint = endpoints_[webhook.endpoint_id];
    --endpoint.in_flight;
    endpoint.used = loop_.now();
    const bool good = result.outcome.state == WebhookOutcome::State::succeeded;
    ++(good ? succeeded_ : failed_);
    endpoint.window = good ? std::min(endpoint.window + 1, widest_window) : 1;
    if (!good) {
        std::string line =
            "webhooks: delivery " + result.id.text() + " failed (attempt " +
            std::to_string(webhook.attempts) + ", " +
            (result.status ? "status " + std::to_string(result.status) : result.error) + ", " +
            std::to_string(result.duration) + " ms)";
        loop_.log(io::LogLevel::info, line.c_str());
    }
    record_alarm_.ring();
    if (endpoint.more && endpoint.in_flight <= endpoint.window / 2) {
        endpoint.more = false;  // once until the next claim
        claim_alarm_.ring();
    }
}

// While one record is on its way the next results gather: the busier it is, the more go at once.
io::Task<void> WebhookSender::record_loop() {
    while (true) {
        if (results_.empty()) {
            co_await record_alarm_.sleep(idle_interval);
            continue;
        }
        const bool answered = co_await record_some();
        loop_.post(reaper_);
        if (!answered) {
            co_await io::sleep(loop_, record_again, io::Loop::Hold::nothing);
        }
    }
}

// The first of results_. What PostgreSQL refuses is told again by halves, so that one it will never take harms only
// itself. False: nothing was learnt, try again later.
io::Task<bool> WebhookSender::record_some() {
    const std::size_t size = std::min(results_.size(), record_size_);
    const std::vector<WebhookResult> batch(results_.begin(), results_.begin() + std::ptrdiff_t(size));
    std::size_t told = 0;
    bool answered = false;
    try {
        const std::vector<DisabledWebhook> disabled = co_await queue_.record(batch);
        for (const DisabledWebhook& one : disabled) {
            std::string line =
                "webhooks: endpoint " + one.id + " is disabled: " +
                (one.reason == "gone" ? "it answered 410"
                 : one.mailed         ? "failing for five days, its owner is mailed"
                              : "failing for five days, its workspace has no mail_reply_to");
            loop_.log(io::LogLevel::warning, line.c_str());
        }
        answered = true;
        told = size;
        record_size_ = std::min(2 * record_size_, largest_record);
    } catch (const io::PostgresUnavailable&) {  // the pool logs it
    } catch (const io::PostgresError& error) {
        answered = !error.sqlstate.starts_with("40");  // else another transaction was in the way
        if (answered && size > 1) {
            record_size_ = size / 2;
        } else if (answered) {
            complain("cannot record", error);
            told = 1;  // not the next time either: due again when the lease is over
        }
    }
    results_.erase(results_.begin(), results_.begin() + std::ptrdiff_t(told));
    co_return answered;
}

io::Task<void> WebhookSender::give_up_loop() {
    while (true) {
        co_await io::sleep(loop_, give_up_interval, io::Loop::Hold::nothing);
        try {
            const std::int64_t count = co_await queue_.give_up();
            if (count > 0) {
                std::string line = "webhooks: " + std::to_string(count) +
                                   " deliveries to disabled endpoints are given up";
                loop_.log(io::LogLevel::info, line.c_str());
            }
        } catch (const io::PostgresUnavailable&) {
        } catch (const io::PostgresError& error) {
            complain("cannot give up", error);
        }
    }
}

void WebhookSender::forget_idle_endpoints() {
    const std::int64_t old = loop_.now() - forgotten_after;
    std::erase_if(endpoints_, [&](const auto& each) {
        return each.second.in_flight == 0 && each.second.used < old;
    });
}

void WebhookSender::reap() noexcept {
    std::erase_if(jobs_, [](const Job& job) { return job.task.done(); });
    if (stopping_ && !claiming_ && in_flight() == 0 && idle_) {
        std::exchange(idle_, nullptr)();
    }
}

void WebhookSender::stop(std::function<void()> idle) {
    stopping_ = true;
    idle_ = std::move(idle);
    claim_alarm_.ring();
    loop_.post(reaper_);
}

io::Task<void> WebhookSender::release() {
    claims_.reset();
    records_.reset();
    give_ups_.reset();
    jobs_.clear();
    for (int failures = 0; !results_.empty() && failures < last_records;) {
        const bool answered = co_await record_some();
        failures += answered ? 0 : 1;
    }
    if (!results_.empty()) {
        co_return;  // what was sent is not to be sent again at once: leases run out by themselves
    }
    try {
        co_await queue_.return_leases();
    } catch (const io::PostgresUnavailable&) {  // leases run out by themselves
    } catch (const io::PostgresError& error) {
        complain("cannot return leases", error);
    }
}

void WebhookSender::complain(const char* what, const io::PostgresError& error) {
    std::string line = std::string("webhooks: ") + what + ": " + error.what();
    loop_.log(io::LogLevel::error, line.c_str());
}

}  // namespace portal::helper
