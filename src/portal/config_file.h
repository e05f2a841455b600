// ConfigFile: the one TOML file that configures portal-helper and portalctl (conf/portal.toml shows every key).
#pragma once

#include <cstdint>
#include <string>

#include "portal/secrets.h"
#include "portal/webhook_target.h"

namespace portal {

struct MailConfig {
    enum class StartTls { required, opportunistic, off };

    std::string url = "smtp://127.0.0.1:25";   // smtps:// is implicit TLS
    std::string from;                          // "Portal <portal@example.com>" or the bare address
    StartTls starttls = StartTls::required;
    bool insecure = false;                     // a connection without TLS to another host is allowed
    std::string username;                      // "": no AUTH
    std::string password_file;
    std::string ca_file;                       // "": the system's
    std::int64_t timeout = 30;                 // seconds a whole delivery may take
    int parallel = 8;                          // deliveries at a time

    bool implicit_tls() const;
    // The host of `url`, without port and brackets.
    std::string host() const;
    bool loopback() const;
    // Throws std::invalid_argument: no sender, unknown scheme, a plain connection nobody asked for.
    void check() const;
};

// How long what is over is kept, in days after its end, and how often the helper looks.
struct HousekeepingConfig {
    std::int64_t interval = 300;      // seconds between two rounds
    std::int64_t batch = 500;         // rows of one statement
    std::int64_t sessions = 7;        // customer and member sessions, expired or revoked
    std::int64_t portal_tokens = 90;  // likewise, links
    std::int64_t idempotency_keys = 0;
    std::int64_t mail = 30;           // sent and failed
    std::int64_t events = 1;          // told ones, but never
    std::int64_t event_history = 1000;   // the newest ones of an audience
    std::int64_t audit = 400;
    std::int64_t webhooks = 30;       // deliveries that are done, with their attempts
};

// What webhooks may call beyond public addresses by https. The same lists go to nginx, which checks URLs when an
// endpoint is made; the helper checks each address it connects to.
struct WebhookConfig {
    WebhookTargets targets;
    std::string ca_file;              // "": the system's
};

struct ConfigFile {
    std::string postgres;         // libpq connection string of the helper
    std::string owner_postgres;   // of portalctl; "": postgres
    std::string redis;
    std::string secret_file = "/etc/portal/secret";
    std::string token_prefix = "portal_";
    std::string base_url;         // without trailing slash
    std::string socket = "/run/portal/helper.sock";
    std::string templates = "/usr/share/portal/mail";
    std::string migrations = "/usr/share/portal/sql";
    MailConfig mail;
    HousekeepingConfig housekeeping;
    WebhookConfig webhooks;

    // $PORTAL_CONFIG, else /etc/portal/portal.toml.
    static std::string default_path();
    // Both throw std::invalid_argument with a sentence that names the file, the line and the key.
    static ConfigFile load(const std::string& path);
    static ConfigFile parse(std::string_view text, const std::string& path);

    // Reads `secret_file`. Throws std::invalid_argument.
    Secrets load_secrets() const;
};

// The whole of a file; with `secret`, one that others can read is refused. Throws std::invalid_argument.
std::string read_file(const std::string& path, bool secret);

}  // namespace portal
