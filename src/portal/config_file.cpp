#include "portal/config_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <stdexcept>

#include <toml++/toml.h>

namespace portal {

namespace {

// One table of the file: typed look-ups that name file, line and key when they fail.
class Section {
  public:
    Section(const toml::table& table, std::string prefix, const std::string& path)
        : table_(table), prefix_(std::move(prefix)), path_(path) {}

    void read(const char* key, std::string& into) {
        if (const toml::node* node = table_.get(key)) {
            std::optional<std::string> value = node->value_exact<std::string>();
            if (!value) {
                fail(*node, key, "is to be a string");
            }
            if (value->find('\0') != std::string::npos) {
                fail(*node, key, "holds a NUL");
            }
            into = std::move(*value);
        }
    }
    void read(const char* key, bool& into) {
        if (const toml::node* node = table_.get(key)) {
            std::optional<bool> value = node->value_exact<bool>();
            if (!value) {
                fail(*node, key, "is to be true or false");
            }
            into = *value;
        }
    }
    template <class Integer>
    void read(const char* key, Integer& into, std::int64_t least, std::int64_t most) {
        if (const toml::node* node = table_.get(key)) {
            std::optional<std::int64_t> value = node->value_exact<std::int64_t>();
            if (!value || *value < least || *value > most) {
                fail(*node, key, "is to be a number from " + std::to_string(least) + " to " +
                                     std::to_string(most));
            }
            into = Integer(*value);
        }
    }
    void read(const char* key, std::vector<std::string>& into) {
        if (const toml::node* node = table_.get(key)) {
            const toml::array* list = node->as_array();
            if (!list || (!list->empty() && !list->is_homogeneous<std::string>())) {
                fail(*node, key, "is to be a list of strings");
            }
            for (const toml::node& one : *list) {
                into.push_back(*one.value_exact<std::string>());
            }
        }
    }
    // A misspelt key is an error, not a default.
    void allow_only(std::initializer_list<std::string_view> keys) const {
        for (const auto& [key, node] : table_) {
            bool known = false;
            for (std::string_view one : keys) {
                known = known || one == key.str();
            }
            if (!known) {
                fail(node, std::string(key.str()).c_str(), "is not known");
            }
        }
    }
    [[noreturn]] void fail(const toml::node& node, const char* key, const std::string& why) const {
        throw std::invalid_argument(path_ + ":" + std::to_string(node.source().begin.line) + ": \"" +
                                    prefix_ + key + "\" " + why);
    }

  private:
    const toml::table& table_;
    std::string prefix_;
    const std::string& path_;
};

MailConfig::StartTls parse_starttls(const std::string& text) {
    if (text == "required") {
        return MailConfig::StartTls::required;
    }
    if (text == "opportunistic") {
        return MailConfig::StartTls::opportunistic;
    }
    if (text == "off") {
        return MailConfig::StartTls::off;
    }
    throw std::invalid_argument("\"mail.starttls\" is to be required, opportunistic or off");
}

MailConfig read_mail(const toml::table& table, const std::string& path) {
    MailConfig mail;
    Section section(table, "mail.", path);
    section.allow_only({"url", "from", "starttls", "insecure", "username", "password_file", "ca_file",
                        "timeout", "parallel"});
    section.read("url", mail.url);
    section.read("from", mail.from);
    std::string starttls = "required";
    section.read("starttls", starttls);
    mail.starttls = parse_starttls(starttls);
    section.read("insecure", mail.insecure);
    section.read("username", mail.username);
    section.read("password_file", mail.password_file);
    section.read("ca_file", mail.ca_file);
    section.read("timeout", mail.timeout, 1, 600);
    section.read("parallel", mail.parallel, 1, 256);
    return mail;
}

HousekeepingConfig read_housekeeping(const toml::table& table, const std::string& path) {
    constexpr std::int64_t century = 36500;
    HousekeepingConfig keep;
    Section section(table, "housekeeping.", path);
    section.allow_only({"interval", "batch", "sessions", "portal_tokens", "idempotency_keys", "mail", "events",
                        "event_history", "audit", "webhooks"});
    section.read("interval", keep.interval, 1, 86400);
    section.read("batch", keep.batch, 1, 10000);
    section.read("sessions", keep.sessions, 0, century);
    section.read("portal_tokens", keep.portal_tokens, 0, century);
    section.read("idempotency_keys", keep.idempotency_keys, 0, century);
    section.read("mail", keep.mail, 1, century);
    section.read("events", keep.events, 1, century);
    section.read("event_history", keep.event_history, 1, 1000000);
    section.read("audit", keep.audit, 30, century);   // the function that purges it spares the rest
    section.read("webhooks", keep.webhooks, 6, century);   // longer than a delivery is tried
    return keep;
}

WebhookConfig read_webhooks(const toml::table& table, const std::string& path) {
    WebhookConfig webhooks;
    std::vector<std::string> allow;
    Section section(table, "webhooks.", path);
    section.allow_only({"allow", "http_hosts", "ca_file"});
    section.read("allow", allow);
    section.read("http_hosts", webhooks.targets.http_hosts);
    section.read("ca_file", webhooks.ca_file);
    for (const std::string& range : allow) {
        try {
            webhooks.targets.allow.push_back(IpRange::parse(range));
        } catch (const std::invalid_argument& error) {
            section.fail(*table.get("allow"), "allow", std::string("cannot be read: ") + error.what());
        }
    }
    return webhooks;
}

void check_base_url(std::string& url) {
    while (url.ends_with('/')) {
        url.pop_back();
    }
    if (url.empty()) {
        return;   // whoever makes links asks for it
    }
    bool scheme = url.starts_with("https://") || url.starts_with("http://");
    bool clean = true;
    for (char one : url) {
        clean = clean && one > ' ' && one < 0x7f && std::strchr("\"<>\\^`{|}?#", one) == nullptr;
    }
    if (!scheme || !clean || url.find("://") + 3 == url.size()) {
        throw std::invalid_argument("\"base_url\" is to be like https://portal.example.com");
    }
}

}  // namespace

std::string read_file(const std::string& path, bool secret) {
    int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);   // a FIFO does not hold us up
    if (fd < 0) {
        throw std::invalid_argument("cannot read " + path + ": " + std::strerror(errno));
    }
    struct stat about{};
    std::string text;
    std::string why;
    char buffer[16 * 1024];
    ssize_t size = 0;
    if (::fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) {
        why = "it is not a regular file";
    } else if (secret && (about.st_mode & (S_IROTH | S_IWOTH | S_IWGRP)) != 0) {
        why = "others can read or write it; chmod 0640 or 0600";
    } else {
        while ((size = ::read(fd, buffer, sizeof(buffer))) > 0 && text.size() < 1024 * 1024) {
            text.append(buffer, std::size_t(size));
        }
        if (size != 0) {
            why = size < 0 ? std::strerror(errno) : "it is larger than 1 MB";
        }
    }
    ::close(fd);
    if (!why.empty()) {
        throw std::invalid_argument("cannot read " + path + ": " + why);
    }
    return text;
}

std::string ConfigFile::default_path() {
    const char* path = std::getenv("PORTAL_CONFIG");
    return path && *path ? path : "/etc/portal/portal.toml";
}

ConfigFile ConfigFile::load(const std::string& path) {
    return parse(read_file(path, false), path);
}

ConfigFile ConfigFile::parse(std::string_view text, const std::string& path) {
    toml::table table;
    try {
        table = toml::parse(text);
    } catch (const toml::parse_error& error) {
        throw std::invalid_argument(path + ":" + std::to_string(error.source().begin.line) + ": " +
                                    std::string(error.description()));
    }
    ConfigFile config;
    Section section(table, "", path);
    section.allow_only({"postgres", "owner_postgres", "redis", "secret_file", "token_prefix", "base_url",
                        "socket", "templates", "migrations", "mail", "housekeeping", "webhooks"});
    section.read("postgres", config.postgres);
    section.read("owner_postgres", config.owner_postgres);
    section.read("redis", config.redis);
    section.read("secret_file", config.secret_file);
    section.read("token_prefix", config.token_prefix);
    section.read("base_url", config.base_url);
    section.read("socket", config.socket);
    section.read("templates", config.templates);
    section.read("migrations", config.migrations);
    if (config.socket.starts_with("unix:")) {
        config.socket.erase(0, 5);
    }
    try {
        check_base_url(config.base_url);
        if (const toml::node* mail = table.get("mail")) {
            if (!mail->is_table()) {
                section.fail(*mail, "mail", "is to be a table: [mail]");
            }
            config.mail = read_mail(*mail->as_table(), path);
        }
        if (const toml::node* keep = table.get("housekeeping")) {
            if (!keep->is_table()) {
                section.fail(*keep, "housekeeping", "is to be a table: [housekeeping]");
            }
            config.housekeeping = read_housekeeping(*keep->as_table(), path);
        }
        if (const toml::node* webhooks = table.get("webhooks")) {
            if (!webhooks->is_table()) {
                section.fail(*webhooks, "webhooks", "is to be a table: [webhooks]");
            }
            config.webhooks = read_webhooks(*webhooks->as_table(), path);
        }
    } catch (const std::invalid_argument& error) {
        std::string why = error.what();
        throw std::invalid_argument(why.starts_with(path) ? why : path + ": " + why);
    }
    return config;
}

Secrets ConfigFile::load_secrets() const {
    try {
        return Secrets::parse(read_file(secret_file, true), token_prefix);
    } catch (const std::invalid_argument& error) {
        std::string why = error.what();
        throw std::invalid_argument(why.find(secret_file) != std::string::npos ? why
                                                                               : secret_file + ": " + why);
    }
}

bool MailConfig::implicit_tls() const {
    return url.starts_with("smtps://");
}

std::string MailConfig::host() const {
    std::size_t scheme = url.find("://");
    std::string host = scheme == std::string::npos ? url : url.substr(scheme + 3);
    host = host.substr(0, host.find('/'));
    if (host.starts_with('[')) {
        return host.substr(1, host.find(']') - 1);
    }
    return host.substr(0, host.find(':'));
}

bool MailConfig::loopback() const {
    std::string name = host();
    if (name == "localhost" || name == "::1") {
        return true;
    }
    bool dotted = name.starts_with("127.");
    return dotted && name.find_first_not_of("0123456789.") == std::string::npos;
}

void MailConfig::check() const {
    if (!url.starts_with("smtp://") && !implicit_tls()) {
        throw std::invalid_argument("\"mail.url\" is to begin with smtp:// or smtps://");
    }
    if (host().empty() || url.find('@') != std::string::npos) {
        throw std::invalid_argument(
            "\"mail.url\" is to be like smtp://mail.example.com:587; the login goes to "
            "mail.username and mail.password_file");
    }
    if (from.empty()) {
        throw std::invalid_argument("\"mail.from\" is missing: the address mails come from");
    }
    if (username.empty() != password_file.empty()) {
        throw std::invalid_argument("\"mail.username\" and \"mail.password_file\" go together");
    }
    bool may_be_plain = !implicit_tls() && starttls != StartTls::required;
    if (may_be_plain && !loopback() && !insecure) {
        throw std::invalid_argument(
            "\"mail.starttls\" would send portal links unencrypted to another host: use \"required\", "
            "or set mail.insecure = true");
    }
}

}  // namespace portal
