// is_site_path: where a browser may be sent back to, and what would lead it elsewhere.
#include <gtest/gtest.h>

#include <string>

#include "http/site_path.h"

namespace portal::http {
namespace {

using namespace std::string_view_literals;

TEST(SitePath, IsAPathOfThisSite) {
    for (auto path : {"/", "/account/", "/account/orders?page=2&all=1#top", "/a%20b", "/a//b", "/?to=https://x.example"}) {
        EXPECT_TRUE(is_site_path(path)) << path;
    }
}

TEST(SitePath, IsNoAddressOfAnotherSite) {
    for (auto path : {""sv, "account"sv, "https://evil.example/"sv, "javascript:alert(1)"sv, "//evil.example"sv,
                      "///evil.example"sv, "/\\evil.example"sv, "\\/evil.example"sv, "/a\\b"sv, "/\t/evil.example"sv,
                      "/\n/evil.example"sv, "\t//evil.example"sv, " //evil.example"sv, "/a b"sv, "/a\r\nSet-Cookie: x=y"sv,
                      "/a\0b"sv, "/\x7f"sv, "/\xc3\xa4"sv, "?page=2"sv, "#top"sv}) {
        EXPECT_FALSE(is_site_path(path)) << path;
    }
}

TEST(SitePath, IsNotLongerThanALocationMayBe) {
    EXPECT_TRUE(is_site_path("/" + std::string(longest_site_path - 1, 'a')));
    EXPECT_FALSE(is_site_path("/" + std::string(longest_site_path, 'a')));
}

}  // namespace
}  // namespace portal::http
