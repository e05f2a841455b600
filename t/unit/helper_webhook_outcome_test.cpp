// What an answer to a webhook means.
#include <gtest/gtest.h>

#include "helper/webhook_outcome.h"

namespace portal::helper {
namespace {

using State = WebhookOutcome::State;

WebhookOutcome judged(int status, std::int64_t attempts = 1,
                      std::optional<std::string> retry_after = {}) {
    WebhookAnswer answer;
    answer.status = status;
    answer.retry_after = std::move(retry_after);
    return judge_webhook(answer, attempts, 1000000);
}

TEST(WebhookOutcome, ByStatus) {
    for (int status : {200, 201, 202, 204, 299}) {
        EXPECT_EQ(judged(status).state, State::succeeded) << status;
    }
    for (int status :
         {0, 100, 300, 301, 302, 304, 307, 308, 400, 401, 404, 429, 500, 502, 503, 504}) {
        EXPECT_EQ(judged(status).state, State::pending) << status;
        EXPECT_FALSE(judged(status).gone) << status;
    }
    EXPECT_EQ(judged(410).state, State::failed);
    EXPECT_TRUE(judged(410).gone);
}

TEST(WebhookOutcome, TheSchedule) {
    const std::int64_t seconds[] = {5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400};
    for (std::int64_t attempt = 1; attempt <= 9; ++attempt) {
        const std::int64_t delay = seconds[attempt - 1] * 1000;
        EXPECT_EQ(webhook_retry_delay(attempt), delay);
        for (int again = 0; again < 100; ++again) {
            const std::int64_t with_jitter = judged(500, attempt).retry_after;
            EXPECT_GE(with_jitter, delay);
            EXPECT_LE(with_jitter, delay + delay / 10);
        }
    }
    EXPECT_EQ(judged(500, 10).state, State::failed);
    EXPECT_EQ(judged(200, 10).state, State::succeeded);
}

TEST(WebhookOutcome, SlowsDown) {
    EXPECT_EQ(judged(500).pause, 0);
    for (int status : {429, 502, 504}) {
        EXPECT_GT(judged(status).pause, 0) << status;
    }
    EXPECT_EQ(judged(429, 1, "120").pause, 120000);
    EXPECT_EQ(judged(503, 1, "7").retry_after, 7000);
    EXPECT_GE(judged(503, 2, "7").retry_after, 300000) << "not sooner than the schedule";
    EXPECT_EQ(judged(200, 1, "120").pause, 0);
}

TEST(WebhookOutcome, RetryAfter) {
    EXPECT_EQ(retry_after_of("0", 0), 0);
    EXPECT_EQ(retry_after_of("30", 0), 30000);
    EXPECT_EQ(retry_after_of("999999999", 0), 86400000);
    EXPECT_EQ(retry_after_of("99999999999999999999999", 0), 86400000);
    EXPECT_EQ(retry_after_of("Wed, 21 Oct 2015 07:28:00 GMT", 1445412480 - 60), 60000);
    EXPECT_EQ(retry_after_of("Wed, 21 Oct 2015 07:28:00 GMT", 1445412480 + 60), 0);
    EXPECT_EQ(retry_after_of("Wed, 21 Oct 2035 07:28:00 GMT", 1445412480), 86400000);
    EXPECT_EQ(retry_after_of("soon", 0), std::nullopt);
    EXPECT_EQ(retry_after_of("", 0), std::nullopt);
    EXPECT_EQ(retry_after_of("-5", 0), 0);
}

}  // namespace
}  // namespace portal::helper
