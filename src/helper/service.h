// Service: portal-helper as a whole: its parts put together, its signals, and what it tells systemd.
#pragma once

#include <uv.h>

#include <memory>
#include <optional>

#include "helper/event_publisher.h"
#include "helper/event_reader.h"
#include "helper/heartbeat.h"
#include "helper/housekeeping.h"
#include "helper/mailer.h"
#include "helper/outbox.h"
#include "helper/reporter.h"
#include "helper/server.h"
#include "helper/sweep.h"
#include "helper/webhook_sender.h"
#include "io/postgres.h"
#include "io/uv_loop.h"
#include "portal/config_file.h"
#include "portal/origin.h"

namespace portal::helper {

class Service {
  public:
    // Checks the whole configuration, and connects nowhere. Throws std::invalid_argument.
    Service(const ConfigFile& config, io::UvLoop::Log log);
    ~Service();
    Service(const Service&) = delete;

    // Until SIGTERM, SIGINT or SIGQUIT; then finishes what is in flight, or returns its leases, within 13 s. Throws
    // std::runtime_error when the socket cannot be listened at. False: a delivery would not end, its thread still runs.
    bool run();

  private:
    class Signals;

    void notified(std::string_view channel, std::string_view payload);
    void listening();
    void on_signal();
    void report(HelperReport report);
    void idle();
    void finish();
    io::Task<void> wind_up();
    void start_watchdog();

    ConfigFile config_;
    Secrets secrets_;
    Uuid id_ = Uuid::random();
    io::UvLoop loop_;
    Mailbox sender_;
    Mailer mailer_;
    io::Postgres connections_;
    Program origin_{"helper"};
    io::Postgres db_{connections_, origin_};
    Composer composer_;
    Outbox outbox_;
    io::Postgres event_db_;   // a connection of its own: events wait for nothing else
    std::optional<io::RedisOptions> redis_;
    std::unique_ptr<Server> server_;
    std::unique_ptr<EventReader> event_reader_;
    std::unique_ptr<EventPublisher> event_publisher_;
    Heartbeat heartbeat_;
    Housekeeping housekeeping_;
    Sweep file_expiry_, link_expiry_;
    WebhookSender webhooks_;
    Reporter reporter_;
    int busy_ = 0;   // of outbox_ and webhooks_, those that have something in flight when stopping
    std::unique_ptr<Signals> signals_;
    std::unique_ptr<io::Timer> grace_, winding_up_;
    std::unique_ptr<io::Timer> watchdog_;
    bool stopping_ = false;
    io::Task<void> wind_up_;
    struct WoundUp final : io::Completion {
        explicit WoundUp(io::UvLoop& loop_) : loop(loop_) {}
        void completed() noexcept override { loop.stop(); }
        io::UvLoop& loop;
    } wound_up_{loop_};
};

}  // namespace portal::helper
