// Who listens to what, and who holds how much.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "helper/audiences.h"
#include "helper/claims.h"

namespace portal::helper {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

const Uuid one = *Uuid::parse("0f8fad5b-d9cb-469f-a165-70867728950e");
const Uuid two = *Uuid::parse("7c9e6679-7425-40de-944b-e07fc1f90ae7");

TEST(Audiences, FindWhoListensWithWhatHeListensTo) {
    Audiences audiences;
    EXPECT_TRUE(audiences.empty());
    audiences.add(1, one, "workspace");
    audiences.add(1, one, "contact:7");
    audiences.add(1, one, "contact:7");
    audiences.add(2, one, "company:3");
    audiences.add(3, two, "contact:7");
    EXPECT_THAT(audiences.listeners(one, "contact:7 company:3 contact:8"),
                ElementsAre(Pair(1, ElementsAre("contact:7")), Pair(2, ElementsAre("company:3"))));
    EXPECT_THAT(audiences.listeners(one, "workspace contact:7"),
                ElementsAre(Pair(1, ElementsAre("workspace", "contact:7"))));
    EXPECT_THAT(audiences.listeners(two, "contact:7"), ElementsAre(Pair(3, ElementsAre("contact:7"))));
    EXPECT_THAT(audiences.listeners(one, ""), IsEmpty());

    audiences.remove(1, one, "contact:7");
    audiences.remove(1, one, "contact:9");
    EXPECT_THAT(audiences.listeners(one, "contact:7"), IsEmpty());
    audiences.remove(1);
    audiences.remove(2);
    audiences.remove(3);
    audiences.remove(4);
    EXPECT_TRUE(audiences.empty());
}

TEST(Claims, AreCountedOverAllLines) {
    Claims claims;
    EXPECT_TRUE(claims.claim(1, one, 2));
    EXPECT_TRUE(claims.claim(2, one, 2));
    EXPECT_FALSE(claims.claim(2, one, 2));
    EXPECT_TRUE(claims.claim(2, two, 1));
    claims.release(1, one);
    claims.release(1, one);
    EXPECT_TRUE(claims.claim(3, one, 2));
    claims.remove(2);
    EXPECT_TRUE(claims.claim(3, one, 2));
    EXPECT_FALSE(claims.claim(3, one, 2));
    EXPECT_TRUE(claims.claim(3, two, 1));
}

TEST(Claims, OfOneAloneAreTakenFromWhoeverHasThem) {
    Claims claims;
    EXPECT_THAT(claims.take(1, one), IsEmpty());
    EXPECT_THAT(claims.take(2, one), ElementsAre(1));
    claims.release(1, one);   // what it has lost is not its to release
    EXPECT_THAT(claims.take(2, one), ElementsAre(2));
    EXPECT_FALSE(claims.claim(3, one, 1));
    claims.release(2, one);
    EXPECT_TRUE(claims.claim(3, one, 1));
}

}  // namespace
}  // namespace portal::helper
