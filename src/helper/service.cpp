#include "helper/service.h"

#include <systemd/sd-daemon.h>

#include <csignal>
#include <stdexcept>

#include "helper/outbox_mail.h"
#include "io/sleep.h"

namespace portal::helper {

namespace {

// ms for what is in flight when told to stop, and then for the end: together less than the TimeoutStopSec of the unit
constexpr std::int64_t grace = 8000, winding_up = 5000;
constexpr std::int64_t mail_end = 4000;           // ms of those: a cancelled mail has ended, and is recorded
constexpr std::int64_t lease_margin = 15000;      // ms of a lease beyond a delivery's own time
constexpr const char* changed_channel = "portal_changed";
constexpr const char* outbox_channel = "portal_outbox";
constexpr const char* erased_channel = "portal_erased";

Mailbox parse_sender(const MailConfig& mail) {
    mail.check();
    std::optional<Mailbox> sender = parse_mailbox(mail.from);
    if (!sender) {
        throw std::invalid_argument("\"mail.from\" is to be like Portal <portal@example.com>");
    }
    return *sender;
}

io::PostgresOptions database(const ConfigFile& config) {
    if (config.postgres.empty()) {
        throw std::invalid_argument("\"postgres\" is missing: the connection string of the database");
    }
    io::PostgresOptions options = io::PostgresOptions::resolve(config.postgres);
    options.application_name = "portal-helper";
    options.connect_at_once = false;
    return options;
}

io::PostgresOptions event_database(const ConfigFile& config) {
    io::PostgresOptions options = database(config);
    options.lookup_connections = 0;
    options.main_connections = 1;
    options.application_name = "portal-helper events";
    return options;
}

std::optional<io::RedisOptions> redis(const ConfigFile& config) {
    if (config.redis.empty()) {
        return std::nullopt;
    }
    try {
        io::RedisOptions options = io::RedisOptions::parse(config.redis, true);
        options.client_name = "portal-helper";
        return options;
    } catch (const std::invalid_argument& error) {
        throw std::invalid_argument(std::string("\"redis\": ") + error.what());
    }
}

const std::string& base_url(const ConfigFile& config) {
    if (config.base_url.empty()) {
        throw std::invalid_argument("\"base_url\" is missing: the address portal links begin with");
    }
    return config.base_url;
}

Outbox::Options outbox_options(const ConfigFile& config, const Uuid& helper) {
    return {helper, config.mail.parallel, config.mail.timeout * 1000 + lease_margin};
}

}  // namespace

// SIGTERM, SIGINT and, as nginx's containers are stopped with, SIGQUIT, on the loop.
class Service::Signals {
  public:
    explicit Signals(Service& service) {
        for (uv_signal_t*& handle : handles_) {
            handle = new uv_signal_t;
            uv_signal_init(service.loop_.raw(), handle);
            handle->data = &service;
        }
        auto told = [](uv_signal_t* handle, int) { static_cast<Service*>(handle->data)->on_signal(); };
        uv_signal_start(handles_[0], told, SIGTERM);
        uv_signal_start(handles_[1], told, SIGINT);
        uv_signal_start(handles_[2], told, SIGQUIT);
    }
    ~Signals() {
        for (uv_signal_t* handle : handles_) {
            uv_close(reinterpret_cast<uv_handle_t*>(handle),
                     [](uv_handle_t* closed) { delete reinterpret_cast<uv_signal_t*>(closed); });
        }
    }
    Signals(const Signals&) = delete;

  private:
    uv_signal_t* handles_[3];
};

Service::Service(const ConfigFile& config, io::UvLoop::Log log)
    : config_(config), secrets_(config.load_secrets()), loop_(std::move(log)),
      sender_(parse_sender(config.mail)), mailer_(loop_, config.mail, host_of(base_url(config))),
      connections_(loop_, database(config)),
      composer_(db_, secrets_, config.templates, config.base_url, sender_),
      outbox_(loop_, db_, composer_, mailer_, outbox_options(config, id_)),
      event_db_(loop_, event_database(config)), redis_(redis(config)),
      heartbeat_(loop_, db_, id_, [this] { server_->beat(); }),
      housekeeping_(loop_, db_, secrets_, config.housekeeping),
      file_expiry_(loop_, db_, file_expiry), link_expiry_(loop_, db_, link_expiry),
      webhooks_(loop_, db_, secrets_, config.webhooks, id_),
      reporter_(loop_, db_, [this](HelperReport report) { this->report(report); }) {}

Service::~Service() = default;

bool Service::run() {
    connections_.connect();
    event_db_.connect();
    server_ = std::make_unique<Server>(loop_, config_.socket, id_, [this](const Uuid& id, Server::Answer answer) {
        outbox_.send_now(id, std::move(answer));
    });
    signals_ = std::make_unique<Signals>(*this);
    event_reader_ = std::make_unique<EventReader>(loop_, *server_, redis_);
    event_publisher_ = std::make_unique<EventPublisher>(loop_, event_db_, id_, *server_, *event_reader_, redis_);
    db_.listen({changed_channel, outbox_channel, erased_channel, heartbeat_.channel()},
               [this](std::string_view channel, std::string_view payload) { notified(channel, payload); },
               [this] { listening(); });
    heartbeat_.start();
    outbox_.start();
    housekeeping_.start();
    file_expiry_.start();
    link_expiry_.start();
    event_reader_->start();
    event_publisher_->start();
    webhooks_.start();
    reporter_.start();
    start_watchdog();
    loop_.log(io::LogLevel::notice, ("helper: " + id_.text() + " serves " + config_.socket).c_str());
    sd_notify(0, "READY=1");
    loop_.run();
    signals_.reset();
    return mailer_.in_flight() == 0;
}

void Service::notified(std::string_view channel, std::string_view payload) {
    if (channel == heartbeat_.channel()) {
        heartbeat_.echoed(payload);
    } else if (channel == outbox_channel) {
        outbox_.wake();
    } else if (channel == erased_channel) {
        event_publisher_->erased();
    } else if (std::optional<Uuid> id = Uuid::parse(payload)) {
        server_->bump(*id);
    } else {
        server_->bump_all();   // somebody's own NOTIFY: whatever it meant is covered
    }
}

void Service::report(HelperReport report) {
    using Result = SendOutcome::Result;
    report[HelperFigure::lines] = server_->peers();
    report[HelperFigure::mails_sent_total] = outbox_.ended(Result::sent);
    report[HelperFigure::mails_refused_total] = outbox_.ended(Result::refused);
    report[HelperFigure::mails_deferred_total] = outbox_.ended(Result::deferred);
    report[HelperFigure::webhooks_succeeded_total] = webhooks_.succeeded();
    report[HelperFigure::webhooks_failed_total] = webhooks_.failed();
    server_->report(report);
}

void Service::listening() {
    server_->bump_all();
    outbox_.wake();
}

void Service::on_signal() {
    if (stopping_) {
        finish();   // told twice: do not wait
        return;
    }
    stopping_ = true;
    sd_notify(0, "STOPPING=1");
    std::string line = "helper: stopping, " + std::to_string(outbox_.in_flight()) + " mails and " +
                       std::to_string(webhooks_.in_flight()) + " webhooks in flight";
    loop_.log(io::LogLevel::notice, line.c_str());
    grace_ = loop_.timer([this] { finish(); }, io::Loop::Hold::process);
    grace_->set(grace);
    busy_ = 2;
    outbox_.stop([this] { idle(); });
    webhooks_.stop([this] { idle(); });
}

void Service::idle() {
    if (--busy_ == 0) {
        finish();
    }
}

void Service::finish() {
    if (!wind_up_.valid()) {
        winding_up_ = loop_.timer([this] {
            loop_.log(io::LogLevel::warning, "helper: not all is wound up in time; leases run out by themselves");
            loop_.stop();
        }, io::Loop::Hold::process);
        winding_up_->set(winding_up);
        wind_up_ = wind_up();
        wind_up_.start(&wound_up_);
    }
}

io::Task<void> Service::wind_up() {
    const std::int64_t until = loop_.now() + mail_end;
    mailer_.cancel();
    co_await event_publisher_->stop();
    while (outbox_.in_flight() > 0 && loop_.now() < until) {
        co_await io::sleep(loop_, 20);
    }
    co_await outbox_.release();
    co_await webhooks_.release();
}

void Service::start_watchdog() {
    std::uint64_t microseconds = 0;
    if (sd_watchdog_enabled(0, &microseconds) <= 0) {
        return;
    }
    std::int64_t interval = std::int64_t(microseconds / 3000);   // three times as often as asked, in ms
    watchdog_ = loop_.timer([this, interval] {
        sd_notify(0, "WATCHDOG=1");
        watchdog_->set(interval);
    }, io::Loop::Hold::nothing);
    watchdog_->set(interval);
}

}  // namespace portal::helper
