// Mails: headers that nothing can break out of, addresses, dates, templates.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "helper/invitation_mail.h"
#include "helper/message.h"
#include "helper/outbox.h"
#include "helper/outbox_mail.h"
#include "helper/templates.h"

namespace portal::helper {
namespace {

std::string decode_words(const std::string& text) {
    static const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string decoded;
    std::size_t at = 0;
    while ((at = text.find("=?UTF-8?B?", at)) != std::string::npos) {
        std::size_t end = text.find("?=", at + 10);
        unsigned bits = 0;
        int count = 0;
        for (char digit : text.substr(at + 10, end - at - 10)) {
            if (digit == '=') {
                break;
            }
            bits = bits << 6 | unsigned(digits.find(digit));
            count += 6;
            if (count >= 8) {
                count -= 8;
                decoded.push_back(char(bits >> count & 0xff));
            }
        }
        at = end;
    }
    return decoded;
}

TEST(Address, IsPlainAscii) {
    for (const char* good : {"a@b", "ada@example.com", "a.b+c@sub.example.com", "o'hara@example.com",
                             "x_y-z!#$%&*/=?^`{|}~@example.co.uk"}) {
        EXPECT_TRUE(valid_address(good)) << good;
    }
    for (const char* bad : {"", "@", "a@", "@b", "a", "a b@c", "a@b c", "a@b@c", "a@b\r\nRCPT TO:<x@y>", "<a@b>",
                            "a@b>", "\"a\"@b", "a@[127.0.0.1]", "a..b@c", ".a@c", "a.@c", "a@c.", "a@.c", "a,b@c",
                            "a;b@c", "m\xc3\xbcller@example.com", "a@m\xc3\xbcnchen.de", "a@b\n", "a\t@b"}) {
        EXPECT_FALSE(valid_address(bad)) << bad;
    }
    EXPECT_FALSE(valid_address(std::string("a@b\0c", 5)));
    EXPECT_FALSE(valid_address(std::string(65, 'a') + "@example.com"));
    EXPECT_FALSE(valid_address("a@" + std::string(260, 'b')));
}

TEST(Mailbox, IsParsed) {
    auto named = parse_mailbox("Portal <portal@example.com>");
    ASSERT_TRUE(named);
    EXPECT_EQ(named->name, "Portal");
    EXPECT_EQ(named->address, "portal@example.com");
    EXPECT_EQ(parse_mailbox("\"The, Portal\" <p@example.com>")->name, "The, Portal");
    EXPECT_EQ(parse_mailbox("p@example.com")->name, "");
    EXPECT_FALSE(parse_mailbox("Portal"));
    EXPECT_FALSE(parse_mailbox("Portal <p@example.com> x"));
    EXPECT_FALSE(parse_mailbox("Portal <p@example.com"));
}

TEST(Header, LeavesShortAsciiAsItIs) {
    EXPECT_EQ(encode_header_text("Your access to Acme"), "Your access to Acme");
    EXPECT_EQ(encode_mailbox({"Acme, Inc. \"west\" \\", "a@b"}), "\"Acme, Inc. \\\"west\\\" \\\\\"\r\n <a@b>");
    EXPECT_EQ(encode_mailbox({"", "a@b"}), "<a@b>");
}

TEST(Header, EncodesEverythingElse) {
    std::string subject = "Zug\xc3\xa4nge f\xc3\xbcr Z\xc3\xbcrich \xe2\x82\xac \xf0\x9f\x98\x80 und noch viel mehr Text, der umbrochen wird";
    std::string encoded = encode_header_text(subject);
    EXPECT_EQ(decode_words(encoded), subject);
    EXPECT_EQ(decode_words(encode_header_text(std::string(500, 'x'))), std::string(500, 'x'));
    EXPECT_EQ(decode_words(encode_header_text("=?UTF-8?B?aGk=?=")), "=?UTF-8?B?aGk=?=");
    EXPECT_EQ(decode_words(encode_mailbox({"M\xc3\xbcller", "a@b"})), "M\xc3\xbcller");
    for (std::size_t length = 1; length < 200; ++length) {   // cut between characters, whatever the offset
        std::string text;
        while (text.size() < length) {
            text += text.size() % 2 ? "\xf0\x9f\x98\x80" : "a";
        }
        EXPECT_EQ(decode_words(encode_header_text("\xc3\xa4" + text)), "\xc3\xa4" + text);
    }
}

TEST(Header, HasNoLongLines) {
    std::string encoded = encode_header_text(std::string(3000, '\xc3'));   // not even UTF-8
    std::size_t start = 0;
    while (start < encoded.size()) {
        std::size_t end = std::min(encoded.find("\r\n", start), encoded.size());
        EXPECT_LE(end - start, 77u);
        start = end + 2;
    }
}

TEST(Header, CannotBeBrokenOutOf) {
    Message message;
    message.from = {"Acme\r\nBcc: evil@example.com", "portal@example.com"};
    message.to = {"Ada\nX-Evil: 1\r\n\r\nbody", "ada@example.com"};
    message.subject = "Hi\r\nBcc: evil@example.com\r\n\r\nbody\x01\x7f";
    message.message_id = "id@example.com";
    for (const std::string& line : message.headers()) {
        for (std::size_t at = 0; (at = line.find_first_of("\r\n", at)) != std::string::npos; at += 3) {
            ASSERT_EQ(line.substr(at, 3), "\r\n ") << line;   // folding, and nothing else
        }
    }
    EXPECT_EQ(encode_header_text(message.subject), "Hi Bcc: evil@example.com body");
}

TEST(Header, TellsWhatItShould) {
    Message message;
    message.from = {"Acme", "portal@example.com"};
    message.to = {"Ada", "ada@example.com"};
    message.reply_to = "help@example.com";
    message.subject = "Hello";
    message.message_id = "1@example.com";
    message.date = 1700000000;
    std::vector<std::string> expected{"Date: Tue, 14 Nov 2023 22:13:20 +0000", "From: \"Acme\"\r\n <portal@example.com>",
                                      "To: \"Ada\"\r\n <ada@example.com>", "Reply-To: <help@example.com>",
                                      "Subject: Hello", "Message-ID: <1@example.com>",
                                      "Auto-Submitted: auto-generated"};
    EXPECT_EQ(message.headers(), expected);
}

TEST(Text, IsCleaned) {
    EXPECT_EQ(one_line("  a\r\n b\t\tc \x01"), "a b c");
    EXPECT_EQ(clean_reply("550 5.1.1 <x>: \xc3\xa4 \r\n"), "550 5.1.1 <x>: ??");
    EXPECT_EQ(clean_reply(std::string(2000, 'x')).size(), 500u);
    EXPECT_EQ(crlf("a\nb\r\nc\rd"), "a\r\nb\r\nc\r\nd");
}

TEST(Url, HasAHost) {
    EXPECT_EQ(host_of("https://portal.example.com"), "portal.example.com");
    EXPECT_EQ(host_of("http://127.0.0.1:8080/x"), "127.0.0.1");
    EXPECT_EQ(host_of("https://[::1]:8443"), "[::1]");
}

TEST(Colour, CanBeReadOnIts) {
    EXPECT_EQ(text_colour_on("#000000"), "#FFFFFF");
    EXPECT_EQ(text_colour_on("#3B82F6"), "#FFFFFF");
    EXPECT_EQ(text_colour_on("#FFFFFF"), "#000000");
    EXPECT_EQ(text_colour_on("#FFFF00"), "#000000");
}

TEST(Retry, WaitsLongerAndEndsAfterADay) {
    EXPECT_EQ(retry_delay("portal_invitation", 1), 10000);
    EXPECT_EQ(retry_delay("portal_invitation", 2), 30000);
    EXPECT_EQ(retry_delay("portal_invitation", 3), 120000);
    EXPECT_EQ(retry_delay("portal_invitation", 4), 600000);
    EXPECT_EQ(retry_delay("portal_invitation", 5), 1800000);
    EXPECT_EQ(retry_delay("portal_invitation", 6), 3600000);
    EXPECT_EQ(retry_delay("portal_invitation", 20), 3600000);
    std::int64_t total = 0;
    std::int64_t attempts = 1;
    for (; retry_delay("portal_invitation", attempts) > 0; ++attempts) {
        total += retry_delay("portal_invitation", attempts);
    }
    EXPECT_NEAR(double(total), 24 * 3600e3, 3600e3);
}

TEST(Retry, OfACodeIsSoonAndEndsWithTheCode) {
    EXPECT_EQ(retry_delay("login_code", 1), 5000);
    EXPECT_EQ(retry_delay("login_code", 2), 10000);
    EXPECT_EQ(retry_delay("login_code", 4), 30000);
    EXPECT_EQ(retry_delay("login_code", 100), 30000);
}

class TemplateFiles : public testing::Test {
  protected:
    void SetUp() override {
        char name[] = "/tmp/portal-templates-XXXXXX";
        ASSERT_NE(::mkdtemp(name), nullptr);
        directory_ = name;
        write("subject", "Hi {{name}}");
        write("txt", "{{name}}: {{message}}");
        write("html", "<p>{{name}}</p>{{#lines}}{{.}}<br>{{/lines}}");
    }
    void TearDown() override {
        for (const char* part : {"subject", "txt", "html"}) {
            std::remove((directory_ + "/mail." + part).c_str());
        }
        std::remove(directory_.c_str());
    }
    void write(const std::string& part, const std::string& text) {
        std::ofstream(directory_ + "/mail." + part) << text;
    }
    std::string directory_;
};

TEST_F(TemplateFiles, EscapeInHtmlOnly) {
    Templates templates = Templates::load(directory_, "mail");
    kainjow::mustache::data values;
    values.set("name", "<b>Ada</b> & \"Co\" {{message}}");
    values.set("message", "1 < 2");
    values.set("lines", lines_of("a<b\r\nc\n"));
    Templates::Rendered rendered = templates.render(values);
    EXPECT_EQ(rendered.subject, "Hi <b>Ada</b> & \"Co\" {{message}}");
    EXPECT_EQ(rendered.text, "<b>Ada</b> & \"Co\" {{message}}: 1 < 2");
    EXPECT_EQ(rendered.html, "<p>&lt;b&gt;Ada&lt;/b&gt; &amp; &quot;Co&quot; {{message}}</p>a&lt;b<br>c<br><br>");
}

TEST_F(TemplateFiles, SayWhatIsWrongWithThem) {
    write("html", "{{#open}}");
    try {
        Templates::load(directory_, "mail");
        FAIL();
    } catch (const std::invalid_argument& error) {
        EXPECT_NE(std::string(error.what()).find("mail.html"), std::string::npos) << error.what();
    }
    EXPECT_THROW(Templates::load(directory_, "none"), std::invalid_argument);
}

}  // namespace
}  // namespace portal::helper
