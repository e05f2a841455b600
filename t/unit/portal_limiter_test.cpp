// The limiter against a real Redis: literal across nodes, batches, leases, and what it does when Redis goes away.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "io/sleep.h"
#include "io_tasks.h"
#include "portal/node_limiter.h"
#include "servers.h"
#include "zone_memory.h"

namespace portal {
namespace {

using test::LogLines;
using test::RedisServer;

struct NoLock final : ZoneLock {
    void lock() noexcept override {}
    void unlock() noexcept override {}
};

// A zone, a connection and a limiter: what a worker of a node of its own has.
struct Node {
    Node(io::Loop& loop, const io::RedisOptions* options, const Secrets& secrets,
         const std::vector<Policy>& overrides)
        : memory(test::zone_memory()),
          zone(memory.get(), lock, Freshness{}),
          redis(options != nullptr ? std::make_unique<io::Redis>(loop, *options) : nullptr),
          limiter(loop, zone, redis.get(), secrets, overrides) {}

    test::ZoneMemory memory;
    NoLock lock;
    Zone zone;
    std::unique_ptr<io::Redis> redis;
    NodeLimiter limiter;
};

constexpr Policy sixty{"sixty", 60, 60};
constexpr Policy twenty{"twenty", 20, 1};
constexpr Policy thousand{"thousand", 1000, 60};
constexpr Policy closed{"closed", 5, 60, Policy::OnError::deny};

class LimiterTest : public testing::Test {
  protected:
    std::unique_ptr<Node> node() {
        auto made = std::make_unique<Node>(loop, &options, secrets, overrides);
        EXPECT_TRUE(loop.run_task(made->redis->connected(5000)));
        return made;
    }
    Verdict admit(Node& at, const Policy& policy, const Uuid& row) {
        Limits limits{{&policy, at.limiter.row_key(policy, row)}};
        return loop.run_task(at.limiter.admit(std::move(limits)));
    }
    std::int64_t number(std::vector<std::string> command) {
        io::Redis redis(loop, options);
        EXPECT_TRUE(loop.run_task(redis.connected(5000)));
        return loop.run_task(redis.command(std::move(command))).integer();
    }
    static std::string field(Node& at, const Policy& policy, const Uuid& row) {
        const LimitKey key = at.limiter.row_key(policy, row);
        return {reinterpret_cast<const char*>(key.bytes.data()), key.bytes.size()};
    }
    void rest(std::int64_t milliseconds) { loop.run_task(rest_task(milliseconds)); }
    io::Task<void> rest_task(std::int64_t milliseconds) { co_await io::sleep(loop, milliseconds); }

    RedisServer server;
    io::RedisOptions options = io::RedisOptions::parse(server.url(), false);
    Secrets secrets = Secrets::parse(Secrets::generate_file());
    std::vector<Policy> overrides;
    LogLines log;
    io::UvLoop loop{log.sink()};
    Uuid row = Uuid::random();
};

TEST_F(LimiterTest, AdmitsExactlyTheQuotaAcrossNodes) {
    auto first = node();
    auto second = node();
    int admitted = 0;
    for (int call = 0; call < 61; ++call) {
        Verdict verdict = admit(call % 2 == 0 ? *first : *second, sixty, row);
        admitted += verdict.allowed ? 1 : 0;
        if (verdict.allowed) {
            EXPECT_EQ(verdict.limit.remaining, 59u - unsigned(call));
        } else {
            EXPECT_GE(verdict.limit.reset_in, 58);
            EXPECT_LE(verdict.limit.reset_in, 60);
        }
    }
    EXPECT_EQ(admitted, 60);
}

TEST_F(LimiterTest, TellsItsHeaders) {
    auto one = node();
    Verdict verdict = admit(*one, sixty, row);
    std::map<std::string, std::string> headers;
    std::vector<char> space(verdict.limit.room());
    verdict.limit.each(space.data(), [&](std::string_view name, std::string_view value) { headers.emplace(name, value); });
    const std::string reset = std::exchange(headers["X-RateLimit-Reset"], "");
    EXPECT_NEAR(double(std::atoll(reset.c_str())), double(unix_ms() / 1000 + 60), 1.0);
    EXPECT_EQ(headers, (std::map<std::string, std::string>{
                           {"X-RateLimit-Limit", "60"},
                           {"X-RateLimit-Remaining", "59"},
                           {"X-RateLimit-Reset", ""},
                           {"RateLimit-Policy", "\"sixty\";q=60;w=60"},
                           {"RateLimit", "\"sixty\";r=59;t=60"},
                       }));
}

TEST_F(LimiterTest, NoWindowHoldsMoreThanTheQuotaHoweverTheNodesMix) {
    auto first = node();
    auto second = node();
    std::mt19937 random(7);
    std::vector<std::int64_t> times;
    const std::int64_t until = monotonic_ms() + 3500;
    while (monotonic_ms() < until) {
        if (admit(random() % 2 == 0 ? *first : *second, twenty, row).allowed) {
            times.push_back(monotonic_ms());
        }
        if (random() % 8 == 0) {
            rest(std::int64_t(random() % 20));
        }
    }
    EXPECT_GE(times.size(), 60u) << "what is allowed is given";
    for (std::size_t at = 20; at < times.size(); ++at) {
        // taken after the answer, so two of them may be a little closer than the log has them
        EXPECT_GT(times[at] - times[at - 20], 985);
    }
}

TEST_F(LimiterTest, OneTurnIsOneScriptCall) {
    auto one = node();
    admit(*one, sixty, Uuid::random());
    loop.run_task(one->redis->command({"CONFIG", "RESETSTAT"}));
    std::vector<io::Task<Verdict>> tasks;
    for (int call = 0; call < 40; ++call) {
        Limits limits{{&sixty, one->limiter.row_key(sixty, Uuid::random())}};
        tasks.push_back(one->limiter.admit(std::move(limits)));
        tasks.back().start();
    }
    rest(100);
    for (auto& task : tasks) {
        ASSERT_TRUE(task.done());
        EXPECT_TRUE(task.result().allowed);
    }
    const std::string stats = loop.run_task(one->redis->command({"INFO", "commandstats"})).string();
    EXPECT_NE(stats.find("cmdstat_evalsha:calls=1,"), std::string::npos) << stats;
}

TEST_F(LimiterTest, LeasesSpareRedisAndStayLiteral) {
    auto first = node();
    auto second = node();
    int admitted = 0;
    for (int call = 0; call < 2400; ++call) {
        admitted += admit(call % 3 == 0 ? *first : *second, thousand, row).allowed ? 1 : 0;
    }
    EXPECT_LE(admitted, 1000);
    EXPECT_GE(admitted, 930) << "leases shrink as the limit comes near";
    EXPECT_GT(first->zone.counted(Counter::lease_hits) + second->zone.counted(Counter::lease_hits), 500u);
}

TEST_F(LimiterTest, RemainingFallsByOneACallOnOneNode) {
    auto one = node();
    for (unsigned call = 0; call < 200; ++call) {
        EXPECT_EQ(admit(*one, thousand, row).limit.remaining, 999 - call);
    }
}

TEST_F(LimiterTest, SeveralLimitsAdmitAllOrNone) {
    auto one = node();
    const Policy two{"two", 2, 60};
    for (int call = 0; call < 4; ++call) {
        Limits limits{{&sixty, one->limiter.row_key(sixty, row)}, {&two, one->limiter.row_key(two, row)}};
        Verdict verdict = loop.run_task(one->limiter.admit(std::move(limits)));
        EXPECT_EQ(verdict.allowed, call < 2);
        EXPECT_EQ(verdict.limit.policy, "two");
    }
    auto other = node();
    EXPECT_EQ(admit(*other, sixty, row).limit.remaining, 57u) << "the refused ones were counted nowhere";
}

TEST_F(LimiterTest, GivesAnAdmissionBack) {
    auto one = node();
    auto other = node();
    Verdict verdict;
    for (int call = 0; call < 60; ++call) {
        verdict = admit(*one, sixty, row);
    }
    ASSERT_FALSE(admit(*other, sixty, row).allowed);
    one->limiter.give_back(verdict.charged);
    rest(50);
    EXPECT_TRUE(admit(*one, sixty, row).allowed);
    EXPECT_FALSE(admit(*one, sixty, row).allowed);
}

TEST_F(LimiterTest, ARefusalIsRememberedWithoutAskingAgain) {
    auto one = node();
    auto other = node();
    for (int call = 0; call < 60; ++call) {
        admit(*one, sixty, row);
    }
    EXPECT_FALSE(admit(*other, sixty, row).allowed);
    const auto asked = other->zone.counted(Counter::redis_asks);
    for (int call = 0; call < 20; ++call) {
        EXPECT_FALSE(admit(*other, sixty, row).allowed);
    }
    EXPECT_EQ(other->zone.counted(Counter::redis_asks), asked);
}

TEST_F(LimiterTest, SurvivesARestartThatForgetsTheScript) {
    auto one = node();
    admit(*one, sixty, row);
    loop.run_task(one->redis->command({"SCRIPT", "FLUSH"}));
    Verdict verdict = admit(*one, sixty, row);
    EXPECT_TRUE(verdict.allowed);
    EXPECT_FALSE(verdict.degraded);
    EXPECT_EQ(verdict.limit.remaining, 58u);
}

TEST_F(LimiterTest, WithoutRedisTheNodeStaysLiteralAndWhatFailsClosedIsRefused) {
    auto one = node();
    for (int call = 0; call < 30; ++call) {
        admit(*one, sixty, row);
    }
    server.kill();
    int admitted = 0;
    for (int call = 0; call < 40; ++call) {
        Verdict verdict = admit(*one, sixty, row);
        EXPECT_TRUE(verdict.degraded || !verdict.allowed);
        admitted += verdict.allowed ? 1 : 0;
    }
    EXPECT_EQ(admitted, 30);
    EXPECT_GE(one->zone.counted(Counter::limiter_degraded), 30u);
    Verdict refused = admit(*one, closed, row);
    EXPECT_FALSE(refused.allowed);
    EXPECT_TRUE(refused.unavailable);
    server.start();
    ASSERT_TRUE(loop.run_task(one->redis->connected(5000)));
    Verdict again = admit(*one, sixty, row);
    EXPECT_FALSE(again.allowed) << "Redis came back empty, the node has not forgotten";
    EXPECT_TRUE(admit(*one, closed, row).allowed);
}

TEST_F(LimiterTest, WhatFailsClosedWaitsForTheFirstConnection) {
    Node fresh(loop, &options, secrets, overrides);
    EXPECT_TRUE(admit(fresh, sixty, row).degraded) << "the others go by the zone";
    EXPECT_TRUE(fresh.redis->starting());
    const Verdict verdict = admit(fresh, closed, row);
    EXPECT_TRUE(verdict.allowed);
    EXPECT_FALSE(verdict.degraded);
    EXPECT_FALSE(fresh.redis->starting());
}

TEST_F(LimiterTest, TheFirstConnectionIsWaitedForNoLongerThanTheBudget) {
    options.budget = 100;
    server.pause();
    Node fresh(loop, &options, secrets, overrides);
    const std::int64_t began = monotonic_ms();
    EXPECT_TRUE(admit(fresh, closed, row).unavailable);
    const std::int64_t took = monotonic_ms() - began;
    EXPECT_GE(took, 95);
    EXPECT_LT(took, 400);
    server.resume();
}

TEST_F(LimiterTest, AFirstConnectionThatFailsIsNotWaitedFor) {
    options.budget = 5000;
    server.kill();
    Node fresh(loop, &options, secrets, overrides);
    const std::int64_t began = monotonic_ms();
    EXPECT_TRUE(admit(fresh, closed, row).unavailable);
    EXPECT_TRUE(admit(fresh, closed, row).unavailable);
    EXPECT_LT(monotonic_ms() - began, 1000);
    server.start();
}

TEST_F(LimiterTest, AfterAnOutageWhatRemainsIsWhatTheNodeKnows) {
    auto one = node();
    admit(*one, sixty, row);
    server.kill();
    for (int call = 0; call < 10; ++call) {
        admit(*one, sixty, row);
    }
    server.start();
    ASSERT_TRUE(loop.run_task(one->redis->connected(5000)));
    Verdict verdict = admit(*one, sixty, row);
    EXPECT_FALSE(verdict.degraded);
    EXPECT_EQ(verdict.limit.remaining, 48u) << "Redis has heard of one";
}

TEST_F(LimiterTest, AStalledRedisCostsItsBudgetOnce) {
    options.budget = 100;
    auto one = node();
    server.pause();
    const std::int64_t began = monotonic_ms();
    EXPECT_TRUE(admit(*one, sixty, row).degraded);
    EXPECT_TRUE(admit(*one, sixty, row).degraded);
    EXPECT_TRUE(admit(*one, sixty, row).degraded);
    EXPECT_LT(monotonic_ms() - began, 400) << "the breaker spares the others the wait";
    EXPECT_FALSE(admit(*one, closed, row).allowed);
    server.resume();
}

TEST_F(LimiterTest, CancellingAnAskHarmsNobody) {
    auto one = node();
    {
        Limits limits{{&sixty, one->limiter.row_key(sixty, row)}};
        io::Task<Verdict> gone = one->limiter.admit(std::move(limits));
        gone.start();
    }
    EXPECT_TRUE(admit(*one, sixty, row).allowed);
    rest(20);
    EXPECT_TRUE(admit(*one, sixty, row).allowed);
}

TEST_F(LimiterTest, AClockSetBackIsReadAsNow) {
    auto one = node();
    // a log from an hour ahead, as another Redis's clock would have left it: 20 admissions
    const std::int64_t ahead = unix_ms() + 3600 * 1000;
    std::string log_text;
    for (int at = 0; at < 20 * 6; ++at) {
        log_text += char(ahead >> (8 * (at % 6)));
    }
    loop.run_task(one->redis->command({"HSET", "portal:{limits}:exact:1001", "began", std::to_string(ahead),
                                       field(*one, twenty, row), log_text}));
    Verdict verdict = admit(*one, twenty, row);
    EXPECT_FALSE(verdict.allowed);
    EXPECT_LE(verdict.limit.reset_in, 2);
    rest(1100);
    EXPECT_TRUE(admit(*one, twenty, row).allowed) << "a window later all of it is over";
}

TEST_F(LimiterTest, LogsOutliveTheHashTheyBeganIn) {
    for (const auto& [policy, hash] : {std::pair(sixty, "exact:60001"), std::pair(thousand, "steps:60001")}) {
        const std::string young = std::string("portal:{limits}:") + hash;
        const std::string old = young + ":old";
        const Uuid idle = Uuid::random();
        auto first = node();
        admit(*first, policy, row);
        admit(*first, policy, idle);
        EXPECT_GT(number({"PTTL", young}), 130000);
        EXPECT_LT(number({"PTTL", young}), 160000);
        for (unsigned nodes = 2; nodes < 5; ++nodes) {
            loop.run_task(first->redis->command({"HSET", young, "began", std::to_string(unix_ms() - 80000)}));
            auto another = node();
            const unsigned left = admit(*another, policy, row).limit.remaining;
            EXPECT_LE(left, policy.quota - nodes);
            EXPECT_GE(left, policy.quota - 2 * nodes) << "a lease is two at first";
            EXPECT_EQ(number({"HLEN", young}), 2) << "when it began, and what was asked for since";
            EXPECT_EQ(number({"HEXISTS", old, field(*first, policy, idle)}), nodes == 2 ? 1 : 0);
        }
    }
}

TEST_F(LimiterTest, OneBatchMayAskForTheSameKeyTwice) {
    auto one = node();
    std::vector<io::Task<Verdict>> tasks;
    for (int call = 0; call < 61; ++call) {
        Limits limits{{&sixty, one->limiter.row_key(sixty, row)}};
        tasks.push_back(one->limiter.admit(std::move(limits)));
        tasks.back().start();
    }
    rest(100);
    auto other = node();
    EXPECT_FALSE(admit(*other, sixty, row).allowed) << "each was logged";
    EXPECT_EQ(std::ranges::count_if(tasks, [](auto& task) { return task.result().allowed; }), 60);
}

TEST_F(LimiterTest, WithoutRedisConfiguredTheZoneDecides) {
    Node alone(loop, nullptr, secrets, overrides);
    int admitted = 0;
    for (int call = 0; call < 100; ++call) {
        Verdict verdict = admit(alone, sixty, row);
        EXPECT_FALSE(verdict.degraded);
        admitted += verdict.allowed ? 1 : 0;
    }
    EXPECT_EQ(admitted, 60);
}

TEST_F(LimiterTest, OverridesReplaceAPolicyByName) {
    overrides.push_back({"sixty", 2, 60});
    auto one = node();
    EXPECT_TRUE(admit(*one, sixty, row).allowed);
    EXPECT_TRUE(admit(*one, sixty, row).allowed);
    EXPECT_FALSE(admit(*one, sixty, row).allowed);
}

TEST(LimiterAddress, KeysIpv6ByItsNetworkAndMappedAddressesAsIpv4) {
    EXPECT_EQ(limiter_address("192.0.2.7"), "192.0.2.7");
    EXPECT_EQ(limiter_address("::ffff:192.0.2.7"), "192.0.2.7");
    EXPECT_EQ(limiter_address("2001:db8:1:2:3:4:5:6"), limiter_address("2001:db8:1:2::1"));
    EXPECT_NE(limiter_address("2001:db8:1:2::1"), limiter_address("2001:db8:1:3::1"));
    EXPECT_EQ(limiter_address("unix:"), "unix:");
}

}  // namespace
}  // namespace portal
