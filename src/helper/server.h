// Server: the helper's end of the line. Workers and portalctl dial in; it tells them what changed, beats while the
// database proves that nothing was missed, and passes their "send this now" on.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <string>

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

    std::size_t peers() const { return peers_.size(); }

  private:
    class Peer;
    class Listener;

    void accept_all() noexcept;
    void drop(std::uint64_t number, const char* why) noexcept;
    void broadcast(const std::string& frame, bool is_beat);

    io::Loop& loop_;
    std::string path_;
    Uuid helper_;
    SendNow send_now_;
    int fd_ = -1;
    ino_t inode_ = 0;   // of our socket, so that a successor's is left alone
    std::unique_ptr<Listener> listener_;
    std::map<std::uint64_t, std::unique_ptr<Peer>> peers_;
    std::uint64_t next_peer_ = 1;
};

}  // namespace portal::helper
