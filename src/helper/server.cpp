#include "helper/server.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <deque>
#include <stdexcept>
#include <vector>

namespace portal::helper {

namespace {

constexpr std::size_t most_peers = 1024;
// Unsent per peer; beyond, bumps collapse into one bump_all, events into one gap.
constexpr std::size_t most_unsent = 4096;                 // frames
constexpr std::size_t most_unsent_bytes = 4 * 1024 * 1024;
constexpr std::int64_t patience = 10000;                  // ms a peer may leave its socket full

sockaddr_un address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof(address.sun_path)) {
        throw std::runtime_error("the path of the socket is empty or too long: " + path);
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

[[noreturn]] void fail(const std::string& what) {
    throw std::runtime_error(what + ": " + std::strerror(errno));
}

// Refuses a path at which somebody answers, or at which something lies that is no socket.
void check_unused(const std::string& path) {
    struct stat about{};
    if (::lstat(path.c_str(), &about) != 0) {
        return;
    }
    if (!S_ISSOCK(about.st_mode)) {
        throw std::runtime_error(path + " exists and is not a socket");
    }
    sockaddr_un address = address_of(path);
    int fd = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool alive = fd >= 0 && (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 ||
                             errno == EAGAIN);
    ::close(fd);
    if (alive) {
        throw std::runtime_error("another portal-helper answers at " + path);
    }
}

}  // namespace

class Server::Listener final : public io::Watcher {
  public:
    Listener(Server& server, int fd) : server_(server), watch_(server.loop_.watch(fd, *this)) {
        if (!watch_) {
            throw std::runtime_error("no connection slot left");
        }
        watch_->want(true, false);
        watch_->idle(true);
    }
    void on_ready(bool, bool) noexcept override { server_.accept_all(); }

  private:
    Server& server_;
    std::unique_ptr<io::Watch> watch_;
};

// One that dialled. It is told nothing before its hello.
class Server::Peer final : public io::Watcher {
  public:
    Peer(Server& server, std::uint64_t number, int fd)
        : server_(server), number_(number), fd_(fd), watch_(server.loop_.watch(fd, *this)) {
        if (!watch_) {
            throw std::runtime_error("no connection slot left");
        }
        watch_->want(true, false);
        watch_->idle(true);
    }
    ~Peer() {
        watch_.reset();
        ::close(fd_);
    }
    Peer(const Peer&) = delete;

    bool welcomed() const { return welcomed_; }
    // False: it is lost, or has not read for too long.
    bool send(std::string frame) {
        if (unsent_.size() >= most_unsent || unsent_bytes_ >= most_unsent_bytes) {
            collapse();
            if (unsent_.size() >= most_unsent) {
                return false;   // it asks and asks, and reads no answer
            }
        }
        queue(std::move(frame));
        return flush();
    }
    // A beat tells of now: it is not worth queueing.
    bool send_beat(const std::string& frame) {
        if (unsent_.empty()) {
            return send(frame);
        }
        return flush();
    }

    void on_ready(bool readable, bool writable) noexcept override {
        const char* why = nullptr;
        try {
            if (writable && !flush()) {
                why = "it does not read";
            } else if (readable) {
                why = receive();
            }
        } catch (...) {
            why = "out of memory";
        }
        if (why) {
            server_.drop(number_, why);   // destroys this
        }
    }

  private:
    const char* receive();
    bool flush();
    void collapse();
    void queue(std::string frame) {
        unsent_bytes_ += frame.size();
        unsent_.push_back(std::move(frame));
    }

    Server& server_;
    std::uint64_t number_;
    int fd_;
    std::unique_ptr<io::Watch> watch_;
    bool welcomed_ = false;
    std::deque<std::string> unsent_;
    std::size_t unsent_bytes_ = 0;
    std::int64_t full_since_ = 0;
};

// Takes what there is. Returns why the peer is to be dropped, or nullptr.
const char* Server::Peer::receive() {
    char buffer[512];   // no dialler has longer frames
    while (true) {
        ssize_t size = ::recv(fd_, buffer, sizeof(buffer), MSG_TRUNC);
        if (size < 0) {
            if (errno == EINTR) {
                continue;
            }
            return errno == EAGAIN || errno == EWOULDBLOCK ? nullptr : std::strerror(errno);
        }
        if (size == 0) {
            return "it hung up";
        }
        std::optional<link::Frame> frame;
        if (std::size_t(size) <= sizeof(buffer)) {
            frame = link::decode(std::string_view(buffer, std::size_t(size)));
        }
        if (frame && frame->type == link::Type::hello) {
            welcomed_ = true;
            if (!send(link::welcome(server_.helper_)) ||
                (!server_.report_.empty() && !send(server_.report_))) {
                return "it does not read";
            }
        } else if (frame && welcomed_ && server_.answer(number_, *frame)) {
            continue;
        } else {
            return "it speaks another version";
        }
    }
}

bool Server::Peer::flush() {
    while (!unsent_.empty()) {
        const std::string& frame = unsent_.front();
        if (::send(fd_, frame.data(), frame.size(), MSG_NOSIGNAL) < 0) {
            if (errno == EINTR) {
                continue;
            }
            if (errno != EAGAIN && errno != EWOULDBLOCK) {
                return false;
            }
            std::int64_t now = server_.loop_.now();
            full_since_ = full_since_ == 0 ? now : full_since_;
            watch_->want(true, true);
            return now - full_since_ < patience;
        }
        full_since_ = 0;
        unsent_bytes_ -= frame.size();
        unsent_.pop_front();
    }
    watch_->want(true, false);
    return true;
}

// Too much for a slow reader: one frame that says "everything" stands for all bumps, one for all events.
void Server::Peer::collapse() {
    std::deque<std::string> all = std::move(unsent_);
    bool bumped = false;
    bool missed = false;
    unsent_.clear();
    unsent_bytes_ = 0;
    for (std::string& frame : all) {
        const link::Type type = link::type_of(frame);
        if (type == link::Type::bump || type == link::Type::bump_all) {
            bumped = true;
        } else if (type == link::Type::event || type == link::Type::gap) {
            missed = true;
        } else {
            queue(std::move(frame));
        }
    }
    if (bumped) {
        queue(link::bump_all());
    }
    if (missed) {
        queue(link::gap({}));
    }
}

Server::Server(io::Loop& loop, const std::string& path, const Uuid& helper, SendNow send_now)
    : loop_(loop), path_(path), helper_(helper), send_now_(std::move(send_now)) {
    check_unused(path_);
    // Under a name of its own first and renamed when it can be dialled: nobody sees it half-made.
    std::string fresh = path_ + "." + std::to_string(::getpid());
    sockaddr_un address = address_of(fresh);
    ::unlink(fresh.c_str());
    fd_ = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ < 0) {
        fail("cannot make a socket");
    }
    struct stat about{};
    if (::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
        ::chmod(fresh.c_str(), 0660) != 0 || ::listen(fd_, 128) != 0 ||
        ::stat(fresh.c_str(), &about) != 0 || std::rename(fresh.c_str(), path_.c_str()) != 0) {
        int error = errno;
        ::unlink(fresh.c_str());
        ::close(fd_);
        errno = error;
        fail("cannot listen at " + path_);
    }
    inode_ = about.st_ino;
    listener_ = std::make_unique<Listener>(*this, fd_);
}

Server::~Server() {
    peers_.clear();
    listener_.reset();
    ::close(fd_);
    struct stat about{};
    if (::lstat(path_.c_str(), &about) == 0 && about.st_ino == inode_) {
        ::unlink(path_.c_str());
    }
}

void Server::accept_all() noexcept {
    while (true) {
        int fd = ::accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EINTR || errno == ECONNABORTED) {
                continue;
            }
            return;
        }
        if (peers_.size() >= most_peers) {
            loop_.log(io::LogLevel::warning, "server: too many lines, one is refused");
            ::close(fd);
            continue;
        }
        try {
            std::uint64_t number = next_peer_++;
            peers_.emplace(number, std::make_unique<Peer>(*this, number, fd));
        } catch (const std::exception&) {
            ::close(fd);
        }
    }
}

void Server::drop(std::uint64_t number, const char* why) noexcept {
    char line[128];
    std::snprintf(line, sizeof(line), "server: line %llu closed (%s)", (unsigned long long)number, why);
    loop_.log(io::LogLevel::debug, line);
    peers_.erase(number);
    audiences_.remove(number);
    claims_.remove(number);
}

void Server::broadcast(const std::string& frame, bool is_beat) {
    std::vector<std::uint64_t> lost;
    for (auto& [number, peer] : peers_) {
        if (peer->welcomed() && !(is_beat ? peer->send_beat(frame) : peer->send(frame))) {
            lost.push_back(number);
        }
    }
    for (std::uint64_t number : lost) {
        drop(number, "it does not read");
    }
}

// What a dialler asks for. False: it is nothing a dialler asks.
bool Server::answer(std::uint64_t line, const link::Frame& frame) {
    switch (frame.type) {
        case link::Type::send_now:
            send_now_(frame.id, [this, line, ticket = frame.ticket](const SendOutcome& outcome) {
                tell(line, link::sent(ticket, outcome));   // it may be gone by then
            });
            return true;
        case link::Type::listen: {
            const bool first = audiences_.empty();
            audiences_.add(line, frame.id, frame.audience);
            tell(line, link::listening(frame.ticket));
            if (first && heard_) {
                heard_();
            }
            return true;
        }
        case link::Type::unlisten:
            audiences_.remove(line, frame.id, frame.audience);
            return true;
        case link::Type::claim:
            claim(line, frame);
            return true;
        case link::Type::release:
            claims_.release(line, frame.id);
            return true;
        default:
            return false;
    }
}

void Server::claim(std::uint64_t line, const link::Frame& asked) {
    bool granted = true;
    if (asked.limit > 0) {
        granted = claims_.claim(line, asked.id, asked.limit);
    } else {
        for (std::uint64_t evicted : claims_.take(line, asked.id)) {
            tell(evicted, link::evict(asked.id));
        }
    }
    tell(line, link::claimed(asked.ticket, granted));
}

// A line that is lost is left for its own next event to end: whoever asks may be in the middle of using it.
void Server::tell(std::uint64_t line, std::string frame) {
    auto found = peers_.find(line);
    if (found != peers_.end()) {
        found->second->send(std::move(frame));
    }
}

void Server::event(const Uuid& workspace, std::int64_t number, std::string_view audiences, std::string_view text) {
    std::vector<std::uint64_t> lost;
    for (const auto& [line, theirs] : audiences_.listeners(workspace, audiences)) {
        if (!peers_.at(line)->send(link::event(workspace, number, theirs, text))) {
            lost.push_back(line);
        }
    }
    for (std::uint64_t line : lost) {
        drop(line, "it does not read");
    }
}

void Server::gap(const Uuid& workspace) {
    broadcast(link::gap(workspace), false);
}

void Server::beat() {
    broadcast(link::beat(loop_.now()), true);
}

void Server::bump(const Uuid& id) {
    broadcast(link::bump(id), false);
}

void Server::report(const HelperReport& report) {
    report_ = link::figures(report);
    broadcast(report_, true);   // like a beat, of now
}

void Server::bump_all() {
    broadcast(link::bump_all(), false);
}

}  // namespace portal::helper
