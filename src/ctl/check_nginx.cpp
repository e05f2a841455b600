// What portalctl check reads out of nginx's configuration: whether it is taken, says the same as the helper's, leaves
// room for clients and PostgreSQL, and knows its clients' addresses.
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "ctl/check.h"
#include "ctl/diagnosis.h"
#include "ctl/nginx_conf.h"
#include "ctl/session.h"

namespace portal::ctl {
namespace {

using Kind = Finding::Kind;

constexpr long fewest_clients = 500;   // of one worker, below which a portal is soon full
constexpr long helper_connections = 4;
constexpr long operator_connections = 2;

long number(std::string_view text, long otherwise) {
    long value = otherwise;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    return read.ec == std::errc() ? value : otherwise;
}

// "lookup=2" of portal_postgres
long pool_size(const NginxConf& conf, std::string_view name, long otherwise) {
    if (const NginxDirective* pool = conf.find("portal_postgres")) {
        for (std::string_view argument : pool->arguments) {
            if (argument.starts_with(name)) {
                return number(argument.substr(name.size()), otherwise);
            }
        }
    }
    return otherwise;
}

long workers_of(const NginxConf& conf) {
    const std::string workers = conf.value("worker_processes");
    return workers == "auto" ? ::sysconf(_SC_NPROCESSORS_ONLN) : number(workers, 1);
}

long database_connections(const NginxConf& conf) {
    return pool_size(conf, "lookup=", 1) + pool_size(conf, "connections=", 2);
}

Finding check_worker_connections(const NginxConf& conf) {
    const long all = number(conf.value("worker_connections"), 512);
    const long own = database_connections(conf) + (conf.find("portal_redis") ? 1 : 0) +
                     (conf.find("portal_helper") ? 1 : 0) + 1;
    const std::string detail = std::to_string(all) + " of a worker, " + std::to_string(own) +
                               " of them for PostgreSQL, Redis and the helper";
    if (all - own < fewest_clients) {
        return {"worker connections", Kind::wrong, detail,
                "raise worker_connections in events {}, to 4096 for a start"};
    }
    return {"worker connections", Kind::fine, detail, ""};
}

Finding check_database_room(const NginxConf& conf, const std::string& conninfo) {
    const long wanted = workers_of(conf) * database_connections(conf) * 2 + helper_connections + operator_connections;
    try {
        Connection connection = connect(conninfo);
        Result result = execute(connection.get(), "SELECT current_setting('max_connections')::int"
                                                  " - current_setting('superuser_reserved_connections')::int");
        const long allowed = number(PQgetvalue(result.get(), 0, 0), 0);
        const std::string detail = "this node may need " + std::to_string(wanted) + " of " +
                                   std::to_string(allowed) + " connections while it reloads";
        if (wanted > allowed) {
            return {"database room", Kind::wrong, detail,
                    "raise max_connections of PostgreSQL, or lower connections= of portal_postgres"};
        }
        return {"database room", Kind::fine, detail, ""};
    } catch (const Unreachable&) {
        return {"database room", Kind::unreachable, "cannot be looked at without the database", ""};
    } catch (const Refused& error) {
        return {"database room", Kind::wrong, error.what(), "look at the server's log"};
    }
}

// Who serves https without a certificate of his own has a proxy before him.
Finding check_real_ip(const NginxConf& conf) {
    const auto& all = conf.directives();
    const bool tls = std::any_of(all.begin(), all.end(), [](auto& each) {
        return each.name == "listen" && (each.has("ssl") || each.has("proxy_protocol"));
    });
    if (conf.find("set_real_ip_from")) {
        if (!conf.find("real_ip_header")) {
            return {"real IP", Kind::wrong, "set_real_ip_from is there, real_ip_header is not",
                    "add real_ip_header X-Forwarded-For, or what the proxy sends"};
        }
        return {"real IP", Kind::fine, "clients' addresses come from " + conf.value("real_ip_header"), ""};
    }
    if (!tls && conf.value("portal_base_url").starts_with("https:")) {
        return {"real IP", Kind::wrong,
                "the base URL is https and nginx has no certificate: a proxy is before it, whose address all "
                "clients share, and its limits",
                "add set_real_ip_from and real_ip_header to nginx's configuration"};
    }
    return {"real IP", Kind::fine, "clients come without a proxy", ""};
}

Finding check_agreement(const NginxConf& conf, const ConfigFile& config) {
    auto without = [](std::string text, std::string_view prefix) {
        return text.starts_with(prefix) ? text.substr(prefix.size()) : text;
    };
    auto differs = [](const std::string& one, const std::string& other) {
        return !one.empty() && !other.empty() && one != other;
    };
    std::string base_url = conf.value("portal_base_url");
    base_url.erase(base_url.find_last_not_of('/') + 1);
    std::string named;
    if (differs(base_url, config.base_url)) {
        named = "portal_base_url";
    } else if (differs(conf.value("portal_secret_file"), config.secret_file)) {
        named = "portal_secret_file";
    } else if (differs(without(conf.value("portal_helper"), "unix:"), without(config.socket, "unix:"))) {
        named = "portal_helper";
    } else if (conf.find("portal_helper") == nullptr) {
        return {"nginx and helper", Kind::wrong, "nginx has no portal_helper: mails wait, changes are heard of late",
                "add portal_helper unix:" + without(config.socket, "unix:")};
    } else if ((conf.find("portal_redis") != nullptr) != !config.redis.empty()) {
        named = "portal_redis";
    }
    if (!named.empty()) {
        return {"nginx and helper", Kind::wrong, named + " differs from the helper's configuration",
                "say the same in nginx's configuration and in portal.toml"};
    }
    return {"nginx and helper", Kind::fine, "say the same of secret, base URL, Redis and socket", ""};
}

}  // namespace

std::vector<Finding> check_nginx(const ConfigFile& config, const std::string& file, const std::string& conninfo) {
    if (::access(file.c_str(), F_OK) != 0) {
        return {{"nginx", Kind::fine, "not looked at: there is no " + file + " here", ""}};
    }
    try {
        const NginxConf conf = NginxConf::read(file);
        if (conf.find("portal_zone") == nullptr) {
            return {{"nginx", Kind::fine, "not looked at: " + file + " has no portal_zone, name another with --nginx", ""}};
        }
        return {
            {"nginx", Kind::fine, file + " is taken", ""},
            check_agreement(conf, config),
            check_worker_connections(conf),
            check_database_room(conf, conninfo),
            check_real_ip(conf),
        };
    } catch (const Refused& error) {
        return {{"nginx", Kind::wrong, error.what(), "mend it, nginx -t tells more; run this as root"}};
    } catch (const Unreachable& error) {
        return {{"nginx", Kind::unreachable, error.what(), "install nginx, or leave its configuration out"}};
    }
}

}  // namespace portal::ctl
