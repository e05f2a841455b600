#include "ctl/webhook_listener.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <map>
#include <optional>
#include <string_view>

#include "ctl/output.h"
#include "ctl/session.h"
#include "ctl/verb.h"
#include "http/json.h"
#include "portal/webhook_signature.h"

namespace portal::ctl {
namespace {

constexpr std::size_t largest_request = 1024 * 1024;
constexpr int patience = 5;  // seconds a sender may be silent

class Descriptor {
  public:
    explicit Descriptor(int fd) : fd_(fd) {}
    Descriptor(const Descriptor&) = delete;
    ~Descriptor() {
        if (fd_ >= 0) {
            ::close(fd_);
        }
    }
    int get() const { return fd_; }

  private:
    int fd_;
};

struct Received {
    std::string method, path, body;
    std::map<std::string, std::string> headers;  // by name in lower case
};

// "POST /x HTTP/1.1" and header lines; false when they are none.
bool read_head(std::string_view head, Received& request) {
    const std::size_t end = head.find("\r\n");
    const std::string_view first = head.substr(0, end);
    const std::size_t method = first.find(' ');
    const std::size_t path = first.find(' ', method + 1);
    if (method == first.npos || path == first.npos ||
        !first.substr(path + 1).starts_with("HTTP/1.")) {
        return false;
    }
    request.method = first.substr(0, method);
    request.path = first.substr(method + 1, path - method - 1);
    head.remove_prefix(end == head.npos ? head.size() : end + 2);
    while (!head.empty()) {
        const std::string_view line = head.substr(0, head.find("\r\n"));
        const std::size_t colon = line.find(':');
        if (colon == line.npos) {
            return false;
        }
        std::string name(line.substr(0, colon));
        std::ranges::transform(name, name.begin(),
                               [](char c) { return c >= 'A' && c <= 'Z' ? char(c | 0x20) : c; });
        const std::size_t begin = std::min(line.find_first_not_of(" \t", colon + 1), line.size());
        request.headers[name] = line.substr(begin);
        head.remove_prefix(std::min(line.size() + 2, head.size()));
    }
    return true;
}

// One request with a Content-Length; nullopt when it is none, or does not come to its end.
std::optional<Received> receive(int fd) {
    std::string bytes;
    char buffer[16 * 1024];
    std::size_t begin = std::string::npos, length = 0;
    Received request;
    while (begin == std::string::npos || bytes.size() < begin + length) {
        const ssize_t size = ::recv(fd, buffer, sizeof buffer, 0);
        if (size <= 0 || bytes.size() > largest_request) {
            return std::nullopt;
        }
        bytes.append(buffer, std::size_t(size));
        const std::size_t end = bytes.find("\r\n\r\n");
        if (begin == std::string::npos && end != std::string::npos) {
            begin = end + 4;
            if (!read_head(std::string_view(bytes).substr(0, end), request)) {
                return std::nullopt;
            }
            const std::string& told = request.headers["content-length"];
            std::from_chars(told.data(), told.data() + told.size(), length);
            if (length > largest_request) {
                return std::nullopt;
            }
        }
    }
    request.body = bytes.substr(begin, length);
    return request;
}

void answer(int fd, const char* status, const std::string& text) {
    const std::string body = text.empty() ? "" : text + "\n";
    std::string bytes = std::string("HTTP/1.1 ") + status + "\r\nConnection: close\r\n";
    if (!body.empty()) {
        bytes +=
            "Content-Type: text/plain\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
    }
    bytes += "\r\n" + body;
    [[maybe_unused]] const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

// Without what only a broken sender puts there, so that the terminal shows what was sent and obeys
// nothing of it.
http::Json readable(const std::string& body) {
    json_t* parsed =
        json_loadb(body.data(), body.size(), JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, nullptr);
    return parsed ? http::Json::steal(parsed) : http::Json(body);
}

void print(const Received& request, const std::string& doubt, bool json) {
    auto header = [&](const char* name) {
        auto found = request.headers.find(name);
        return found == request.headers.end() ? std::string() : found->second;
    };
    const http::Json body = readable(request.body);
    if (json) {
        print_line(
            http::Json::object({{"id", header("webhook-id")},
                                {"timestamp", header("webhook-timestamp")},
                                {"verified", doubt.empty()},
                                {"doubt", doubt.empty() ? http::Json(nullptr) : http::Json(doubt)},
                                {"body", body}})
                .dump());
    } else {
        print_line((doubt.empty() ? "verified  " : "REFUSED   ") + header("webhook-id") + "  " +
                   (body.is_object() ? std::string(body["type"].text()) : std::string()));
        if (!doubt.empty()) {
            print_line("  " + doubt);
        }
        print_line("  " + (body.is_object() ? body.dump() : request.body));
    }
    std::fflush(stdout);
}

std::string doubt_of(const Received& request, const std::string& key) {
    if (request.method != "POST") {
        return "a webhook is a POST";
    }
    auto header = [&](const char* name) {
        auto found = request.headers.find(name);
        return found == request.headers.end() ? std::string() : found->second;
    };
    return webhook_doubt(key, header("webhook-id"), header("webhook-timestamp"),
                         header("webhook-signature"), request.body, std::time(nullptr));
}

}  // namespace

bool WebhookListener::run(bool json) {
    const char* from_environment = std::getenv("WEBHOOK_SECRET");
    const std::string text = secret.empty() && from_environment ? from_environment : secret;
    const std::optional<std::string> key = webhook_key(text);
    if (!key) {
        throw UsageError(
            "webhook listen: --secret or $WEBHOOK_SECRET is to be whsec_ and base64 of 24 to 64 "
            "bytes");
    }
    if (port < 0 || port > 65535) {
        throw UsageError("--port: is to be from 0 to 65535");
    }
    Descriptor listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(std::uint16_t(port));
    socklen_t size = sizeof address;
    const int on = 1;
    ::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::listen(listener.get(), 64) != 0 ||
        ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
        throw Unreachable("port " + std::to_string(port) +
                          " of 127.0.0.1: " + std::strerror(errno));
    }
    std::fprintf(stderr, "Listening at http://127.0.0.1:%d/; Ctrl-C ends.\n",
                 int(ntohs(address.sin_port)));
    bool all_good = true;
    for (std::int64_t taken = 0; count == 0 || taken < count;) {
        Descriptor connection(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (connection.get() < 0) {
            continue;
        }
        const timeval limit{patience, 0};
        ::setsockopt(connection.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        ::setsockopt(connection.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        std::optional<Received> request = receive(connection.get());
        if (!request) {
            answer(connection.get(), "400 Bad Request", "no HTTP request with a Content-Length");
            continue;
        }
        const std::string doubt = doubt_of(*request, *key);
        print(*request, doubt, json);
        doubt.empty() ? answer(connection.get(), "204 No Content", "")
                      : answer(connection.get(), "400 Bad Request", doubt);
        all_good = all_good && doubt.empty();
        ++taken;
    }
    return all_good;
}

}  // namespace portal::ctl
