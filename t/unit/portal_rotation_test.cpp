// Rows move from an old secret to the one that signs: hashes when used, ciphertexts by the helper.
#include "portal_fixture.h"

#include "portal/credential.h"
#include "portal/portal_token.h"
#include "portal/reencryption.h"
#include "portal/secret_file.h"
#include "portal/secret_usage.h"

namespace portal::test {
namespace {

class Rotation : public PortalFixture {
  protected:
    Rotation() {
        file = std::make_unique<SecretFile>(Secrets::generate_file());
        secrets = Secrets::parse(file->text());
    }
    void promote() {
        const std::string id = file->rotate();
        behind = Secrets::parse(file->text());
        file->promote(id);
        secrets = Secrets::parse(file->text());
    }
    PortalToken ask(const Principal& caller, Addressee who) {
        PortalTokenInput input;
        input.addressee = who;
        return run(get_or_create_portal_token(*portal, caller, input, {}));
    }
    std::int64_t reencrypt(const Secrets& mine, std::int64_t size) {
        Reencryption pass(mine, Reencryption::Table::portal_tokens);
        std::int64_t moved = 0;
        for (int turn = 0; !pass.done() && turn < 100; ++turn) {
            moved += run(pass.batch(*db, size));
        }
        EXPECT_TRUE(pass.done());
        return moved;
    }

    std::unique_ptr<SecretFile> file;
    std::optional<Secrets> behind;   // of a node that has the new secret, and not its promotion
};

TEST_F(Rotation, OnlyRowsUnderAnOldSecretAreHashedAnew) {
    workspace("mine");
    const TokenHash before = secrets.hash("mine");
    auto found = run(find_credential(*db, secrets.hashes("mine"), Kind::none));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->secret_id, "k1");
    promote();
    const std::vector<Rehash> rehash{{found->principal.token_id, secrets.sign_digest("mine")}};
    run(rehash_tokens(*db, secrets, rehash));
    found = run(find_credential(*db, secrets.hashes("mine"), Kind::none));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->secret_id, "k2");
    EXPECT_EQ(sql("SELECT count(modified_at) FROM portal.workspace_access_tokens"), "0");
    EXPECT_FALSE(run(find_credential(*db, {before}, Kind::none))) << "no longer under the old one";

    found = run(find_credential(*db, behind->hashes("mine"), Kind::none));
    ASSERT_TRUE(found) << "a node that is behind finds it";
    EXPECT_FALSE(behind->is_old(found->secret_id));
    const std::vector<Rehash> back{{found->principal.token_id, behind->sign_digest("mine")}};
    run(rehash_tokens(*db, *behind, back));
    EXPECT_EQ(sql("SELECT secret_id FROM portal.workspace_access_tokens"), "k2") << "nothing is undone";
}

TEST_F(Rotation, CiphertextsMoveInBatches) {
    Principal mine = workspace("mine");
    std::vector<Addressee> people;
    std::vector<std::string> tokens;
    for (int index = 0; index < 7; ++index) {
        people.push_back({false, contact(mine, "c" + std::to_string(index) + "@example.com")});
        tokens.push_back(ask(mine, people.back()).token);
    }
    sql("UPDATE portal.client_portal_tokens SET revoked_at = now() WHERE contact_id = " +
        std::to_string(people[6].id));
    EXPECT_EQ(reencrypt(secrets, 3), 0) << "there is no old secret";
    promote();
    sql("UPDATE portal.client_portal_tokens SET token_ciphertext = left(token_ciphertext, -8) || 'AAAAAAAA' WHERE contact_id = " +
        std::to_string(people[5].id));
    EXPECT_EQ(run(count_secret_usage(*db))["k1"].ciphertexts, 6);
    EXPECT_EQ(reencrypt(secrets, 2), 5) << "not what is altered, nor what is revoked";
    EXPECT_EQ(reencrypt(secrets, 2), 0) << "once";
    auto usage = run(count_secret_usage(*db));
    EXPECT_EQ(usage["k1"].ciphertexts, 1);
    EXPECT_EQ(usage["k1"].client_portal_tokens, 1);
    EXPECT_EQ(usage["k2"].ciphertexts, 5);
    EXPECT_EQ(usage["k2"].client_portal_tokens, 5) << "hashed anew with it";
    for (int index = 0; index < 5; ++index) {
        EXPECT_EQ(ask(mine, people[std::size_t(index)]).token, tokens[std::size_t(index)]);
    }
}

TEST_F(Rotation, AnIdIsNoPattern) {
    Principal mine = workspace("mine");
    ask(mine, {false, contact(mine, "ann@example.com")});
    // "k_" is a pattern that k1 fits
    Secrets odd = Secrets::parse("k_ verify " + Secrets::generate_key() + "\nk9 sign " + Secrets::generate_key() +
                                 "\nl limiter " + Secrets::generate_key() + "\n");
    EXPECT_EQ(reencrypt(odd, 10), 0);
}

}  // namespace
}  // namespace portal::test
