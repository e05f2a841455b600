// RFC 3339.
#include <gtest/gtest.h>

#include "http/json.h"
#include "http/time.h"

namespace portal::http {
namespace {

TEST(Time, IsToldInUtc) {
    const char* const pairs[][2] = {
        {"2026-11-25T16:40:04Z", "2026-11-25T16:40:04Z"},
        {"2026-11-25t16:40:04z", "2026-11-25T16:40:04Z"},
        {"2026-11-25 16:40:04+00:00", "2026-11-25T16:40:04Z"},
        {"2024-02-29T23:30:00-01:00", "2024-03-01T00:30:00Z"},
        {"2026-01-01T00:00:00+14:00", "2025-12-31T10:00:00Z"},
        {"2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00.5Z"},
        {"2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00Z"},
        {"2026-01-01T00:00:00.1234569Z", "2026-01-01T00:00:00.123456Z"},
        {"0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"},
        {"9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"},
    };
    for (const auto& [text, utc] : pairs) {
        EXPECT_EQ(parse_time(text).utc, utc) << parse_time(text).trouble;
    }
}

TEST(Time, NeedsADateATimeAndAZone) {
    const char* const pairs[][2] = {
        {"", "invalid character in year"},
        {"2026-11-25", "invalid datetime separator, expected `T`"},
        {"2026-11-25T16:40:04", "a time zone is needed"},
        {"2026-11-25T16:40:04 ", "invalid time zone"},
        {"2026-11-25T16:40:04Zx", "unexpected extra characters at the end of the input"},
        {"2026-13-25T16:40:04Z", "month value is outside expected range of 1-12"},
        {"2026-02-30T16:40:04Z", "day value is outside expected range"},
        {"2026-11-25T24:00:00Z", "hour value is outside expected range of 0-23"},
        {"2026-11-25T16:40:60Z", "second value is outside expected range of 0-59"},
        {"2026-11-25T16:40:04.Z", "second fraction has no digits"},
        {"2026-11-25T16:40:04+0100", "invalid time zone separator, expected `:`"},
        {"0000-01-01T00:00:00Z", "year value is outside expected range of 1-9999"},
        {"0001-01-01T00:00:00+00:01", "year value is outside expected range of 1-9999"},
        {"9999-12-31T23:59:59-00:01", "year value is outside expected range of 1-9999"},
    };
    for (const auto& [text, trouble] : pairs) {
        EXPECT_EQ(parse_time(text).trouble, trouble) << text;
    }
}

TEST(Json, NumbersBeyondSixtyFourBitsAreTheNearestThereIs) {
    const Json kept = Json::parse(
        R"({"a":"123456789012345678901 \" 1e999","b":[9223372036854775807,-5,1e999]})");
    EXPECT_EQ(kept["a"].text(), R"(123456789012345678901 " 1e999)");
    EXPECT_EQ(kept["b"][std::size_t(0)].integer(), 9223372036854775807);
    EXPECT_EQ(kept["b"][std::size_t(1)].integer(), -5);
    const Json read = Json::parse(R"([9223372036854775808, -1e400, 1e999, 3])");
    EXPECT_EQ(json_real_value(read[std::size_t(0)].get()), 9223372036854775808.0);
    EXPECT_LT(json_real_value(read[std::size_t(1)].get()), -1e308);
    EXPECT_GT(json_real_value(read[std::size_t(2)].get()), 1e308);
    EXPECT_EQ(read[std::size_t(3)].integer(), 3);
}

}  // namespace
}  // namespace portal::http
