// HelperLink: the dialling end of the line to portal-helper. It dials at once, and again with back-off whenever the
// line is lost, until the loop is stopping.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "io/loop.h"
#include "portal/event_feed.h"
#include "portal/helper_client.h"
#include "portal/link.h"

namespace portal {

class HelperLink final : public HelperClient, public EventFeed, private io::Watcher {
  public:
    struct Callbacks {
        std::function<void()> beat;                  // a fresh one; old ones are dropped
        std::function<void(const Uuid&)> bump;
        std::function<void()> bump_all;              // also each time the line is up (again)
        std::function<void(const HelperReport&)> report;
    };

    // `socket_path` with or without the prefix "unix:". Callbacks may be empty and must not destroy the link.
    HelperLink(io::Loop& loop, std::string socket_path, Callbacks callbacks = {});
    ~HelperLink();
    HelperLink(const HelperLink&) = delete;

    std::optional<Uuid> helper_id() const override { return helper_id_; }
    io::Task<SendOutcome> send_now(Uuid outbox_id, std::int64_t milliseconds) override;

    void hear(EventListener* listener) noexcept override { listener_ = listener; }
    io::Task<bool> listen(Uuid workspace, std::string audience) override;
    void unlisten(const Uuid& workspace, std::string_view audience) override;
    io::Task<Claim> claim(Uuid key, std::uint32_t limit) override;
    void release(const Uuid& key) override;

  private:
    class Asking;   // one question: the awaiter, known to the link by its ticket
    struct Wanted {
        Uuid key;
        bool alone = false;   // by one holder
    };

    void dial() noexcept;
    void hang_up(const char* why) noexcept;
    void on_ready(bool readable, bool writable) noexcept override;
    void on_shutdown() noexcept override;
    void receive();
    bool handle(const link::Frame& frame);           // false: not a frame of a helper's
    void answer(const link::Frame& frame);
    void send(std::string frame) noexcept;
    void flush() noexcept;
    void update_idle() noexcept;

    io::Loop& loop_;
    std::string path_;
    Callbacks callbacks_;
    EventListener* listener_ = nullptr;
    int fd_ = -1;
    std::unique_ptr<io::Watch> watch_;
    std::unique_ptr<io::Timer> redial_;
    std::int64_t back_off_;
    bool told_ = false;                               // that there is no helper, in the log
    std::optional<Uuid> helper_id_;                   // set while welcomed
    std::deque<std::string> unsent_;
    std::vector<Asking*> askings_;
    std::uint64_t next_ticket_ = 1;
    std::map<std::uint64_t, Wanted> claims_;          // by ticket, until they are answered
    std::string buffer_;
};

}  // namespace portal
