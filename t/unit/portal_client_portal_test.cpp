// The client portal's configuration, tokens and invitations: contract/client-portal.md, on a real database.
#include <set>

#include "api/route.h"
#include "portal/client_portal_config.h"
#include "portal/credential.h"
#include "portal/invitation.h"
#include "portal/portal_token.h"
#include "portal_fixture.h"

namespace portal::test {
namespace {

constexpr const char* token_path = "/api/v1/client-portal/token";

struct ClientPortal : PortalFixture {
    PortalToken ask(const Principal& caller, Addressee who, bool rotate = false, IdempotencyKey with = {}) {
        return run(get_or_create_portal_token(*portal, caller, {who, rotate}, std::move(with)));
    }
    std::optional<Principal> holder(const std::string& token) {
        return run(find_principal(*db, secrets, token));
    }
    std::optional<Invitation> invite(const Principal& caller, Addressee who, bool async = false,
                                     const IdempotencyKey& with = {}) {
        return run(send_invitation(*portal, caller, who, "Hello", async, with));
    }
    http::Json change(const Principal& caller, const std::string& body) {
        auto input = ClientPortalConfigInput::parse(body, "application/json");
        return run(change_client_portal_config(*portal, caller.workspace_id, std::move(input)));
    }
    CachedConfig config(const Principal& caller) {
        return run(find_client_portal_config(*portal, caller.workspace_id));
    }
    // A route's answer, as dispatch would get it.
    http::Response call(const Principal& caller, http::Method method, std::string_view pattern,
                        std::string_view parameter, FakeRequest& request) {
        for (const api::Route& route : api::client_portal_routes()) {
            if (route.method == method && route.pattern == pattern) {
                api::Call call{request, *portal};
                call.caller = caller;
                call.parameters = {parameter, {}};
                call.body = request.body;
                return run(route.handle(call));
            }
        }
        throw std::logic_error("no such route");
    }
};

TEST_F(ClientPortal, ConfigurationHasDefaultsAndChanges) {
    Principal mine = workspace("mine"), theirs = workspace("theirs");
    const std::string defaults =
        R"({"data":{"portal_name":"Client Portal","portal_logo":null,"primary_color":"#3B82F6",)"
        R"("secondary_color":"#1E40AF","welcome_message":"Welcome to your client portal!",)"
        R"("enabled_modules":["invoices","proposals","tasks"],"is_active":true,"allow_file_sharing":true,)"
        R"("show_activity_feed":true,"token_expiration_days":30}})";
    EXPECT_EQ(config(mine)->body, defaults);
    EXPECT_EQ(change(mine, R"({"token_expiration_days":1})")["data"]["token_expiration_days"].integer(), 1);
    EXPECT_EQ(configs.bumped, std::vector<Uuid>{mine.workspace_id});
    EXPECT_EQ(config(theirs)->body, defaults);
    std::string tag = config(theirs)->etag;
    change(mine, R"({"token_expiration_days":30,"portal_logo":"a/b.png"})");
    EXPECT_EQ(change(mine, R"({"is_active":false})")["data"]["portal_logo"].text(), "a/b.png");
    change(mine, R"({"is_active":true,"portal_logo":null})");
    EXPECT_EQ(config(mine)->etag, tag);
    EXPECT_EQ(change(mine, R"({"primary_color":"#FFFF00","secondary_color":"#FEFEFE"})")["warnings"].size(), 2u);
    EXPECT_FALSE(change(mine, R"({"portal_name":"Plain"})")["warnings"].present());
    EXPECT_EQ(sql("SELECT count(DISTINCT type) FROM portal.events WHERE type = 'client_portal.config_updated' AND "
                  "data ? 'enabled_modules' AND audience = '{\"workspace\": true}'"), "1");
    std::string events = sql("SELECT count(*) FROM portal.events");
    change(mine, R"({"portal_name":"Plain"})");
    EXPECT_EQ(sql("SELECT count(*) FROM portal.events"), events) << "nothing changed, nothing told";
}

TEST_F(ClientPortal, AStaleConfigurationIsServedWithoutTheDatabase) {
    Principal mine = workspace("mine");
    CachedConfig before = config(mine);
    postgres.kill();
    configs.fresh = false;
    EXPECT_EQ(config(mine)->body, before->body);
    configs.entries.clear();
    EXPECT_THROW(config(mine), io::PostgresUnavailable);
}

TEST_F(ClientPortal, AnEntityTagSavesTheBody) {
    Principal mine = workspace("mine");
    auto answer = [&](const std::string& if_none_match) {
        FakeRequest request;
        request.headers["if-none-match"] = if_none_match;
        return call(mine, http::Method::get, "/api/v1/client-portal/config", "", request);
    };
    const http::Response first = answer("");
    const std::string tag(first.etag);
    EXPECT_EQ(first.text, config(mine)->body);
    for (const std::string& match : {tag, "W/" + tag, std::string("*"), "\"x\" , W/\"y\"," + tag, " " + tag}) {
        EXPECT_EQ(answer(match).status, 304) << match;
        EXPECT_EQ(answer(match).text, "");
    }
    for (const std::string& other : {std::string("\"x\""), tag.substr(1), std::string("W/"), std::string(",,"), "x" + tag}) {
        EXPECT_EQ(answer(other).status, 200) << other;
    }
}

TEST_F(ClientPortal, OneStandingTokenPerAddressee) {
    Principal mine = workspace("mine"), theirs = workspace("theirs");
    Addressee ann{false, contact(mine, "ann@example.com")}, bolts{true, company(mine, "bolts@example.com")};
    ASSERT_EQ(ann.id, 1);
    ASSERT_EQ(contact(theirs, "eve@example.com"), 1);
    PortalToken first = ask(mine, ann);
    EXPECT_EQ(ask(mine, ann).token, first.token);
    EXPECT_EQ(ask(mine, ann).expires_at, first.expires_at);
    EXPECT_EQ(first.expires_at.size(), 20u) << "whole seconds";
    EXPECT_NE(ask(mine, bolts).token, first.token);
    EXPECT_NE(ask(theirs, ann).token, first.token);
    EXPECT_EQ(holder(first.token)->addressee_id, 1);
    EXPECT_EQ(holder(first.token)->workspace_id, mine.workspace_id);
    EXPECT_EQ(sql("SELECT count(*) FROM portal.audit_log WHERE action = 'portal_token.disclosed'"), "2");
    EXPECT_EQ(sql("SELECT data->>'type' FROM portal.events WHERE data->>'token_id' = '" + first.id.text() + "'"),
              "contact");

    PortalToken second = ask(mine, ann, true);
    EXPECT_NE(second.token, first.token);
    EXPECT_EQ(configs.bumped, std::vector<Uuid>{first.id});
    EXPECT_FALSE(holder(first.token));
    sql("UPDATE portal.client_portal_tokens SET expires_at = now() WHERE id = '" + second.id.text() + "'");
    PortalToken third = ask(mine, ann);
    EXPECT_NE(third.token, second.token);
    EXPECT_EQ(ask(mine, ann).token, third.token);

    EXPECT_EQ(refused(get_or_create_portal_token(*portal, theirs, {{false, 2}, false}, {})).detail, "Contact not found");
    EXPECT_EQ(refused(get_or_create_portal_token(*portal, mine, {{true, contact(mine, "")}, false}, {})).detail,
              "Company not found");
    EXPECT_EQ(refused(get_or_create_portal_token(*portal, mine, {{false, 2}, false}, {})).status, 400);
    EXPECT_EQ(refused(revoke_portal_tokens(*portal, theirs, {true, 1})).status, 404);
    EXPECT_TRUE(holder(third.token));
    run(revoke_portal_tokens(*portal, mine, ann));
    EXPECT_FALSE(holder(third.token));
    EXPECT_TRUE(holder(ask(mine, bolts).token));
}

TEST_F(ClientPortal, ParallelCallsGetOneToken) {
    Principal mine = workspace("mine");
    Addressee ann{false, contact(mine, "ann@example.com")};
    for (bool rotate : {false, true}) {
        Together<PortalToken> together(loop);
        for (int index = 0; index < 30; ++index) {
            together.start(get_or_create_portal_token(*portal, mine, {ann, rotate && index % 3 == 0}, {}));
        }
        together.run();
        std::set<std::string> tokens;
        for (int index = 0; index < 30; ++index) {
            tokens.insert(together.result(index).token);
        }
        EXPECT_EQ(sql("SELECT count(*) FROM portal.client_portal_tokens WHERE revoked_at IS NULL"), "1");
        if (!rotate) {
            EXPECT_EQ(tokens.size(), 1u);
        }
    }
}

TEST_F(ClientPortal, ATokenKeyRotatesOnce) {
    Principal mine = workspace("mine");
    Addressee ann{false, contact(mine, "ann@example.com")};
    std::string payload = "{}";
    PortalToken first = ask(mine, ann, true, key("k", token_path, payload));
    EXPECT_EQ(ask(mine, ann, true, key("k", token_path, payload)).token, first.token);
    EXPECT_EQ(refused(get_or_create_portal_token(*portal, mine, {ann, true}, key("k", token_path, "other"))).status, 422);
    PortalToken second = ask(mine, ann, true);
    EXPECT_NE(ask(mine, ann, true, key("k", token_path, payload)).token, second.token) << "the key's token has ended";

    // two keys at once: the second's token gave way to the first's
    run(revoke_portal_tokens(*portal, mine, ann));
    Together<PortalToken> together(loop);
    for (int index = 0; index < 12; ++index) {
        std::string name = "key " + std::to_string(index % 4);
        together.start(get_or_create_portal_token(*portal, mine, {ann, false}, key(name, token_path, payload)));
    }
    together.run();
    std::set<std::string> tokens;
    for (int index = 0; index < 12; ++index) {
        tokens.insert(together.result(index).token);
        tokens.insert(ask(mine, ann, false, key("key " + std::to_string(index % 4), token_path, payload)).token);
    }
    EXPECT_EQ(tokens.size(), 1u);
}

TEST_F(ClientPortal, ATokenOfAGoneSecretIsReplaced) {
    Principal mine = workspace("mine");
    Addressee ann{false, contact(mine, "ann@example.com")};
    PortalToken first = ask(mine, ann);
    secrets = Secrets::parse(Secrets::generate_file());
    PortalToken second = ask(mine, ann);
    EXPECT_NE(second.token, first.token);
    EXPECT_TRUE(holder(second.token));
    EXPECT_EQ(ask(mine, ann).token, second.token);
}

TEST_F(ClientPortal, ValidMeansWhatTheContractSays) {
    Principal mine = workspace("mine");
    Addressee ann{false, contact(mine, "ann@example.com")};
    auto dies_of = [&](const std::string& change) {
        std::string token = ask(mine, ann).token;
        EXPECT_TRUE(holder(token)) << change;
        sql(change);
        return !holder(token);
    };
    EXPECT_TRUE(dies_of("UPDATE portal.contacts SET email = 'new@example.com'"));
    EXPECT_TRUE(dies_of("UPDATE portal.contacts SET customer_id = '" + customer(mine, "c@example.com") + "'"));
    EXPECT_TRUE(dies_of("UPDATE portal.customers SET blocked_at = now()"));
    sql("UPDATE portal.customers SET blocked_at = NULL");
    EXPECT_TRUE(dies_of("INSERT INTO portal.client_portal_configs (workspace_id, is_active) SELECT id, false FROM portal.workspaces"));
    sql("UPDATE portal.client_portal_configs SET is_active = true");
    EXPECT_TRUE(dies_of("UPDATE portal.workspaces SET blocked_at = now()"));
    sql("UPDATE portal.workspaces SET blocked_at = NULL");
    EXPECT_FALSE(dies_of("UPDATE portal.contacts SET name = 'Other'"));
    EXPECT_TRUE(dies_of("UPDATE portal.client_portal_tokens SET expires_at = now()"));
    EXPECT_TRUE(dies_of("UPDATE portal.contacts SET deleted_at = now()"));
    EXPECT_FALSE(run(find_principal(*db, secrets, "unknown")));
    std::optional<Principal> token = run(find_principal(*db, secrets, "mine"));
    ASSERT_TRUE(token);
    EXPECT_EQ(token->kind, Kind::workspace);
    EXPECT_STREQ(token->workspace_slug, "mine");
    EXPECT_TRUE(token->has(Scope::client_portal_read));
    EXPECT_FALSE(token->has(Scope::customers_read));
    run(touch_last_used(*db, {token->token_id, Uuid::random()}));
    run(touch_last_used(*db, {token->token_id}));
    EXPECT_EQ(sql("SELECT count(last_used_at) || ' ' || count(modified_at) FROM portal.workspace_access_tokens"), "1 0");
}

TEST_F(ClientPortal, AnInvitationIsMadeWhole) {
    Principal mine = workspace("mine"), theirs = workspace("theirs");
    Addressee ann{false, contact(mine, "ann@example.com")};
    EXPECT_EQ(run(plan_invitation(*portal, mine, ann)).email, "ann@example.com");
    EXPECT_EQ(refused(plan_invitation(*portal, theirs, ann)).detail, "Contact not found");
    EXPECT_EQ(refused(plan_invitation(*portal, mine, {false, contact(mine, "")})).status, 400);

    Invitation queued = *invite(mine, ann);
    EXPECT_EQ(queued.state, Invitation::State::queued);
    EXPECT_EQ(sql("SELECT state || ' ' || (lease_owner IS NULL) || ' ' || payload::text FROM portal.outbox"),
              "queued true {\"custom_message\": \"Hello\"}");
    EXPECT_NE(ask(mine, ann).token, queued.token) << "a link on its way is not handed out";
    EXPECT_EQ(run(find_invitation(*portal, mine, queued.id))["data"]["state"].text(), "queued");
    EXPECT_EQ(refused(find_invitation(*portal, theirs, queued.id)).status, 404);

    helper.id = Uuid::random();
    helper.outcome.result = SendOutcome::Result::sent;
    helper.meanwhile = [&](const Uuid& id) {
        EXPECT_EQ(sql("SELECT lease_owner FROM portal.outbox WHERE id = '" + id.text() + "'"), helper.id->text());
        sql("UPDATE portal.outbox SET state = 'sent', lease_owner = NULL, lease_until = NULL WHERE id = '" + id.text() + "'");
    };
    Invitation sent = *invite(mine, ann);
    EXPECT_EQ(sent.state, Invitation::State::sent);
    EXPECT_EQ(ask(mine, ann).token, sent.token) << "the newest living one";

    // the wait is over: nobody's, unless the helper has begun, and told as it stands
    helper.outcome.result = SendOutcome::Result::deferred;
    helper.meanwhile = {};
    Invitation later = *invite(mine, ann);
    EXPECT_EQ(later.state, Invitation::State::queued);
    EXPECT_EQ(sql("SELECT lease_owner IS NULL FROM portal.outbox WHERE id = '" + later.id.text() + "'"), "t");
    helper.meanwhile = [&](const Uuid& id) { sql("UPDATE portal.outbox SET attempts = 1 WHERE id = '" + id.text() + "'"); };
    Invitation begun = *invite(mine, ann);
    EXPECT_EQ(sql("SELECT lease_owner IS NULL FROM portal.outbox WHERE id = '" + begun.id.text() + "'"), "f");
    helper.meanwhile = [&](const Uuid& id) { sql("UPDATE portal.outbox SET state = 'sent' WHERE id = '" + id.text() + "'"); };
    EXPECT_EQ(invite(mine, ann)->state, Invitation::State::sent);
    sql("INSERT INTO portal.client_portal_configs (workspace_id, is_active) VALUES ('" + mine.workspace_id.text() + "', false)");
    EXPECT_EQ(refused(plan_invitation(*portal, mine, ann)).detail, "The client portal is not active");
}

TEST_F(ClientPortal, AnInvitationKeyMailsOnce) {
    Principal mine = workspace("mine");
    Addressee ann{false, contact(mine, "ann@example.com")};
    IdempotencyKey k = key("k", "/invite", "Hello"), other = key("k", "/invite", "Other");
    EXPECT_FALSE(run(replay_invitation(*portal, mine, k)));
    helper.id = Uuid::random();
    helper.outcome.result = SendOutcome::Result::deferred;
    Invitation first = *invite(mine, ann, false, k);
    EXPECT_FALSE(invite(mine, ann, false, k)) << "somebody was faster";
    std::optional<Invitation> again = run(replay_invitation(*portal, mine, k));
    ASSERT_TRUE(again);
    EXPECT_EQ(again->token, first.token);
    EXPECT_EQ(again->id, first.id);
    EXPECT_EQ(again->state, Invitation::State::queued);
    sql("UPDATE portal.outbox SET state = 'sent'");
    EXPECT_EQ(run(replay_invitation(*portal, mine, k))->state, Invitation::State::queued) << "the stored 202";
    EXPECT_EQ(refused(replay_invitation(*portal, mine, other)).status, 422);
    // refused for good: its token is revoked, and the key is free again
    sql("UPDATE portal.client_portal_tokens SET revoked_at = now()");
    EXPECT_FALSE(run(replay_invitation(*portal, mine, k)));
    helper.outcome.result = SendOutcome::Result::sent;
    sql("UPDATE portal.outbox SET state = 'failed'");
    IdempotencyKey running = key("running", "/invite", "Hello");
    EXPECT_EQ(invite(mine, ann, false, running)->state, Invitation::State::sent);
    EXPECT_EQ(refused(replay_invitation(*portal, mine, running)).status, 409) << "leased and not yet recorded";
    sql("UPDATE portal.outbox SET state = 'sent', lease_owner = NULL, lease_until = NULL");
    EXPECT_EQ(run(replay_invitation(*portal, mine, running))->state, Invitation::State::sent);
}

TEST_F(ClientPortal, TheInviteRouteAnswersByTheContract) {
    Principal mine = workspace("mine");
    std::string id = std::to_string(contact(mine, "ann@example.com"));
    const char* pattern = "/api/v1/client-portal/contacts/{contactId}/invite";
    FakeRequest request;
    request.body = R"({"custom_message":"Hi"})";
    http::Response queued = call(mine, http::Method::post, pattern, id, request);
    EXPECT_EQ(queued.status, 202);
    EXPECT_TRUE(queued.headers.front().value.starts_with("https://portal.example.com/api/v1/client-portal/invitations/"));
    helper.id = Uuid::random();
    helper.outcome = {SendOutcome::Result::sent, "250 ok"};
    http::Response sent = call(mine, http::Method::post, pattern, id, request);
    EXPECT_EQ(sent.status, 200);
    EXPECT_TRUE(sent.body.starts_with(R"({"message":"Portal invitation sent successfully","token":"portal_cpt_)"));
    request.headers["prefer"] = "wait=5, Respond-Async";
    EXPECT_EQ(call(mine, http::Method::post, pattern, id, request).status, 202);
    EXPECT_EQ(helper.asked, 1);
    request.headers.clear();
    helper.outcome = {SendOutcome::Result::refused, "550 no"};
    try {
        call(mine, http::Method::post, pattern, id, request);
        ADD_FAILURE();
    } catch (const http::Failure& failure) {
        EXPECT_EQ(failure.status, 500);
        EXPECT_EQ(failure.detail, "Failed to send portal invitation: 550 no");
    }
    limiter.refuse = true;
    for (bool unavailable : {false, true}) {
        limiter.unavailable = unavailable;
        try {
            call(mine, http::Method::post, pattern, id, request);
            ADD_FAILURE();
        } catch (const http::Failure& failure) {
            EXPECT_EQ(failure.status, unavailable ? 503 : 429);
        }
    }
    for (const char* nobody : {"0", "-1", "9223372036854775808", "x", "1x", "+1", "1.5", "", "2"}) {
        try {
            call(mine, http::Method::post, pattern, nobody, request);
            ADD_FAILURE() << nobody;
        } catch (const http::Failure& failure) {
            EXPECT_EQ(failure.detail, "Contact not found") << nobody;
        }
    }
}

TEST(ClientPortalConfigInput, TellsEveryProblemAtOnce) {
    auto refusal = [](const std::string& body) {
        try {
            ClientPortalConfigInput::parse(body, std::nullopt);
        } catch (const http::Failure& failure) {
            return fields_of(failure);
        }
        return std::string("fine");
    };
    EXPECT_EQ(refusal("{}"), "fine");
    EXPECT_EQ(refusal(R"({"portal_name":"","portal_logo":"../x","primary_color":"red","secondary_color":"#12345g",
        "welcome_message":5,"enabled_modules":["nonsense"],"is_active":1,"allow_file_sharing":null,
        "show_activity_feed":"x","token_expiration_days":0})"),
              "portal_name portal_logo primary_color secondary_color welcome_message 0 is_active allow_file_sharing "
              "show_activity_feed token_expiration_days");
    EXPECT_EQ(refusal(R"({"enabled_modules":["tasks","tasks"]})"), "1");
    for (const char* logo : {"portal-logos/logo.png", "https://example.com/a.png", "a.b/c..d/e"}) {
        EXPECT_EQ(refusal("{\"portal_logo\":\"" + std::string(logo) + "\"}"), "fine") << logo;
    }
    for (const char* logo : {"/etc/passwd", "a/../b", "http://example.com/", "javascript:x", "a//b", "..", "a\\\\b", "a/", "https://u@example.com/"}) {
        EXPECT_EQ(refusal("{\"portal_logo\":\"" + std::string(logo) + "\"}"), "portal_logo") << logo;
    }
}

TEST(ClientPortalConfig, ContrastIsThatOfWcag) {
    EXPECT_NEAR(contrast_with_white("#000000"), 21, 0.001);
    EXPECT_NEAR(contrast_with_white("#ffffff"), 1, 0.001);
    EXPECT_NEAR(contrast_with_white("#777777"), 4.48, 0.01);
    EXPECT_NEAR(contrast_with_white("#FF0000"), 3.998, 0.01);
    EXPECT_NEAR(contrast_with_white("#3B82F6"), 3.68, 0.01);
}

}  // namespace
}  // namespace portal::test
