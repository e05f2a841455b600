// The configuration file of portal-helper and portalctl.
#include <gtest/gtest.h>

#include <string>

#include "portal/config_file.h"

namespace portal {
namespace {

ConfigFile parse(const std::string& text) {
    return ConfigFile::parse(text, "portal.toml");
}

std::string complaint(const std::string& text) {
    try {
        parse(text).mail.check();
        return "";
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
}

const std::string mail = "[mail]\nfrom = \"a@example.com\"\n";

TEST(ConfigFile, IsRead) {
    ConfigFile config = parse(R"(
        postgres = "dbname=portal"
        base_url = "https://portal.example.com/"
        socket = "unix:/run/x.sock"
        [mail]
        url = "smtps://mail.example.com"
        from = "Portal <p@example.com>"
        starttls = "off"
        username = "u"
        password_file = "/etc/p"
        timeout = 5
        parallel = 2
    )");
    EXPECT_EQ(config.postgres, "dbname=portal");
    EXPECT_EQ(config.base_url, "https://portal.example.com");
    EXPECT_EQ(config.socket, "/run/x.sock");
    EXPECT_EQ(config.token_prefix, "portal_");
    EXPECT_TRUE(config.mail.implicit_tls());
    EXPECT_EQ(config.mail.starttls, MailConfig::StartTls::off);
    EXPECT_EQ(config.mail.timeout, 5);
    EXPECT_EQ(config.mail.parallel, 2);
    EXPECT_NO_THROW(config.mail.check());
}

TEST(ConfigFile, NamesFileLineAndKey) {
    EXPECT_EQ(complaint("\npostgrse = \"x\"\n"), "portal.toml:2: \"postgrse\" is not known");
    EXPECT_EQ(complaint("postgres = 1\n"), "portal.toml:1: \"postgres\" is to be a string");
    EXPECT_EQ(complaint("[mail]\n\ntimeout = 0\n"),
              "portal.toml:3: \"mail.timeout\" is to be a number from 1 to 600");
    EXPECT_EQ(complaint("[mail]\ninsecure = \"yes\"\n"), "portal.toml:2: \"mail.insecure\" is to be true or false");
    EXPECT_EQ(complaint("[mail]\nstarttls = \"maybe\"\n"),
              "portal.toml: \"mail.starttls\" is to be required, opportunistic or off");
    EXPECT_TRUE(complaint("a = \n").starts_with("portal.toml:1: "));
    EXPECT_TRUE(complaint("mail = 3\n").starts_with("portal.toml:1: "));
    EXPECT_NE(complaint("base_url = \"portal.example.com\"\n"), "");
    EXPECT_NE(complaint("base_url = \"https://a\\r\\nb\"\n"), "");
}

TEST(ConfigFile, RefusesAPlainConnectionNobodyAskedFor) {
    EXPECT_EQ(complaint(mail + "url = \"smtp://mail.example.com\"\n"), "");
    EXPECT_NE(complaint(mail + "url = \"smtp://mail.example.com\"\nstarttls = \"off\"\n"), "");
    EXPECT_NE(complaint(mail + "url = \"smtp://mail.example.com\"\nstarttls = \"opportunistic\"\n"), "");
    EXPECT_NE(complaint(mail + "url = \"smtp://127.evil.example.com\"\nstarttls = \"off\"\n"), "");
    EXPECT_EQ(complaint(mail + "url = \"smtp://mail.example.com\"\nstarttls = \"off\"\ninsecure = true\n"), "");
    for (const char* host : {"127.0.0.1", "127.0.0.1:2525", "localhost", "[::1]:25"}) {
        EXPECT_EQ(complaint(mail + "url = \"smtp://" + host + "\"\nstarttls = \"off\"\n"), "") << host;
    }
}

TEST(ConfigFile, RefusesMailSettingsThatCannotWork) {
    EXPECT_NE(complaint("[mail]\nurl = \"smtp://127.0.0.1\"\n"), "");   // no sender
    EXPECT_NE(complaint(mail + "url = \"http://127.0.0.1\"\n"), "");
    EXPECT_NE(complaint(mail + "url = \"smtp://user:pw@127.0.0.1\"\n"), "");
    EXPECT_NE(complaint(mail + "username = \"u\"\n"), "");
}

TEST(ConfigFile, SaysWhichFileIsMissing) {
    try {
        ConfigFile::load("/nonexistent/portal.toml");
        FAIL();
    } catch (const std::invalid_argument& error) {
        EXPECT_EQ(std::string(error.what()), "cannot read /nonexistent/portal.toml: No such file or directory");
    }
}

}  // namespace
}  // namespace portal
