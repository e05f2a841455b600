// The PostgreSQL pool against a real server: statements, their isolation in the pipeline, cancelling, deadlines.
// What happens when servers die is in io_postgres_failure_test.cpp.
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

constexpr Statement echo{"echo", "SELECT $1::text AS value, $1::text IS NULL AS none"};
constexpr Statement typed{"typed", "SELECT $1::bool AS yes, $2::bigint AS number, $3::int AS small, $4::text[] AS list, "
                                   "cardinality($4::text[]) AS count, ($4::text[])[$3] AS chosen"};
constexpr Statement divide{"divide", "SELECT 10 / $1::int AS value"};
constexpr Statement nap{"nap", "SELECT pg_sleep($1::float8), $2::text AS value", Lane::main, Retry::never, 3000};
constexpr Statement brief_nap{"brief_nap", "SELECT pg_sleep($1::float8)", Lane::main, Retry::never, 200};
constexpr Statement slow_nap{"slow_nap", "SELECT pg_sleep($1::float8)", Lane::main, Retry::never, 5000};
constexpr Statement backend{"backend", "SELECT pg_backend_pid() AS pid"};
constexpr Statement lookup_backend{"lookup_backend", "SELECT pg_backend_pid() AS pid", Lane::lookup};

Task<void> rest(Loop& loop, std::int64_t milliseconds) { co_await sleep(loop, milliseconds); }

class PostgresPool : public testing::Test {
  protected:
    PostgresOptions options() const {
        PostgresOptions made;
        made.conninfo = server.conninfo();
        return made;
    }
    void open(PostgresOptions with) { db.emplace(loop, std::move(with)); }
    Rows run(const Statement& statement, Parameters parameters = {}) {
        return loop.run_task(db->query(statement, std::move(parameters)));
    }
    // The SQLSTATE of the refusal.
    std::string refused(const Statement& statement, Parameters parameters = {}) {
        try {
            run(statement, std::move(parameters));
        } catch (const PostgresError& error) {
            last_error = error;
            return error.sqlstate;
        }
        return "";
    }

    PostgresServer server;
    LogLines log;
    UvLoop loop{log.sink()};
    std::optional<Postgres> db;
    std::optional<PostgresError> last_error;
};

TEST_F(PostgresPool, PassesParametersAndRowsThrough) {
    open(options());
    for (std::string value : {"", "plain", "it's", "back\\slash", "\"quoted\"", "zwölf € 🙂", "$1", "%s\n\t"}) {
        EXPECT_EQ(run(echo, Parameters(value)).front().string("value"), value);
    }
    EXPECT_TRUE(run(echo, Parameters(nullptr)).front().null("value"));
    EXPECT_TRUE(run(echo, Parameters(std::optional<std::string>())).front().boolean("none"));
    EXPECT_EQ(run(echo, Parameters(std::nullopt)).front().optional("value"), std::nullopt);
    EXPECT_EQ(run(echo, Parameters("")).front().optional("value"), "");

    std::vector<std::string> list{"a", "", "with \"quotes\" and \\", "{,}", "NULL"};
    Rows rows = run(typed, Parameters(true, std::int64_t(-9'000'000'000'000'000'000), 3, list));
    ASSERT_EQ(rows.size(), 1);
    EXPECT_TRUE(rows[0].boolean("yes"));
    EXPECT_EQ(rows[0].integer("number"), -9'000'000'000'000'000'000);
    EXPECT_EQ(rows[0].integer("count"), 5);
    EXPECT_EQ(rows[0].text("chosen"), list[2]);
    for (int i = 1; i <= 5; ++i) {
        EXPECT_EQ(run(typed, Parameters(true, 0, i, list)).front().text("chosen"), list[std::size_t(i - 1)]);
    }
    EXPECT_EQ(run(typed, Parameters(false, 0, 1, std::vector<std::string>())).front().integer("count"), 0);
    EXPECT_THROW(rows[0].text("nonsense"), std::logic_error);
    EXPECT_EQ(refused(echo, Parameters(std::string("a\0b", 3))), "22021");
}

TEST_F(PostgresPool, AnErrorHarmsNobodyElseInThePipeline) {
    PostgresOptions with = options();
    with.lookup_connections = 0;
    with.main_connections = 1;
    open(with);
    std::int64_t pid = run(backend).front().integer("pid");
    Together<Rows> together(loop);
    for (int i = 0; i < 30; ++i) {
        together.start(db->query(divide, Parameters(i % 3)));
    }
    together.run();
    for (int i = 0; i < 30; ++i) {
        if (i % 3 == 0) {
            EXPECT_THROW(together.result(std::size_t(i)), PostgresError);
        } else {
            EXPECT_EQ(together.result(std::size_t(i)).front().integer("value"), 10 / (i % 3));
        }
    }
    EXPECT_EQ(run(backend).front().integer("pid"), pid);
}

TEST_F(PostgresPool, AStatementThatCannotBePreparedFailsAloneAndMayWorkLater) {
    static constexpr Statement early{"early", "SELECT value FROM later WHERE id = $1"};
    PostgresOptions with = options();
    with.lookup_connections = 0;
    with.main_connections = 1;
    open(with);
    std::int64_t pid = run(backend).front().integer("pid");
    Together<Rows> together(loop);
    for (int i = 0; i < 5; ++i) {
        together.start(db->query(early, Parameters(1)));
        together.start(db->query(echo, Parameters(std::to_string(i))));
    }
    together.run();
    for (std::size_t i = 0; i < 5; ++i) {
        try {
            together.result(2 * i);
            FAIL();
        } catch (const PostgresError& error) {
            EXPECT_EQ(error.sqlstate, i < 1 ? "42P01" : error.sqlstate);
        } catch (const PostgresUnavailable&) {
        }
        EXPECT_EQ(together.result(2 * i + 1).front().text("value"), std::to_string(i));
    }
    server.execute("CREATE TABLE later (id int, value text); INSERT INTO later VALUES (1, 'now')");
    EXPECT_EQ(run(early, Parameters(1)).front().text("value"), "now");
    EXPECT_EQ(run(backend).front().integer("pid"), pid);
}

TEST_F(PostgresPool, NamesTheViolatedConstraintAndTheRaisedText) {
    server.execute(R"(
        CREATE TABLE owned (id int CONSTRAINT owned_key PRIMARY KEY, amount int CONSTRAINT owned_positive CHECK (amount > 0),
            spot int, CONSTRAINT owned_spot EXCLUDE (spot WITH =) DEFERRABLE INITIALLY DEFERRED);
        INSERT INTO owned VALUES (1, 1, 1);
        CREATE FUNCTION shout() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no %', 1; END $$)");
    static constexpr Statement insert{"insert", "INSERT INTO owned VALUES ($1::int, $2::int, $3::int) RETURNING id"};
    static constexpr Statement shout{"shout", "SELECT shout()"};
    open(options());
    EXPECT_EQ(refused(insert, Parameters(1, 1, 5)), "23505");
    EXPECT_EQ(last_error->constraint, "owned_key");
    EXPECT_EQ(refused(insert, Parameters(2, 0, 6)), "23514");
    EXPECT_EQ(last_error->constraint, "owned_positive");
    EXPECT_EQ(refused(shout), "P0001");
    EXPECT_EQ(last_error->message, "no 1");
    EXPECT_EQ(refused(echo, Parameters("\xff")), "22021");
    EXPECT_EQ(refused(divide, Parameters("secret-value")), "22P02");
    EXPECT_EQ(std::string(last_error->what()).find("secret-value"), std::string::npos);

    // deferred: the rows were received already when the commit at the sync fails
    Together<Rows> together(loop);
    together.start(db->query(insert, Parameters(3, 1, 1)));
    together.start(db->query(insert, Parameters(4, 1, 2)));
    together.start(db->query(echo, Parameters("after")));
    together.run();
    try {
        together.result(0);
        FAIL();
    } catch (const PostgresError& error) {
        EXPECT_EQ(error.sqlstate, "23P01");
        EXPECT_EQ(error.constraint, "owned_spot");
    }
    EXPECT_EQ(together.result(1).front().integer("id"), 4);
    EXPECT_EQ(together.result(2).front().text("value"), "after");
    EXPECT_EQ(server.value("SELECT count(*) FROM owned"), "2");
    EXPECT_EQ(log.count("lost"), 0u);
}

TEST_F(PostgresPool, ARefusalForNowIsUnavailable) {
    server.execute("CREATE TABLE contended (id int); ALTER ROLE postgres SET lock_timeout = '50ms'");
    static constexpr Statement locker{"locker", "WITH held AS (SELECT pg_advisory_xact_lock(1)) SELECT pg_sleep(1) FROM held",
                                      Lane::main, Retry::never, 2000};
    static constexpr Statement wanter{"wanter", "SELECT pg_advisory_xact_lock(1)"};
    open(options());
    Together<Rows> together(loop);
    together.start(db->query(locker));
    while (server.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted") == "0") {
        loop.run_task(rest(loop, 5));
    }
    together.start(db->query(wanter));
    together.run();
    EXPECT_EQ(together.result(0).size(), 1);
    EXPECT_THROW(together.result(1), PostgresUnavailable);
}

TEST_F(PostgresPool, AStatementThatTakesTooLongIsUnavailable) {
    server.execute("ALTER ROLE postgres SET statement_timeout = '50ms'");
    static constexpr Statement sleeper{"sleeper", "SELECT pg_sleep(5)", Lane::main, Retry::never, 4000};
    open(options());
    Together<Rows> together(loop);
    together.start(db->query(sleeper));
    together.run();
    EXPECT_THROW(together.result(0), PostgresUnavailable);
    EXPECT_EQ(log.count("lost"), 0u);   // the connection is as good as before
}

TEST_F(PostgresPool, LargeParametersAndRowsPassWhole) {
    PostgresOptions with = options();
    with.lookup_connections = 0;
    with.main_connections = 1;
    open(with);
    std::string large(8'000'000, 'x');
    large[4'000'000] = 'y';
    static constexpr Statement many{"many", "SELECT repeat(chr(97 + n), 1000000) AS value FROM generate_series(0, 9) AS n",
                                    Lane::main, Retry::read, 5000};
    static constexpr Statement large_echo{"large_echo", "SELECT $1::text AS value", Lane::main, Retry::read, 5000};
    Together<Rows> together(loop);
    together.start(db->query(large_echo, Parameters(large)));
    together.start(db->query(many));
    together.start(db->query(large_echo, Parameters("after")));
    together.run();
    EXPECT_EQ(together.result(0).front().text("value"), large);
    Rows rows = together.result(1);
    ASSERT_EQ(rows.size(), 10);
    EXPECT_EQ(rows[9].text("value"), std::string(1'000'000, 'j'));
    EXPECT_EQ(together.result(2).front().text("value"), "after");
}

TEST_F(PostgresPool, TellsHowManyRowsWereAffected) {
    server.execute("CREATE TABLE counted AS SELECT generate_series(1, 7) AS id");
    static constexpr Statement change{"change", "UPDATE counted SET id = id + 100 WHERE id <= $1::int"};
    open(options());
    Rows rows = run(change, Parameters(4));
    EXPECT_EQ(rows.affected(), 4);
    EXPECT_TRUE(rows.empty());
}

TEST_F(PostgresPool, ACancelledStatementIsDrainedWithoutCrossTalk) {
    PostgresOptions with = options();
    with.lookup_connections = 0;
    with.main_connections = 1;
    open(with);
    std::int64_t pid = run(backend).front().integer("pid");
    Together<Rows> together(loop);
    for (int i = 0; i < 40; ++i) {
        together.start(db->query(nap, Parameters("0.002", std::to_string(i))));
    }
    for (std::size_t i = 0; i < 40; i += 2) {
        together.cancel(i);
    }
    loop.run_task(rest(loop, 10));
    together.cancel(39);
    together.run();
    for (std::size_t i = 1; i < 39; i += 2) {
        EXPECT_EQ(together.result(i).front().text("value"), std::to_string(i));
    }
    EXPECT_EQ(run(backend).front().integer("pid"), pid);
}

TEST_F(PostgresPool, AMissedDeadlineFailsItsCallerAndDropsTheConnection) {
    PostgresOptions with = options();
    with.lookup_connections = 0;
    with.main_connections = 1;
    open(with);
    std::int64_t pid = run(backend).front().integer("pid");
    Together<Rows> together(loop);
    std::int64_t before = loop.now();
    together.start(db->query(brief_nap, Parameters("2")));
    together.start(db->query(echo, Parameters("write")));
    together.run();
    EXPECT_GE(loop.now() - before, 200);
    EXPECT_LT(loop.now() - before, 500);
    EXPECT_THROW(together.result(0), PostgresUnavailable);
    EXPECT_THROW(together.result(1), PostgresUnavailable);   // nobody knows whether it happened
    EXPECT_NE(run(backend).front().integer("pid"), pid);
    EXPECT_FALSE(loop.holding());
}

TEST_F(PostgresPool, RefusesMoreThanItsQueueHolds) {
    PostgresOptions with = options();
    with.queue = 80;   // more than one connection takes at once, so that some wait unsent
    with.lookup_connections = 0;
    with.main_connections = 1;
    open(with);
    Together<Rows> together(loop);
    for (int i = 0; i < 80; ++i) {
        together.start(db->query(nap, Parameters("0.001", std::to_string(i))));
    }
    std::int64_t before = loop.now();
    EXPECT_THROW(run(echo, Parameters("one too many")), PostgresUnavailable);
    EXPECT_LT(loop.now() - before, 50);
    together.cancel(70);   // waiting or in flight, its place is free at once or once drained
    together.run();
    for (int i = 0; i < 80; ++i) {
        if (i != 70) {
            EXPECT_EQ(together.result(std::size_t(i)).front().text("value"), std::to_string(i));
        }
    }
    EXPECT_EQ(run(echo, Parameters("room again")).size(), 1);
}

TEST_F(PostgresPool, SlowStatementsHoldUpNeitherLookUpsNorQuickOnes) {
    open(options());
    while (log.count("connected") == 0) {
        loop.run_task(rest(loop, 5));
    }
    EXPECT_NE(run(lookup_backend).front().integer("pid"), run(backend).front().integer("pid"));
    Together<Rows> together(loop);
    std::size_t first = together.start(db->query(slow_nap, Parameters("0.3")));
    std::size_t second = together.start(db->query(slow_nap, Parameters("0.3")));
    std::int64_t before = loop.now();
    for (int i = 0; i < 20; ++i) {
        run(backend);
        run(lookup_backend);
    }
    EXPECT_LT(loop.now() - before, 250);
    EXPECT_FALSE(together.done(first));
    together.run();
    EXPECT_EQ(together.result(second).size(), 1);
}

TEST_F(PostgresPool, StatementsForgottenByTheServerArePreparedAnew) {
    static constexpr Statement deallocate{"deallocate", "DEALLOCATE ALL"};
    PostgresOptions with = options();
    with.lookup_connections = 0;
    with.main_connections = 1;
    open(with);
    EXPECT_EQ(run(echo, Parameters("before")).size(), 1);
    run(deallocate);
    EXPECT_EQ(run(echo, Parameters("after")).front().text("value"), "after");
}

// Tells the server a name ahead of each write; 1 / 0 where there is none.
class Name final : public Preamble {
  public:
    const Statement& statement() const override {
        static constexpr Statement tell{"tell", "SELECT set_config('test.name', $1, true), 1 / length($1)"};
        return tell;
    }
    Parameters parameters() const override { return Parameters(name); }
    std::string name;
};

struct PostgresPreamble : PostgresPool {
    PostgresPreamble() {
        PostgresOptions with = options();
        with.lookup_connections = 0;
        with.main_connections = 1;
        connections.emplace(loop, with);
        db.emplace(*connections, preamble);
    }
    Name preamble;
    std::optional<Postgres> connections;
};

constexpr Statement read_name{"read_name", "SELECT current_setting('test.name', true) AS name", Lane::main, Retry::read};
constexpr Statement write_name{"write_name", "SELECT current_setting('test.name', true) AS name"};

TEST_F(PostgresPreamble, HoldsForItsWriteAlone) {
    Together<Rows> together(loop);
    for (std::string name : {"ann", "bob", "eve"}) {
        preamble.name = name;
        together.start(db->query(write_name, Parameters()));
        together.start(db->query(read_name, Parameters()));
        together.start(connections->query(write_name, Parameters()));
    }
    together.run();
    for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(together.result(3 * i).front().text("name"), std::vector({"ann", "bob", "eve"})[i]);
        EXPECT_EQ(together.result(3 * i + 1).front().optional("name").value_or(""), "");
        EXPECT_EQ(together.result(3 * i + 2).front().optional("name").value_or(""), "");
    }
}

TEST_F(PostgresPreamble, IsOneTransactionWithItsWrite) {
    static constexpr Statement add{"add", "INSERT INTO named VALUES (current_setting('test.name'), 10 / $1::int)"};
    server.execute("CREATE TABLE named (name text, value int)");
    preamble.name = "ann";
    EXPECT_EQ(run(add, Parameters(5)).affected(), 1);
    EXPECT_EQ(refused(add, Parameters(0)), "22012");
    preamble.name = "";
    EXPECT_EQ(refused(add, Parameters(5)), "22012") << "a preamble that fails is its write's failure";
    preamble.name = "bob";
    EXPECT_EQ(run(add, Parameters(2)).affected(), 1) << "and nobody else's";
    EXPECT_EQ(server.value("SELECT string_agg(name || value, ' ' ORDER BY name) FROM named"), "ann2 bob5");
}

TEST_F(PostgresPreamble, IsPreparedAnewWithItsWrite) {
    static constexpr Statement deallocate{"deallocate", "DEALLOCATE ALL", Lane::main, Retry::read};
    static constexpr Statement early{"early", "SELECT value FROM later WHERE id = $1", Lane::main};
    preamble.name = "ann";
    EXPECT_EQ(run(write_name).front().text("name"), "ann");
    run(deallocate);
    EXPECT_EQ(run(write_name).front().text("name"), "ann");
    Together<Rows> together(loop);
    for (int i = 0; i < 3; ++i) {
        together.start(db->query(early, Parameters(1)));
        together.start(db->query(write_name, Parameters()));
    }
    together.run();
    for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_ANY_THROW(together.result(2 * i));
        EXPECT_EQ(together.result(2 * i + 1).front().text("name"), "ann");
    }
    server.execute("CREATE TABLE later (id int, value text); INSERT INTO later VALUES (1, 'now')");
    EXPECT_EQ(run(early, Parameters(1)).front().text("value"), "now");
}

TEST_F(PostgresPool, PendingStatementsFailWhenThePoolGoes) {
    open(options());
    run(backend);
    Together<Rows> together(loop);
    together.start(db->query(nap, Parameters("1", "in flight")));
    db.reset();
    together.run();
    EXPECT_THROW(together.result(0), PostgresUnavailable);

    open(options());
    together.start(db->query(nap, Parameters("1", "not even connected")));
    db.reset();
    together.run();
    EXPECT_THROW(together.result(1), PostgresUnavailable);
}

TEST_F(PostgresPool, ADrainingProcessClosesIdleConnectionsAndStillServes) {
    open(options());
    run(backend);
    loop.run_task(rest(loop, 50));
    auto connections = [this] {
        loop.run_task(rest(loop, 100));   // a backend takes a moment to leave
        return server.value("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'portal'");
    };
    EXPECT_EQ(connections(), "3");
    loop.shutdown();
    EXPECT_EQ(connections(), "0");
    EXPECT_EQ(run(echo, Parameters("last")).front().text("value"), "last");
    EXPECT_EQ(run(lookup_backend).size(), 1);
    EXPECT_EQ(connections(), "0");
    EXPECT_FALSE(loop.holding());
    server.kill();
    std::int64_t before = loop.now();
    EXPECT_THROW(run(echo, Parameters("nobody")), PostgresUnavailable);
    EXPECT_LT(loop.now() - before, 300);
}

TEST_F(PostgresPool, ServesManyAtOnce) {
    open(options());
    Together<Rows> together(loop);
    for (int i = 0; i < 500; ++i) {
        together.start(db->query(echo, Parameters(std::to_string(i))));
    }
    together.run();
    for (int i = 0; i < 500; ++i) {
        EXPECT_EQ(together.result(std::size_t(i)).front().text("value"), std::to_string(i));
    }
    EXPECT_EQ(server.value("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'portal'"), "3");
}

TEST(PostgresOptions, AreRefusedWithAReason) {
    UvLoop loop;
    PostgresOptions options;
    for (const char* conninfo : {"host", "nonsense=1", "host=a,b,c hostaddr=127.0.0.1,::1", "host=a,b port=1,2,3",
                                 "postgres://[::1/x", "host='unclosed"}) {
        options.conninfo = conninfo;
        EXPECT_THROW(Postgres(loop, options), std::invalid_argument) << conninfo;
        EXPECT_THROW(PostgresOptions::resolve(conninfo), std::invalid_argument) << conninfo;
    }
    options.conninfo = "host=/tmp";
    options.lookup_connections = options.main_connections = 0;
    EXPECT_THROW(Postgres(loop, options), std::invalid_argument);
    EXPECT_THROW(PostgresOptions::resolve("host=no-such-host.invalid"), std::invalid_argument);
}

TEST(PostgresOptions, ResolveAddsTheAddressesOfNamesOnly) {
    auto resolved = [](const char* conninfo) { return PostgresOptions::resolve(conninfo).conninfo; };
    EXPECT_EQ(resolved("host=/run/postgresql user='o\\'x'  dbname=portal").find("hostaddr"), std::string::npos);
    EXPECT_NE(resolved("host=/run/pg password='it\\'s \\\\'").find("password='it\\'s \\\\'"), std::string::npos);
    EXPECT_EQ(resolved("hostaddr=127.0.0.1"), "hostaddr='127.0.0.1'");
    std::string local = resolved("postgresql://u@localhost:5433/db?target_session_attrs=read-write");
    EXPECT_NE(local.find("hostaddr='"), std::string::npos);
    EXPECT_NE(local.find("127.0.0.1"), std::string::npos);
    EXPECT_NE(local.find("target_session_attrs='read-write'"), std::string::npos);
    EXPECT_NE(local.find("host='localhost"), std::string::npos);
    std::string mixed = resolved("host=/run/pg,127.0.0.1 port=1,2");
    EXPECT_NE(mixed.find("hostaddr=',127.0.0.1'"), std::string::npos);
    EXPECT_NE(mixed.find("port='1,2'"), std::string::npos);
}

}  // namespace
}  // namespace portal::io
