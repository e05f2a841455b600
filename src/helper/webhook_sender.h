// WebhookSender: claims deliveries, signs and sends them, and records what came of them.
//
// Every endpoint has a window of attempts that may run at a time: it begins small, grows with each
// success and falls to one with a failure, so that a dead endpoint holds next to nothing of what is
// there for all. On top, the database keeps a pause per endpoint that doubles while it brings
// nothing but failures. A crash loses nothing: what was claimed and not recorded is due again when
// its lease is over, and told twice at worst.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <string>
#include <vector>

#include "helper/alarm.h"
#include "helper/root_task.h"
#include "helper/webhook_client.h"
#include "helper/webhook_queue.h"
#include "io/loop.h"
#include "io/postgres.h"
#include "io/task.h"
#include "portal/secrets.h"
#include "portal/uuid.h"

namespace portal::helper {

class WebhookSender {
  public:
    WebhookSender(io::Loop& loop, io::Postgres& db, const Secrets& secrets,
                  const WebhookConfig& config, const Uuid& helper);
    ~WebhookSender();
    WebhookSender(const WebhookSender&) = delete;

    void start();
    // Claims nothing any more; `idle` is called once nothing is in flight or to be recorded
    // (perhaps at once).
    void stop(std::function<void()> idle);
    // Gives up what is in flight, and returns all leases of ours.
    io::Task<void> release();

    std::size_t in_flight() const { return jobs_.size() + results_.size(); }
    // How many attempts have ended so since the start.
    std::uint64_t succeeded() const { return succeeded_; }
    std::uint64_t failed() const { return failed_; }

  private:
    struct Job;
    struct Endpoint {
        int in_flight = 0;
        int window = 0;
        bool more = false;      // its last claim took all there was room for
        std::int64_t used = 0;  // when it last had to do
    };
    struct Reaper final : io::Posted {
        explicit Reaper(WebhookSender& sender_) : sender(sender_) {}
        void run() noexcept override { sender.reap(); }
        WebhookSender& sender;
    };

    io::Task<void> claim_loop();
    io::Task<void> record_loop();
    io::Task<bool> record_some();
    io::Task<void> give_up_loop();
    io::Task<bool> claim();
    io::Task<void> deliver(Job& job);
    std::string signatures(const ClaimedWebhook& webhook, const std::string& id,
                           std::int64_t timestamp, const std::string& body) const;
    void finished(const ClaimedWebhook& webhook, WebhookAnswer answer);
    void forget_idle_endpoints();
    void reap() noexcept;
    void complain(const char* what, const io::PostgresError& error);

    io::Loop& loop_;
    const Secrets& secrets_;
    WebhookClient client_;
    WebhookQueue queue_;
    Alarm claim_alarm_, record_alarm_;
    Reaper reaper_{*this};
    std::map<Uuid, Endpoint> endpoints_;
    std::list<Job> jobs_;
    std::vector<WebhookResult> results_;  // to be recorded
    std::size_t record_size_;             // how many of them at a time: fewer after a refusal
    std::uint64_t succeeded_ = 0, failed_ = 0;
    bool any_endpoint_ = true;
    bool claiming_ = false;  // a claim is on its way
    bool stopping_ = false;
    std::function<void()> idle_;
    RootTask claims_, records_, give_ups_;
};

}  // namespace portal::helper
