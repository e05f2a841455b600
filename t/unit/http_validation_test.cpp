// Bodies and their fields: contract/README.md, Errors.
#include "http/validation.h"

#include <gtest/gtest.h>

namespace portal::http {
namespace {

// "422 json_invalid", or "object" for what was taken.
std::string outcome(std::string_view body, Surface surface = Surface::rest,
                    std::optional<std::string_view> content_type = std::nullopt) {
    try {
        parse_body(body, content_type, surface);
    } catch (const Failure& failure) {
        std::string type = failure.problems.empty() ? "" : " " + failure.problems.front().type;
        return std::to_string(failure.status) + type;
    }
    return "object";
}

std::string wrapped(std::string_view inner) { return "{\"a\":" + std::string(inner) + "}"; }

Fields fields(std::string_view body) { return Fields(parse_body(body, std::nullopt, Surface::rest)); }

// The first problem, "type: msg".
template <class Read>
std::string problem(std::string_view value, Read read) {
    Fields some = fields(wrapped(value));
    read(some);
    try {
        some.done();
    } catch (const Failure& failure) {
        return failure.problems.front().type + ": " + failure.problems.front().msg;
    }
    return "fine";
}

TEST(Body, MalformedJsonIsToldByItsSurface) {
    using namespace std::string_view_literals;
    for (std::string_view body : {"{"sv, "{\"a\":"sv, "nonsense"sv, "{\"a\":1,}"sv, "{'a':1}"sv, "{\"a\":1}x"sv, "{\"a\":01}"sv,
                                  "{\"a\":NaN}"sv, "\xef\xbb\xbf{}"sv, "["sv, "\""sv, " "sv, "\xff"sv, "{\"a\":1,\"a\":1}"sv}) {
        EXPECT_EQ(outcome(body), "422 json_invalid") << body;
        EXPECT_EQ(outcome(body, Surface::client_portal), "400") << body;
    }
    std::string deep;
    for (int level = 0; level < 10000; ++level) {
        deep += "{\"a\":";
    }
    EXPECT_EQ(outcome(deep), "422 json_invalid");
    EXPECT_EQ(outcome(std::string(60000, '[')), "422 json_invalid");
    try {
        parse_body("{\"a\":x}", std::nullopt, Surface::rest);
        FAIL();
    } catch (const Failure& failure) {
        const Problem& only = failure.problems.front();
        EXPECT_EQ(only.msg, "JSON decode error");
        EXPECT_EQ(only.loc.front(), "body");
        EXPECT_EQ(only.loc.back().find_first_not_of("0123456789"), std::string::npos);
        EXPECT_EQ(only.input.dump(), "{}");
        EXPECT_EQ(only.ctx.dump(), R"({"error":"invalid token"})");
    }
}

TEST(Body, WhatIsNoObjectAndWhatIsNoText) {
    for (const char* body : {"[]", "\"x\"", "5", "null", "true"}) {
        EXPECT_EQ(outcome(body), "422 model_attributes_type") << body;
        EXPECT_EQ(outcome(body, Surface::client_portal), "422 model_attributes_type") << body;
    }
    EXPECT_EQ(outcome(""), "422 missing");
    for (const char* type : {"text/plain", "application/x-www-form-urlencoded", "application/jsonp", "json"}) {
        EXPECT_EQ(outcome("{}", Surface::rest, type), "422 model_attributes_type") << type;
    }
    for (const char* type : {"application/json", "Application/JSON ; charset=utf-8", "application/vnd.api+json"}) {
        EXPECT_EQ(outcome("{}", Surface::rest, type), "object") << type;
    }
    using namespace std::string_view_literals;
    for (std::string_view text : {"\"\\u0000\""sv, "\"a\0b\""sv, "\"\\ud800\""sv, "\"\\udc00x\""sv, "\"\\ud800\\ud800\""sv, "\"\xff\""sv,
                                  "\"\xc3\""sv, "\"\xc0\xaf\""sv, "\"\xed\xa0\x80\""sv, "\"\xf4\x90\x80\x80\""sv, "[[\"\\u0000\"]]"sv}) {
        EXPECT_EQ(outcome(wrapped(text)), "422 string_unicode") << text;
        EXPECT_EQ(outcome(wrapped(text), Surface::client_portal), "422 string_unicode") << text;
    }
    EXPECT_EQ(outcome("{\"a\\u0000\":1}"), "422 string_unicode");
    EXPECT_EQ(outcome(wrapped("\"\\ud83d\\ude00\"")), "object");
}

TEST(Fields, SayWhatPydanticSays) {
    auto text = [](Fields& some) { some.string("a", {.min = 1, .max = 3}); };
    EXPECT_EQ(problem("\"abc\"", text), "fine");
    EXPECT_EQ(problem("\"äöü\"", text), "fine");
    EXPECT_EQ(problem("\"abcd\"", text), "string_too_long: String should have at most 3 characters");
    EXPECT_EQ(problem("\"\"", text), "string_too_short: String should have at least 1 character");
    EXPECT_EQ(problem("5", text), "string_type: Input should be a valid string");
    EXPECT_EQ(problem("null", text), "string_type: Input should be a valid string");

    auto number = [](Fields& some) { some.integer("a", {.min = 1, .max = 9}); };
    EXPECT_EQ(problem("9", number), "fine");
    EXPECT_EQ(problem("10", number), "less_than_equal: Input should be less than or equal to 9");
    EXPECT_EQ(problem("0", number), "greater_than: Input should be greater than 0");
    for (const char* other : {"\"5\"", "true", "null", "[1]", "5.0", "1e0"}) {
        EXPECT_EQ(problem(other, number), "int_type: Input should be a valid integer") << other;
    }
    EXPECT_EQ(problem("1.5", number), "int_from_float: Input should be a valid integer, got a number with a fractional part");
    for (const char* huge : {"9223372036854775808", "-99999999999999999999", "1e400", "-1e400", "1E+30"}) {
        EXPECT_EQ(problem(huge, number),
                  "int_parsing_size: Unable to parse input string as an integer, exceeded maximum size") << huge;
    }
    Fields mixed = fields(R"({"big":99999999999999999999,"text":"99999999999999999999 \" 1e400","small":7})");
    EXPECT_EQ(mixed.integer("small"), 7);
    EXPECT_EQ(mixed.string("text"), "99999999999999999999 \" 1e400");

    EXPECT_EQ(problem("1", [](Fields& some) { some.boolean("a"); }), "bool_type: Input should be a valid boolean");
    EXPECT_EQ(problem("\"c\"", [](Fields& some) { some.choice("a", {"x", "y", "z"}); }), "enum: Input should be 'x', 'y' or 'z'");
    EXPECT_EQ(problem("5", [](Fields& some) { some.choice("a", {"x", "y"}); }), "enum: Input should be 'x' or 'y'");
    EXPECT_EQ(problem("5", [](Fields& some) { some.choices("a", {"x"}); }), "list_type: Input should be a valid list");
    EXPECT_EQ(problem("5", [](Fields& some) { some.string("b", {.required = true}); }), "missing: Field required");
}

TEST(Fields, Uuids) {
    auto uuid = [](Fields& some) { some.uuid4("a"); };
    auto reason = [&](const std::string& value) { return problem("\"" + value + "\"", uuid); };
    const std::string begin = "uuid_parsing: Input should be a valid UUID, ";
    EXPECT_EQ(reason("8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001"), "fine");
    EXPECT_EQ(reason("8D0F0E7C5A4F4B1E9D573F1C5BB0A001"), "fine");
    EXPECT_EQ(reason(""), begin + "invalid length: expected length 32 for simple format, found 0");
    EXPECT_EQ(reason("<value>"), begin + "invalid character: expected an optional prefix of `urn:uuid:` followed by "
                                         "[0-9a-fA-F-], found `<` at 1");
    EXPECT_EQ(reason("8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a00"), begin + "invalid group length in group 4: expected 12, found 11");
    EXPECT_EQ(reason("8d0f0e7c5-a4f-4b1e-9d57-3f1c5bb0a001"), begin + "invalid group length in group 0: expected 8, found 9");
    EXPECT_EQ(reason("8d0f0e7c-5a4f-4b1e"), begin + "invalid group count: expected 5, found 3");
    EXPECT_EQ(reason("8d0f0e7c-5a4f-1b1e-9d57-3f1c5bb0a001"), "uuid_version: UUID version 4 expected");
    EXPECT_EQ(problem("5", uuid), "uuid_type: UUID input should be a string, bytes or UUID object");
}

TEST(Fields, Urls) {
    auto type = [](const std::string& value) {
        std::string told = problem("\"" + value + "\"", [](Fields& some) { some.url("a"); });
        return told.substr(0, told.find(':'));
    };
    for (const char* url : {"http://example.com/", "HTTPS://Example.com", "https://example.com:8443/a?b=c@d#e", "http://127.0.0.1:3000",
                            "https://[::1]/", "https://[::1]:80/", "https://a.b:"}) {
        EXPECT_EQ(type(url), "fine") << url;
    }
    for (const char* url : {"/account", "example.com", "https://", "https:///a", "https:/a", "http:a", "https://u@a/", "https://u:p@a/",
                            "https://a\\u000ab/", "https://a b/", "https://a\\\\@b/", "https://a:99999/", "https://a:x/",
                            "https://a/\u0085", "https://[::1", "https://ä.de/", "https://a..b/", "https://%41/"}) {
        EXPECT_EQ(type(url), "url_parsing") << url;
    }
    EXPECT_EQ(type("ftp://a/"), "url_scheme");
    EXPECT_EQ(type("javascript:alert(1)"), "url_scheme");
    EXPECT_EQ(type("https://a/" + std::string(2073, 'x')), "fine");
    EXPECT_EQ(type("https://a/" + std::string(2074, 'x')), "string_too_long");
    EXPECT_EQ(split_url("https://Shop.Example.com:8443/x").host, "shop.example.com");
    EXPECT_EQ(split_url("https://Shop.Example.com:8443/x").port, "8443");
}

TEST(Validation, ControlCharactersAreThoseOfPostgres) {
    for (const char* text : {"a\n", "\x01", "\x7f", "\u0080", "a\u009fb", "\u2028", "\u2029"}) {
        EXPECT_TRUE(has_control(text)) << text;
    }
    EXPECT_TRUE(has_control(std::string_view("\0", 1)));
    for (const char* text : {"", " ", "~", "\u00a0", "ä", "\u2027", "\u202a", "\xc2", "€"}) {
        EXPECT_FALSE(has_control(text)) << text;
    }
}

}  // namespace
}  // namespace portal::http
