// How events get their numbers and audiences, on a real database.
#include "portal/event_numbering.h"

#include <gmock/gmock.h>

#include "portal_fixture.h"

namespace portal::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct EventNumbering : PortalFixture {
    EventNumbering() { sql("DELETE FROM portal.events; ALTER ROLE portal_helper LOGIN"); }

    void tell(const std::string& workspace_id, const std::string& type, const std::string& audience = "NULL") {
        sql("INSERT INTO portal.events (workspace_id, type, audience, data) VALUES ('" + workspace_id + "', '" + type + "', " +
            audience + ", '{}')");
    }
    std::vector<std::string> number(const Uuid& as) { return shown(run(number_events(helper_db, as))); }
    // "type number audiences"
    static std::vector<std::string> shown(const std::vector<NumberedEvent>& events) {
        std::vector<std::string> list;
        for (const NumberedEvent& one : events) {
            list.push_back(one.event.type + " " + std::to_string(one.event.number) + " " + one.audiences);
        }
        return list;
    }

    std::string ws = workspace("acme").workspace_id.text();
    std::string other = workspace("other").workspace_id.text();
    io::Postgres helper_db{loop, [this] {
        io::PostgresOptions options;
        options.conninfo = "host=" + postgres.host() + " dbname=postgres user=portal_helper";
        return options;
    }()};
    Uuid helper_id = Uuid::random();
};

TEST_F(EventNumbering, IsContiguousPerWorkspaceInTheOrderOfWriting) {
    ASSERT_TRUE(run(take_event_lease(helper_db, helper_id)));
    tell(ws, "a");
    tell(other, "b", R"('{"workspace": true}')");
    tell(ws, "c");
    EXPECT_THAT(number(helper_id), ElementsAre("a 1 ", "b 1 workspace", "c 2 "));
    EXPECT_THAT(number(helper_id), IsEmpty());
    tell(ws, "d");
    EXPECT_THAT(number(helper_id), ElementsAre("d 3 "));
    EXPECT_EQ(sql("SELECT string_agg(number || ':' || audience, ' ') FROM portal.event_audiences"), "1:workspace");
    EXPECT_EQ(sql("SELECT numbered FROM portal.event_counters WHERE workspace_id = '" + ws + "'"), "3");
}

TEST_F(EventNumbering, KnowsAudiences) {
    auto of = [this](const std::string& audience) {
        return sql("SELECT coalesce(string_agg(one, ' ' ORDER BY one), '') FROM portal.audiences_of('" + audience + "') one");
    };
    EXPECT_EQ(of(R"({"workspace": true})"), "workspace");
    EXPECT_EQ(of(R"({"workspace": false})"), "");
    EXPECT_EQ(of(R"({"customer": "x"})"), "customer:x");
    EXPECT_EQ(of(R"({"customer": ["x", "y", "x"]})"), "customer:x customer:y");
    EXPECT_EQ(of(R"({"payments": "x"})"), "payments:x");
    EXPECT_EQ(of(R"({"contact": 7, "company": 3})"), "company:3 contact:7");
    EXPECT_EQ(of(R"({"contact": 7, "company": null})"), "contact:7");
    for (const char* nobody : {"{}", "null", "[]", "3", R"({"nonsense": 1})", R"({"customer": []})"}) {
        EXPECT_EQ(of(nobody), "") << nobody;
    }
}

TEST_F(EventNumbering, IsOneHelpersWork) {
    Uuid second = Uuid::random();
    ASSERT_TRUE(run(take_event_lease(helper_db, helper_id)));
    EXPECT_FALSE(run(take_event_lease(helper_db, second)));
    tell(ws, "a");
    EXPECT_THAT(number(second), IsEmpty());
    run(release_event_lease(helper_db, second));   // not its own
    EXPECT_TRUE(run(take_event_lease(helper_db, helper_id)));
    run(release_event_lease(helper_db, helper_id));
    EXPECT_THAT(number(helper_id), IsEmpty());
    EXPECT_TRUE(run(take_event_lease(helper_db, second)));
    EXPECT_THAT(number(second), ElementsAre("a 1 "));
    sql("UPDATE portal.event_publisher SET until = now() - interval '1 ms'");
    EXPECT_TRUE(run(take_event_lease(helper_db, helper_id)));
}

TEST_F(EventNumbering, HandsOutAgainWhatWasNotPublished) {
    ASSERT_TRUE(run(take_event_lease(helper_db, helper_id)));
    tell(ws, "a", R"('{"contact": 1}')");
    tell(other, "b");
    tell(ws, "c");
    const std::vector<NumberedEvent> numbered = run(number_events(helper_db, helper_id));
    std::vector<NumberedEvent> left = run(unpublished_events(helper_db));
    EXPECT_THAT(shown(left), testing::UnorderedElementsAre("a 1 contact:1", "c 2 ", "b 1 "));
    run(mark_published(helper_db, {numbered[0], numbered[1]}));
    EXPECT_THAT(shown(run(unpublished_events(helper_db))), ElementsAre("c 2 "));
    run(mark_published(helper_db, {numbered[2]}));
    run(mark_published(helper_db, {numbered[0]}));   // late, and passed over
    EXPECT_THAT(run(unpublished_events(helper_db)), IsEmpty());
}

TEST_F(EventNumbering, IsClosedToOthers) {
    for (const char* table : {"event_counters", "event_audiences", "event_floors"}) {
        EXPECT_EQ(sql("SELECT has_table_privilege('portal_web', 'portal." + std::string(table) + "', 'SELECT')"), "t");
        EXPECT_EQ(sql("SELECT has_table_privilege('portal_web', 'portal." + std::string(table) + "', 'UPDATE')"), "f");
    }
    for (const char* table : {"events", "event_counters", "event_audiences", "event_floors", "event_publisher"}) {
        EXPECT_EQ(sql("SELECT has_table_privilege('portal_site', 'portal." + std::string(table) + "', 'SELECT')"), "f");
    }
}

}  // namespace
}  // namespace portal::test
