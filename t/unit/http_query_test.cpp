// Query: what may stand in a query string, and every problem at once.
#include <gtest/gtest.h>

#include "http/query.h"
#include "portal/page.h"

namespace portal::http {
namespace {

// "type loc msg" of each problem, a line each; "" when there is none.
template <class Use>
std::string problems_of(const char* text, Use use) {
    Query query(text);
    use(query);
    try {
        query.done();
    } catch (const Failure& failure) {
        std::string all;
        for (const Problem& problem : failure.problems) {
            all += problem.type;
            for (const std::string& part : problem.loc) {
                all += " " + part;
            }
            all += " " + problem.msg + "\n";
        }
        return all;
    }
    return "";
}

TEST(Query, TakesTheFirstOfRepeatedValuesDecoded) {
    Query query("a=1&b=x%2By+z&b=2&c&=5&&aa=7");
    EXPECT_EQ(query.string("b"), "x+y z");
    EXPECT_EQ(query.string("c"), "");
    EXPECT_EQ(query.integer("a", 1), 1);
    EXPECT_FALSE(query.string("d"));
    EXPECT_TRUE(query.given("c"));
    EXPECT_FALSE(query.given("d"));
    EXPECT_NO_THROW(query.done());
}

TEST(Query, NotesEveryProblem) {
    auto read = [](Query& query) { PageRequest::read(query, {"created_at", "status"}); };
    EXPECT_EQ(problems_of("page=2&limit=5000&sorting=-status&sorting=created_at", read), "");
    EXPECT_EQ(problems_of("page=0&limit=x&sorting=name", read),
              "greater_than query page Input should be greater than 0\n"
              "int_parsing query limit Input should be a valid integer, unable to parse string as "
              "an integer\n"
              "enum query sorting 0 Input should be 'created_at', 'status', '-created_at' or "
              "'-status'\n");
    EXPECT_EQ(problems_of("page=99999999999999999999", read),
              "int_parsing_size query page Unable to parse input string as an integer, exceeded "
              "maximum size\n");
    EXPECT_EQ(problems_of("page=", read),
              "int_parsing query page Input should be a valid integer, unable to parse string as "
              "an integer\n");
}

TEST(Query, RefusesWhatIsNoText) {
    auto read = [](Query& query) { query.string("query"); };
    EXPECT_NE(problems_of("query=%ff", read), "");
    EXPECT_NE(problems_of("query=a%00b", read), "");
    EXPECT_EQ(problems_of("query=%C3%A4", read), "");
    EXPECT_NE(problems_of(("query=" + std::string(257, 'x')).c_str(), read), "");
}

TEST(Query, ReadsMapsAndBooleans) {
    Query query("metadata[plan]=pro&metadata[]=x&metadata%5Ba%5D=%C3%A4&others=true&metadata=1");
    auto map = query.map("metadata");
    ASSERT_EQ(map.size(), 2u);
    EXPECT_EQ(map[0], std::pair(std::string("plan"), std::string("pro")));
    EXPECT_EQ(map[1], std::pair(std::string("a"), std::string("\u00e4")));
    EXPECT_EQ(query.boolean("others"), true);
    EXPECT_NE(problems_of("others=maybe", [](Query& q) { q.boolean("others"); }), "");
}

}  // namespace
}  // namespace portal::http
