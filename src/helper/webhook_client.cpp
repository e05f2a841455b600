#include "helper/webhook_client.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <coroutine>
#include <cstring>
#include <new>
#include <stdexcept>

#include "http/json.h"
#include "http/validation.h"

namespace portal::helper {

namespace {

constexpr std::size_t most_read = 64 * 1024;  // of an answer's body, and of its head
constexpr std::size_t most_kept = 2 * 1024;
constexpr long most_idle = 512;  // connections kept

struct CurlDeleter {
    void operator()(CURL* easy) const noexcept { curl_easy_cleanup(easy); }
    void operator()(CURLU* url) const noexcept { curl_url_cleanup(url); }
    void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
};

// What can be stored as text: invalid UTF-8 and NUL become U+FFFD, and no character is cut in two.
std::string as_text(std::string_view bytes, bool cut) {
    if (cut) {
        std::size_t end = bytes.size();
        for (std::size_t back = 1; back <= 3 && back <= end; ++back) {
            const unsigned char byte = static_cast<unsigned char>(bytes[end - back]);
            if (byte >= 0xc0) {
                bytes.remove_suffix(back);
                break;
            }
            if (byte < 0x80) {
                break;
            }
        }
    }
    std::string text(http::Json(bytes).text());
    for (std::size_t at = 0; (at = text.find('\0', at)) != std::string::npos;) {
        text.replace(at, 1, "\xef\xbf\xbd");
    }
    return text;
}

}  // namespace

// One POST, from its start to its answer.
struct WebhookClient::Transfer {
    explicit Transfer(WebhookClient& client_) : client(client_) {}

    WebhookClient& client;
    Wait* wait = nullptr;
    std::unique_ptr<CURLU, CurlDeleter> url{curl_url()};
    std::unique_ptr<curl_slist, CurlDeleter> headers;
    std::unique_ptr<CURL, CurlDeleter> easy{curl_easy_init()};  // goes before what it refers to
    std::size_t head_size = 0, body_size = 0;
    bool refused = false;  // an address was
    bool enough = false;   // more of the answer is not read
    std::string body;
    WebhookAnswer answer;

    bool prepare(const std::string& target, const std::vector<std::string>& lines,
                 const std::string& payload);
    void finish(CURLcode code);

    static curl_socket_t on_open(void* transfer, curlsocktype, curl_sockaddr* address) noexcept;
    static std::size_t on_header(char* data, std::size_t, std::size_t size,
                                 void* transfer) noexcept;
    static std::size_t on_body(char* data, std::size_t, std::size_t size, void* transfer) noexcept;
};

// libcurl's interest in one descriptor, which is libcurl's.
class WebhookClient::Socket final : public io::Watcher {
  public:
    Socket(WebhookClient& client, curl_socket_t fd)
        : client_(client), fd_(fd), watch_(client.loop_.watch(fd, *this)) {}
    bool usable() const { return watch_ != nullptr; }
    void want(int what) { watch_->want((what & CURL_POLL_IN) != 0, (what & CURL_POLL_OUT) != 0); }
    void on_ready(bool readable, bool writable) noexcept override {
        client_.ready(fd_, (readable ? CURL_CSELECT_IN : 0) | (writable ? CURL_CSELECT_OUT : 0));
    }

  private:
    WebhookClient& client_;
    curl_socket_t fd_;
    std::unique_ptr<io::Watch> watch_;
};

// The awaiter of post().
class WebhookClient::Wait {
  public:
    explicit Wait(Transfer& transfer) : transfer_(transfer) { transfer_.wait = this; }
    Wait(const Wait&) = delete;
    ~Wait() {
        if (running_) {
            curl_multi_remove_handle(transfer_.client.multi_, transfer_.easy.get());
        }
    }
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> caller) noexcept {
        caller_ = caller;
        running_ = curl_multi_add_handle(transfer_.client.multi_, transfer_.easy.get()) == CURLM_OK;
        return running_;
    }
    void await_resume() const noexcept {}

    void done(CURLcode code) {
        curl_multi_remove_handle(transfer_.client.multi_, transfer_.easy.get());
        running_ = false;
        transfer_.finish(code);
        caller_.resume();
    }

  private:
    Transfer& transfer_;
    std::coroutine_handle<> caller_;
    bool running_ = false;
};

WebhookClient::WebhookClient(io::Loop& loop, const WebhookConfig& config)
    : loop_(loop), config_(config) {
    if (!config_.ca_file.empty()) {
        read_file(config_.ca_file, false);
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
    multi_ = curl_multi_init();
    if (!multi_) {
        throw std::bad_alloc();
    }
    timer_ = loop_.timer([this] { ready(CURL_SOCKET_TIMEOUT, 0); }, io::Loop::Hold::nothing);
    curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &WebhookClient::on_socket);
    curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
    curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &WebhookClient::on_timer);
    curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
    curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, most_idle);
}

WebhookClient::~WebhookClient() {
    curl_multi_cleanup(multi_);
    sockets_.clear();
}

io::Task<WebhookAnswer> WebhookClient::post(const std::string& url,
                                            const std::vector<std::string>& headers,
                                            const std::string& body) {
    Transfer transfer(*this);
    const std::int64_t begun = loop_.now();
    if (transfer.prepare(url, headers, body)) {
        transfer.answer.error = "the attempt could not be started";
        Wait wait(transfer);
        co_await wait;
    }
    transfer.answer.duration = loop_.now() - begun;
    co_return std::move(transfer.answer);
}

bool WebhookClient::Transfer::prepare(const std::string& target,
                                      const std::vector<std::string>& lines,
                                      const std::string& payload) {
    if (!url || !easy) {
        throw std::bad_alloc();
    }
    const WebhookTargets& targets = client.config_.targets;
    answer.error = targets.trouble(target);
    if (!answer.error.empty()) {
        return false;
    }
    const bool plain = targets.may_be_plain(http::split_url(target).host);
    if (curl_url_set(url.get(), CURLUPART_URL, target.c_str(), 0) != CURLUE_OK) {
        answer.error = "The URL cannot be used.";
        return false;
    }
    for (const std::string& line : lines) {
        curl_slist* longer = curl_slist_append(headers.get(), line.c_str());
        if (!longer) {
            throw std::bad_alloc();
        }
        headers.release();
        headers.reset(longer);
    }
    bool all = true;
    auto set = [&](CURLoption option, auto value) {
        all = all && curl_easy_setopt(easy.get(), option, value) == CURLE_OK;
    };
    set(CURLOPT_CURLU, url.get());
    set(CURLOPT_PROTOCOLS_STR, plain ? "http,https" : "https");
    set(CURLOPT_FOLLOWLOCATION, 0L);
    set(CURLOPT_PROXY, "");
    set(CURLOPT_NOPROXY, "*");
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_QUICK_EXIT, 1L);  // a name that is still looked up is not waited for
    set(CURLOPT_HTTP_VERSION, long(CURL_HTTP_VERSION_1_1));
    set(CURLOPT_TIMEOUT_MS, long(timeout));
    set(CURLOPT_CONNECTTIMEOUT_MS, long(timeout));
    set(CURLOPT_SSLVERSION,
        long(CURL_SSLVERSION_TLSv1_2));  // certificates are checked unless one says otherwise
    if (!client.config_.ca_file.empty()) {
        set(CURLOPT_CAINFO, client.config_.ca_file.c_str());
    }
    set(CURLOPT_HTTPHEADER, headers.get());
    set(CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(payload.size()));
    set(CURLOPT_POSTFIELDS, payload.data());  // the caller's, as long as this lives
    set(CURLOPT_OPENSOCKETFUNCTION, &Transfer::on_open);
    set(CURLOPT_OPENSOCKETDATA, static_cast<void*>(this));
    set(CURLOPT_HEADERFUNCTION, &Transfer::on_header);
    set(CURLOPT_HEADERDATA, static_cast<void*>(this));
    set(CURLOPT_WRITEFUNCTION, &Transfer::on_body);
    set(CURLOPT_WRITEDATA, static_cast<void*>(this));
    set(CURLOPT_PRIVATE, static_cast<void*>(this));
    if (!all) {
        answer.error = "the attempt could not be started";
    }
    return all;
}

// The address that is really connected to.
curl_socket_t WebhookClient::Transfer::on_open(void* transfer, curlsocktype,
                                               curl_sockaddr* address) noexcept {
    Transfer& self = *static_cast<Transfer*>(transfer);
    try {
        WebhookTargets targets = self.client.config_.targets;
        targets.own = own_addresses();  // as they are now
        std::optional<IpAddress> target = IpAddress::of(&address->addr);
        if (target && targets.may_connect(*target)) {
            return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
        }
    } catch (...) {  // what cannot be judged is refused
    }
    self.refused = true;
    return CURL_SOCKET_BAD;
}

std::size_t WebhookClient::Transfer::on_header(char* data, std::size_t, std::size_t size,
                                               void* transfer) noexcept {
    Transfer& self = *static_cast<Transfer*>(transfer);
    self.head_size += size;
    if (self.head_size > most_read) {
        return 0;
    }
    constexpr std::string_view name = "retry-after:";
    std::string_view line(data, size);
    if (line.size() > name.size() && ::strncasecmp(line.data(), name.data(), name.size()) == 0) {
        line.remove_prefix(name.size());
        const std::size_t begin = std::min(line.find_first_not_of(" \t"), line.size());
        const std::size_t end = line.find_last_not_of(" \t\r\n");
        try {
            self.answer.retry_after.emplace(
                line.substr(begin, end == line.npos ? 0 : end + 1 - begin));
        } catch (...) {
            return 0;
        }
    }
    return size;
}

std::size_t WebhookClient::Transfer::on_body(char* data, std::size_t, std::size_t size,
                                             void* transfer) noexcept {
    Transfer& self = *static_cast<Transfer*>(transfer);
    try {
        self.body.append(data, std::min(size, most_kept - self.body.size()));
    } catch (...) {
        return 0;
    }
    self.body_size += size;
    self.enough = self.body_size >= most_read;
    return self.enough ? 0 : size;  // ends the transfer; the status is known
}

void WebhookClient::Transfer::finish(CURLcode code) {
    answer.error.clear();
    if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && enough)) {
        long status = 0;
        curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &status);
        answer.status = int(status);
    } else {
        // libcurl's longer words may name the address
        answer.error = refused ? "the address is not public" : curl_easy_strerror(code);
    }
    char* connected = nullptr;
    curl_easy_getinfo(easy.get(), CURLINFO_PRIMARY_IP, &connected);
    std::optional<IpAddress> address = IpAddress::parse(connected ? connected : "");
    if (address && !client.config_.targets.listed(*address)) {
        answer.body = as_text(body, body_size > body.size());
    }
}

int WebhookClient::on_socket(CURL*, curl_socket_t fd, int what, void* self, void*) noexcept {
    WebhookClient& client = *static_cast<WebhookClient*>(self);
    try {
        if (what == CURL_POLL_REMOVE) {
            client.sockets_.erase(fd);
            return 0;
        }
        std::unique_ptr<Socket>& socket = client.sockets_[fd];
        if (!socket) {
            socket = std::make_unique<Socket>(client, fd);
        }
        if (!socket->usable()) {
            client.sockets_.erase(fd);
            return -1;
        }
        socket->want(what);
        return 0;
    } catch (...) {
        return -1;
    }
}

int WebhookClient::on_timer(CURLM*, long milliseconds, void* client) noexcept {
    io::Timer& timer = *static_cast<WebhookClient*>(client)->timer_;
    milliseconds < 0 ? timer.cancel() : timer.set(milliseconds);
    return 0;
}

void WebhookClient::ready(curl_socket_t fd, int events) noexcept {
    int running = 0;
    curl_multi_socket_action(multi_, fd, events, &running);
    collect();
}

void WebhookClient::collect() noexcept {
    int left = 0;
    while (CURLMsg* message = curl_multi_info_read(multi_, &left)) {
        if (message->msg != CURLMSG_DONE) {
            continue;
        }
        char* transfer = nullptr;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
        const CURLcode code = message->data.result;
        reinterpret_cast<Transfer*>(transfer)->wait->done(code);
    }
}

}  // namespace portal::helper
