// RedisOptions::parse: the URL an operator writes.
#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <charconv>

#include "io/redis.h"

namespace portal::io {
namespace {

[[noreturn]] void refuse(const std::string& reason) { throw std::invalid_argument(reason); }

int parse_number(std::string_view text, int largest, const char* what) {
    int number = -1;
    const char* end = text.data() + text.size();
    auto [stopped, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || stopped != end || number < 0 || number > largest) {
        refuse(std::string("the ") + what + " \"" + std::string(text) + "\" is not a number from 0 to " +
               std::to_string(largest));
    }
    return number;
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

// User and password may hold any character, written %XX.
std::string decode_credential(std::string_view text) {
    std::string decoded;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            decoded += text[i];
            continue;
        }
        int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
        int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
        if (high < 0 || low < 0) {
            refuse("a % in the user or password must be followed by two hexadecimal digits");
        }
        decoded += char(high * 16 + low);
        i += 2;
    }
    return decoded;
}

bool is_address(const std::string& host) {
    in6_addr address;
    return inet_pton(AF_INET, host.c_str(), &address) == 1 || inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

std::string look_up(const std::string& host) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    addrinfo* found = nullptr;
    int error = getaddrinfo(host.c_str(), nullptr, &hints, &found);
    if (error != 0) {
        refuse("the host \"" + host + "\" cannot be resolved: " + gai_strerror(error));
    }
    char address[NI_MAXHOST];
    error = getnameinfo(found->ai_addr, found->ai_addrlen, address, sizeof address, nullptr, 0, NI_NUMERICHOST);
    freeaddrinfo(found);
    if (error != 0) {
        refuse("the host \"" + host + "\" has no usable address: " + gai_strerror(error));
    }
    return address;
}

RedisOptions parse_unix(std::string_view rest) {
    RedisOptions options;
    std::size_t query = rest.find('?');
    std::string_view path = rest.substr(0, query);
    if (path.starts_with("//")) {
        path.remove_prefix(2);
    }
    if (!path.starts_with('/') || path.size() >= sizeof(sockaddr_un::sun_path)) {
        refuse("unix: must be followed by the absolute path of a socket, of at most 107 characters");
    }
    options.unix_path = path;
    if (query != std::string_view::npos) {
        std::string_view parameter = rest.substr(query + 1);
        if (!parameter.starts_with("db=")) {
            refuse("after the socket's path only ?db=NUMBER is known");
        }
        options.database = parse_number(parameter.substr(3), 1'000'000, "database");
    }
    return options;
}

}  // namespace

RedisOptions RedisOptions::parse(std::string_view url, bool resolve) {
    if (url.starts_with("unix:")) {
        return parse_unix(url.substr(5));
    }
    if (url.starts_with("rediss://")) {
        refuse("rediss:// (TLS) is not supported; use redis:// over a private network, a tunnel or a unix socket");
    }
    if (!url.starts_with("redis://")) {
        refuse("a Redis URL is redis://[user:password@]host[:port][/database] or unix:/path[?db=number]");
    }
    url.remove_prefix(8);
    RedisOptions options;

    if (std::size_t at = url.rfind('@'); at != std::string_view::npos) {
        std::string_view credentials = url.substr(0, at);
        url.remove_prefix(at + 1);
        std::size_t colon = credentials.find(':');
        if (colon == std::string_view::npos) {
            refuse("before the @ stands user:password, or :password");
        }
        options.username = decode_credential(credentials.substr(0, colon));
        options.password = decode_credential(credentials.substr(colon + 1));
        if (options.password.empty()) {
            refuse("the password before the @ is empty");
        }
    }
    if (std::size_t slash = url.find('/'); slash != std::string_view::npos) {
        std::string_view database = url.substr(slash + 1);
        url = url.substr(0, slash);
        if (!database.empty()) {
            options.database = parse_number(database, 1'000'000, "database");
        }
    }

    std::string_view port;
    if (url.starts_with('[')) {
        std::size_t bracket = url.find(']');
        if (bracket == std::string_view::npos) {
            refuse("the [ of an IPv6 address is not closed");
        }
        options.host = url.substr(1, bracket - 1);
        port = url.substr(bracket + 1);
    } else {
        std::size_t colon = url.find(':');
        options.host = url.substr(0, colon);
        port = colon == std::string_view::npos ? std::string_view() : url.substr(colon);
    }
    if (!port.empty()) {
        if (port.front() != ':') {
            refuse("after the host comes :port");
        }
        options.port = parse_number(port.substr(1), 65535, "port");
    }
    if (options.port == 0) {
        refuse("port 0 cannot be connected to");
    }
    if (options.host.empty()) {
        refuse("the host is missing");
    }
    if (!is_address(options.host)) {
        if (!resolve) {
            refuse("the host \"" + options.host + "\" must be a numeric address");
        }
        options.host = look_up(options.host);
    }
    return options;
}

}  // namespace portal::io
