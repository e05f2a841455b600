// Billing addresses, and what may be asked of profile and members.
#include <gtest/gtest.h>

#include <set>

#include "portal/billing_address.h"
#include "portal/iso3166.h"
#include "portal/member.h"
#include "portal/portal_profile.h"
#include "portal/team.h"

namespace portal {
namespace {

using http::Json;

// "loc: msg" of each problem, a line each; "" when there is none.
template <class Use>
std::string problems_of(Use use) {
    try {
        use();
    } catch (const http::Failure& failure) {
        std::string all;
        for (const http::Problem& problem : failure.problems) {
            for (const std::string& part : problem.loc) {
                all += (&part == &problem.loc.front() ? "" : ".") + part;
            }
            all += ": " + problem.msg + "\n";
        }
        return all;
    }
    return "";
}

// The stored form of an address, "" of none; throws its problems.
std::string stored(const std::string& address) {
    http::Fields fields(Json::parse(R"({"billing_address":)" + address + "}"));
    Json found = billing_address_field(fields);
    fields.done();
    return found.present() ? found.dump() : "";
}

std::set<std::string> codes(std::string_view list) {
    std::set<std::string> all;
    for (std::size_t at = 0; at < list.size(); at += 3) {
        EXPECT_TRUE(at + 2 == list.size() || list[at + 2] == ' ') << at;
        EXPECT_TRUE(all.insert(std::string(list.substr(at, 2))).second) << list.substr(at, 2);
    }
    return all;
}

TEST(BillingAddress, ListsAreWhole) {
    EXPECT_EQ(codes(iso3166::countries).size(), 249u);
    EXPECT_EQ(codes(iso3166::us_states).size(), 57u);  // 50 states, DC, 6 territories
    EXPECT_EQ(codes(iso3166::ca_provinces).size(), 13u);
}

TEST(BillingAddress, TakesTheListedCodesAndNoOther) {
    const std::set<std::string> countries = codes(iso3166::countries);
    const std::set<std::string> states = codes(iso3166::us_states);
    const std::set<std::string> provinces = codes(iso3166::ca_provinces);
    for (char first = 'A'; first <= 'Z'; ++first) {
        for (char second = 'A'; second <= 'Z'; ++second) {
            const std::string code{first, second};
            auto fits = [](const std::string& address) {
                return problems_of([&] { stored(address); }).empty();
            };
            const bool stateful = code == "US" || code == "CA";
            EXPECT_EQ(fits(R"({"country":")" + code + R"("})"),
                      countries.contains(code) && !stateful)
                << code;
            EXPECT_EQ(fits(R"({"country":"US","state":")" + code + R"("})"), states.contains(code))
                << code;
            EXPECT_EQ(fits(R"({"country":"CA","state":")" + code + R"("})"),
                      provinces.contains(code))
                << code;
        }
    }
}

TEST(BillingAddress, IsNormalised) {
    EXPECT_EQ(
        stored(R"({"country":"us","state":"ny","zip":"1"})"),
        R"({"country":"US","line1":null,"line2":null,"postal_code":null,"city":null,"state":"US-NY"})");
    EXPECT_EQ(Json::parse(stored(R"({"country":"cA","state":"Ca-qC"})"))["state"].text(), "CA-QC");
    EXPECT_EQ(Json::parse(stored(R"({"country":"de","state":"by"})"))["state"].text(), "by");
    EXPECT_EQ(stored("null"), "");
}

TEST(BillingAddress, HasOneProblemAMember) {
    auto problems = [](const char* address) { return problems_of([&] { stored(address); }); };
    EXPECT_EQ(problems("7"),
              "body.billing_address: Input should be a valid dictionary or object to extract "
              "fields from\n");
    EXPECT_EQ(problems("{}"), "body.billing_address.country: Field required\n");
    EXPECT_EQ(problems(R"({"country":7})"),
              "body.billing_address.country: Input should be a valid string\n");
    EXPECT_EQ(
        problems(R"({"country":null})"),
        "body.billing_address.country: Invalid country, an ISO 3166-1 alpha-2 code is expected\n");
    EXPECT_EQ(problems(R"({"country":"US","state":7})"),
              "body.billing_address.state: Input should be a valid string\n");
    for (const char* state :
         {"null", "\"\"", "\"US\"", "\"US-\"", "\"US-US-NY\"", "\"N Y\"", "\"NYC\"", "\"Y N\""}) {
        EXPECT_EQ(problems((R"({"country":"US","state":)" + std::string(state) + "}").c_str()),
                  "body.billing_address.state: Invalid US state\n")
            << state;
    }
    EXPECT_EQ(problems(R"({"country":"CA","state":"NY"})"),
              "body.billing_address.state: Invalid CA province\n");
    const std::string longest = "\"" + std::string(256, 'x') + "\"",
                      longer = "\"" + std::string(257, 'x') + "\"";
    EXPECT_EQ(problems((R"({"country":"DE","line1":)" + longest + "}").c_str()), "");
    EXPECT_EQ(problems((R"({"country":"DE","line1":)" + longer + R"(,"city":[]})").c_str()),
              "body.billing_address.line1: String should have at most 256 characters\n"
              "body.billing_address.city: Input should be a valid string\n");
}

TEST(PortalCustomerChange, TrimsTheBillingName) {
    auto name = [](const char* body) {
        return PortalCustomerChange::parse(body, std::nullopt).billing_name;
    };
    EXPECT_EQ(name(R"({"billing_name":"  Anna \t\n"})"), "Anna");
    EXPECT_EQ(name(R"({"billing_name":" \t "})"), "");
    EXPECT_EQ(name(R"({"billing_name":""})"), "");
    EXPECT_EQ(name(R"({"billing_name":null})"), std::nullopt);
    EXPECT_EQ(name("{}"), std::nullopt);
}

TEST(TeamMemberInput, IsAMemberUnlessSaid) {
    auto parse = [](const char* body) { return TeamMemberInput::parse(body, std::nullopt); };
    EXPECT_EQ(parse(R"({"email":"a@B.com"})").role, "member");
    EXPECT_EQ(parse(R"({"email":"a@B.com","role":null})").role, "member");
    EXPECT_EQ(parse(R"({"email":"a@B.com"})").email, "a@b.com");
    EXPECT_EQ(problems_of([&] { parse(R"({"role":"owner"})"); }),
              "body.email: Field required\n"
              "body.role: Cannot add a member as owner. There must be exactly one owner.\n");
}

TEST(TeamMemberChange, TellsOfPathAndBody) {
    EXPECT_EQ(problems_of([] {
                  TeamMemberChange::parse("8d0f0e7c-5a4f-1b1e-9d57-3f1c5bb0a001", "{}",
                                          std::nullopt);
              }),
              "path.id: UUID version 4 expected\nbody.role: Field required\n");
}

TEST(MemberChange, KnowsAbsentFromNull) {
    EXPECT_EQ(MemberChange::parse(Json::parse("{}")).members.dump(), "{}");
    EXPECT_EQ(MemberChange::parse(
                  Json::parse(R"({"email":null,"name":null,"external_id":null,"role":null})"))
                  .members.dump(),
              R"({"name":null,"external_id":null})");
}

}  // namespace
}  // namespace portal
