// The six characters of a challenge, words for browsers, and the portal's cookies.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "portal/device.h"
#include "portal/email.h"
#include "portal/login_code.h"
#include "portal/portal_cookie.h"
#include "portal_fixture.h"

namespace portal::test {
namespace {

constexpr const char* key_one = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVowMTIzNDU=";
constexpr const char* key_two = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

Secrets secrets_of(const std::string& lines) {
    return Secrets::parse(lines + "\nl limiter " + key_one + "\n");
}

TEST(LoginCode, IsMadeOfTheChallengeAndTheSecret) {
    const Secrets secrets = secrets_of(std::string("k1 sign ") + key_one);
    const Secrets others = secrets_of(std::string("k1 sign ") + key_two);
    std::set<std::string> codes;
    for (int n = 0; n < 200; ++n) {
        const Uuid challenge = Uuid::random();
        const std::string code = login_code(secrets, challenge);
        EXPECT_EQ(code.size(), 6u);
        EXPECT_EQ(code.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"),
                  std::string::npos);
        EXPECT_EQ(code, login_code(secrets, challenge));
        EXPECT_TRUE(is_login_code(secrets, challenge, code));
        EXPECT_FALSE(is_login_code(secrets, Uuid::random(), code));
        EXPECT_FALSE(is_login_code(others, challenge, code));
        codes.insert(code);
    }
    EXPECT_EQ(codes.size(), 200u);
}

TEST(LoginCode, IgnoresCaseAndSpaces) {
    const Secrets secrets = secrets_of(std::string("k1 sign ") + key_one);
    const Uuid challenge = Uuid::random();
    const std::string code = login_code(secrets, challenge);
    std::string spaced, lower = ascii_lower(code);
    for (char c : lower) {
        spaced += c;
        spaced += ' ';
    }
    EXPECT_TRUE(is_login_code(secrets, challenge, lower));
    EXPECT_TRUE(is_login_code(secrets, challenge, spaced));
    EXPECT_TRUE(is_login_code(secrets, challenge, "\t" + code + "\r\n"));
    for (const std::string& wrong :
         {std::string(), code.substr(1), code + "A", code.substr(0, 3) + "-" + code.substr(3),
          code + std::string(80, ' '), std::string(6, '\0'), std::string(" ")}) {
        EXPECT_FALSE(is_login_code(secrets, challenge, wrong)) << wrong;
    }
}

TEST(LoginCode, VerifiesUnderEveryActiveSecret) {
    const std::string one = key_one, two = key_two;
    const Secrets before = secrets_of("k1 sign " + one + "\nk2 verify " + two);
    const Secrets after = secrets_of("k1 verify " + one + "\nk2 sign " + two);
    const Secrets retired = secrets_of("k2 sign " + two);
    const Uuid challenge = Uuid::random();
    const std::string code = login_code(before, challenge);
    EXPECT_TRUE(is_login_code(after, challenge, code));
    EXPECT_FALSE(is_login_code(retired, challenge, code));
    EXPECT_TRUE(is_login_code(before, challenge, login_code(after, challenge)));
}

TEST(LoginCode, HasNoBias) {
    // a word past the last whole multiple of 36^6 would make small codes likelier: it is passed
    // over
    Digest digest{};
    digest.fill(0xff);
    EXPECT_EQ(login_code_of(digest), "");
    std::fill(digest.begin() + 8, digest.begin() + 16, 0);
    EXPECT_EQ(login_code_of(digest), "AAAAAA");
    digest[15] = 37;
    EXPECT_EQ(login_code_of(digest), "BBAAAA");

    // each character at each place as often as any other: chi-squared of 35 degrees, 1 in 10^6 is
    // 89
    std::map<std::pair<std::size_t, char>, int> seen;
    constexpr int codes = 36000;
    for (int n = 0; n < codes; ++n) {
        random_bytes(digest.data(), digest.size());
        const std::string code = login_code_of(digest);
        for (std::size_t place = 0; place < code.size(); ++place) {
            ++seen[{place, code[place]}];
        }
    }
    for (std::size_t place = 0; place < 6; ++place) {
        double chi_squared = 0;
        for (const auto& [where, count] : seen) {
            if (where.first == place) {
                chi_squared += (count - codes / 36.0) * (count - codes / 36.0) / (codes / 36.0);
            }
        }
        EXPECT_LT(chi_squared, 100) << place;
    }
}

TEST(Device, WordsForABrowser) {
    EXPECT_EQ(
        device_words(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
            "Chrome/140.0.0.0 Safari/537.36"),
        "Chrome on Windows");
    EXPECT_EQ(
        device_words(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
            "Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0"),
        "Edge on Windows");
    EXPECT_EQ(device_words("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 "
                           "(KHTML, like Gecko) "
                           "Version/18.0 Safari/605.1.15"),
              "Safari on Mac");
    EXPECT_EQ(
        device_words("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 "
                     "(KHTML, like Gecko) CriOS/140.0 Mobile/15E148 Safari/604.1"),
        "Chrome on iPhone");
    EXPECT_EQ(device_words("Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0"),
              "Firefox on Android");
    EXPECT_EQ(device_words("Thing (Linux)"), "Linux");
    EXPECT_EQ(device_words("curl/8.0"), "Unknown device");
    EXPECT_EQ(device_words(""), "Unknown device");
}

TEST(PortalCookie, IsWrittenByBaseUrlAndEmbedders) {
    Settings settings;
    settings.base_url = "https://portal.example.com/below";
    EXPECT_EQ(set_session_cookie(settings, "acme", "token", 3600),
              "__Host-portal_acme=token; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax");
    EXPECT_TRUE(is_own_page(settings, std::nullopt, "https://portal.example.com"));
    EXPECT_FALSE(is_own_page(settings, "same-site", "https://portal.example.com"));
    EXPECT_FALSE(is_own_page(settings, std::nullopt, std::nullopt));
    settings.frame_ancestors = {"https://shop.example.com"};
    EXPECT_EQ(
        clear_session_cookie(settings, "acme"),
        "__Host-portal_acme=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=None; Partitioned");
    settings.frame_ancestors.clear();
    settings.base_url = "http://127.0.0.1:8080";
    EXPECT_EQ(set_session_cookie(settings, "acme", "token", 5),
              "portal_acme=token; Path=/; Max-Age=5; HttpOnly; SameSite=Lax");
}

TEST(PortalCookie, IsReadAsABrowserSendsIt) {
    Settings settings;
    settings.base_url = "https://portal.example.com";
    const Uuid challenge = Uuid::random();
    const std::string header =
        "a=b;__Host-portal_acme=x=y ; flag; __Host-portal_challenge=" + challenge.text() + "; ;=z";
    std::vector<std::string> pairs;
    std::optional<SessionCookie> found;
    each_cookie(header, [&](std::string_view name, std::string_view value) {
        pairs.push_back(std::string(name) + ":" + std::string(value));
        found = found ? found : session_cookie(settings, name, value);
    });
    EXPECT_EQ(pairs, (std::vector<std::string>{
                         "a:b", "__Host-portal_acme:x=y ",
                         "flag:", "__Host-portal_challenge:" + challenge.text(), ":z"}));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->slug, "acme");
    EXPECT_EQ(challenge_cookie(settings, header), challenge);
    EXPECT_FALSE(challenge_cookie(settings, "portal_challenge=" + challenge.text()));
    EXPECT_FALSE(challenge_cookie(settings, "__Host-portal_challenge=nonsense"));
    EXPECT_FALSE(session_cookie(settings, "__Host-portal_challenge", challenge.text()));
    EXPECT_FALSE(session_cookie(settings, "portal_acme", "x"));
    EXPECT_TRUE(same_slug("ACME", "acme"));
    EXPECT_FALSE(same_slug("acme", "acm"));
}

}  // namespace
}  // namespace portal::test
