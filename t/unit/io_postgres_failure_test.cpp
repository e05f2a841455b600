// The PostgreSQL pool while servers are killed, stopped, restarted and failed over under it.
#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>

#include "io/postgres.h"
#include "io/sleep.h"
#include "io_tasks.h"
#include "servers.h"

namespace portal::io {
namespace {

using test::LogLines;
using test::PostgresServer;
using test::Together;

constexpr Statement where{"where", "SELECT current_setting('application_name') AS name, pg_backend_pid() AS pid",
                          Lane::main, Retry::read};
constexpr Statement cluster{"cluster", "SELECT current_setting('cluster_name') AS name", Lane::main, Retry::read};
constexpr Statement read_nap{"read_nap", "SELECT pg_sleep(0.4), pg_backend_pid() AS pid", Lane::main, Retry::read,
                             4000};
constexpr Statement write_nap{"write_nap", "SELECT pg_sleep(0.4), pg_backend_pid() AS pid", Lane::main, Retry::never,
                              4000};
constexpr Statement patient{"patient", "SELECT pg_sleep(0.2), 'done' AS value", Lane::main, Retry::read, 5000};
constexpr Statement insert{"insert", "INSERT INTO written VALUES ($1::text) RETURNING value"};

Task<void> rest(Loop& loop, std::int64_t milliseconds) { co_await sleep(loop, milliseconds); }

class PostgresFailure : public testing::Test {
  protected:
    void open(std::string conninfo) {
        PostgresOptions options;
        options.conninfo = std::move(conninfo);
        db.emplace(loop, std::move(options));
    }
    Rows run(const Statement& statement, Parameters parameters = {}) {
        return loop.run_task(db->query(statement, std::move(parameters)));
    }
    // How long it took until the condition held; fails after `limit`.
    std::int64_t wait_until(const std::function<bool()>& condition, std::int64_t limit) {
        std::int64_t before = loop.now();
        while (!condition() && loop.now() - before < limit) {
            loop.run_task(rest(loop, 5));
        }
        EXPECT_TRUE(condition());
        return loop.now() - before;
    }
    void wait_until_complete() {
        wait_until([this, seen = log.count("postgres: connected")] { return log.count("postgres: connected") > seen; },
                   10000);
    }
    bool works() {
        try {
            run(where);
            return true;
        } catch (const PostgresUnavailable&) {
            return false;
        }
    }

    LogLines log;
    UvLoop loop{log.sink()};
    std::optional<Postgres> db;
};

TEST_F(PostgresFailure, OneLostConnectionRetriesReadsElsewhereAndFailsWrites) {
    PostgresServer server;
    open(server.conninfo());
    wait_until_complete();
    Together<Rows> together(loop);
    for (int i = 0; i < 3; ++i) {
        together.start(db->query(read_nap));
        together.start(db->query(write_nap));
    }
    loop.run_task(rest(loop, 20));
    std::string victim = server.value("SELECT pid FROM pg_stat_activity WHERE application_name = 'portal' AND "
                                      "state = 'active' ORDER BY pid LIMIT 1");
    server.execute("SELECT pg_terminate_backend(" + victim + ")");
    together.run();
    int failed = 0;
    for (std::size_t i = 0; i < 6; ++i) {
        try {
            EXPECT_NE(together.result(i).front().text("pid"), victim);
        } catch (const PostgresUnavailable&) {
            EXPECT_EQ(i % 2, 1u) << "a read was not retried";
            ++failed;
        }
    }
    EXPECT_GE(failed, 1);
    EXPECT_EQ(log.count("lost"), 1u);
    wait_until([this] { return log.count("postgres: connected") == 2; }, 3000);
}

TEST_F(PostgresFailure, KilledMidFlightAndRestartedReadsGoOnAndWritesFail) {
    PostgresServer server;
    open(server.conninfo());
    wait_until_complete();
    Together<Rows> together(loop);
    together.start(db->query(patient));
    together.start(db->query(write_nap));
    loop.run_task(rest(loop, 50));
    server.kill();
    server.start();
    together.run();
    EXPECT_EQ(together.result(0).front().text("value"), "done");
    EXPECT_THROW(together.result(1), PostgresUnavailable);
    wait_until([this] { return works(); }, 1500);
}

TEST_F(PostgresFailure, DownItIsUnavailableWithinASecondAndRecoversSoonAfterItsReturn) {
    PostgresServer server;
    open(server.conninfo());
    wait_until_complete();
    server.kill();
    std::int64_t before = loop.now();
    EXPECT_FALSE(works());
    EXPECT_LE(loop.now() - before, 1100);
    wait_until([this] { return !db->available(); }, 500);
    loop.run_task(rest(loop, 300));
    before = loop.now();
    for (int i = 0; i < 10; ++i) {
        EXPECT_FALSE(works());
    }
    EXPECT_LE(loop.now() - before, 50) << "the breaker is open, nobody waits";
    // that they were closed or reset, and why they cannot be opened again
    EXPECT_EQ(log.count("a connection is lost, will be tried again: "), log.lines.size() - 1)
        << testing::PrintToString(log.lines);
    EXPECT_LE(log.lines.size(), 6u) << testing::PrintToString(log.lines);

    server.start();
    EXPECT_LE(wait_until([this] { return works(); }, 3000), 1500);
}

TEST_F(PostgresFailure, AServerThatKeepsSilentIsGivenUpAtTheDeadline) {
    PostgresServer server;
    open(server.conninfo());
    wait_until_complete();
    server.pause();
    std::int64_t before = loop.now();
    EXPECT_FALSE(works());
    EXPECT_GE(loop.now() - before, 990);
    EXPECT_LE(loop.now() - before, 1200);
    server.resume();
    EXPECT_LE(wait_until([this] { return works(); }, 4000), 2500);
}

TEST_F(PostgresFailure, WithoutAServerItFailsFastAndFindsOneThatAppears) {
    PostgresServer server;
    server.stop();
    open(server.conninfo());
    std::int64_t before = loop.now();
    EXPECT_FALSE(works());
    EXPECT_LE(loop.now() - before, 1100);
    EXPECT_FALSE(db->available());
    server.start();
    EXPECT_LE(wait_until([this] { return works(); }, 3000), 1500);
}

TEST_F(PostgresFailure, ARefusedTcpPortFailsFast) {
    open("hostaddr=127.0.0.1 port=" + std::to_string(test::free_port()) + " user=x dbname=x");
    std::int64_t before = loop.now();
    EXPECT_FALSE(works());
    EXPECT_LE(loop.now() - before, 1100);
    EXPECT_GE(log.count("refused"), 1u);
}

TEST_F(PostgresFailure, SeveralHostsFailOverWhenOneDiesOrFallsSilent) {
    PostgresServer first({"cluster_name=first"}), second({"cluster_name=second"});
    open("host=" + first.host() + "," + second.host() + " dbname=postgres user=postgres");
    EXPECT_EQ(run(cluster).front().text("name"), "first");
    first.stop();
    wait_until([this] { return works(); }, 3000);
    EXPECT_EQ(run(cluster).front().text("name"), "second");
    EXPECT_GE(log.count("closed the connection"), 1u);

    first.start();
    second.pause();
    wait_until([this] { return works(); }, 6000);
    EXPECT_EQ(run(cluster).front().text("name"), "first");
    second.resume();
}

// libpq replaces its socket half-way, often by one of the same number.
TEST_F(PostgresFailure, ARefusingTcpHostIsSteppedOver) {
    PostgresServer server;
    std::string refused = std::to_string(test::free_port());
    open("host=127.0.0.1,127.0.0.1," + server.host() + " port=" + refused + "," + refused +
         ",5432 dbname=postgres user=postgres");
    std::int64_t before = loop.now();
    EXPECT_TRUE(works());
    EXPECT_LE(loop.now() - before, 900);
    EXPECT_EQ(log.count("lost"), 0u);
}

TEST_F(PostgresFailure, ASilentFirstHostAtStartIsSteppedOver) {
    PostgresServer first({"cluster_name=first"}), second({"cluster_name=second"});
    first.pause();
    open("host=" + first.host() + "," + second.host() + " dbname=postgres user=postgres");
    EXPECT_LE(wait_until([this] { return works(); }, 6000), 2500);
    EXPECT_EQ(run(cluster).front().text("name"), "second");
    first.resume();
}

TEST_F(PostgresFailure, WritesLeaveAHostThatHasBecomeReadOnly) {
    PostgresServer first({"cluster_name=first"}), second({"cluster_name=second"});
    first.execute("CREATE TABLE written (value text)");
    second.execute("CREATE TABLE written (value text)");
    std::string conninfo = "host=" + first.host() + "," + second.host() + " dbname=postgres user=postgres";
    open(conninfo);
    EXPECT_EQ(run(cluster).front().text("name"), "first");
    EXPECT_EQ(run(insert, Parameters("before")).front().text("value"), "before");
    first.execute("ALTER SYSTEM SET default_transaction_read_only = on");
    first.execute("SELECT pg_reload_conf()");
    loop.run_task(rest(loop, 100));
    EXPECT_EQ(run(insert, Parameters("after")).front().text("value"), "after");
    EXPECT_EQ(second.value("SELECT count(*) FROM written"), "1");

    open(conninfo + " target_session_attrs=read-write");
    EXPECT_EQ(run(cluster).front().text("name"), "second");

    open("host=" + first.host() + " dbname=postgres user=postgres");
    EXPECT_THROW(run(insert, Parameters("nowhere to go")), PostgresUnavailable);
}

TEST_F(PostgresFailure, ListeningHearsNotificationsAndBeginsAgainAfterALoss) {
    PostgresServer server;
    open(server.conninfo());
    std::vector<std::string> heard;
    int begun = 0;
    db->listen({"portal_changed", "Odd \"name\""},
               [&](std::string_view channel, std::string_view payload) {
                   heard.push_back(std::string(channel) + "=" + std::string(payload));
               },
               [&] { ++begun; });
    wait_until([&] { return begun == 1; }, 3000);
    server.execute("NOTIFY portal_changed, 'one'; NOTIFY \"Odd \"\"name\"\"\"; NOTIFY other, 'not ours'");
    wait_until([&] { return heard.size() == 2; }, 1000);
    EXPECT_EQ(heard[0], "portal_changed=one");
    EXPECT_EQ(heard[1], "Odd \"name\"=");

    server.kill();
    server.start();
    wait_until([&] { return begun == 2; }, 3000);
    server.execute("NOTIFY portal_changed, 'two'");
    wait_until([&] { return heard.size() == 3; }, 1000);
    EXPECT_EQ(heard[2], "portal_changed=two");

    // on a dead line nothing would ever be heard, so it is noticed
    server.pause();
    wait_until([this] { return log.count("no longer answers") == 1; }, 3000);
    server.resume();
    wait_until([&] { return begun == 3; }, 5000);
    EXPECT_THROW(db->listen({"again"}, {}, {}), std::logic_error);
}

}  // namespace
}  // namespace portal::io
