// What an EventHub is made of, private to event_hub.cpp, event_hub_stream.cpp and event_hub_catch_up.cpp.
#pragma once

#include "portal/event_hub.h"

namespace portal {

inline constexpr std::int64_t patience = 60000;   // ms a reader may take nothing
inline constexpr std::size_t most_held = 1000;    // events that wait while PostgreSQL is read

inline http::SharedText shared_text(std::string_view text) { return std::make_shared<const http::StreamText>(text); }

struct EventHub::Place {
    Place* next = this;
    Place* previous = this;
    Stream* stream = nullptr;
    Audience* audience = nullptr;

    bool alone() const { return next == this; }
    void insert(Place& place) {
        place.next = this;
        place.previous = previous;
        previous->next = &place;
        previous = &place;
    }
    void unlink() {
        next->previous = previous;
        previous->next = next;
        next = previous = this;
    }
};

struct EventHub::Reader {
    Stream* stream = nullptr;
    io::Task<void> task;

    void forget(const Stream& gone) {
        if (stream == &gone) {
            stream = nullptr;
        }
    }
};

struct EventHub::Audience {
    Place head;
    const AudienceKey* key = nullptr;
    bool asked = false;      // the feed was, perhaps by a stream that did not wait for the answer
    bool listened = false;   // every event from here on is sent
};

struct EventHub::Workspace {
    struct Held {
        std::int64_t number;
        std::vector<AudienceKey> audiences;
        http::SharedText text;
    };

    Uuid id;
    std::unordered_map<AudienceKey, Audience, Hash> audiences;
    bool looking = false;      // for missed events; live ones wait
    bool overflow = false;     // too many of them waited: look again
    std::vector<Held> held;
};

class EventHub::Stream final : public http::StreamBody {
  public:
    Stream(EventHub& hub, const EventStreamRequest& request)
        : hub_(hub), session_(request.principal.token_id), customer_(request.principal.customer_id),
          member_(request.principal.member_id), address_(request.address), ticket_(request.ticket),
          expires_at_(request.principal.expires_at), kind_(request.principal.kind),
          payments_(request.principal.sees_payments()) {}
    ~Stream() override { hub_.leave(*this); }

    void start(http::StreamSink& sink) noexcept override;
    void drained() noexcept override;
    void shutdown() noexcept override;

    // A live event of one of its audiences.
    void offer(std::int64_t number, const http::SharedText& text) noexcept;
    // Sends it; false: the reader takes no more for now.
    bool give(std::int64_t number, const http::SharedText& text) noexcept;
    // All that was missed has been read: what waited meanwhile follows. false: some of it was lost, read again.
    bool caught_up() noexcept;
    void beat(std::int64_t now) noexcept;
    void bye(const char* reason) noexcept;
    void cut() noexcept;

    bool live() const { return state_ == State::live; }
    bool behind() const { return state_ == State::behind; }
    bool ended() const { return state_ == State::ended; }
    bool stalled(std::int64_t now) const { return state_ == State::blocked && now - blocked_at_ > patience; }

  private:
    friend class EventHub;
    enum class State : std::uint8_t {
        opening,   // not yet started
        live,
        blocked,   // the reader takes nothing
        behind,    // PostgreSQL has something for it
        ended,
    };
    enum Claimed : std::uint8_t { session = 1, address = 2, ticket = 4 };
    struct Waiting {
        std::int64_t number;
        http::SharedText text;
    };

    const Uuid& key(Claimed claim) const {
        return claim == session ? session_ : claim == address ? address_ : ticket_;
    }
    void wait(std::int64_t number, const http::SharedText& text) noexcept;

    EventHub& hub_;
    http::StreamSink* sink_ = nullptr;
    Workspace* workspace_ = nullptr;
    Place places_[3];                    // the last one is for who sees payments
    Uuid session_, customer_, member_, address_, ticket_;
    std::int64_t expires_at_;            // Unix seconds, 0: never
    std::int64_t last_ = 0;              // the number sent last
    std::int64_t next_beat_ = 0;
    std::int64_t blocked_at_ = 0;
    std::vector<Waiting> waiting_;       // live events, while it opens or is behind
    std::uint32_t index_ = 0;            // in streams_
    std::uint32_t owed_ = 0;             // bytes, while blocked
    Kind kind_;
    bool payments_;                      // its reader may see them
    State state_ = State::opening;
    bool missed_ = false;                // events since it was blocked, or more waited than may
    bool reset_ = false;                 // say so first
    bool queued_ = false;                // for a reader
    std::uint8_t claims_ = 0;            // what it holds at the feed: bits of Claimed
};

}  // namespace portal
