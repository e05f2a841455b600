// The product's statements on a real PostgreSQL, as role portal_web, without nginx, Redis and helper.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/failure.h"
#include "http/json.h"
#include "http/request.h"
#include "io/postgres.h"
#include "io/uv_loop.h"
#include "io_tasks.h"
#include "portal/idempotency.h"
#include "portal/services.h"
#include "servers.h"

namespace portal::test {

class FakeRequest final : public http::Request {
  public:
    std::map<std::string, std::string, std::less<>> headers;
    std::string body;

    std::optional<std::string_view> header(std::string_view name) const override {
        auto found = headers.find(name);
        return found == headers.end() ? std::nullopt : std::optional<std::string_view>(found->second);
    }
    io::Task<std::string> read_body(std::size_t) override { co_return body; }
};

// Admits everything, or refuses everything.
class FakeLimiter final : public Limiter {
  public:
    bool refuse = false;
    bool unavailable = false;
    Limits admitted;
    std::size_t given_back = 0;

    io::Task<Verdict> admit(Limits limits) override {
        Verdict verdict;
        verdict.allowed = !refuse;
        verdict.unavailable = unavailable;
        const Policy& policy = *limits.front().policy;
        verdict.limit = {policy.name, policy.quota, policy.window, refuse ? 0u : 4u, 0, 3600, refuse ? 3600 : 0};
        if (verdict.allowed) {
            verdict.charged = limits;
            admitted.insert(admitted.end(), limits.begin(), limits.end());
        }
        co_return verdict;
    }
    void give_back(const Limits& charged) noexcept override { given_back += charged.size(); }
    bool exhausted(const Limit&) const noexcept override { return false; }
    LimitKey row_key(const Policy&, const Uuid& row) const override { return {row.bytes}; }
    LimitKey text_key(const Policy&, std::string_view text) const override {
        LimitKey key;
        text.copy(reinterpret_cast<char*>(key.bytes.data()), key.bytes.size());
        return key;
    }
};

class FakeConfigs final : public ConfigCache {
  public:
    std::map<Uuid, CachedConfig> entries;
    std::vector<Uuid> bumped;
    bool fresh = true;

    CachedConfig find(const Uuid& workspace, bool stale) override {
        auto found = entries.find(workspace);
        return found == entries.end() || !(fresh || stale) ? nullptr : found->second;
    }
    std::uint64_t generation() override { return bumped.size(); }
    void store(const Uuid& workspace, CachedConfig config, std::uint64_t) override {
        entries[workspace] = config;
    }
    void bump(const Uuid& id) override {
        bumped.push_back(id);
        entries.erase(id);
    }
};

// A helper that answers what it is told to, after doing `meanwhile`.
class FakeHelper final : public HelperClient {
  public:
    std::optional<Uuid> id;
    SendOutcome outcome;
    std::function<void(const Uuid& outbox)> meanwhile;
    int asked = 0;

    std::optional<Uuid> helper_id() const override { return id; }
    io::Task<SendOutcome> send_now(Uuid outbox_id, std::int64_t) override {
        ++asked;
        if (meanwhile) {
            meanwhile(outbox_id);
        }
        co_return outcome;
    }
};

class PortalFixture : public testing::Test {
  protected:
    PortalFixture();

    // Runs a route's work to its end.
    template <class T>
    T run(io::Task<T> task) { return loop.run_task(std::move(task)); }
    // What it was refused with.
    template <class T>
    http::Failure refused(io::Task<T> task) {
        try {
            loop.run_task(std::move(task));
        } catch (const http::Failure& failure) {
            return failure;
        }
        ADD_FAILURE() << "was not refused";
        return {};
    }
    // As the superuser; the first field of the first row.
    std::string sql(const std::string& statement) { return postgres.value(statement); }

    // A workspace and a token of it, by slug.
    Principal workspace(const std::string& slug, bool member_model = false);
    std::string customer(const Principal& caller, const std::string& email, const std::string& type = "individual",
                         const std::string& external_id = "");
    std::string member(const Principal& caller, const std::string& customer_id, const std::string& email,
                       const std::string& role, const std::string& external_id = "");
    std::int64_t contact(const Principal& caller, const std::string& email);
    std::int64_t company(const Principal& caller, const std::string& email);
    // A key as the header gives it.
    IdempotencyKey key(const std::string& text, const std::string& path, const std::string& payload);

    PostgresServer postgres;
    io::UvLoop loop;
    std::unique_ptr<io::Postgres> db;
    Secrets secrets = Secrets::parse(Secrets::generate_file());
    Settings settings;
    FakeLimiter limiter;
    FakeConfigs configs;
    FakeHelper helper;
    std::unique_ptr<Services> portal;
};

// The names of the fields a 422 is about, in order, as "customer_id return_url".
std::string fields_of(const http::Failure& failure);
std::string messages_of(const http::Failure& failure);

}  // namespace portal::test
