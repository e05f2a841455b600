// Secrets: token forms, keyed hashes, ciphertexts, and what a secret file may say.
#include "portal/secrets.h"

#include <gtest/gtest.h>

#include <set>

#include "portal/hmac.h"
#include "portal/secret_file.h"

namespace portal {
namespace {

std::string with_keys(const char* first, const char* second) {
    auto key = [](char fill) { return std::string(43, fill) + "="; };
    return "# comment\n\nk1 " + std::string(first) + " " + key('A') + "\nk2 " + second + " " + key('B') +
           "\nl limiter " + key('C') + "\n";
}

TEST(Hmac, MatchesRfc4231) {
    Hmac hmac(std::string(20, '\x0b'));
    EXPECT_EQ(hex(hmac("Hi There")), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    EXPECT_EQ(hex(hmac("Hi ", "There")), hex(hmac("Hi There")));
    Hmac long_key(std::string(131, '\xaa'));
    EXPECT_EQ(hex(long_key("Test Using Larger Than Block-Size Key - Hash Key First")),
              "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(Secrets, TokensChangeTheirKindAndStayTrue) {
    Secrets secrets = Secrets::parse(Secrets::generate_file());
    const std::string of_customer = secrets.make_token(Kind::customer);
    const std::string of_member = secrets.as_kind(of_customer, Kind::member);
    EXPECT_EQ(of_member, "portal_mst_" + of_customer.substr(11));
    EXPECT_EQ(secrets.inspect(of_member).kind, Kind::member);
    EXPECT_FALSE(secrets.inspect(of_member).forged);
    EXPECT_NE(secrets.hash(of_member).digest, secrets.hash(of_customer).digest);
}

TEST(Secrets, MakesTokensOfTheContractsForm) {
    Secrets secrets = Secrets::parse(Secrets::generate_file());
    std::set<std::string> seen;
    for (Kind kind : {Kind::workspace, Kind::customer, Kind::member, Kind::portal}) {
        const std::string token = secrets.make_token(kind);
        EXPECT_EQ(token.size(), 11 + 48u);
        EXPECT_TRUE(token.starts_with("portal_"));
        EXPECT_EQ(token.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
                  std::string::npos);
        EXPECT_EQ(secrets.inspect(token).kind, kind);
        EXPECT_FALSE(secrets.inspect(token).forged);
        EXPECT_TRUE(seen.insert(token).second);
    }
    EXPECT_TRUE(secrets.make_token(Kind::portal).starts_with("portal_cpt_"));
}

TEST(Secrets, RefusesForgedTokensByTheirCheckBytes) {
    Secrets secrets = Secrets::parse(Secrets::generate_file());
    const std::string token = secrets.make_token(Kind::workspace);
    for (std::size_t at = 11; at < token.size(); ++at) {
        std::string forged = token;
        forged[at] = forged[at] == 'A' ? 'B' : 'A';
        EXPECT_TRUE(secrets.inspect(forged).forged) << at;
    }
    EXPECT_TRUE(secrets.inspect(token.substr(0, 58) + "!").forged);
    EXPECT_TRUE(Secrets::parse(Secrets::generate_file()).inspect(token).forged) << "another secret's";
}

TEST(Secrets, AsksTheCheckOnlyOfItsOwnForms) {
    Secrets secrets = Secrets::parse(Secrets::generate_file());
    for (const char* foreign : {"rapidly_oat_abc", "portal_oat_short", "portal_xyz_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", ""}) {
        EXPECT_EQ(secrets.inspect(foreign).kind, Kind::none) << foreign;
        EXPECT_FALSE(secrets.inspect(foreign).forged) << foreign;
    }
}

TEST(Secrets, VerifyKeysAcceptWhatTheySignedBefore) {
    Secrets old_secrets = Secrets::parse(with_keys("sign", "verify"));
    Secrets new_secrets = Secrets::parse(with_keys("verify", "sign"));
    const std::string token = old_secrets.make_token(Kind::customer);
    EXPECT_FALSE(new_secrets.inspect(token).forged);
    EXPECT_NE(hex(old_secrets.hash(token).digest), hex(new_secrets.hash(token).digest));
    const auto hashes = new_secrets.hashes(token);
    ASSERT_EQ(hashes.size(), 2u);
    EXPECT_EQ(hashes[0].secret_id, "k2");
    EXPECT_EQ(hashes[1].secret_id, "k1");
    EXPECT_EQ(hashes[1].digest, old_secrets.hash(token).digest);
    EXPECT_EQ(new_secrets.decrypt(old_secrets.encrypt("word", "row"), "row"), "word");
}

TEST(Secrets, AKeyAboveTheSignKeyIsOld) {
    Secrets before = Secrets::parse(with_keys("sign", "verify"));
    EXPECT_EQ(before.sign_id(), "k1");
    EXPECT_TRUE(before.old_ids().empty());
    EXPECT_FALSE(before.is_old("k2")) << "it has yet to be promoted";
    Secrets after = Secrets::parse(with_keys("verify", "sign"));
    EXPECT_EQ(after.sign_id(), "k2");
    EXPECT_EQ(after.old_ids(), std::vector<std::string>{"k1"});
    EXPECT_TRUE(after.is_old("k1"));
    EXPECT_FALSE(after.is_old("l"));
}

TEST(SecretFile, GoesFromOneSecretToTheNext) {
    const std::string first = Secrets::generate_file();
    const std::string token = Secrets::parse(first).make_token(Kind::portal);
    const std::string sealed = Secrets::parse(first).encrypt("word", "row");
    SecretFile file(first);
    EXPECT_EQ(file.text(), first);
    EXPECT_EQ(file.rotate(), "k2");
    EXPECT_TRUE(file.text().starts_with(first)) << "what was there stays";
    EXPECT_EQ(Secrets::parse(file.text()).sign_id(), "k1");
    EXPECT_TRUE(file.promote("k2"));
    EXPECT_FALSE(file.promote("k2")) << "it signs already";
    Secrets promoted = Secrets::parse(file.text());
    EXPECT_EQ(promoted.sign_id(), "k2");
    EXPECT_EQ(promoted.old_ids(), std::vector<std::string>{"k1"});
    EXPECT_FALSE(promoted.inspect(token).forged);
    EXPECT_EQ(promoted.decrypt(sealed, "row"), "word");

    EXPECT_TRUE(file.promote("k1")) << "and back";
    EXPECT_EQ(Secrets::parse(file.text()).old_ids(), std::vector<std::string>{"k2"}) << "what signed last is new";
    file.promote("k2");
    file.retire("k1");
    Secrets retired = Secrets::parse(file.text());
    EXPECT_FALSE(retired.inspect(token).forged) << "a token's text is for life";
    EXPECT_EQ(retired.hashes(token).size(), 1u);
    EXPECT_EQ(retired.decrypt(sealed, "row"), std::nullopt);
    EXPECT_EQ(Secrets::parse(first).limiter_digest("x"), retired.limiter_digest("x"));
    EXPECT_EQ(file.rotate(), "k3");
}

TEST(SecretFile, RefusesWhatWouldBreakIt) {
    SecretFile file(with_keys("verify", "sign"));
    const std::string before = file.text();
    EXPECT_THROW(file.retire("k2"), std::invalid_argument) << "it signs";
    EXPECT_THROW(file.retire("l"), std::invalid_argument) << "the limiter key";
    EXPECT_THROW(file.promote("l"), std::invalid_argument);
    EXPECT_THROW(file.promote("k9"), std::invalid_argument);
    EXPECT_EQ(file.text(), before);
    file.retire("k1");
    EXPECT_THROW(file.promote("k1"), std::invalid_argument);
    EXPECT_THROW(file.retire("k1"), std::invalid_argument);
    EXPECT_THROW(SecretFile("k1 sign short\n"), std::invalid_argument);
}

TEST(Secrets, CiphertextsAreBoundToTheirRow) {
    Secrets secrets = Secrets::parse(Secrets::generate_file());
    const std::string token = secrets.make_token(Kind::portal);
    const std::string sealed = secrets.encrypt(token, "row-1");
    EXPECT_EQ(sealed.find(token), std::string::npos);
    EXPECT_NE(sealed, secrets.encrypt(token, "row-1"));
    EXPECT_EQ(secrets.decrypt(sealed, "row-1"), token);
    EXPECT_EQ(secrets.decrypt(sealed, "row-2"), std::nullopt);
    std::string altered = sealed;
    altered.back() = altered.back() == 'A' ? 'B' : 'A';
    EXPECT_EQ(secrets.decrypt(altered, "row-1"), std::nullopt);
    EXPECT_EQ(secrets.decrypt("", "row-1"), std::nullopt);
    EXPECT_EQ(secrets.decrypt("1.k1.AAAA", "row-1"), std::nullopt);
    EXPECT_EQ(Secrets::parse(Secrets::generate_file()).decrypt(sealed, "row-1"), std::nullopt);
}

TEST(Secrets, SaysWhatIsWrongWithAFileAndQuotesNoKey) {
    const std::string key(43, 'A');
    const std::pair<std::string, const char*> cases[] = {
        {"", "one sign key and one limiter key are needed"},
        {"k1 sign " + key + "=\n", "one limiter key"},
        {"k1 sign\n", "line 1"},
        {"k1 sign AAAA\n", "shorter than 32 bytes"},
        {"k1 sign !!!!\n", "not base64"},
        {"k1 dance " + key + "=\n", "sign, verify, limiter or retired"},
        {"k1 sign " + key + "=\nk1 verify " + key + "=\n", "line 2: this id is used twice"},
        {"k1 sign " + key + "=\nk2 sign " + key + "=\n", "second sign key"},
    };
    for (const auto& [file, reason] : cases) {
        try {
            Secrets::parse(file);
            ADD_FAILURE() << reason;
        } catch (const std::invalid_argument& error) {
            EXPECT_NE(std::string(error.what()).find(reason), std::string::npos) << error.what();
            EXPECT_EQ(std::string(error.what()).find(key), std::string::npos);
        }
    }
}

TEST(Uuid, ReadsEverySpellingAndWritesOne) {
    const auto uuid = Uuid::parse("A987FBC9-4BED-4078-8F07-9141BA07C9F3");
    ASSERT_TRUE(uuid);
    EXPECT_EQ(uuid->text(), "a987fbc9-4bed-4078-8f07-9141ba07c9f3");
    EXPECT_EQ(Uuid::parse("a987fbc94bed40788f079141ba07c9f3"), uuid);
    EXPECT_TRUE(uuid->is_v4());
    EXPECT_FALSE(Uuid::parse("a987fbc9-4bed-3078-8f07-9141ba07c9f3")->is_v4());
    EXPECT_TRUE(Uuid::random().is_v4());
    for (const char* bad : {"", "a987fbc9", "a987fbc9-4bed-4078-8f07-9141ba07c9f", "a987fbc9-4bed-4078-8f07-9141ba07c9fg",
                            "a987fbc94-bed-4078-8f07-9141ba07c9f3", "{a987fbc9-4bed-4078-8f07-9141ba07c9f3}"}) {
        EXPECT_FALSE(Uuid::parse(bad)) << bad;
    }
}

}  // namespace
}  // namespace portal
