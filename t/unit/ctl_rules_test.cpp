// What management bodies may say (contract/management.md), apart from what only the database can judge.
#include <gtest/gtest.h>

#include "portal/access_token.h"
#include "portal/company.h"
#include "portal/contact.h"
#include "portal/customer.h"
#include "portal/email.h"
#include "portal/member.h"
#include "portal/page.h"
#include "portal/workspace.h"

namespace portal {
namespace {

using http::Json;

// "loc: msg" of every problem parse() throws, joined by newlines; "" when it throws none.
template <class Input>
std::string problems_of(const char* body) {
    try {
        Input::parse(Json::parse(body));
        return "";
    } catch (const http::Failure& failure) {
        std::string all;
        for (const http::Problem& problem : failure.problems) {
            all += all.empty() ? "" : "\n";
            for (std::size_t at = 1; at < problem.loc.size(); ++at) {
                all += (at > 1 ? "." : "") + problem.loc[at];
            }
            all += ": " + problem.msg;
        }
        return all;
    }
}

TEST(Email, KeepsTheLocalPartAndLowersTheDomain) {
    EXPECT_EQ(check_email("  Mike.O'Neil+tag@Example.COM ").address, "Mike.O'Neil+tag@example.com");
    EXPECT_EQ(check_email("grüße@exämple.com").address, "grüße@exämple.com");
    EXPECT_EQ(ascii_lower("MI\u212AE"), "mi\u212Ae") << "a look-alike letter is not an ASCII one";
}

TEST(Email, RefusesWhatIsNone) {
    for (const char* text : {"", "@", "a", "a@", "@b.com", "a@b", "a@b..com", "a@.b.com", "a@b.com.", "a@-b.com",
                             "a@b-.com", ".a@b.com", "a.@b.com", "a..b@b.com", "a b@b.com", "a\tb@b.com",
                             "a@b.com\r\nBcc: c@d.com", "<a@b.com>", "a@[127.0.0.1]", "a,b@c.com", "\"a\"@b.com",
                             "a\u200b@b.com", "a\u202e@b.com", "\xff@b.com", "a@b_c.com"}) {
        EXPECT_FALSE(check_email(text).ok()) << text;
    }
    EXPECT_TRUE(check_email(std::string(64, 'x') + "@b.com").ok());
    EXPECT_FALSE(check_email(std::string(65, 'x') + "@b.com").ok());
    EXPECT_FALSE(check_email("a@" + std::string(64, 'x') + ".com").ok()) << "a label has at most 63";
    std::string nul("a\0b@c.com", 9);
    EXPECT_FALSE(check_email(nul).ok());
}

TEST(Workspace, SlugsAtTheirEdges) {
    EXPECT_EQ(problems_of<WorkspaceInput>(R"({"slug":"a-1","name":"x"})"), "");
    EXPECT_EQ(problems_of<WorkspaceInput>(R"({"slug":"admin","name":"x"})"), "slug: This slug is reserved.");
    EXPECT_NE(problems_of<WorkspaceInput>(R"({"slug":"Ab1","name":"x"})"), "");
    EXPECT_NE(problems_of<WorkspaceInput>(R"({"slug":"ab","name":"x"})"), "");
    EXPECT_EQ(problems_of<WorkspaceInput>("{}"), "slug: Field required\nname: Field required");
}

TEST(Workspace, ChangesOnlyWhatIsNamed) {
    auto change = WorkspaceChange::parse(
        Json::parse(R"({"name":"N","avatar_url":null,"return_hosts":["A.b"],"blocked":true})"), true);
    EXPECT_EQ(change.members.dump(), R"({"name":"N","avatar_url":null,"return_hosts":["a.b"],"blocked":true})");
    auto by_rest = WorkspaceChange::parse(Json::parse(R"({"blocked":true})"), false);
    EXPECT_EQ(by_rest.members.dump(), "{}") << "blocking is for operators";
    for (const char* hosts : {R"("a.b")", R"([1])", R"(["https://a.b"])", R"([""])", R"(["a b"])"}) {
        std::string body = std::string(R"({"return_hosts":)") + hosts + "}";
        EXPECT_THROW(WorkspaceChange::parse(Json::parse(body), true), http::Failure) << hosts;
    }
    EXPECT_THROW(WorkspaceChange::parse(Json::parse(R"({"name":null})"), true), http::Failure);
}

TEST(AccessToken, ScopesAreKnownAndNotRepeated) {
    auto input = AccessTokenInput::parse(Json::parse(
        R"({"comment":"","scopes":["customers:read","customers:read","client_portal:write"],"expires_in":60})"));
    EXPECT_EQ(input.scopes, (std::vector<std::string>{"customers:read", "client_portal:write"}));
    EXPECT_EQ(input.expires_in, 60);
    for (const char* body : {"{}", R"({"scopes":[]})", R"({"scopes":["x"]})", R"({"scopes":[1]})", R"({"scopes":"x"})",
                             R"({"scopes":["customer_portal:write"]})",
                             R"({"scopes":["customers:read"],"expires_in":0})"}) {
        EXPECT_NE(problems_of<AccessTokenInput>(body), "") << body;
    }
}

TEST(Customer, TellsEveryProblem) {
    EXPECT_EQ(problems_of<CustomerInput>(
                  R"({"email":"x","type":"y","billing_address":{"country":"XX"},"metadata":7,"owner":{"email":"z"}})"),
              "email: value is not a valid email address: An email address must have an @-sign.\n"
              "type: Input should be 'individual' or 'team'\n"
              "billing_address.country: Invalid country, an ISO 3166-1 alpha-2 code is expected\n"
              "metadata: Input should be a valid dictionary\n"
              "owner.email: value is not a valid email address: An email address must have an @-sign.");
}

TEST(Customer, BillingAddressIsStoredWhole) {
    auto state = [](const char* address) {
        std::string body = std::string(R"({"email":"a@b.com","billing_address":)") + address + "}";
        return CustomerInput::parse(Json::parse(body)).billing_address;
    };
    EXPECT_EQ(state(R"({"country":"us","state":"ny","extra":1})").dump(),
              R"({"country":"US","line1":null,"line2":null,"postal_code":null,"city":null,"state":"US-NY"})");
    EXPECT_EQ(state(R"({"country":"CA","state":"CA-QC"})")["state"].text(), "CA-QC");
    EXPECT_EQ(state(R"({"country":"DE","state":"Bayern"})")["state"].text(), "Bayern");
    EXPECT_FALSE(state("null").present());
    EXPECT_THROW(state(R"({"country":"US","state":"CA-QC"})"), http::Failure);
    EXPECT_THROW(state(R"({"country":"US"})"), http::Failure);
    EXPECT_THROW(state(R"({"country":"E A"})"), http::Failure);
    EXPECT_THROW(state("[]"), http::Failure);
}

TEST(Customer, AvatarIsTheHashOfTheLoweredAddress) {
    EXPECT_EQ(avatar_url("MIKE@example.com"), avatar_url("mike@example.com"));
    EXPECT_EQ(avatar_url("mike@example.com"),
              "https://www.gravatar.com/avatar/18b258e9ade091623dd829132e1e9d8b4a7f7d90abea194001c54341c3f27b79?d=404");
}

TEST(Customer, IsNamedInThreeWays) {
    auto which = CustomerReference::any("8E5613E4-4FF4-4E92-ACA7-FB24CB259567");
    EXPECT_TRUE(which.id.has_value());
    EXPECT_TRUE(which.external_id.has_value()) << "an external id may look like ours";
    EXPECT_FALSE(CustomerReference::any("cus_1").id.has_value());
}

TEST(Member, Rules) {
    EXPECT_EQ(problems_of<MemberInput>("{}"), "customer_id: Field required\nemail: Field required");
    EXPECT_NE(problems_of<MemberInput>(
                  R"({"customer_id":"8e5613e4-4ff4-4e92-aca7-fb24cb259567","email":"a@b.com","role":"king"})"),
              "");
}

TEST(Addressee, IdsArePositive64Bit) {
    EXPECT_EQ(ContactInput::parse(Json::parse(R"({"name":"x","id":9223372036854775807})")).members["id"].integer(), INT64_MAX);
    for (const char* id : {"0", "-1", "1.5", "\"1\"", "true"}) {
        std::string body = std::string(R"({"name":"x","id":)") + id + "}";
        EXPECT_NE(problems_of<ContactInput>(body.c_str()), "") << id;
        EXPECT_NE(problems_of<CompanyInput>(body.c_str()), "") << id;
    }
    EXPECT_NE(problems_of<ContactInput>(R"({"name":"x","company_id":0})"), "");
    EXPECT_NE(problems_of<ContactInput>(R"({"name":""})"), "");
}

TEST(Page, OffsetNeverOverflows) {
    PageRequest request;
    request.page = INT64_MAX;
    request.limit = 1000;
    EXPECT_EQ(request.per_page(), 100);
    EXPECT_GT(request.offset(), 0);
    request.page = 3;
    request.limit = 10;
    EXPECT_EQ(request.offset(), 20);
    Page page;
    page.total = 21;
    EXPECT_EQ(page.json()["meta"].dump(), R"({"total":21,"page":1,"per_page":10,"pages":3})");
}

}  // namespace
}  // namespace portal
