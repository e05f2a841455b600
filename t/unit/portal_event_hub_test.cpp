// EventHub on a real database: what a stream is given, when it waits, and what ends it. Feed and readers are the test's.
#include "portal/event_hub.h"

#include <gmock/gmock.h>

#include <coroutine>
#include <deque>
#include <numeric>
#include <utility>

#include "io/sleep.h"
#include "portal_fixture.h"

namespace portal::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsSupersetOf;

// A line that answers at once, or, while `holding`, by and by.
class Feed final : public EventFeed {
  public:
    bool up = true;
    bool holding = false;
    std::vector<Uuid> claimed, released;
    std::vector<std::string> listened, unlistened;

    void hear(EventListener* listener) noexcept override { listener_ = listener; }
    io::Task<bool> listen(Uuid, std::string audience) override {
        listened.push_back(audience);
        Held held{*this};
        co_await held;
        co_return up;
    }
    void unlisten(const Uuid&, std::string_view audience) override { unlistened.emplace_back(audience); }
    io::Task<Claim> claim(Uuid key, std::uint32_t) override {
        claimed.push_back(key);
        co_return up ? Claim::granted : Claim::unknown;
    }
    void release(const Uuid& key) override { released.push_back(key); }

    void event(const Uuid& workspace, std::int64_t number, std::vector<std::string_view> audiences) {
        listener_->on_event(workspace, number, audiences, "id: " + std::to_string(number) + "\ndata: {}\n\n");
    }
    void gap(const Uuid& workspace) { listener_->on_gap(workspace); }
    void line() { listener_->on_line(); }
    void go_on() {
        holding = false;
        for (auto waiting = std::exchange(held_, {}); std::coroutine_handle<> one : waiting) {
            one.resume();
        }
    }
    void drop() { held_.clear(); }   // before those who wait are destroyed
    std::size_t held() const { return held_.size(); }

  private:
    struct Held {
        Feed& feed;
        bool await_ready() const noexcept { return !feed.holding; }
        void await_suspend(std::coroutine_handle<> waiting) { feed.held_.push_back(waiting); }
        void await_resume() const noexcept {}
    };

    EventListener* listener_ = nullptr;
    std::vector<std::coroutine_handle<>> held_;
};

class Sink final : public http::StreamSink {
  public:
    bool full = false;
    bool ended = false;
    std::string text;

    bool send(http::SharedText one) noexcept override {
        text += one->plain();
        return !full;
    }
    void end() noexcept override { ended = true; }
    // The numbers of the events it got.
    std::vector<int> numbers() const {
        std::vector<int> list;
        for (std::size_t at = 0; (at = text.find("\ndata: ", at)) != std::string::npos; ++at) {
            list.push_back(std::atoi(text.c_str() + text.rfind("id: ", at) + 4));
        }
        return list;
    }
};

struct PortalEventHub : PortalFixture {
    // A stream and its reader.
    struct Open {
        Sink sink;
        std::unique_ptr<http::StreamBody> body;
    };

    PortalEventHub() { sql("DELETE FROM portal.events"); }

    EventStreamRequest request(const std::string& customer_id, std::int64_t after = -1) {
        EventStreamRequest request;
        request.principal.kind = Kind::customer;
        request.principal.workspace_id = ws;
        request.principal.customer_id = *Uuid::parse(customer_id);
        request.principal.token_id = *Uuid::parse(
            sql("INSERT INTO portal.customer_sessions (workspace_id, customer_id, token_hash, secret_id, expires_at) VALUES ('" +
                ws.text() + "', '" + customer_id + "', encode(sha256(uuid_send(gen_random_uuid())), 'hex'), 'k', "
                "now() + interval '1 h') RETURNING id"));
        request.after = after;
        return request;
    }
    Open& open(EventStreamRequest request) {
        opened.emplace_back();
        opened.back().body = run(hub->open(std::move(request)));
        opened.back().body->start(opened.back().sink);
        return opened.back();
    }
    // An event that PostgreSQL has.
    void stored(std::int64_t number, const std::string& audience) {
        const std::string values = "('" + ws.text() + "', ";
        sql("INSERT INTO portal.events (workspace_id, number, type, data) VALUES " + values + std::to_string(number) +
            ", 'test', '{}'); INSERT INTO portal.event_audiences (workspace_id, audience, number) VALUES " + values + "'" +
            audience + "', " + std::to_string(number) + "); INSERT INTO portal.event_counters (workspace_id, numbered) VALUES " +
            values + std::to_string(number) + ") ON CONFLICT (workspace_id) DO UPDATE SET numbered = excluded.numbered");
    }
    template <class Check>
    bool until(Check check) {
        for (int i = 0; i < 400 && !check(); ++i) {
            pass(5);
        }
        return check();
    }
    void pass(std::int64_t milliseconds) { run(pause(milliseconds)); }
    io::Task<void> pause(std::int64_t milliseconds) { co_await io::sleep(loop, milliseconds, io::Loop::Hold::process); }

    Uuid ws = workspace("acme").workspace_id;
    std::string ann = customer(caller(), "ann@example.org"), bob = customer(caller(), "bob@example.org");
    std::string anns = "customer:" + ann, bobs = "customer:" + bob;
    Feed feed;
    EventStreamLimits limits;
    std::unique_ptr<EventHub> hub = std::make_unique<EventHub>(loop, *db, &feed, limits);
    std::deque<Open> opened;   // go before the hub

    Principal caller() {
        Principal principal;
        principal.workspace_id = ws;
        return principal;
    }
};

TEST_F(PortalEventHub, GivesEachEventOnceAndInOrder) {
    stored(4, bobs);
    Open& stream = open(request(ann));
    EXPECT_THAT(stream.sink.text, HasSubstr(": connected\nid: 4\n\n"));
    feed.event(ws, 5, {anns});
    feed.event(ws, 6, {anns, "workspace"});
    feed.event(ws, 7, {bobs});
    feed.event(ws, 5, {anns});
    feed.event(Uuid::random(), 8, {anns});
    EXPECT_THAT(stream.sink.numbers(), ElementsAre(5, 6));
}

TEST_F(PortalEventHub, GivesPaymentsToWhoMaySeeThem) {
    const std::string payments = "payments:" + ann;
    EventStreamRequest member = request(ann, 0);
    member.principal.kind = Kind::member;
    member.principal.role = Role::member;
    stored(1, payments);
    stored(2, anns);
    Open& first = open(request(ann, 0));
    Open& second = open(member);
    ASSERT_TRUE(until([&] { return first.sink.numbers().size() == 2 && second.sink.numbers().size() == 1; }));
    feed.event(ws, 3, {payments});
    feed.event(ws, 4, {anns});
    feed.event(ws, 5, {"of another version"});
    EXPECT_THAT(first.sink.numbers(), ElementsAre(1, 2, 3, 4));
    EXPECT_THAT(second.sink.numbers(), ElementsAre(2, 4));
}

TEST_F(PortalEventHub, ResumesFromTheDatabaseWhileLiveEventsWait) {
    for (int number = 1; number <= 250; ++number) {
        stored(number, number % 2 ? anns : "workspace");
    }
    Open& stream = open(request(ann, 10));
    feed.event(ws, 251, {anns});
    ASSERT_TRUE(until([&] { return stream.sink.numbers().size() == 241; }));
    std::vector<int> want(241);
    std::iota(want.begin(), want.end(), 11);
    EXPECT_EQ(stream.sink.numbers(), want);
}

TEST_F(PortalEventHub, ResetsWhoeverComesFromAnotherHistory) {
    stored(4, anns);
    Open& stream = open(request(ann, 9));
    EXPECT_THAT(stream.sink.text, HasSubstr("id: 4\nevent: reset\ndata: {\"id\":4}\n\n"));
}

TEST_F(PortalEventHub, LooksForWhatAGapHid) {
    Open& first = open(request(ann));
    Open& second = open(request(bob));
    stored(1, anns);
    stored(2, "workspace");
    feed.gap(ws);
    feed.event(ws, 3, {anns, bobs});
    EXPECT_THAT(first.sink.numbers(), IsEmpty());
    ASSERT_TRUE(until([&] { return first.sink.numbers().size() == 3 && second.sink.numbers().size() == 2; }));
    EXPECT_THAT(first.sink.numbers(), ElementsAre(1, 2, 3));
    EXPECT_THAT(second.sink.numbers(), ElementsAre(2, 3));
}

TEST_F(PortalEventHub, HoldsLiveEventsUntilANewLineKnowsEveryAudience) {
    Open& first = open(request(ann));
    Open& second = open(request(bob));
    feed.holding = true;
    feed.listened.clear();
    feed.line();
    stored(1, anns);
    stored(2, bobs);
    feed.event(ws, 3, {anns, bobs, "workspace"});
    pass(400);   // a tick does not look either
    EXPECT_THAT(first.sink.numbers(), IsEmpty());
    EXPECT_EQ(feed.held(), 1u);
    feed.go_on();
    ASSERT_TRUE(until([&] { return first.sink.numbers().size() == 2 && second.sink.numbers().size() == 2; }));
    EXPECT_THAT(first.sink.numbers(), ElementsAre(1, 3));
    EXPECT_THAT(second.sink.numbers(), ElementsAre(2, 3));
    EXPECT_THAT(feed.listened, IsSupersetOf({anns, bobs, std::string("workspace")}));
}

TEST_F(PortalEventHub, ClaimsAgainOnANewLineAndReleasesWhatIsGone) {
    EventStreamRequest asked = request(ann);
    asked.ticket = Uuid::random();
    const Uuid session = asked.principal.token_id, ticket = asked.ticket;
    open(std::move(asked));
    EXPECT_THAT(feed.claimed, ElementsAre(ticket, session));
    feed.claimed.clear();
    feed.line();
    EXPECT_THAT(feed.claimed, testing::UnorderedElementsAre(session, ticket));
    opened.clear();
    EXPECT_THAT(feed.released, testing::UnorderedElementsAre(session, ticket));
    EXPECT_EQ(hub->size(), 0u);
}

TEST_F(PortalEventHub, ListensToNothingForWhoLeftWhileItOpened) {
    feed.holding = true;
    auto opening = hub->open(request(ann));
    opening.start();
    EXPECT_THAT(feed.listened, ElementsAre("workspace"));
    feed.drop();
    opening.reset();
    EXPECT_EQ(feed.unlistened, feed.listened);
    EXPECT_EQ(hub->size(), 0u);
}

TEST_F(PortalEventHub, ReadsWhatASlowReaderMissed) {
    Open& stream = open(request(ann));
    stream.sink.full = true;
    for (int number = 1; number <= 3; ++number) {
        stored(number, anns);
        feed.event(ws, number, {anns});
    }
    EXPECT_THAT(stream.sink.numbers(), ElementsAre(1));
    stream.sink.full = false;
    stream.body->drained();
    feed.event(ws, 4, {anns});
    ASSERT_TRUE(until([&] { return stream.sink.numbers().size() == 4; }));
    EXPECT_THAT(stream.sink.numbers(), ElementsAre(1, 2, 3, 4));
}

TEST_F(PortalEventHub, CutsAReaderThatOwesTooMuch) {
    Open& stream = open(request(ann));
    stream.sink.full = true;
    for (int number = 1; number <= 20'000 && !stream.sink.ended; ++number) {
        feed.event(ws, number, {anns});
    }
    EXPECT_TRUE(stream.sink.ended);
    EXPECT_THAT(stream.sink.numbers(), ElementsAre(1));
}

TEST_F(PortalEventHub, CountsStreamsItselfWithoutALine) {
    feed.up = false;
    limits.session = 1;
    hub = std::make_unique<EventHub>(loop, *db, &feed, limits);
    EventStreamRequest asked = request(ann);
    open(asked);
    EXPECT_THROW(open(asked), TooManyStreams);
    opened.clear();
    open(asked);
    EXPECT_EQ(hub->size(), 1u);
}

TEST_F(PortalEventHub, LetsATicketOpenOneStreamAtATime) {
    EventStreamRequest asked = request(ann);
    asked.ticket = Uuid::random();
    Open& first = open(asked);
    Open& second = open(asked);
    EXPECT_TRUE(first.sink.ended);
    EXPECT_THAT(first.sink.text, HasSubstr("event: bye\ndata: {\"reason\":\"replaced\"}\n\n"));
    EXPECT_FALSE(second.sink.ended);
}

TEST_F(PortalEventHub, EndsARevokedStreamWhenItIsTold) {
    EventStreamRequest asked = request(ann);
    Open& stream = open(asked);
    hub->beat();
    sql("UPDATE portal.customer_sessions SET revoked_at = now()");
    hub->bump(asked.principal.token_id);
    ASSERT_TRUE(until([&] { return stream.sink.ended; }));
    EXPECT_THAT(stream.sink.text, HasSubstr("{\"reason\":\"revoked\"}"));
}

TEST_F(PortalEventHub, EndsAStreamRevokedBeforeItWasThere) {
    EventStreamRequest asked = request(ann);
    sql("UPDATE portal.customer_sessions SET revoked_at = now()");
    hub->bump(asked.principal.token_id);   // no stream is open
    Open& stream = open(asked);
    hub->beat();
    ASSERT_TRUE(until([&] { hub->beat(); return stream.sink.ended; }));
    EXPECT_THAT(stream.sink.text, HasSubstr("{\"reason\":\"revoked\"}"));
}

TEST_F(PortalEventHub, EndsAStreamRevokedWhileItOpens) {
    EventStreamRequest asked = request(ann);
    feed.holding = true;
    auto opening = hub->open(asked);
    opening.start();
    sql("UPDATE portal.customer_sessions SET revoked_at = now()");
    pass(600);   // a tick asks, and is answered
    feed.go_on();
    ASSERT_TRUE(until([&] { return opening.done(); }));
    std::unique_ptr<http::StreamBody> body = opening.result();
    Sink sink;
    body->start(sink);
    EXPECT_TRUE(sink.ended);
    feed.event(ws, 1, {anns});
    EXPECT_EQ(sink.text, "");
}

}  // namespace
}  // namespace portal::test
