// Customer and member sessions: contract/customer-sessions.md, on a real database.
#include "portal/customer_session.h"

#include <set>

#include "portal/credential.h"
#include "portal_fixture.h"

namespace portal::test {
namespace {

using http::Json;

constexpr const char* path = "/api/customer-sessions";
constexpr const char* nobody = "8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001";

struct CustomerSessions : PortalFixture {
    Json create(const Principal& caller, const std::string& body, IdempotencyKey with = {}) {
        auto input = CustomerSessionInput::parse(body, "application/json");
        return Json::parse(run(create_customer_session(*portal, caller, std::move(input), std::move(with))).dump());
    }
    std::string refusal(const Principal& caller, const std::string& body) {
        auto input = CustomerSessionInput::parse(body, "application/json");
        http::Failure failure = refused(create_customer_session(*portal, caller, std::move(input), {}));
        return std::to_string(failure.status) + " " + fields_of(failure) + ": " + messages_of(failure);
    }
    std::optional<Principal> holder(const Json& session) {
        std::string token(session["token"].text());
        return run(find_principal(*db, secrets, token));
    }
    static std::string for_customer(const std::string& id, const std::string& more = "") {
        return "{\"customer_id\":\"" + id + "\"" + more + "}";
    }
};

TEST_F(CustomerSessions, EveryRowOfTheMemberTable) {
    Principal plain = workspace("plain");
    std::string john = customer(plain, "John+Shop@example.com", "individual", "usr_1337");
    Json session = create(plain, for_customer(john, R"(,"return_url":"https://example.com/account")"));
    EXPECT_EQ(session["token"].text().substr(0, 11), "portal_cst_");
    EXPECT_EQ(session["customer"]["email"].text(), "John+Shop@example.com");
    EXPECT_EQ(session["customer_portal_url"].text(),
              "https://portal.example.com/plain/portal?customer_session_token=" +
                  std::string(session["token"].text()) + "&email=John%2BShop%40example.com");
    EXPECT_TRUE(session["modified_at"].is_null());
    EXPECT_EQ(create(plain, R"({"customer_external_id":"usr_1337","customer_id":")" + std::string(nobody) + "\"}")
                  ["customer_id"].text(), john);
    EXPECT_EQ(create(plain, for_customer(john, R"(,"member_id":")" + std::string(nobody) + "\""))["token"].text()
                  .substr(0, 11), "portal_cst_");
    EXPECT_EQ(sql("SELECT count(*) FROM portal.members"), "0");

    Principal club = workspace("club", true);
    std::string team = customer(club, "team@example.com", "team");
    member(club, team, "owner@example.com", "owner");
    std::string ann = member(club, team, "ann@example.com", "member", "ann-1");
    for (const std::string& named : {",\"member_id\":\"" + ann + "\"", std::string(",\"external_member_id\":\"ann-1\"")}) {
        Json of_ann = create(club, for_customer(team, named));
        EXPECT_EQ(of_ann["token"].text().substr(0, 11), "portal_mst_");
        EXPECT_TRUE(of_ann["customer_portal_url"].text().ends_with("&email=ann%40example.com"));
        EXPECT_EQ(holder(of_ann)->member_id.text(), ann);
        EXPECT_EQ(holder(of_ann)->role, Role::member);
    }
    EXPECT_EQ(refusal(club, for_customer(team, ",\"member_id\":\"" + std::string(nobody) + "\"")),
              "422 member_id: Member does not exist.");
    EXPECT_EQ(refusal(club, for_customer(team, ",\"external_member_id\":\"bob\"")),
              "422 external_member_id: Member does not exist.");
    EXPECT_EQ(refusal(club, for_customer(team)), "422 member_id: member_id is required for team customers.");

    std::string one = customer(club, "one@example.com", "");
    Json of_owner = create(club, for_customer(one));
    EXPECT_EQ(holder(of_owner)->role, Role::owner);
    EXPECT_EQ(sql("SELECT email || ' ' || name || ' ' || role FROM portal.members WHERE customer_id = '" + one + "'"),
              "one@example.com Name owner");
    sql("UPDATE portal.members SET deleted_at = now() WHERE customer_id = '" + one + "'");
    EXPECT_FALSE(holder(of_owner));
    create(club, for_customer(one));
    EXPECT_EQ(sql("SELECT count(*) || ' ' || count(deleted_at) FROM portal.members WHERE customer_id = '" + one + "'"),
              "2 1");
}

TEST_F(CustomerSessions, ParallelRequestsMakeOneOwner) {
    Principal club = workspace("club", true);
    std::string one = customer(club, "one@example.com");
    Together<http::JsonText> together(loop);
    for (int index = 0; index < 40; ++index) {
        auto input = CustomerSessionInput::parse(for_customer(one), std::nullopt);
        together.start(create_customer_session(*portal, club, std::move(input), {}));
    }
    together.run();
    for (int index = 0; index < 40; ++index) {
        const Json session = Json::parse(together.result(index).dump());
        EXPECT_EQ(session["token"].text().substr(0, 11), "portal_mst_");
    }
    EXPECT_EQ(sql("SELECT count(*) FROM portal.members"), "1");
    EXPECT_EQ(sql("SELECT count(*) FROM portal.member_sessions"), "40");
}

TEST_F(CustomerSessions, AnotherWorkspacesRowsDoNotExist) {
    Principal mine = workspace("mine", true), theirs = workspace("theirs", true);
    std::string foreign = customer(theirs, "same@example.com", "team", "c-1");
    std::string foreign_member = member(theirs, foreign, "a@example.com", "owner", "m-1");
    std::string own = customer(mine, "same@example.com", "team", "own");
    member(mine, own, "b@example.com", "owner");
    EXPECT_EQ(refusal(mine, for_customer(foreign)), "422 customer_id: Customer does not exist.");
    EXPECT_EQ(refusal(mine, for_customer(foreign)), refusal(mine, for_customer(nobody)));
    EXPECT_EQ(refusal(mine, R"({"external_customer_id":"c-1"})"), "422 external_customer_id: Customer does not exist.");
    EXPECT_EQ(refusal(mine, for_customer(own, ",\"member_id\":\"" + foreign_member + "\"")),
              "422 member_id: Member does not exist.");
    EXPECT_EQ(refusal(mine, for_customer(own, R"(,"external_member_id":"m-1")")),
              "422 external_member_id: Member does not exist.");
    MemberSessionInput input;
    input.member_id = *Uuid::parse(foreign_member);
    EXPECT_EQ(messages_of(refused(create_member_session(*portal, mine, input, {}))), "Member does not exist.");

    Json session = create(theirs, for_customer(foreign, R"(,"external_member_id":"m-1")"));
    Uuid id = *Uuid::parse(session["id"].text());
    EXPECT_EQ(refused(revoke_session(*portal, mine, id)).status, 404);
    EXPECT_EQ(run(revoke_customer_sessions(*portal, mine, *Uuid::parse(foreign))), 0);
    EXPECT_TRUE(holder(session));
    EXPECT_EQ(run(revoke_customer_sessions(*portal, theirs, *Uuid::parse(foreign))), 1);
    EXPECT_FALSE(holder(session));
    EXPECT_EQ(configs.bumped, std::vector<Uuid>{id});
}

TEST_F(CustomerSessions, DeletedAndBlockedCustomersDoNotExistAndReturnHostsAreKept) {
    Principal plain = workspace("plain");
    sql("UPDATE portal.workspaces SET return_hosts = '{shop.example.com,LOCAL.example.com:8443}'");
    std::string john = customer(plain, "john@example.com");
    auto with_url = [&](const std::string& id, const std::string& url) {
        return for_customer(id, ",\"return_url\":\"" + url + "\"");
    };
    for (const char* url : {"https://SHOP.example.com/x", "http://shop.example.com:81", "https://local.example.com:8443/"}) {
        EXPECT_EQ(create(plain, with_url(john, url))["return_url"].text(), url);
    }
    std::string refused_host = "The host of the return URL is not one of the workspace's return hosts.";
    EXPECT_EQ(refusal(plain, with_url(john, "https://local.example.com/")), "422 return_url: " + refused_host);
    EXPECT_EQ(refusal(plain, with_url(nobody, "https://evil.example.com/")),
              "422 return_url customer_id: " + refused_host + " | Customer does not exist.");
    Json session = create(plain, for_customer(john));
    sql("UPDATE portal.customers SET blocked_at = now()");
    EXPECT_FALSE(holder(session));
    EXPECT_EQ(refusal(plain, for_customer(john)), "422 customer_id: Customer does not exist.");
    sql("UPDATE portal.customers SET blocked_at = NULL");
    EXPECT_FALSE(holder(session)) << "unblocking brings no session back";
    sql("UPDATE portal.customers SET deleted_at = now()");
    EXPECT_EQ(refusal(plain, for_customer(john)), "422 customer_id: Customer does not exist.");
}

TEST_F(CustomerSessions, AKeyReplaysItsAnswer) {
    Principal plain = workspace("plain"), other = workspace("other");
    std::string john = customer(plain, "john@example.com");
    std::string body = for_customer(john);
    Json first = create(plain, body, key("k", path, body));
    EXPECT_EQ(create(plain, body, key("k", path, body)).dump(), first.dump());
    EXPECT_EQ(sql("SELECT count(*) FROM portal.customer_sessions"), "1");
    auto input = CustomerSessionInput::parse(body, std::nullopt);
    EXPECT_EQ(refused(create_customer_session(*portal, plain, input, key("k", path, body + " "))).status, 422);
    Principal second = plain;
    second.token_id = other.token_id;
    EXPECT_NE(create(second, body, key("k", path, body))["id"].text(), first["id"].text());

    // an unknown customer leaves the key free
    std::string wrong = for_customer(nobody);
    auto unknown = CustomerSessionInput::parse(wrong, std::nullopt);
    EXPECT_EQ(refused(create_customer_session(*portal, plain, unknown, key("free", path, wrong))).status, 422);
    create(plain, body, key("free", path, body));

    // what was revoked, or has run out, is not replayed
    run(revoke_session(*portal, plain, *Uuid::parse(first["id"].text())));
    Json again = create(plain, body, key("k", path, body));
    EXPECT_NE(again["id"].text(), first["id"].text());
    sql("UPDATE portal.idempotency_keys SET expires_at = now() - interval '1 s'");
    EXPECT_NE(create(plain, body, key("k", path, body))["id"].text(), again["id"].text());

    Together<http::JsonText> together(loop);
    for (int index = 0; index < 20; ++index) {
        auto same = CustomerSessionInput::parse(body, std::nullopt);
        together.start(create_customer_session(*portal, plain, std::move(same), key("many", path, body)));
    }
    together.run();
    std::set<std::string> answers;
    for (int index = 0; index < 20; ++index) {
        answers.insert(together.result(index).dump());
    }
    EXPECT_EQ(answers.size(), 1u);
    EXPECT_EQ(sql("SELECT count(*) FROM portal.idempotency_keys WHERE token_ciphertext LIKE '%portal_%'"), "0");
}

TEST_F(CustomerSessions, ALockThatIsHeldIsAConflict) {
    Principal plain = workspace("plain");
    std::string body = for_customer(customer(plain, "john@example.com"));
    io::Postgres other(loop, io::PostgresOptions::resolve(postgres.conninfo()));
    IdempotencyKey busy = key("busy", path, body);
    static const io::Statement hold{"hold", R"(
        WITH held AS (INSERT INTO portal.idempotency_keys VALUES ($1::uuid, $2::uuid, 'POST', $3::text, 'busy', $4::text,
            gen_random_uuid(), NULL, 201, now(), now() + interval '1 h') RETURNING 1)
        SELECT pg_sleep(1.5) FROM held)", io::Lane::main, io::Retry::never, 9000};
    Together<io::Rows> holder_task(loop);
    holder_task.start(other.query(hold, io::Parameters(plain.workspace_id.text(), plain.token_id.text(), busy.path,
                                                       busy.payload_hash)));
    static const io::Statement nap{"nap", "SELECT pg_sleep(0.3)"};
    run(db->query(nap));
    auto input = CustomerSessionInput::parse(body, std::nullopt);
    EXPECT_EQ(refused(create_customer_session(*portal, plain, input, busy)).status, 409);
    holder_task.run();
}

TEST_F(CustomerSessions, MemberSessions) {
    Principal club = workspace("club", true), plain = workspace("plain");
    std::string team = customer(club, "team@example.com", "team");
    MemberSessionInput input;
    input.member_id = *Uuid::parse(member(club, team, "o+wner@example.com", "owner"));
    auto create = [&] {
        return run(create_member_session(*portal, club, input, key("k", "/api/member-sessions", "x"))).dump();
    };
    const std::string text = create();
    Json session = Json::parse(text);
    EXPECT_EQ(session["member"]["email"].text(), "o+wner@example.com");
    EXPECT_EQ(session["customer"]["id"].text(), team);
    EXPECT_TRUE(session["member_portal_url"].text().ends_with("&email=o%2Bwner%40example.com"));
    EXPECT_EQ(create(), text);
    EXPECT_EQ(refused(create_member_session(*portal, plain, input, {})).status, 403);
    run(revoke_session(*portal, club, *Uuid::parse(session["id"].text())));
    EXPECT_EQ(refused(revoke_session(*portal, club, *Uuid::parse(session["id"].text()))).status, 404);
}

TEST(CustomerSessionInput, TellsEveryProblemAtOnce) {
    auto refusal = [](const std::string& body) {
        try {
            CustomerSessionInput::parse(body, std::nullopt);
        } catch (const http::Failure& failure) {
            return fields_of(failure);
        }
        return std::string("fine");
    };
    EXPECT_EQ(refusal(R"({"customer_id":"x","return_url":"ftp://a","member_id":5,"external_member_id":1,"expires_in":1})"),
              "customer_id return_url member_id external_member_id expires_in");
    EXPECT_EQ(refusal("{}"), "customer_id");
    EXPECT_EQ(refusal(R"({"customer_id":null,"external_customer_id":null})"), "customer_id");
    EXPECT_EQ(refusal(R"({"external_customer_id":null,"customer_external_id":"x","return_url":null})"), "fine");
    EXPECT_EQ(refusal(R"({"external_customer_id":"x","expires_in":60})"), "fine");
    EXPECT_EQ(refusal(R"({"external_customer_id":"x","expires_in":3601})"), "expires_in");
}

}  // namespace
}  // namespace portal::test
