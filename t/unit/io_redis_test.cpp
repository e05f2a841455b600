// The Redis client against a real Redis, which is killed, stopped and restarted under it.
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "io/redis.h"
#include "io/sleep.h"
#include "io_tasks.h"
#include "servers.h"

namespace portal::io {
namespace {

using test::LogLines;
using test::RedisServer;
using test::Together;

// Collects what it is told, in order.
struct Collector final : Redis::Receiver {
    std::vector<std::string> told;
    void on_reply(RedisValue value) noexcept override {
        told.push_back(value.nil() ? "nil" : value.value.index() == 1 ? std::to_string(value.integer()) : "array");
    }
    void on_bulk(std::string_view text) noexcept override { told.emplace_back(text); }
    void on_error(std::string message) noexcept override { told.push_back("-" + message); }
    void on_unavailable(std::string) noexcept override { told.emplace_back("unavailable"); }
};

bool send(Redis& redis, std::initializer_list<std::string_view> command, Redis::Receiver& receiver) {
    return redis.send(command.begin(), command.size(), receiver);
}

Task<void> rest(Loop& loop, std::int64_t milliseconds) { co_await sleep(loop, milliseconds); }

class RedisClient : public testing::Test {
  protected:
    explicit RedisClient(std::vector<std::string> settings = {}) : server(std::move(settings)) {}

    RedisOptions options() const { return RedisOptions::parse(server.url(), false); }
    void connect(RedisOptions with) {
        redis.emplace(loop, std::move(with));
        ASSERT_TRUE(loop.run_task(redis->connected(5000)));
    }
    void wait_until(const std::function<bool()>& condition, std::int64_t limit) {
        std::int64_t until = loop.now() + limit;
        while (!condition() && loop.now() < until) {
            loop.run_task(rest(loop, 5));
        }
        EXPECT_TRUE(condition());
    }
    RedisValue run(std::vector<std::string> command) { return loop.run_task(redis->command(std::move(command))); }

    RedisServer server;
    LogLines log;
    UvLoop loop{log.sink()};
    std::optional<Redis> redis;
};

TEST_F(RedisClient, AnswersEveryKindOfValue) {
    connect(options());
    EXPECT_EQ(run({"SET", "key", "value"}).string(), "OK");
    EXPECT_EQ(run({"GET", "key"}).string(), "value");
    EXPECT_TRUE(run({"GET", "none"}).nil());
    EXPECT_EQ(run({"INCRBY", "number", "-5"}).integer(), -5);
    std::string binary("a\0\r\n\xff", 5);
    run({"SET", binary, binary});
    EXPECT_EQ(run({"GET", binary}).string(), binary);
    EXPECT_EQ(run({"GET", "key"}).string(), "value");
    RedisValue nested = run({"EVAL", "return {1, {'two', false, {err='ERR three'}}, {}}", "0"});
    ASSERT_EQ(nested.array().size(), 3u);
    EXPECT_EQ(nested.array()[0].integer(), 1);
    EXPECT_EQ(nested.array()[1].array()[0].string(), "two");
    EXPECT_TRUE(nested.array()[1].array()[1].nil());
    EXPECT_TRUE(nested.array()[1].array()[2].string().starts_with("-ERR three"));
    EXPECT_TRUE(nested.array()[2].array().empty());
}

TEST_F(RedisClient, ErrorsAreThrownAndHarmNobodyElse) {
    connect(options());
    try {
        run({"EVALSHA", std::string(40, '0'), "0"});
        FAIL();
    } catch (const RedisError& error) {
        EXPECT_TRUE(std::string(error.what()).starts_with("NOSCRIPT"));
    }
    EXPECT_EQ(run({"PING"}).string(), "PONG");
    EXPECT_EQ(redis->reconnects(), 0);
}

TEST_F(RedisClient, CommandsOfOneTurnAreAnsweredInOrder) {
    connect(options());
    Together<RedisValue> together(loop);
    for (int i = 0; i < 500; ++i) {
        together.start(redis->command({"ECHO", std::to_string(i)}));
    }
    together.run();
    for (int i = 0; i < 500; ++i) {
        EXPECT_EQ(together.result(std::size_t(i)).string(), std::to_string(i));
    }
}

TEST_F(RedisClient, OneReceiverMayWaitForSeveral) {
    connect(options());
    Collector collector;
    ASSERT_TRUE(send(*redis, {"ECHO", "a"}, collector));
    ASSERT_TRUE(send(*redis, {"INCR", "n"}, collector));
    ASSERT_TRUE(send(*redis, {"NONSENSE"}, collector));
    ASSERT_TRUE(send(*redis, {"GET", "none"}, collector));
    run({"PING"});
    ASSERT_EQ(collector.told.size(), 4u);
    EXPECT_EQ(collector.told[0], "a");
    EXPECT_EQ(collector.told[1], "1");
    EXPECT_TRUE(collector.told[2].starts_with("-ERR unknown command"));
    EXPECT_EQ(collector.told[3], "nil");
}

TEST_F(RedisClient, LargeCommandsAndRepliesPassWhole) {
    connect(options());
    std::string large(3'000'000, 'x');
    large[20'000] = 'y';
    Together<RedisValue> together(loop);
    together.start(redis->command({"SET", "large", large}));
    together.start(redis->command({"GET", "large"}));
    together.start(redis->command({"ECHO", std::string(20'000, 'z')}));
    together.start(redis->command({"ECHO", "after"}));
    together.run();
    EXPECT_EQ(together.result(1).string(), large);
    EXPECT_EQ(together.result(2).string().size(), 20'000u);
    EXPECT_EQ(together.result(3).string(), "after");
}

TEST_F(RedisClient, AForgottenReceiversReplyGoesToNobody) {
    connect(options());
    Collector gone, kept;
    send(*redis, {"ECHO", "1"}, gone);
    send(*redis, {"ECHO", "2"}, kept);
    redis->forget(gone);
    Task<RedisValue> cancelled = redis->command({"ECHO", "3"});
    cancelled.start();
    cancelled.reset();
    EXPECT_EQ(run({"ECHO", "4"}).string(), "4");
    EXPECT_TRUE(gone.told.empty());
    EXPECT_EQ(kept.told, std::vector<std::string>{"2"});
}

TEST_F(RedisClient, ATimeoutDestroysTheConnectionAndTheLateReplyGoesToNobody) {
    RedisOptions hasty = options();
    hasty.budget = 100;
    connect(hasty);
    server.pause();
    Together<RedisValue> together(loop);
    std::int64_t before = loop.now();
    together.start(redis->command({"ECHO", "late"}));
    together.start(redis->command({"ECHO", "later"}));
    together.run();
    EXPECT_GE(loop.now() - before, 100);
    EXPECT_LT(loop.now() - before, 300);
    EXPECT_THROW(together.result(0), RedisUnavailable);
    EXPECT_THROW(together.result(1), RedisUnavailable);
    EXPECT_EQ(redis->timeouts(), 1);
    EXPECT_FALSE(redis->available());

    server.resume();
    ASSERT_TRUE(loop.run_task(redis->connected(5000)));
    EXPECT_EQ(redis->reconnects(), 1);
    EXPECT_EQ(run({"ECHO", "fresh"}).string(), "fresh");
}

TEST_F(RedisClient, AStandstillOfTheWholeMachineIsNotHeldAgainstRedis) {
    RedisOptions patient = options();
    patient.budget = 500;
    connect(patient);
    Together<RedisValue> together(loop);
    server.pause();
    together.start(redis->command({"ECHO", "slept"}));
    loop.run_task(rest(loop, 5));   // it is sent
    std::this_thread::sleep_for(std::chrono::milliseconds(900));
    std::thread wakes([this] {
        std::this_thread::sleep_for(std::chrono::milliseconds(30));
        server.resume();
    });
    together.run();
    wakes.join();
    EXPECT_EQ(together.result(0).string(), "slept");
    EXPECT_EQ(redis->timeouts(), 0);
}

TEST_F(RedisClient, AGreetingSlowerThanTheBudgetIsNone) {
    RedisOptions hasty = options();
    hasty.budget = 100;
    connect(hasty);
    server.pause();
    EXPECT_THROW(run({"ECHO", "late"}), RedisUnavailable);
    wait_until([this] { return log.count("no greeting within 100 ms") > 0; }, 1000);
    EXPECT_EQ(log.count("no greeting within 100 ms"), 1u);
    server.resume();
    ASSERT_TRUE(loop.run_task(redis->connected(5000)));
}

TEST_F(RedisClient, ABreakerRefusesAtOnce) {
    connect(options());
    server.kill();
    wait_until([this] { return !redis->available(); }, 1000);
    Collector collector;
    std::int64_t before = loop.now();
    EXPECT_FALSE(send(*redis, {"PING"}, collector));
    EXPECT_THROW(run({"PING"}), RedisUnavailable);
    EXPECT_LT(loop.now() - before, 50);
    EXPECT_TRUE(collector.told.empty());
}

TEST_F(RedisClient, KilledMidFlightFailsWhatIsPendingAndComesBack) {
    connect(options());
    server.pause();
    Together<RedisValue> together(loop);
    for (int i = 0; i < 20; ++i) {
        together.start(redis->command({"INCR", "n"}));
    }
    loop.run_task(rest(loop, 20));   // they are out
    server.kill();
    together.run();
    for (std::size_t i = 0; i < 20; ++i) {
        EXPECT_THROW(together.result(i), RedisUnavailable);
    }
    server.start();
    ASSERT_TRUE(loop.run_task(redis->connected(7000)));
    EXPECT_EQ(run({"GET", "n"}).nil(), true);
}

TEST_F(RedisClient, LogsStateChangesOnce) {
    connect(options());
    server.kill();
    wait_until([this] { return !redis->available(); }, 1000);
    loop.run_task(rest(loop, 700));   // several attempts fail meanwhile
    EXPECT_EQ(log.count("No such file") + log.count("refused") + log.count("closed"), 2u);
    EXPECT_EQ(log.count("connected to"), 1u);
}

TEST_F(RedisClient, SelectsItsDatabaseAndSetsItsName) {
    RedisOptions with = RedisOptions::parse(server.url() + "?db=3", false);
    with.client_name = "unit-test";
    connect(with);
    run({"SET", "here", "3"});
    EXPECT_NE(run({"CLIENT", "LIST"}).string().find("name=unit-test"), std::string::npos);
    connect(options());
    EXPECT_TRUE(run({"GET", "here"}).nil());
}

TEST_F(RedisClient, ConnectsOverTcp) {
    connect(RedisOptions::parse("redis://127.0.0.1:" + std::to_string(server.port()), false));
    EXPECT_EQ(run({"PING"}).string(), "PONG");
}

TEST_F(RedisClient, PendingCommandsFailWhenTheClientGoes) {
    connect(options());
    Together<RedisValue> together(loop);
    Collector collector;
    together.start(redis->command({"ECHO", "1"}));
    send(*redis, {"ECHO", "2"}, collector);
    redis.reset();
    together.run();
    EXPECT_THROW(together.result(0), RedisUnavailable);
    EXPECT_EQ(collector.told, std::vector<std::string>{"unavailable"});
}

TEST_F(RedisClient, DoesNotReconnectWhileTheProcessStops) {
    connect(options());
    loop.shutdown();
    EXPECT_EQ(run({"PING"}).string(), "PONG");   // what still drains is served
    server.kill();
    wait_until([this] { return !redis->available(); }, 1000);
    server.start();
    loop.run_task(rest(loop, 200));
    EXPECT_FALSE(redis->available());
}

// A receiver that goes on asking from inside its answer.
struct Chain final : Redis::Receiver {
    Chain(Redis& redis_, Loop& loop_) : redis(redis_), loop(loop_) {}
    Redis& redis;
    Loop& loop;
    int left = 1000;
    bool failed = false;
    void on_reply(RedisValue) noexcept override {
        if (--left > 0) {
            failed = failed || !send(redis, {"INCR", "chain"}, *this);
        }
    }
    void on_error(std::string) noexcept override { failed = true; }
    void on_unavailable(std::string) noexcept override { failed = true; }
};

TEST_F(RedisClient, AReceiverMaySendFromInsideItsReply) {
    connect(options());
    Chain chain(*redis, loop);
    ASSERT_TRUE(send(*redis, {"INCR", "chain"}, chain));
    wait_until([&] { return chain.left == 0 || chain.failed; }, 5000);
    EXPECT_FALSE(chain.failed);
    EXPECT_EQ(run({"GET", "chain"}).string(), "1000");
}

class RedisWithPassword : public RedisClient {
  protected:
    RedisWithPassword() : RedisClient({"--requirepass", "p@ss word"}) {}
};

TEST_F(RedisWithPassword, AuthenticatesAfterEachConnect) {
    std::string url = "redis://:p%40ss%20word@127.0.0.1:" + std::to_string(server.port()) + "/1";
    connect(RedisOptions::parse(url, false));
    EXPECT_EQ(run({"PING"}).string(), "PONG");
    server.kill();
    server.start();
    wait_until([this] { return redis->reconnects() == 1; }, 7000);
    EXPECT_EQ(run({"PING"}).string(), "PONG");
}

TEST_F(RedisWithPassword, IsUnavailableWithAWrongOneAndSaysWhyWithoutQuotingIt) {
    std::string url = "redis://:wrong-secret@127.0.0.1:" + std::to_string(server.port());
    redis.emplace(loop, RedisOptions::parse(url, false));
    EXPECT_FALSE(loop.run_task(redis->connected(300)));
    EXPECT_EQ(log.count("WRONGPASS"), 1u);
    EXPECT_EQ(log.count("wrong-secret"), 0u);
    redis.emplace(loop, options());
    EXPECT_FALSE(loop.run_task(redis->connected(100)));
    EXPECT_EQ(log.count("NOAUTH"), 1u);
}

TEST(RedisWithoutAServer, IsUnavailableAtOnceAndKeepsTrying) {
    LogLines log;
    UvLoop loop(log.sink());
    Redis refused(loop, RedisOptions::parse("redis://127.0.0.1:" + std::to_string(test::free_port()), false));
    Redis absent(loop, RedisOptions::parse("unix:/nonexistent/redis.sock", false));
    EXPECT_FALSE(loop.run_task(refused.connected(200)));
    EXPECT_FALSE(absent.available());
    EXPECT_THROW(loop.run_task(refused.command({"PING"})), RedisUnavailable);
    EXPECT_EQ(log.lines.size(), 2u);
}

TEST(RedisUrl, NamesHostPortDatabaseAndCredentials) {
    RedisOptions plain = RedisOptions::parse("redis://127.0.0.1", false);
    EXPECT_EQ(plain.host, "127.0.0.1");
    EXPECT_EQ(plain.port, 6379);
    RedisOptions full = RedisOptions::parse("redis://us%3Aer:p%40%2F@[::1]:7000/12", false);
    EXPECT_EQ(full.host, "::1");
    EXPECT_EQ(full.port, 7000);
    EXPECT_EQ(full.database, 12);
    EXPECT_EQ(full.username, "us:er");
    EXPECT_EQ(full.password, "p@/");
    RedisOptions path = RedisOptions::parse("unix:/run/redis.sock?db=2", false);
    EXPECT_EQ(path.unix_path, "/run/redis.sock");
    EXPECT_EQ(path.database, 2);
    EXPECT_EQ(RedisOptions::parse("unix:///run/redis.sock", false).unix_path, "/run/redis.sock");
    EXPECT_EQ(RedisOptions::parse("redis://localhost/", true).port, 6379);
}

TEST(RedisUrl, IsRefusedWithAReason) {
    for (const char* url :
         {"", "127.0.0.1:6379", "rediss://127.0.0.1", "http://127.0.0.1", "redis://", "redis://:80", "redis://localhost",
          "redis://127.0.0.1:", "redis://127.0.0.1:x", "redis://127.0.0.1:0", "redis://127.0.0.1:65536",
          "redis://127.0.0.1/x", "redis://127.0.0.1/-1", "redis://[::1", "redis://[::1]x", "redis://secret@127.0.0.1",
          "redis://u:@127.0.0.1", "redis://u:%4@127.0.0.1", "redis://u:%zz@127.0.0.1", "unix:", "unix:relative",
          "unix:/a?password=b", "unix:/a?db=x"}) {
        EXPECT_THROW(RedisOptions::parse(url, false), std::invalid_argument) << url;
    }
    EXPECT_THROW(RedisOptions::parse("unix:/" + std::string(200, 'a'), false), std::invalid_argument);
    EXPECT_THROW(RedisOptions::parse("redis://no-such-host.invalid", true), std::invalid_argument);
    try {
        RedisOptions::parse("redis://user:hunter2@example.com", false);
        FAIL();
    } catch (const std::invalid_argument& error) {
        EXPECT_EQ(std::string(error.what()).find("hunter2"), std::string::npos);
    }
}

}  // namespace
}  // namespace portal::io
