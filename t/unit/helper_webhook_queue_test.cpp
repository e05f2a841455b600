// What the helper claims of the deliveries, and what it records.
#include "helper/webhook_queue.h"
#include "portal/webhook_endpoint.h"
#include "portal_fixture.h"

namespace portal::test {
namespace {

using helper::ClaimedWebhook;
using helper::WebhookOutcome;
using helper::WebhookQueue;
using helper::WebhookResult;
using State = WebhookOutcome::State;

class Queue : public PortalFixture {
  protected:
    Queue() {
        postgres.execute("ALTER ROLE portal_helper LOGIN");
        helper_db = std::make_unique<io::Postgres>(
            loop, io::PostgresOptions::resolve("host=" + postgres.host() +
                                               " dbname=postgres user=portal_helper"));
        queue = std::make_unique<WebhookQueue>(*helper_db, Uuid::random());
        caller = workspace("acme");
    }
    Uuid endpoint() {
        WebhookEndpointInput input;
        input.members =
            http::Json::object({{"url", "https://hooks.example.com/"}, {"event_types", nullptr}});
        http::Json made = run(create_webhook_endpoint(*db, secrets, caller.workspace_id.text(),
                                                      ReadableEvents::of_operator(), input));
        return *Uuid::parse(made["id"].text());
    }
    void announce(int count) {
        postgres.execute("INSERT INTO portal.events (workspace_id, type, data) SELECT '" +
                         caller.workspace_id.text() +
                         "', 'customer.created', '{}' FROM generate_series(1, " +
                         std::to_string(count) + ")");
    }
    std::map<Uuid, int> claimed(int most, int fresh,
                                const std::vector<WebhookQueue::Room>& known = {}) {
        last = run(queue->claim(most, fresh, known));
        std::map<Uuid, int> counts;
        for (const ClaimedWebhook& one : last.deliveries) {
            ++counts[one.endpoint_id];
        }
        return counts;
    }
    WebhookResult result(const ClaimedWebhook& webhook, int status) {
        WebhookResult made;
        made.id = webhook.id;
        made.endpoint_id = webhook.endpoint_id;
        made.attempt_id = Uuid::random();
        made.url = webhook.url;
        made.status = status;
        made.outcome.state = status == 200 ? State::succeeded : State::pending;
        made.outcome.retry_after = 5000;
        made.body = "{\"answer\":\"quoted \\\" \xc3\xa9, {}\"}";
        made.duration = 12;
        return made;
    }

    std::unique_ptr<io::Postgres> helper_db;
    std::unique_ptr<WebhookQueue> queue;
    Principal caller;
    WebhookQueue::Claim last;
};

TEST_F(Queue, EveryEndpointHasItsTurn) {
    const Uuid first = endpoint(), second = endpoint(), third = endpoint();
    announce(20);
    using Counts = std::map<Uuid, int>;
    EXPECT_EQ(claimed(6, 10), (Counts{{first, 2}, {second, 2}, {third, 2}}));
    EXPECT_EQ(claimed(100, 3), (Counts{{first, 3}, {second, 3}, {third, 3}}));
    EXPECT_EQ(claimed(100, 3, {{first, 0}, {second, 10}}), (Counts{{second, 10}, {third, 3}}));
    postgres.execute(
        "UPDATE portal.webhook_endpoints SET paused_until = now() + interval '1 h' WHERE id = '" +
        first.text() + "'");
    postgres.execute("UPDATE portal.webhook_endpoints SET enabled = false WHERE id = '" +
                     second.text() + "'");
    EXPECT_EQ(claimed(100, 100), (Counts{{third, 12}}));
    EXPECT_TRUE(last.any_endpoint);
    EXPECT_EQ(last.deliveries[0].attempts, 1);
    EXPECT_EQ(run(queue->give_up()), 20) << "of the one that is disabled, those in hand too";
    run(queue->return_leases());
    EXPECT_EQ(claimed(100, 100), (Counts{{third, 20}}));
    EXPECT_EQ(last.deliveries[0].attempts, 1) << "what was returned was no attempt";
    EXPECT_EQ(claimed(100, 100), Counts{}) << "what is claimed is leased";
    postgres.execute("UPDATE portal.webhook_deliveries SET next_attempt_at = now()");
    EXPECT_EQ(claimed(100, 100), (Counts{{third, 20}})) << "until the lease is over";
    EXPECT_EQ(last.deliveries[0].attempts, 2);
}

TEST_F(Queue, NobodyIsThere) {
    EXPECT_TRUE(claimed(100, 100).empty());
    EXPECT_FALSE(last.any_endpoint);
}

TEST_F(Queue, Records) {
    endpoint();
    announce(3);
    claimed(10, 10);
    ASSERT_EQ(last.deliveries.size(), 3u);
    std::vector<WebhookResult> results{result(last.deliveries[0], 200),
                                       result(last.deliveries[1], 500)};
    EXPECT_TRUE(run(queue->record(results)).empty());
    run(queue->record(results));  // nobody could tell whether the first was done
    EXPECT_EQ(sql("SELECT string_agg(state || ' ' || (lease_owner IS NULL), ', ' ORDER BY state, "
                  "lease_owner IS NULL) FROM "
                  "portal.webhook_deliveries"),
              "pending false, pending true, succeeded true");
    EXPECT_EQ(sql("SELECT count(*) FROM portal.webhook_attempts"), "2");
    EXPECT_EQ(sql("SELECT answer || status || duration_ms FROM portal.webhook_attempts WHERE "
                  "status = 200"),
              "{\"answer\":\"quoted \\\" \xc3\xa9, {}\"}20012");
    EXPECT_EQ(sql("SELECT failures FROM portal.webhook_endpoints"), "0") << "one of them succeeded";

    // somebody else's lease: a failure is theirs to tell, a success is one
    WebhookQueue other(*helper_db, Uuid::random());
    run(other.record({result(last.deliveries[2], 500)}));
    EXPECT_EQ(sql("SELECT lease_owner IS NULL FROM portal.webhook_deliveries WHERE id = '" +
                  last.deliveries[2].id.text() + "'"),
              "f");
    run(other.record({result(last.deliveries[2], 200)}));
    EXPECT_EQ(sql("SELECT state FROM portal.webhook_deliveries WHERE id = '" +
                  last.deliveries[2].id.text() + "'"),
              "succeeded");
}

TEST_F(Queue, FailuresInARowSlowDown) {
    endpoint();
    for (int turn = 1; turn <= 9; ++turn) {
        announce(1);
        postgres.execute("UPDATE portal.webhook_endpoints SET paused_until = NULL");
        claimed(1, 1);
        ASSERT_EQ(last.deliveries.size(), 1u);
        run(queue->record({result(last.deliveries[0], 503)}));
        const std::string seconds =
            sql("SELECT coalesce(round(extract(epoch FROM paused_until - now()))::int, 0) FROM "
                "portal.webhook_endpoints");
        const int expected = turn == 1 ? 0 : std::min(1 << (turn - 2), 60);
        EXPECT_NEAR(std::stoi(seconds), expected, 1) << turn;
    }
    announce(1);
    postgres.execute("UPDATE portal.webhook_endpoints SET paused_until = NULL");
    claimed(1, 1);
    run(queue->record({result(last.deliveries[0], 200)}));
    EXPECT_EQ(sql("SELECT failures || coalesce(paused_until::text, '-') || "
                  "coalesce(failing_since::text, '-') FROM "
                  "portal.webhook_endpoints"),
              "0--");
}

TEST_F(Queue, APauseAskedForOutlastsAnswersThatWereUnderWay) {
    endpoint();
    announce(4);
    claimed(4, 4);
    ASSERT_EQ(last.deliveries.size(), 4u);
    auto pause = [this] {
        return std::stoi(sql("SELECT coalesce(round(extract(epoch FROM paused_until - now()))::int, 0) FROM "
                             "portal.webhook_endpoints"));
    };
    WebhookResult asking = result(last.deliveries[0], 429);
    asking.outcome.pause = 120'000;
    run(queue->record({asking}));
    EXPECT_NEAR(pause(), 120, 1);
    run(queue->record({result(last.deliveries[1], 503)}));
    EXPECT_NEAR(pause(), 120, 1) << "a failure";
    asking = result(last.deliveries[2], 429);
    asking.outcome.pause = 5'000;
    run(queue->record({asking}));
    EXPECT_NEAR(pause(), 120, 1) << "a shorter one";
    run(queue->record({result(last.deliveries[3], 200)}));
    EXPECT_NEAR(pause(), 120, 1) << "a success";
    EXPECT_EQ(sql("SELECT failures FROM portal.webhook_endpoints"), "0");
}

TEST_F(Queue, AnAnswerOfTheUrlBeforeSaysNothingOfTheNewOne) {
    endpoint();
    announce(2);
    claimed(2, 2);
    ASSERT_EQ(last.deliveries.size(), 2u);
    postgres.execute("UPDATE portal.webhook_endpoints SET url = 'https://new.example.com/'");
    auto state = [this] {
        return sql("SELECT enabled || ' ' || failures || ' ' || (paused_until IS NULL) FROM portal.webhook_endpoints");
    };
    WebhookResult gone = result(last.deliveries[0], 410);
    gone.outcome.state = State::failed;
    gone.outcome.gone = true;
    gone.outcome.pause = 5'000;
    EXPECT_TRUE(run(queue->record({gone})).empty());
    EXPECT_EQ(state(), "true 0 true");
    EXPECT_EQ(sql("SELECT count(*) FROM portal.webhook_attempts"), "1") << "but it was an attempt";
    gone.id = last.deliveries[1].id;
    gone.attempt_id = Uuid::random();
    gone.url = "https://new.example.com/";
    EXPECT_EQ(run(queue->record({gone})).size(), 1u);
    EXPECT_EQ(sql("SELECT disabled_reason FROM portal.webhook_endpoints"), "gone");
}

}  // namespace
}  // namespace portal::test
