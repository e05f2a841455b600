// WebhookClient: POSTs to webhook targets: libcurl's multi interface on the helper's loop,
// connections kept alive.
//
// Every address is judged when its socket is opened, whatever the name said before. Redirects are
// not followed, proxies not used, certificates checked. Names are looked up on libcurl's own
// threads.
#pragma once

#include <curl/curl.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/loop.h"
#include "io/task.h"
#include "portal/config_file.h"

namespace portal::helper {

// What came of one POST.
struct WebhookAnswer {
    int status = 0;     // 0: none came
    std::string error;  // then why, in words that name no address
    std::string body;   // the first 2 KiB as UTF-8; "" of a target that the operator has listed
    std::optional<std::string> retry_after;
    std::int64_t duration = 0;  // ms
};

class WebhookClient {
  public:
    static constexpr std::int64_t timeout = 15000;  // ms an attempt may take

    // Throws std::invalid_argument when the CA file cannot be read.
    WebhookClient(io::Loop& loop, const WebhookConfig& config);
    ~WebhookClient();  // nobody may be waiting any more
    WebhookClient(const WebhookClient&) = delete;

    // Never throws but for lack of memory. Destroying the waiting coroutine ends the connection.
    // `headers` are whole lines.
    io::Task<WebhookAnswer> post(const std::string& url, const std::vector<std::string>& headers,
                                 const std::string& body);

  private:
    struct Transfer;
    class Socket;
    class Wait;

    static int on_socket(CURL* easy, curl_socket_t fd, int what, void* client,
                         void* socket) noexcept;
    static int on_timer(CURLM* multi, long milliseconds, void* client) noexcept;
    void ready(curl_socket_t fd, int events) noexcept;
    void collect() noexcept;

    io::Loop& loop_;
    WebhookConfig config_;
    CURLM* multi_ = nullptr;
    std::unique_ptr<io::Timer> timer_;
    std::map<curl_socket_t, std::unique_ptr<Socket>> sockets_;
};

}  // namespace portal::helper
