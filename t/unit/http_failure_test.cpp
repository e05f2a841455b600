// What a refusal looks like on either surface: contract/README.md, Errors.
#include "http/failure.h"

#include <gtest/gtest.h>

#include "http/validation.h"
#include "portal_fixture.h"

namespace portal::http {
namespace {

std::string body(const Failure& failure, Surface surface, const char* accept = "*/*") {
    test::FakeRequest request;
    request.headers["accept"] = accept;
    return render(failure, surface, request).body;
}
std::string rest(const Failure& failure) { return body(failure, Surface::rest); }
std::string client(const Failure& failure) { return body(failure, Surface::client_portal); }

Failure two_problems() {
    Problem missing;
    missing.type = "missing";
    missing.loc = {"body", "items", "0", "code"};
    missing.msg = "Field required";
    missing.input = Json::object();
    return validation_failed({missing, business_problem({"body", "email"}, "No.", "x")});
}

TEST(Failure, OnRest) {
    EXPECT_EQ(rest(unauthorized()), R"({"error":"Unauthorized","detail":"Unauthorized"})");
    EXPECT_EQ(unauthorized().headers.front().value, "Bearer realm=\"portal\"");
    EXPECT_EQ(rest(invalid_token()),
              R"({"error":"invalid_token","error_description":"The access token provided is expired, revoked, malformed, or invalid for other reasons."})");
    EXPECT_EQ(rest(insufficient_scope("a:b")),
              R"({"error":"insufficient_scope","error_description":"The request requires higher privileges than provided by the access token."})");
    EXPECT_TRUE(insufficient_scope("a:b").headers.front().value.ends_with("scope=\"a:b\""));
    EXPECT_EQ(rest(not_permitted("No.")), R"({"error":"NotPermitted","detail":"No."})");
    EXPECT_EQ(rest(resource_not_found()), R"({"error":"ResourceNotFound","detail":"Not found"})");
    EXPECT_EQ(rest(path_not_found()), R"({"detail":"Not Found"})");
    EXPECT_EQ(rest(method_not_allowed("GET")), R"({"detail":"Method Not Allowed"})");
    EXPECT_EQ(rest(body_too_large()), R"({"detail":"Request Entity Too Large"})");
    EXPECT_EQ(rest(unavailable(3)), R"({"detail":"Service Unavailable"})");
    EXPECT_EQ(unavailable(3).headers.front().value, "3");
    EXPECT_EQ(rest(internal_error()), R"({"detail":"Internal Server Error"})");
    EXPECT_EQ(rest(two_problems()),
              R"({"error":"RequestValidationError","detail":[{"type":"missing","loc":["body","items",0,"code"],)"
              R"("msg":"Field required","input":{}},{"type":"value_error","loc":["body","email"],"msg":"No.",)"
              R"("input":"x","ctx":{"error":{}}}]})");
}

TEST(Failure, OnTheClientPortal) {
    EXPECT_EQ(client(unauthorized()), R"({"message":"Unauthenticated."})");
    EXPECT_EQ(client(invalid_token()), R"({"message":"Unauthenticated."})");
    EXPECT_EQ(client(insufficient_scope("x")), R"({"message":"This action is unauthorized."})");
    EXPECT_EQ(client(not_permitted("The client portal is not active")), R"({"message":"The client portal is not active"})");
    EXPECT_EQ(client(path_not_found()), R"({"message":"Not found."})");
    EXPECT_EQ(client(resource_not_found("Contact not found")), R"({"message":"Contact not found"})");
    EXPECT_EQ(client(too_many_requests()), R"({"message":"Too Many Requests"})");
    EXPECT_EQ(client(unavailable(1)), R"({"message":"Service Unavailable"})");
    EXPECT_EQ(client(two_problems()),
              R"({"message":"The given data was invalid.","errors":{"items.0.code":["Field required"],"email":["No."]}})");
}

TEST(Failure, AsProblemDetailsWhereAskedFor) {
    const char* asked = "text/html, Application/Problem+JSON; q=0.5";
    EXPECT_EQ(body(path_not_found(), Surface::rest, asked),
              R"({"type":"about:blank","title":"Not Found","status":404,"detail":"Not Found"})");
    EXPECT_EQ(body(invalid_token(), Surface::client_portal, asked),
              R"({"type":"about:blank","title":"Unauthorized","status":401,"detail":"Unauthenticated."})");
    std::string list = body(two_problems(), Surface::client_portal, asked);
    EXPECT_NE(list.find(R"("errors":[{"type":"missing")"), std::string::npos);
    EXPECT_EQ(body(path_not_found(), Surface::rest, "application/problem+json;q=0"), R"({"detail":"Not Found"})");
    EXPECT_EQ(body(path_not_found(), Surface::rest, "application/problem+jsonx"), R"({"detail":"Not Found"})");
}

TEST(Json, RepairsWhatIsNoUtf8) {
    EXPECT_EQ(Json(std::string_view("a\xff\xc3(")).dump(), "\"a\xEF\xBF\xBD\xEF\xBF\xBD(\"");
    EXPECT_EQ(Json::object({{"b", 1}, {"a", nullptr}, {"c", std::optional<std::string>()}}).dump(), R"({"b":1,"a":null,"c":null})");
    EXPECT_EQ(Json::parse("[\"/\", 1.5]").dump(), "[\"/\",1.5]");
    EXPECT_THROW(Json::parse("{"), std::runtime_error);
    EXPECT_EQ(Json(std::string(5000, 'x')).dump().size(), 5002u);
}

TEST(Url, Encoding) {
    EXPECT_EQ(percent_encode("o+w ner@example.com~"), "o%2Bw+ner%40example.com~");
    EXPECT_EQ(percent_decode("%zz%4", false), "%zz%4");
}

}  // namespace
}  // namespace portal::http
