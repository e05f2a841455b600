#include "portal/helper_link.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <coroutine>
#include <cstring>

namespace portal {

namespace {

constexpr std::int64_t first_back_off = 50;    // ms
constexpr std::int64_t last_back_off = 2000;

// What came of a question, if it was answered.
struct Answer {
    bool answered = false;
    SendOutcome outcome;    // sent
    bool granted = false;   // claimed
};

constexpr std::int64_t patience = 1000;        // ms for what the helper knows at once
constexpr std::int64_t listen_patience = 5000; // ms; a line on which nobody answers is given up

}  // namespace

// Lives in the frame of whoever asks, so cancelling that takes it off the link's list.
class HelperLink::Asking {
  public:
    // `frame` asks under `ticket`.
    Asking(HelperLink& link, std::uint64_t ticket, std::string frame, std::int64_t milliseconds)
        : link_(link), ticket_(ticket), frame_(std::move(frame)), milliseconds_(milliseconds) {}
    Asking(const Asking&) = delete;
    ~Asking() {
        if (waiting_) {
            unlink();
        }
    }

    bool await_ready() const noexcept { return !link_.helper_id_ || milliseconds_ <= 0; }
    void await_suspend(std::coroutine_handle<> caller) {
        caller_ = caller;
        timer_ = link_.loop_.timer([this] { answer({}); }, io::Loop::Hold::process);
        timer_->set(milliseconds_);
        link_.askings_.push_back(this);
        waiting_ = true;
        link_.send(std::move(frame_));
    }
    Answer await_resume() { return std::move(answer_); }

    std::uint64_t ticket() const { return ticket_; }
    // The link goes first: nobody will answer, and nothing of it is touched any more.
    void abandon() noexcept {
        waiting_ = false;
        timer_->cancel();
    }
    void answer(Answer answer) {
        unlink();
        answer_ = std::move(answer);
        timer_->cancel();
        caller_.resume();   // may destroy this
    }

  private:
    void unlink() {
        waiting_ = false;
        std::erase(link_.askings_, this);
        link_.update_idle();
    }

    HelperLink& link_;
    std::uint64_t ticket_;
    std::string frame_;
    std::int64_t milliseconds_;
    bool waiting_ = false;
    std::coroutine_handle<> caller_;
    std::unique_ptr<io::Timer> timer_;
    Answer answer_;
};

HelperLink::HelperLink(io::Loop& loop, std::string socket_path, Callbacks callbacks)
    : loop_(loop), path_(std::move(socket_path)), callbacks_(std::move(callbacks)),
      back_off_(first_back_off) {
    if (path_.starts_with("unix:")) {
        path_.erase(0, 5);
    }
    redial_ = loop_.timer([this] { dial(); }, io::Loop::Hold::nothing);
    dial();
}

HelperLink::~HelperLink() {
    for (Asking* asking : askings_) {
        asking->abandon();
    }
    watch_.reset();
    if (fd_ >= 0) {
        ::close(fd_);
    }
}

io::Task<SendOutcome> HelperLink::send_now(Uuid outbox_id, std::int64_t milliseconds) {
    const std::uint64_t ticket = next_ticket_++;
    std::string frame = link::send_now(ticket, outbox_id);
    Answer answer = co_await Asking(*this, ticket, std::move(frame), milliseconds);
    co_return std::move(answer.outcome);   // deferred when there was none
}

io::Task<bool> HelperLink::listen(Uuid workspace, std::string audience) {
    const std::uint64_t ticket = next_ticket_++;
    std::string frame = link::listen(ticket, workspace, audience);
    Answer answer = co_await Asking(*this, ticket, std::move(frame), listen_patience);
    if (!answer.answered && helper_id_) {
        hang_up("it does not answer");   // on another line it is told all again
    }
    co_return answer.answered;
}

void HelperLink::unlisten(const Uuid& workspace, std::string_view audience) {
    if (helper_id_) {
        send(link::unlisten(workspace, audience));
    }
}

io::Task<EventFeed::Claim> HelperLink::claim(Uuid key, std::uint32_t limit) {
    const std::uint64_t ticket = next_ticket_++;
    std::string frame = link::claim(ticket, key, limit);
    claims_[ticket] = {key, limit == 0};
    Answer answer = co_await Asking(*this, ticket, std::move(frame), patience);
    claims_.erase(ticket);
    if (!answer.answered) {
        co_return Claim::unknown;
    }
    co_return answer.granted ? Claim::granted : Claim::refused;
}

void HelperLink::release(const Uuid& key) {
    if (helper_id_) {
        send(link::release(key));
    }
}

void HelperLink::dial() noexcept {
    if (loop_.stopping()) {
        return;
    }
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path_.size() >= sizeof(address.sun_path)) {
        loop_.log(io::LogLevel::error, "helper: the path of its socket is too long");
        return;
    }
    std::memcpy(address.sun_path, path_.data(), path_.size());
    fd_ = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ < 0 || ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
        hang_up(std::strerror(errno));
        return;
    }
    watch_ = loop_.watch(fd_, *this);
    if (!watch_) {
        hang_up("no connection slot left");
        return;
    }
    send(link::hello());
}

// Closes the line; whoever waits for an answer over it is told "deferred".
void HelperLink::hang_up(const char* why) noexcept {
    watch_.reset();
    if (fd_ >= 0) {
        ::close(std::exchange(fd_, -1));
    }
    helper_id_.reset();
    unsent_.clear();
    claims_.clear();
    if (!loop_.stopping()) {
        if (!told_) {
            told_ = true;
            std::string line = "helper: no line to " + path_ + " (" + why + "), dialling on";
            loop_.log(io::LogLevel::warning, line.c_str());
        }
        redial_->set(back_off_);
        back_off_ = std::min(back_off_ * 2, last_back_off);
    }
    while (!askings_.empty()) {
        askings_.back()->answer({});
    }
}

void HelperLink::on_ready(bool readable, bool writable) noexcept {
    if (writable && fd_ >= 0) {
        flush();
    }
    if (readable && fd_ >= 0) {
        try {
            receive();
        } catch (...) {
            hang_up("out of memory");
        }
    }
}

void HelperLink::on_shutdown() noexcept {
    hang_up("shutting down");
}

void HelperLink::receive() {
    buffer_.resize(link::max_frame);
    while (fd_ >= 0) {
        ssize_t size = ::recv(fd_, buffer_.data(), buffer_.size(), MSG_TRUNC);
        if (size < 0) {
            if (errno == EINTR) {
                continue;
            }
            if (errno == EAGAIN || errno == EWOULDBLOCK) {
                return;
            }
            hang_up(std::strerror(errno));
            return;
        }
        if (size == 0) {
            hang_up("it closed the line");
            return;
        }
        std::optional<link::Frame> frame;
        if (std::size_t(size) <= buffer_.size()) {
            frame = link::decode(std::string_view(buffer_.data(), std::size_t(size)));
        }
        if (!frame || !handle(*frame)) {
            hang_up("it speaks another version");
            return;
        }
    }
}

bool HelperLink::handle(const link::Frame& frame) {
    switch (frame.type) {
        case link::Type::welcome:
            helper_id_ = frame.id;
            back_off_ = first_back_off;
            told_ = false;
            loop_.log(io::LogLevel::info, "helper: line is up");
            if (callbacks_.bump_all) {
                callbacks_.bump_all();
            }
            if (listener_) {
                listener_->on_line();
            }
            return true;
        case link::Type::beat:
            // One that waited in the socket tells nothing about now.
            if (callbacks_.beat && loop_.now() - frame.time <= link::beat_interval) {
                callbacks_.beat();
            }
            return true;
        case link::Type::bump:
            if (callbacks_.bump) {
                callbacks_.bump(frame.id);
            }
            return true;
        case link::Type::bump_all:
            if (callbacks_.bump_all) {
                callbacks_.bump_all();
            }
            return true;
        case link::Type::figures:
            if (callbacks_.report) {
                callbacks_.report(frame.report);
            }
            return true;
        case link::Type::sent:
        case link::Type::listening:
        case link::Type::claimed:
            answer(frame);
            return true;
        case link::Type::event:
            if (listener_) {
                listener_->on_event(frame.id, frame.number, frame.audiences, frame.text);
            }
            return true;
        case link::Type::gap:
            if (listener_) {
                listener_->on_gap(frame.id);
            }
            return true;
        case link::Type::evict:
            if (listener_) {
                listener_->on_evict(frame.id);
            }
            return true;
        default:
            return false;
    }
}

void HelperLink::answer(const link::Frame& frame) {
    auto asking = std::find_if(askings_.begin(), askings_.end(),
                               [&](Asking* one) { return one->ticket() == frame.ticket; });
    if (asking != askings_.end()) {
        (*asking)->answer({true, frame.outcome, frame.granted});
        return;
    }
    // It has given up waiting. What it was granted is nobody's, unless a later claim takes it over.
    auto claim = claims_.find(frame.ticket);
    if (claim == claims_.end()) {
        return;
    }
    const Wanted wanted = claim->second;
    claims_.erase(claim);
    const bool taken = wanted.alone && std::any_of(claims_.begin(), claims_.end(), [&](const auto& later) {
        return later.second.alone && later.second.key == wanted.key;
    });
    if (frame.granted && !taken) {
        release(wanted.key);
    }
}

// Only queues: a line found dead here would have to resume callers that are just being suspended.
void HelperLink::send(std::string frame) noexcept {
    unsent_.push_back(std::move(frame));
    watch_->want(true, true);
    watch_->idle(false);
}

void HelperLink::flush() noexcept {
    while (!unsent_.empty()) {
        const std::string& frame = unsent_.front();
        ssize_t size = ::send(fd_, frame.data(), frame.size(), MSG_NOSIGNAL);
        if (size < 0) {
            if (errno == EINTR) {
                continue;
            }
            if (errno == EAGAIN || errno == EWOULDBLOCK) {
                return;
            }
            hang_up(std::strerror(errno));
            return;
        }
        unsent_.pop_front();
    }
    watch_->want(true, false);
    update_idle();
}

void HelperLink::update_idle() noexcept {
    if (!watch_) {
        return;
    }
    bool idle = askings_.empty() && unsent_.empty();
    if (idle && loop_.stopping()) {
        hang_up("shutting down");
        return;
    }
    watch_->idle(idle);
}

}  // namespace portal
