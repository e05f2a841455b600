// The router: paths, methods, groups.
#include "api/router.h"

#include <gtest/gtest.h>

namespace portal::api {
namespace {

TEST(Router, FindsAPathWithAndWithoutItsLastSlash) {
    Router router;
    for (const char* path : {"/api/customer-sessions", "/api/customer-sessions/"}) {
        Match match = router.find(path);
        ASSERT_TRUE(match.any(default_groups)) << path;
        EXPECT_NE(match.method(http::Method::post, default_groups), nullptr);
        EXPECT_EQ(match.method(http::Method::put, default_groups), nullptr);
    }
}

TEST(Router, TakesParametersOutOfThePath) {
    Router router;
    Match match = router.find("/api/v1/client-portal/contacts/17/invite/");
    ASSERT_TRUE(match.any(default_groups));
    EXPECT_EQ(match.parameters[0], "17");
    EXPECT_EQ(match.allow(default_groups), "POST, OPTIONS");
}

TEST(Router, HeadIsGet) {
    Router router;
    Match match = router.find("/api/v1/client-portal/config");
    EXPECT_EQ(match.method(http::Method::head, default_groups), match.method(http::Method::get, default_groups));
    EXPECT_EQ(match.allow(default_groups), "GET, HEAD, PATCH, OPTIONS");
}

TEST(Router, KnowsNoOtherPaths) {
    Router router;
    for (const char* path : {"/", "", "/api", "/api/customer-sessionsx", "/api/v1/client-portal/contacts//invite",
                             "/api/v1/client-portal/contacts/1/invite/2", "/API/customer-sessions"}) {
        EXPECT_FALSE(router.find(path).any(default_groups)) << path;
    }
}

TEST(Router, ServesOnlyTheGroupsOfItsLocation) {
    Router router;
    EXPECT_FALSE(router.find("/api/v1/client-portal/config").any(group_bit(Group::sessions)));
    EXPECT_TRUE(router.find("/api/customer-sessions").any(group_bit(Group::sessions)));
}

TEST(Surface, IsThePathsOwn) {
    EXPECT_EQ(surface_of("/api/v1/client-portal/nothing"), http::Surface::client_portal);
    EXPECT_EQ(surface_of("/api/customer-sessions/"), http::Surface::rest);
}

}  // namespace
}  // namespace portal::api
