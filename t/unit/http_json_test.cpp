// JSON that is written straight away is what a tree of Jansson's is printed as.
#include "http/json.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace portal::http {
namespace {

TEST(JsonText, EscapesEachByteWhereverItStands) {
    for (std::size_t place = 0; place < 17; ++place) {
        for (int byte = 0; byte < 256; ++byte) {
            std::string text(17, 'x');
            text[place] = char(byte);
            std::string written;
            append_json(written, text);
            EXPECT_EQ(written, Json(text).dump()) << byte << " at " << place;
            EXPECT_EQ(Json::parse(written).text(), byte < 0x80 ? text : Json(text).text()) << byte << " at " << place;
        }
    }
}

TEST(Json, PrintsTheShortestRealThatReadsBackTheSame) {
    for (const char* text : {"0.1", "-0.1", "19.99", "0.0", "-0.0", "1.0", "100000.0", "1000000000000000.0",
                             "0.0001", "1e-05", "1.5e-07", "5e-324", "0.30000000000000004", "3.141592653589793",
                             "9007199254740993.0", "9e+18", "1e+22", "1.7976931348623157e+308", "9223372036854775807"}) {
        const std::string printed = Json::parse(text).dump();
        const bool rewritten = std::string_view(text) == "9e+18" || std::string_view(text) == "9007199254740993.0";
        EXPECT_TRUE(rewritten || printed == text) << text << " became " << printed;
        EXPECT_EQ(json_real_value(Json::parse(printed).get()), json_real_value(Json::parse(text).get())) << text;
        EXPECT_EQ(Json::parse(printed).is_integer(), Json::parse(text).is_integer()) << text;
    }
    EXPECT_EQ(Json::parse("9e+18").dump(), "9000000000000000000.0");
    EXPECT_EQ(Json::parse("18446744073709551616").dump(), "1.8446744073709552e+19");
    EXPECT_EQ(Json(0.1 + 0.2).dump(), "0.30000000000000004");
    EXPECT_EQ(Json::parse("1e999").dump(), "1.7976931348623157e+308");
}

TEST(JsonText, HasTheMembersOfATree) {
    const auto fill = [](auto& object) {
        object.set("text", std::string_view("a \"b\" \xC3\xA9"));
        object.set("string", std::string("x\n"));
        object.set("yes", true);
        object.set("nothing", std::optional<std::string_view>());
        object.set("something", std::optional<std::string_view>("{"));
        object.set("tree", Json::parse(R"([1,{"a":null}])"));
    };
    Json tree = Json::object(), inner = Json::object();
    fill(tree);
    fill(inner);
    tree.set("inner", inner).set("empty", Json::object()).set("last", false);
    JsonText text;
    fill(text);
    fill(text.open("inner"));
    text.close().open("empty").close().set("last", false);
    EXPECT_EQ(std::move(text).dump(), tree.dump());
    EXPECT_EQ(JsonText().dump(), "{}");
}

}  // namespace
}  // namespace portal::http
