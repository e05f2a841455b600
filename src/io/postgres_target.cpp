#include "io/postgres_target.h"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>

namespace portal::io {
namespace {

std::vector<std::string> split(const std::string& list) {
    std::vector<std::string> parts;
    std::size_t begin = 0;
    for (std::size_t comma; (comma = list.find(',', begin)) != std::string::npos; begin = comma + 1) {
        parts.push_back(list.substr(begin, comma - begin));
    }
    parts.push_back(list.substr(begin));
    return parts;
}

std::string join_from(const std::vector<std::string>& parts, std::size_t first) {
    std::string list;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        list += i ? "," : "";
        list += parts[(first + i) % parts.size()];
    }
    return list;
}

std::string quoted(const std::string& value) {
    std::string text = "'";
    for (char c : value) {
        if (c == '\'' || c == '\\') {
            text += '\\';
        }
        text += c;
    }
    return text + "'";
}

bool is_name(const std::string& host) { return !host.empty() && host.front() != '/' && host.front() != '@'; }

std::vector<std::string> look_up(const std::string& host) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    addrinfo* found = nullptr;
    int error = getaddrinfo(host.c_str(), nullptr, &hints, &found);
    if (error != 0) {
        throw std::invalid_argument("the host \"" + host + "\" cannot be resolved: " + gai_strerror(error));
    }
    std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> guard(found, &freeaddrinfo);
    std::vector<std::string> addresses;
    for (addrinfo* each = found; each; each = each->ai_next) {
        char address[NI_MAXHOST];
        if (getnameinfo(each->ai_addr, each->ai_addrlen, address, sizeof address, nullptr, 0, NI_NUMERICHOST) == 0) {
            addresses.emplace_back(address);
        }
    }
    if (addresses.empty()) {
        throw std::invalid_argument("the host \"" + host + "\" has no usable address");
    }
    return addresses;
}

}  // namespace

std::string one_line(const char* message) {
    std::string line = message ? message : "";
    std::replace_if(line.begin(), line.end(), [](unsigned char c) { return c < ' '; }, ' ');
    line.erase(line.find_last_not_of(' ') + 1);
    return line;
}

PostgresTarget::PostgresTarget(const PostgresOptions& options) : application_name_(options.application_name) {
    char* reason = nullptr;
    std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> parsed(
        PQconninfoParse(options.conninfo.c_str(), &reason), &PQconninfoFree);
    if (!parsed) {
        std::string text = reason ? one_line(reason) : "out of memory";
        PQfreemem(reason);
        throw std::invalid_argument(text);
    }
    for (const PQconninfoOption* option = parsed.get(); option->keyword; ++option) {
        if (!option->val || !*option->val) {
            continue;
        }
        std::string keyword = option->keyword;
        if (keyword == "host") {
            hosts_ = split(option->val);
        } else if (keyword == "hostaddr") {
            addresses_ = split(option->val);
        } else if (keyword == "port") {
            ports_ = split(option->val);
        } else {
            settings_.emplace_back(keyword, option->val);
        }
    }
    std::size_t count = std::max(hosts_.size(), addresses_.size());
    auto fits = [count](const std::vector<std::string>& list) { return list.empty() || list.size() == count; };
    if (!fits(hosts_) || !fits(addresses_) || (ports_.size() > 1 && !fits(ports_))) {
        throw std::invalid_argument("host, hostaddr and port name different numbers of hosts");
    }
}

PGconn* PostgresTarget::start(std::size_t first) const {
    std::string hosts = join_from(hosts_, first);
    std::string addresses = join_from(addresses_, first);
    std::string ports = join_from(ports_, first);
    std::vector<const char*> keywords, values;
    auto set = [&](const char* keyword, const char* value) {
        keywords.push_back(keyword);
        values.push_back(value);
    };
    // a later setting wins: defaults, what the operator wrote, what must be so
    set("application_name", application_name_.c_str());
    set("keepalives_idle", "10");
    set("keepalives_interval", "5");
    set("keepalives_count", "3");
    set("tcp_user_timeout", "10000");
    for (const Setting& setting : settings_) {
        set(setting.first.c_str(), setting.second.c_str());
    }
    set("host", hosts.c_str());
    set("hostaddr", addresses.c_str());
    set("port", ports.c_str());
    set("client_encoding", "UTF8");
    set("gssencmode", "disable");   // with a ticket at hand it would cost a round trip and another socket
    set(nullptr, nullptr);
    return PQconnectStartParams(keywords.data(), values.data(), 0);
}

std::string PostgresTarget::resolved() const {
    std::vector<std::string> hosts = hosts_, addresses = addresses_, ports = ports_;
    if (addresses.empty() && std::any_of(hosts.begin(), hosts.end(), is_name)) {
        hosts.clear();
        ports.clear();
        for (std::size_t i = 0; i < hosts_.size(); ++i) {
            std::vector<std::string> found(1);
            if (is_name(hosts_[i])) {
                found = look_up(hosts_[i]);
            }
            for (const std::string& address : found) {
                hosts.push_back(hosts_[i]);
                addresses.push_back(address);
                if (!ports_.empty()) {
                    ports.push_back(ports_[i % ports_.size()]);
                }
            }
        }
    }
    std::string text;
    auto set = [&text](const std::string& keyword, const std::string& value) {
        if (!value.empty()) {
            text += (text.empty() ? "" : " ") + keyword + "=" + quoted(value);
        }
    };
    set("host", join_from(hosts, 0));
    set("hostaddr", join_from(addresses, 0));
    set("port", join_from(ports, 0));
    for (const Setting& setting : settings_) {
        set(setting.first, setting.second);
    }
    return text;
}

PostgresOptions PostgresOptions::resolve(std::string conninfo) {
    PostgresOptions options;
    options.conninfo = std::move(conninfo);
    options.conninfo = PostgresTarget(options).resolved();
    return options;
}

}  // namespace portal::io
