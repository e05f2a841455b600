#include "helper/mailer.h"

#include <curl/curl.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <coroutine>
#include <cstdlib>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string_view>

namespace portal::helper {

namespace {

using Clock = std::chrono::steady_clock;

constexpr long connect_timeout = 10;   // seconds
constexpr std::chrono::seconds last_word{2};   // how long an abandoned delivery waits for it

struct CurlDeleter {
    void operator()(CURL* easy) const noexcept { curl_easy_cleanup(easy); }
    void operator()(curl_mime* mime) const noexcept { curl_mime_free(mime); }
    void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
};
using Easy = std::unique_ptr<CURL, CurlDeleter>;
using Mime = std::unique_ptr<curl_mime, CurlDeleter>;
using List = std::unique_ptr<curl_slist, CurlDeleter>;

void check(CURLcode code) {
    if (code != CURLE_OK) {
        throw std::runtime_error(curl_easy_strerror(code));
    }
}

void append(List& list, const std::string& line) {
    curl_slist* longer = curl_slist_append(list.get(), line.c_str());
    if (!longer) {
        throw std::bad_alloc();
    }
    list.release();
    list.reset(longer);
}

void add_part(curl_mime* alternatives, const char* type, const std::string& body) {
    curl_mimepart* part = curl_mime_addpart(alternatives);
    std::string lines = crlf(body);
    check(curl_mime_data(part, lines.data(), lines.size()));
    check(curl_mime_type(part, type));
    check(curl_mime_encoder(part, "quoted-printable"));
}

}  // namespace

// One mail on a connection and a thread of its own. The loop's thread makes and frees it; in between it is the
// thread's, but for `abandoned` and `wait`.
struct Mailer::Delivery {
    Mailer& mailer;
    uv_work_t work{};
    Wait* wait = nullptr;                  // loop thread only: who is told
    std::atomic<bool> abandoned = false;

    Easy easy{curl_easy_init()};
    List headers, recipients;
    Mime mime;                             // before `easy` goes, as libcurl wants it
    std::string reply;                     // the server's last reply, its lines joined
    bool reply_whole = true;
    char error[CURL_ERROR_SIZE] = {};
    SendOutcome outcome;
    std::optional<Cancelled> cancelled;
    std::optional<Clock::time_point> abandoned_at;   // when its thread noticed

    Delivery(Mailer& mailer_, const Message& message);
    void perform() noexcept;
    void note(std::string_view line);
    int status() const;                    // the last reply's code
    curl_off_t uploaded() const;
    void decide(CURLcode code);
    static std::size_t on_reply(char* data, std::size_t, std::size_t size, void* delivery) noexcept;
    static int on_progress(void* delivery, curl_off_t, curl_off_t, curl_off_t, curl_off_t uploaded) noexcept {
        return static_cast<Delivery*>(delivery)->is_over(uploaded > 0) ? 1 : 0;
    }
    bool is_over(bool handed_over);
};

// The awaiter of send().
class Mailer::Wait {
  public:
    explicit Wait(std::unique_ptr<Delivery> delivery) : delivery_(std::move(delivery)) {}
    Wait(const Wait&) = delete;
    ~Wait() {
        if (running_) {
            running_->abandoned = true;
            running_->wait = nullptr;
        }
    }

    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> caller) {
        caller_ = caller;
        delivery_->wait = this;
        delivery_->work.data = delivery_.get();
        int failed = uv_queue_work(delivery_->mailer.loop_.raw(), &delivery_->work,
                                   [](uv_work_t* work) { static_cast<Delivery*>(work->data)->perform(); },
                                   [](uv_work_t* work, int) { Wait::done(static_cast<Delivery*>(work->data)); });
        if (failed != 0) {
            throw std::runtime_error(uv_strerror(failed));
        }
        running_ = delivery_.release();
        running_->mailer.running_.insert(running_);
    }
    SendOutcome await_resume() {
        if (cancelled_) {
            throw *cancelled_;
        }
        return std::move(outcome_);
    }

  private:
    static void done(Delivery* finished) {
        std::unique_ptr<Delivery> delivery(finished);
        delivery->mailer.running_.erase(finished);
        if (Wait* wait = delivery->wait) {
            wait->running_ = nullptr;
            wait->outcome_ = std::move(delivery->outcome);
            wait->cancelled_ = delivery->cancelled;
            wait->caller_.resume();
        }
    }

    std::unique_ptr<Delivery> delivery_;   // until it runs
    Delivery* running_ = nullptr;          // while it runs; done() frees it
    std::coroutine_handle<> caller_;
    SendOutcome outcome_;
    std::optional<Cancelled> cancelled_;
};

Mailer::Delivery::Delivery(Mailer& mailer_, const Message& message) : mailer(mailer_) {
    if (!easy) {
        throw std::bad_alloc();
    }
    const MailConfig& config = mailer.config_;
    auto set = [this](CURLoption option, auto value) { check(curl_easy_setopt(easy.get(), option, value)); };
    set(CURLOPT_ERRORBUFFER, error);
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    set(CURLOPT_PROXY, "");
    set(CURLOPT_URL, mailer.url_.c_str());
    set(CURLOPT_CONNECTTIMEOUT, connect_timeout);
    set(CURLOPT_TIMEOUT, long(config.timeout));
    set(CURLOPT_FORBID_REUSE, 1L);
    set(CURLOPT_NOPROGRESS, 0L);
    set(CURLOPT_XFERINFOFUNCTION, &Delivery::on_progress);
    set(CURLOPT_XFERINFODATA, static_cast<void*>(this));

    // certificates are checked by default, and nothing here turns that off
    set(CURLOPT_SSLVERSION, long(CURL_SSLVERSION_TLSv1_2));
    if (!config.implicit_tls() && config.starttls != MailConfig::StartTls::off) {
        bool required = config.starttls == MailConfig::StartTls::required;
        set(CURLOPT_USE_SSL, long(required ? CURLUSESSL_ALL : CURLUSESSL_TRY));
    }
    if (!config.ca_file.empty()) {
        set(CURLOPT_CAINFO, config.ca_file.c_str());
    }
    if (!config.username.empty()) {
        set(CURLOPT_USERNAME, config.username.c_str());
        set(CURLOPT_PASSWORD, mailer.password_.c_str());
    }

    std::string sender = "<" + message.from.address + ">";
    set(CURLOPT_MAIL_FROM, sender.c_str());
    append(recipients, "<" + message.to.address + ">");
    set(CURLOPT_MAIL_RCPT, recipients.get());

    mime.reset(curl_mime_init(easy.get()));
    add_part(mime.get(), "text/plain; charset=utf-8", message.text);
    add_part(mime.get(), "text/html; charset=utf-8", message.html);
    for (const std::string& line : message.headers()) {
        append(headers, line);
    }
    append(headers, "Content-Type: multipart/alternative");
    set(CURLOPT_HTTPHEADER, headers.get());
    set(CURLOPT_MIMEPOST, mime.get());

    set(CURLOPT_HEADERFUNCTION, &Delivery::on_reply);
    set(CURLOPT_HEADERDATA, static_cast<void*>(this));
}

void Mailer::Delivery::perform() noexcept {
    CURLcode code = abandoned ? CURLE_ABORTED_BY_CALLBACK : curl_easy_perform(easy.get());
    try {
        decide(code);
    } catch (...) {   // no memory for the reply's text: the outcome stands
    }
}

// libcurl tells the server's lines as headers, one call each: "250-SIZE 100\r\n", "250 OK\r\n".
std::size_t Mailer::Delivery::on_reply(char* data, std::size_t, std::size_t size, void* delivery) noexcept {
    try {
        static_cast<Delivery*>(delivery)->note({data, size});
        return size;
    } catch (...) {
        return 0;
    }
}

void Mailer::Delivery::note(std::string_view line) {
    if (line.starts_with("221")) {
        return;   // goodbye; what was said before counts
    }
    if (reply_whole) {
        reply = line;
    } else if (reply.size() < 2000) {
        reply += " ";
        reply += line.substr(std::min<std::size_t>(4, line.size()));
    }
    reply_whole = line.size() < 4 || line[3] != '-';
    // Once the mail is accepted or something is refused, QUIT follows: nobody needs to wait long for its answer.
    bool over = status() >= 400 || (status() == 250 && uploaded() > 0);
    curl_easy_setopt(easy.get(), CURLOPT_SERVER_RESPONSE_TIMEOUT, over ? 1L : long(mailer.config_.timeout));
}

// Whether an abandoned one may end now: where the server has the mail, it is given time to say what it makes of it.
bool Mailer::Delivery::is_over(bool handed_over) {
    if (!abandoned) {
        return false;
    }
    const Clock::time_point now = Clock::now();
    abandoned_at = abandoned_at.value_or(now);
    return !handed_over || now - *abandoned_at >= last_word;
}

int Mailer::Delivery::status() const {
    int code = 0;
    std::from_chars(reply.data(), reply.data() + std::min<std::size_t>(3, reply.size()), code);
    return code;
}

curl_off_t Mailer::Delivery::uploaded() const {
    curl_off_t bytes = 0;
    curl_easy_getinfo(easy.get(), CURLINFO_SIZE_UPLOAD_T, &bytes);
    return bytes;
}

void Mailer::Delivery::decide(CURLcode code) {
    // MAIL, RCPT and DATA fail as "send error"; the mail's own refusal as a "weird reply" after it was uploaded.
    // 530 to 538 speak of AUTH and TLS: not this mail's fault.
    bool about_the_mail = code == CURLE_SEND_ERROR || (code == CURLE_WEIRD_SERVER_REPLY && uploaded() > 0);
    bool for_good = status() >= 500 && status() <= 599 && !(status() >= 530 && status() <= 538);
    bool accepted = status() == 250 && uploaded() > 0;   // however the goodbye went
    if (code == CURLE_OK || accepted) {
        outcome.result = SendOutcome::Result::sent;
    } else if (about_the_mail && for_good) {
        outcome.result = SendOutcome::Result::refused;
    } else if (status() < 400) {   // the server had nothing against it
        if (abandoned) {
            cancelled = Cancelled{uploaded() > 0};
        }
        outcome.reply = clean_reply(error[0] ? error : curl_easy_strerror(code));
        return;
    }
    outcome.reply = clean_reply(reply);
}

Mailer::Mailer(io::UvLoop& loop, const MailConfig& config, std::string greeting)
    : loop_(loop), config_(config), url_(config.url) {
    config_.check();
    if (url_.find('/', url_.find("://") + 3) == std::string::npos) {
        url_ += "/" + greeting;   // libcurl says the URL's path in EHLO
    }
    if (!config_.password_file.empty()) {
        password_ = read_file(config_.password_file, true);
        password_.erase(password_.find_last_not_of("\r\n") + 1);
    }
    if (!config_.ca_file.empty()) {
        read_file(config_.ca_file, false);
    }
    ::setenv("UV_THREADPOOL_SIZE", std::to_string(config_.parallel).c_str(), 1);
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

void Mailer::cancel() noexcept {
    cancelled_ = true;
    for (Delivery* delivery : running_) {
        delivery->abandoned = true;
    }
}

io::Task<SendOutcome> Mailer::send(const Message& message) {
    if (cancelled_) {
        throw Cancelled{false};
    }
    Wait wait(std::make_unique<Delivery>(*this, message));
    SendOutcome outcome = co_await wait;
    co_return outcome;
}

}  // namespace portal::helper
