// The shared zone: what it remembers, for how long, and that its logs are literal.
#include "portal/zone.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <memory>
#include <random>
#include <vector>

#include "zone_memory.h"

namespace portal {
namespace {

struct NoLock final : ZoneLock {
    void lock() noexcept override { ++depth; }
    void unlock() noexcept override { --depth; }
    int depth = 0;
};

class ZoneTest : public testing::Test {
  protected:
    explicit ZoneTest(std::size_t size = Zone::minimum)
        : memory(test::zone_memory(size)), size_(size) {
        zone = std::make_unique<Zone>(memory.get(), lock, freshness());
    }

    static Freshness freshness() {
        Freshness freshness;
        freshness.with_beat = 60000;
        return freshness;
    }
    static Digest digest(int number) {
        std::mt19937_64 random(std::uint64_t(number) + 1);
        Digest digest;
        for (auto& byte : digest) {
            byte = std::uint8_t(random());
        }
        return digest;
    }
    static Zone::CredentialKey credential(int number) {
        return {Zone::place_of(std::to_string(number)), digest(number)};
    }
    static LimitKey key(int number) {
        LimitKey key;
        const Digest bytes = digest(number);
        std::copy_n(bytes.begin(), key.bytes.size(), key.bytes.begin());
        return key;
    }
    static Principal somebody() {
        Principal principal;
        principal.kind = Kind::workspace;
        principal.token_id = Uuid::random();
        principal.workspace_id = Uuid::random();
        principal.customer_id = Uuid::random();
        return principal;
    }
    Zone::Found find(int number, std::int64_t now, std::int64_t unix_now = 1000) {
        zone->find(credential(number), now, unix_now, lookup);
        EXPECT_EQ(lock.depth, 0);
        return lookup.found;
    }
    Zone::Outcome admit(const LimitKey& limit_key, std::uint32_t quota, std::uint32_t window, std::int64_t now,
                        bool with_redis = false) {
        admission = {};
        admission.key = limit_key;
        admission.quota = quota;
        admission.window = window;
        std::size_t deciding = 0;
        return zone->admit(&admission, 1, with_redis, now, deciding);
    }

    test::ZoneMemory memory;
    std::size_t size_;
    NoLock lock;
    std::unique_ptr<Zone> zone;
    Zone::Lookup lookup;
    Zone::Admission admission;
};

constexpr std::int64_t start = 1'000'000;

TEST_F(ZoneTest, RecognisesItsOwnMemoryOnly) {
    EXPECT_TRUE(Zone::recognises(memory.get(), size_));
    memory.get()[0] ^= 1;
    EXPECT_FALSE(Zone::recognises(memory.get(), size_));
}

TEST_F(ZoneTest, TrustsAnEntryForASecondWithoutAHeartbeat) {
    zone->store(credential(1), somebody(), zone->generation(), start);
    EXPECT_EQ(find(1, start + 999), Zone::Found::fresh);
    EXPECT_EQ(find(1, start + 1000), Zone::Found::stale);
    EXPECT_EQ(find(1, start + 29999), Zone::Found::stale);
    EXPECT_EQ(find(1, start + 30000), Zone::Found::nothing);
    EXPECT_EQ(find(2, start), Zone::Found::nothing);
}

TEST_F(ZoneTest, TrustsItLongerOnlyUnderAFreshHeartbeat) {
    zone->store(credential(1), somebody(), zone->generation(), start);
    zone->beat(start + 20000);
    EXPECT_EQ(find(1, start + 20700), Zone::Found::fresh);
    EXPECT_EQ(find(1, start + 20800), Zone::Found::stale);
    // known good until the last heartbeat, so portal_stale counts from there
    EXPECT_EQ(find(1, start + 49999), Zone::Found::stale);
    EXPECT_EQ(find(1, start + 50000), Zone::Found::nothing);
    zone->beat(start + 60000);
    EXPECT_EQ(find(1, start + 60001), Zone::Found::stale);
}

TEST_F(ZoneTest, ABumpOfAnyOfItsRowsEndsAnEntryAtOnce) {
    const Principal principal = somebody();
    for (const Uuid& id : {principal.token_id, principal.workspace_id, principal.customer_id}) {
        zone->store(credential(1), principal, zone->generation(), start);
        ASSERT_EQ(find(1, start), Zone::Found::fresh);
        zone->bump(id);
        EXPECT_EQ(find(1, start), Zone::Found::nothing) << "nor is it served stale";
    }
}

TEST_F(ZoneTest, AChangeWhileItWasBeingReadMakesAnEntryOld) {
    const Principal principal = somebody();
    const std::uint64_t before = zone->generation();
    zone->bump(principal.token_id);
    zone->store(credential(1), principal, before, start);
    EXPECT_EQ(find(1, start), Zone::Found::nothing);
}

TEST_F(ZoneTest, BumpAllMakesEverythingReadAgainButKeepsItForWhenThatFails) {
    zone->store(credential(1), somebody(), zone->generation(), start);
    zone->bump_all();
    EXPECT_EQ(find(1, start + 10), Zone::Found::stale);
    zone->store(credential(1), somebody(), zone->generation(), start + 20);
    EXPECT_EQ(find(1, start + 30), Zone::Found::fresh);
}

TEST_F(ZoneTest, NeverReturnsAnExpiredCredential) {
    Principal principal = somebody();
    principal.expires_at = 2000;
    zone->store(credential(1), principal, zone->generation(), start);
    EXPECT_EQ(find(1, start, 1999), Zone::Found::fresh);
    EXPECT_EQ(find(1, start, 2000), Zone::Found::nothing);
}

TEST_F(ZoneTest, RemembersNobodiesForASecond) {
    zone->store_nobody(credential(7), zone->generation(), start);
    EXPECT_EQ(find(7, start + 999), Zone::Found::nobody);
    EXPECT_EQ(find(7, start + 1000), Zone::Found::nothing);
}

TEST_F(ZoneTest, AsksForLastUsedEveryFifteenSeconds) {
    zone->store(credential(1), somebody(), zone->generation(), start);
    find(1, start);
    EXPECT_TRUE(lookup.touch);
    find(1, start + 500);
    EXPECT_FALSE(lookup.touch);
    zone->beat(start + 15000);
    find(1, start + 15000);
    EXPECT_TRUE(lookup.touch);
}

TEST_F(ZoneTest, KeepsTheRecentlyUsedWhenItIsFull) {
    for (int number = 0; number < 100000; ++number) {
        zone->store(credential(number), somebody(), zone->generation(), start + number / 1000);
    }
    EXPECT_EQ(find(99999, start + 100), Zone::Found::fresh);
    EXPECT_EQ(find(0, start + 100), Zone::Found::nothing);
}

TEST_F(ZoneTest, ServesAConfigUntilItsWorkspaceChanges) {
    const Uuid workspace = Uuid::random();
    zone->store_config(workspace, {R"({"data":{}})", "\"etag\""}, zone->generation(), start);
    const CachedConfig config = zone->find_config(workspace, start + 10, false);
    ASSERT_NE(config, nullptr);
    EXPECT_EQ(config->body, R"({"data":{}})");
    EXPECT_EQ(config->etag, "\"etag\"");
    EXPECT_EQ(zone->find_config(workspace, start + 2000, false), nullptr);
    EXPECT_NE(zone->find_config(workspace, start + 2000, true), nullptr);
    EXPECT_EQ(zone->find_config(Uuid::random(), start, true), nullptr);
    zone->bump(workspace);
    EXPECT_EQ(zone->find_config(workspace, start + 10, true), nullptr);
}

TEST_F(ZoneTest, ACopyOfAConfigIsSharedWhileItIsTheSame) {
    const Uuid workspace = Uuid::random();
    zone->store_config(workspace, {"one", "\"1\""}, zone->generation(), start);
    const CachedConfig kept = zone->find_config(workspace, start, false);
    EXPECT_EQ(zone->find_config(workspace, start, false, kept), kept);
    zone->bump(workspace);
    EXPECT_EQ(zone->find_config(workspace, start, true, kept), nullptr);
    zone->store_config(workspace, {"two", "\"2\""}, zone->generation(), start);
    EXPECT_EQ(zone->find_config(workspace, start, false, kept)->body, "two");
}

TEST_F(ZoneTest, AConfigTooLongIsNotKept) {
    const Uuid workspace = Uuid::random();
    zone->store_config(workspace, {std::string(Zone::longest_config + 1, 'x'), "e"}, zone->generation(), start);
    EXPECT_EQ(zone->find_config(workspace, start, false), nullptr);
}

TEST_F(ZoneTest, ForgetsWhatAKilledWriterLeft) {
    zone->store(credential(1), somebody(), zone->generation(), start);
    // an entry begins with its digest; its mark comes after two numbers, the second of 48 bits
    const Digest wanted = digest(1);
    auto* const end = memory.get() + size_;
    auto* const entry = std::search(memory.get(), end, wanted.begin(), wanted.begin() + 16,
                                    [](char one, std::uint8_t other) { return std::uint8_t(one) == other; });
    ASSERT_NE(entry, end);
    auto* mark = reinterpret_cast<std::uint16_t*>(entry + 16 + 8 + 6);
    ASSERT_EQ(*mark, 0u);
    *mark = 1;
    EXPECT_EQ(find(1, start), Zone::Found::nothing);
    zone->store(credential(1), somebody(), zone->generation(), start);
    EXPECT_EQ(find(1, start), Zone::Found::fresh);
}

TEST_F(ZoneTest, AdmitsExactlyTheQuotaAndOpensWhenTheOldestLeaves) {
    for (int call = 0; call < 60; ++call) {
        ASSERT_EQ(admit(key(1), 60, 60000, start + call * 100), Zone::Outcome::admitted);
        EXPECT_EQ(admission.remaining, 59u - unsigned(call));
    }
    EXPECT_EQ(admit(key(1), 60, 60000, start + 6000), Zone::Outcome::denied);
    EXPECT_EQ(admission.reset_in, 54000);
    EXPECT_EQ(admit(key(1), 60, 60000, start + 59999), Zone::Outcome::denied);
    EXPECT_EQ(admit(key(1), 60, 60000, start + 60000), Zone::Outcome::admitted);
    EXPECT_EQ(admit(key(1), 60, 60000, start + 60099), Zone::Outcome::denied);
    EXPECT_EQ(admit(key(1), 60, 60000, start + 60100), Zone::Outcome::admitted);
    EXPECT_EQ(admit(key(2), 60, 60000, start + 6000), Zone::Outcome::admitted) << "another key";
}

class LiteralWindow : public ZoneTest, public testing::WithParamInterface<std::pair<std::uint32_t, std::uint32_t>> {};

TEST_P(LiteralWindow, NoWindowEverHoldsMoreThanTheQuota) {
    const auto [quota, window] = GetParam();
    std::mt19937 random(quota);
    std::deque<std::int64_t> admitted;
    std::int64_t now = start;
    std::size_t most = 0;
    for (int call = 0; call < 50000; ++call) {
        now += std::int64_t(random() % (window / quota * 2 / 3 + 1));
        if (random() % 1000 == 0) {
            now += window / 2;
        }
        if (admit(key(1), quota, window, now) == Zone::Outcome::admitted) {
            admitted.push_back(now);
        }
        while (!admitted.empty() && admitted.front() + window <= now) {
            admitted.pop_front();
        }
        most = std::max(most, admitted.size());
        ASSERT_LE(admitted.size(), quota);
    }
    EXPECT_EQ(most, quota) << "and the quota is reached";
}

// Beside a plain list of times, with some taken out again.
TEST_P(LiteralWindow, CountsWhatIsLeftOfIt) {
    const auto [quota, window] = GetParam();
    std::mt19937 random(quota + 1);
    std::deque<Zone::Admission> admitted;
    std::int64_t now = start;
    for (int call = 0; call < 50000; ++call) {
        now += std::int64_t(random() % (window / quota * 2 / 3 + 1));
        while (!admitted.empty() && admitted.front().logged_at + window <= now) {
            admitted.pop_front();
        }
        const auto outcome = admit(key(1), quota, window, now);
        ASSERT_EQ(outcome, admitted.size() < quota ? Zone::Outcome::admitted : Zone::Outcome::denied);
        if (outcome == Zone::Outcome::admitted) {
            admitted.push_back(admission);
            ASSERT_EQ(admission.remaining, quota - admitted.size());
        }
        ASSERT_EQ(admission.reset_in, admitted.front().logged_at + window - now);
        if (!admitted.empty() && random() % 3 == 0) {
            const auto taken = admitted.begin() + std::ptrdiff_t(random() % admitted.size());
            zone->withdraw(*taken, now);
            admitted.erase(taken);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Quotas, LiteralWindow,
                         testing::Values(std::pair{5u, 3600000u}, std::pair{10u, 900000u}, std::pair{60u, 60000u},
                                         std::pair{100u, 60000u}, std::pair{500u, 60000u}));

TEST_F(ZoneTest, AWithdrawnAdmissionLeavesRoomForOne) {
    for (int call = 0; call < 60; ++call) {
        ASSERT_EQ(admit(key(1), 60, 60000, start + call), Zone::Outcome::admitted);
    }
    Zone::Admission last = admission;
    ASSERT_EQ(admit(key(1), 60, 60000, start + 100), Zone::Outcome::denied);
    zone->withdraw(last, start + 100);
    EXPECT_EQ(admit(key(1), 60, 60000, start + 101), Zone::Outcome::admitted);
    EXPECT_EQ(admit(key(1), 60, 60000, start + 102), Zone::Outcome::denied);
}

TEST_F(ZoneTest, SeveralLimitsAdmitAllOrNone) {
    Zone::Admission both[2];
    both[0].key = key(1);
    both[0].quota = 10;
    both[0].window = 60000;
    both[1].key = key(2);
    both[1].quota = 1;
    both[1].window = 60000;
    std::size_t deciding = 0;
    EXPECT_EQ(zone->admit(both, 2, false, start, deciding), Zone::Outcome::admitted);
    EXPECT_EQ(zone->admit(both, 2, false, start + 1, deciding), Zone::Outcome::denied);
    EXPECT_EQ(deciding, 1u);
    EXPECT_EQ(admit(key(1), 10, 60000, start + 2), Zone::Outcome::admitted);
    EXPECT_EQ(admission.remaining, 8u) << "the refused one was not counted";
}

TEST_F(ZoneTest, NeverEvictsALiveLog) {
    int number = 0;
    while (admit(key(number), 60, 60000, start) == Zone::Outcome::admitted) {
        ASSERT_LT(++number, 1000000);
    }
    EXPECT_EQ(admit(key(number), 60, 60000, start), Zone::Outcome::full);
    EXPECT_GT(number, 5000) << "nearly three quarters of what there is";
    EXPECT_EQ(admit(key(0), 60, 60000, start + 1), Zone::Outcome::admitted);
    EXPECT_EQ(admission.remaining, 58u);
    EXPECT_EQ(admit(key(number), 60, 60000, start + 60001), Zone::Outcome::admitted) << "when others have ended";
}

TEST_F(ZoneTest, LongLogsReturnTheirCells) {
    for (int round = 0; round < 2000; ++round) {
        for (int call = 0; call < 60; ++call) {
            ASSERT_EQ(admit(key(round % 7), 60, 60000, start + round * 61000 + call), Zone::Outcome::admitted);
        }
    }
}

TEST_F(ZoneTest, ALeaseAdmitsWithoutAskingUntilItIsUsedUpOrOver) {
    ASSERT_EQ(admit(key(1), 1000, 60000, start, true), Zone::Outcome::admitted);
    ASSERT_TRUE(admission.ask);
    ASSERT_EQ(admission.want, 2);
    zone->granted(admission, 2, 998, 60000, 5000, start);
    ASSERT_EQ(admit(key(1), 1000, 60000, start + 10, true), Zone::Outcome::admitted);
    EXPECT_FALSE(admission.ask);
    EXPECT_EQ(admission.remaining, 998u);
    // used up in time: the next one is larger
    ASSERT_EQ(admit(key(1), 1000, 60000, start + 20, true), Zone::Outcome::admitted);
    ASSERT_TRUE(admission.ask);
    EXPECT_EQ(admission.want, 4);
    zone->granted(admission, 4, 994, 60000, 6000, start + 20);
    // over: what is left of it is given back with the next ask
    ASSERT_EQ(admit(key(1), 1000, 60000, start + 1020, true), Zone::Outcome::admitted);
    ASSERT_TRUE(admission.ask);
    EXPECT_EQ(admission.give_back, 3);
    EXPECT_EQ(admission.lease_at, 6000);
    EXPECT_EQ(admission.want, 2);
}

TEST_F(ZoneTest, ExactQuotasAreNeverLeased) {
    ASSERT_EQ(admit(key(1), 100, 60000, start, true), Zone::Outcome::admitted);
    EXPECT_TRUE(admission.ask);
    EXPECT_EQ(admission.want, 1);
}

TEST_F(ZoneTest, ADenialOfRedisIsRememberedUntilItsWindowOpens) {
    ASSERT_EQ(admit(key(1), 60, 60000, start, true), Zone::Outcome::admitted);
    EXPECT_FALSE(zone->denied(admission, 500, start, true));
    EXPECT_TRUE(zone->exhausted(key(1), 60, 60000, start + 499));
    EXPECT_EQ(admit(key(1), 60, 60000, start + 499, true), Zone::Outcome::denied);
    EXPECT_EQ(admission.reset_in, 1);
    EXPECT_EQ(admit(key(1), 60, 60000, start + 500, true), Zone::Outcome::admitted);
    EXPECT_EQ(admission.remaining, 59u) << "the denied one is not in the log";
}

}  // namespace
}  // namespace portal
