// Webhooks: where they may go, and how they are signed.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <cstring>
#include <string>
#include <vector>

#include "portal/webhook_delivery.h"
#include "portal/webhook_signature.h"
#include "portal/webhook_target.h"

namespace portal {
namespace {

bool reachable(const char* text) {
    std::optional<IpAddress> address = IpAddress::parse(text);
    EXPECT_TRUE(address) << text;
    return address && address->globally_reachable();
}

TEST(WebhookTarget, RefusesWhatIsNotGloballyReachable) {
    // the first and the last of each range
    for (const char* text : {
             "0.0.0.0",
             "0.255.255.255",
             "10.0.0.0",
             "10.255.255.255",
             "100.64.0.0",
             "100.100.100.200",
             "100.127.255.255",
             "127.0.0.1",
             "127.255.255.255",
             "169.254.0.0",
             "169.254.169.254",
             "169.254.255.255",
             "172.16.0.0",
             "172.31.255.255",
             "192.0.0.0",
             "192.0.0.192",
             "192.0.0.255",
             "192.0.2.0",
             "192.0.2.255",
             "192.88.99.0",
             "192.88.99.255",
             "192.168.0.0",
             "192.168.255.255",
             "198.18.0.0",
             "198.19.255.255",
             "198.51.100.0",
             "198.51.100.255",
             "203.0.113.0",
             "203.0.113.255",
             "224.0.0.0",
             "239.255.255.255",
             "240.0.0.0",
             "255.255.255.255",
             "168.63.129.16",
             // mapped, NAT64, and the rest of IPv6
             "::",
             "::1",
             "::ffff:127.0.0.1",
             "::ffff:169.254.169.254",
             "::ffff:10.0.0.1",
             "::7f00:1",
             "64:ff9b::a9fe:a9fe",
             "64:ff9b::808:808",
             "64:ff9b:1::1",
             "100::1",
             "100:0:0:1::1",
             "2001::1",
             "2001:0:4136:e378:8000:63bf:3fff:fdd2",
             "2001:2::1",
             "2001:10::1",
             "2001:20::1",
             "2001:1ff::1",
             "2001:db8::1",
             "2002::1",
             "2002:7f00:1::1",
             "2002:808:808::1",
             "3ffe::1",
             "3fff::1",
             "3fff:fff::1",
             "4000::1",
             "5f00::1",
             "fc00::1",
             "fd00:ec2::254",
             "fd20:ce::254",
             "fdff::1",
             "fe80::1",
             "fe80::a9fe:a9fe",
             "febf::1",
             "fec0::1",
             "ff02::1",
             "ffff::1",
         }) {
        EXPECT_FALSE(reachable(text)) << text;
    }
}

TEST(WebhookTarget, TakesWhatIs) {
    for (const char* text : {"1.0.0.0",         "8.8.8.8",         "9.255.255.255",
                             "11.0.0.0",        "100.63.255.255",  "100.128.0.0",
                             "126.255.255.255", "128.0.0.0",       "169.253.255.255",
                             "169.255.0.0",     "172.15.255.255",  "172.32.0.0",
                             "192.0.1.0",       "192.0.3.0",       "192.88.98.255",
                             "192.88.100.0",    "192.167.255.255", "192.169.0.0",
                             "198.17.255.255",  "198.20.0.0",      "203.0.112.255",
                             "203.0.114.0",     "223.255.255.255", "::ffff:8.8.8.8",
                             "2000::1",         "2001:200::1",     "2001:4860:4860::8888",
                             "2003::1",         "2606:4700::1",    "2a00:1450::1",
                             "3ffd::1"}) {
        EXPECT_TRUE(reachable(text)) << text;
    }
}

TEST(WebhookTarget, AMappedSocketAddressIsTheAddress) {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    inet_pton(AF_INET6, "::ffff:192.168.1.1", &v6.sin6_addr);
    EXPECT_EQ(*IpAddress::of(reinterpret_cast<sockaddr*>(&v6)), *IpAddress::parse("192.168.1.1"));
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    inet_pton(AF_INET, "192.168.1.1", &v4.sin_addr);
    EXPECT_EQ(*IpAddress::of(reinterpret_cast<sockaddr*>(&v4)), *IpAddress::parse("192.168.1.1"));
    sockaddr local{};
    local.sa_family = AF_UNIX;
    EXPECT_FALSE(IpAddress::of(&local));
}

TEST(WebhookTarget, Ranges) {
    WebhookTargets targets;
    for (const char* text : {"10.1.2.0/23", "192.168.7.7", "fd00:1::/33", "127.0.0.0/8"}) {
        targets.allow.push_back(IpRange::parse(text));
    }
    auto may = [&](const char* text) { return targets.may_connect(*IpAddress::parse(text)); };
    EXPECT_TRUE(may("10.1.2.0"));
    EXPECT_TRUE(may("10.1.3.255"));
    EXPECT_TRUE(may("::ffff:10.1.3.255"));
    EXPECT_FALSE(may("10.1.1.255"));
    EXPECT_FALSE(may("10.1.4.0"));
    EXPECT_TRUE(may("192.168.7.7"));
    EXPECT_FALSE(may("192.168.7.8"));
    EXPECT_TRUE(may("fd00:1:0:7fff::"));
    EXPECT_TRUE(may("fd00:1:7fff::"));
    EXPECT_FALSE(may("fd00:1:8000::"));
    EXPECT_TRUE(may("8.8.8.8"));
    for (const char* text : {"", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0.0/8x", "10.0.0",
                             "fd00::/129", "localhost", "[::1]/128", "10.0.0.0/8/8"}) {
        EXPECT_THROW(IpRange::parse(text), std::invalid_argument) << text;
    }
    EXPECT_TRUE(IpRange::parse("0.0.0.0/0").contains(*IpAddress::parse("8.8.8.8")));
    EXPECT_FALSE(IpRange::parse("0.0.0.0/0").contains(*IpAddress::parse("::1")));
    EXPECT_TRUE(IpRange::parse("::/0").contains(*IpAddress::parse("8.8.8.8")));
}

TEST(WebhookTarget, Urls) {
    WebhookTargets strict;
    EXPECT_EQ(strict.trouble("https://hooks.example.com/in?x=1"), "");
    EXPECT_EQ(strict.trouble("https://8.8.8.8:8443/"), "");
    EXPECT_EQ(strict.trouble("https://[2606:4700::1]/"), "");
    EXPECT_EQ(strict.trouble("http://hooks.example.com/"), "The URL should begin with https://.");
    for (const char* text : {"https://127.0.0.1/",
                             "https://127.1/",
                             "https://0x7f.0.0.1/",
                             "https://2130706433/",
                             "https://017700000001/",
                             "https://0/",
                             "https://127.0.0.1./",
                             "https://10.0.0.1:9200/",
                             "https://169.254.169.254/latest/meta-data/",
                             "https://[::1]/",
                             "https://[::ffff:10.0.0.1]/",
                             "https://[fd00::1]/",
                             "https://[64:ff9b::7f00:1]/",
                             "https://localhost/",
                             "https://LOCALHOST./",
                             "https://a.localhost/",
                             "https://intranet/",
                             "https://db.internal/",
                             "https://printer.local/",
                             "https://metadata.google.internal/",
                             "https://x.home.arpa/"}) {
        EXPECT_EQ(strict.trouble(text), "The address of the URL is not public.") << text;
    }
    EXPECT_NE(strict.trouble("https://user:pass@example.com/"), "");
    EXPECT_NE(strict.trouble("https://256.1.1.1.1/"), "");
    EXPECT_NE(strict.trouble("ftp://example.com/"), "");

    WebhookTargets open;
    open.allow = {IpRange::parse("10.0.0.0/8"), IpRange::parse("127.0.0.0/8")};
    open.http_hosts = {"127.0.0.1", "db.internal"};
    EXPECT_EQ(open.trouble("http://127.0.0.1:9000/"), "");
    EXPECT_EQ(open.trouble("http://db.internal/"), "");
    EXPECT_EQ(open.trouble("https://localhost/"), "");
    EXPECT_EQ(open.trouble("https://10.2.3.4/"), "");
    EXPECT_EQ(open.trouble("https://intranet/"), "");
    EXPECT_NE(open.trouble("http://10.2.3.4/"), "");
    EXPECT_NE(open.trouble("https://192.168.0.1/"), "");
}

TEST(WebhookTarget, ThisHost) {
    EXPECT_THAT(own_addresses(), testing::Contains(*IpAddress::parse("127.0.0.1")));
    WebhookTargets targets;
    targets.own = {*IpAddress::parse("8.8.8.8"), *IpAddress::parse("2606:4700::1")};
    for (const char* text : {"https://8.8.8.8/", "https://134744072/", "https://[::ffff:8.8.8.8]/", "https://[2606:4700::1]/"}) {
        EXPECT_EQ(targets.trouble(text), "The address of the URL is not public.") << text;
    }
    EXPECT_EQ(targets.trouble("https://8.8.4.4/"), "");
    targets.allow = {IpRange::parse("8.8.8.8")};
    EXPECT_EQ(targets.trouble("https://8.8.8.8/"), "") << "as the operator says";
}

// The specification's own example.
TEST(WebhookSignature, OfTheSpecification) {
    std::optional<std::string> key = webhook_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    ASSERT_TRUE(key);
    EXPECT_EQ(webhook_signature(*key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
                                R"({"test": 2432232314})"),
              "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

TEST(WebhookSignature, Secrets) {
    const std::string fresh = make_webhook_secret();
    EXPECT_NE(fresh, make_webhook_secret());
    ASSERT_TRUE(webhook_key(fresh));
    EXPECT_EQ(webhook_key(fresh)->size(), 32u);
    EXPECT_EQ(webhook_key("whsec_" + std::string(32, 'A'))->size(), 24u);
    EXPECT_EQ(webhook_key("whsec_" + std::string(86, 'A') + "==")->size(), 64u);
    for (const std::string& text :
         {std::string(), std::string("whsec_"), "whsec_" + std::string(28, 'A'),
          "whsec_" + std::string(88, 'A'), "whsec_" + std::string(31, 'A'),
          "whsec_" + std::string(31, 'A') + "-", std::string(38, 'A'),
          "whsec_" + std::string(42, 'A') + "B=", "whsec_" + std::string(31, 'A') + "\n",
          "whsec_=" + std::string(31, 'A')}) {
        EXPECT_FALSE(webhook_key(text)) << text;
    }
}

TEST(WebhookSignature, IsChecked) {
    const std::string key = *webhook_key(make_webhook_secret());
    const std::string other = *webhook_key(make_webhook_secret());
    const std::string good = webhook_signature(key, "evt_1", 1000, "{}");
    const std::string both = webhook_signature(other, "evt_1", 1000, "{}") + " " + good;
    EXPECT_EQ(webhook_doubt(key, "evt_1", "1000", good, "{}", 1000), "");
    EXPECT_EQ(webhook_doubt(key, "evt_1", "1000", both, "{}", 1300), "");
    EXPECT_EQ(webhook_doubt(other, "evt_1", "1000", both, "{}", 700), "");
    EXPECT_EQ(webhook_doubt(key, "evt_1", "1000", "v1a,x " + good, "{}", 1000), "");
    EXPECT_NE(webhook_doubt(key, "evt_1", "1000", good, "{}", 1301), "");
    EXPECT_NE(webhook_doubt(key, "evt_1", "1000", good, "{}", 699), "");
    EXPECT_NE(webhook_doubt(key, "evt_1", "1000", good, "{} ", 1000), "");
    EXPECT_NE(webhook_doubt(key, "evt_2", "1000", good, "{}", 1000), "");
    EXPECT_NE(webhook_doubt(key, "evt_1", "1001", good, "{}", 1000), "");
    EXPECT_NE(webhook_doubt(key, "evt_1", "1000x", good, "{}", 1000), "");
    EXPECT_NE(webhook_doubt(key, "evt_1", "", good, "{}", 1000), "");
    EXPECT_NE(webhook_doubt(key, "evt_1", "1000", "", "{}", 1000), "");
}

TEST(WebhookDelivery, Ids) {
    EXPECT_EQ(webhook_event_id("x"), "evt_x");
    EXPECT_EQ(webhook_event_uuid("evt_x"), "x");
    EXPECT_EQ(webhook_event_uuid("x"), "x");
}

}  // namespace
}  // namespace portal
