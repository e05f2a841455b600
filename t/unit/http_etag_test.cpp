// If-None-Match.
#include <gtest/gtest.h>

#include "http/etag.h"

namespace portal::http {
namespace {

TEST(Etag, IsFoundInAList) {
    for (const char* list : {"\"a\"", "W/\"a\"", "*", "\"b\", \"a\"", "\"b\",W/\"a\"", " ,\"a\""}) {
        EXPECT_TRUE(etag_matches(list, "\"a\"")) << list;
    }
}

TEST(Etag, IsNotFoundElsewhere) {
    for (const char* list : {"", "a", "\"b\"", "\"a", "\"ab\"", "W/a", ","}) {
        EXPECT_FALSE(etag_matches(list, "\"a\"")) << list;
    }
    EXPECT_FALSE(etag_matches(std::nullopt, "\"a\""));
}

}  // namespace
}  // namespace portal::http
