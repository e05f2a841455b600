// Server: the helper's end of the line. Workers and portalctl dial in; it tells them what changed, beats while the
// database proves that nothing was missed, passes their "send this now" on, sends each the events it listens to and
// counts what they claim.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "helper/audiences.h"
#include "helper/claims.h"
#include "io/loop.h"
#include "portal/link.h"

namespace portal::helper {

class Server {
  public:
    using Answer = std::function<void(const SendOutcome&)>;
    using SendNow = std::function<void(const Uuid& outbox_id, Answer answer)>;

    // Listens at once, on a socket of mode 0660. Throws std::runtime_error: another helper is alive there, or the
    // path cannot be used. A socket left behind by a dead one is replaced.
    Server(io::Loop& loop, const std::string& path, const Uuid& helper, SendNow send_now);
    ~Server();
    Server(const Server&) = delete;

    void beat();
    void bump(const Uuid& id);
    void bump_all();
    void report(const HelperReport& report);

    // To each line that listens to one of `audiences` (separated by spaces). A line that does not keep up loses its
    // events for a gap.
    void event(const Uuid& workspace, std::int64_t number, std::string_view audiences, std::string_view text);
    void gap(const Uuid& workspace);   // nil: of all
    bool listened_to() const { return !audiences_.empty(); }
    // `heard` is called when somebody begins to listen and nobody did before.
    void on_first_listener(std::function<void()> heard) { heard_ = std::move(heard); }

    std::size_t peers() const { return peers_.size(); }

  private:
    class Peer;
    class Listener;

    void accept_all() noexcept;
    void drop(std::uint64_t number, const char* why) noexcept;
    void broadcast(const std::string& frame, bool is_beat);
    bool answer(std::uint64_t line, const link::Frame& frame);
    void tell(std::uint64_t line, std::string frame);
    void claim(std::uint64_t line, const link::Frame& asked);

    io::Loop& loop_;
    std::string path_;
    Uuid helper_;
    SendNow send_now_;
    std::string report_;   // the latest, for whoever dials next
    int fd_ = -1;
    ino_t inode_ = 0;   // of our socket, so that a successor's is left alone
    std::unique_ptr<Listener> listener_;
    std::map<std::uint64_t, std::unique_ptr<Peer>> peers_;
    std::uint64_t next_peer_ = 1;
    Audiences audiences_;
    Claims claims_;
    std::function<void()> heard_;
};

}  // namespace portal::helper
