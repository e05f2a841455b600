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
