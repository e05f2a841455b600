// EventHub: the open event streams of one worker (contract/events.md, SSE).
//
// A stream begins at a number and gives its reader every later event of its audiences, each once and in order. Live
// events come from the feed; whatever may have been missed (a resumption, a gap, a reader that was slow) is read from
// PostgreSQL beyond the last number sent, while live events wait. So there is one way to catch up, and a slow reader
// costs a number, not a queue.
//
// Revocation: what changed is looked up again within a second, and everything is while no heartbeat is heard.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "http/stream.h"
#include "io/loop.h"
#include "io/postgres.h"
#include "io/task.h"
#include "portal/event_feed.h"
#include "portal/principal.h"

namespace portal {

struct EventStreamLimits {
    std::uint32_t session = 8;          // streams of a customer's or member's session
    std::uint32_t portal = 64;          // of a portal token
    std::uint32_t address = 0;          // of a client's address; 0: no limit
    std::uint32_t worker = 0;           // of one worker
    std::int64_t heartbeat = 15000;     // ms between comments
};

// What a stream is opened with.
struct EventStreamRequest {
    Principal principal;        // customer, member or portal
    std::int64_t after = -1;    // the last number the reader has; -1: none, it begins with the newest
    Uuid address;               // stands for the client's address
    Uuid ticket;                // the ticket it is opened with, else nil
};

// Too many streams are open: 429.
struct TooManyStreams {};

class EventHub final : private EventListener {
  public:
    // `feed` may be null: then nothing comes but heartbeats.
    EventHub(io::Loop& loop, io::Postgres& db, EventFeed* feed, EventStreamLimits limits);
    ~EventHub();
    EventHub(const EventHub&) = delete;

    // Counts it and finds where it begins. Throws TooManyStreams, io::PostgresUnavailable. What it returns must not
    // outlive the hub.
    io::Task<std::unique_ptr<http::StreamBody>> open(EventStreamRequest request);

    // What the line to the helper tells (HelperLink::Callbacks).
    void beat() noexcept { beaten_at_ = loop_.now(); }
    void bump(const Uuid& id);
    void bump_all() noexcept { check_all_ = true; }

    std::size_t size() const noexcept { return streams_.size(); }

  private:
    class Stream;
    struct Place;       // of a stream in an audience
    struct Audience;
    struct Workspace;
    struct Reader;      // one of those that read PostgreSQL for streams that are behind

    // An audience in a workspace, as event.h writes it, in few bytes.
    struct AudienceKey {
        char kind = '?';   // w: workspace, u: customer, p: payments, c: contact, o: company; else nobody's
        Uuid id;
        bool operator==(const AudienceKey&) const = default;
    };
    struct Hash {
        std::size_t operator()(const AudienceKey& key) const noexcept;
        std::size_t operator()(const Uuid& id) const noexcept;
    };
    using Ids = std::unordered_set<Uuid, Hash>;

    void on_event(const Uuid& workspace, std::int64_t number, const std::vector<std::string_view>& audiences,
                  std::string_view text) override;
    void on_gap(const Uuid& workspace) override;
    void on_evict(const Uuid& key) override;
    void on_line() override;

    static AudienceKey key_of(std::string_view audience);
    static std::string text_of(const AudienceKey& key);

    io::Task<void> count(Stream& stream);
    io::Task<void> count(Stream& stream, std::uint8_t claim, std::uint32_t limit);
    io::Task<void> listen(Stream& stream);
    void join(Stream& stream);
    void leave(Stream& stream) noexcept;

    Audience* find(const Uuid& workspace, const AudienceKey& key);   // nullptr: no stream is in it
    io::Task<void> listen_again();
    void look();
    io::Task<void> look_for_missed();
    io::Task<void> look_for_missed(Uuid workspace);
    void deliver(Workspace& workspace, std::int64_t number, const std::vector<AudienceKey>& audiences,
                 const http::SharedText& text) noexcept;

    void catch_up(Stream& stream);
    io::Task<void> read(Reader& reader);
    io::Task<void> read_missed(Reader& reader);

    void tick() noexcept;
    void check_some() noexcept;
    io::Task<void> check(std::array<std::vector<Uuid>, 3> sessions);

    io::Loop& loop_;
    io::Postgres& db_;
    EventFeed* feed_;
    EventStreamLimits limits_;
    http::SharedText heartbeat_;
    std::vector<Stream*> streams_;       // each knows its index
    std::unordered_map<Uuid, std::unique_ptr<Workspace>, Hash> workspaces_;
    std::unique_ptr<io::Timer> tick_;

    bool listen_again_ = false;
    bool deaf_ = false;                  // the line does not know every audience yet: gaps stay open
    io::Task<void> listening_;
    std::vector<io::Task<EventFeed::Claim>> claiming_;   // again, on a new line
    Ids gaps_;                           // workspaces in which something may be missing
    io::Task<void> looking_;
    std::deque<Stream*> behind_;         // those waiting for a reader
    std::vector<std::unique_ptr<Reader>> readers_;
    std::int64_t retry_at_ = 0;          // PostgreSQL could not be asked: not before this

    std::int64_t beaten_at_ = 0;
    bool check_all_ = false;
    Ids changed_;
    std::int64_t checked_at_ = 0;
    io::Task<void> checking_;
};

}  // namespace portal
