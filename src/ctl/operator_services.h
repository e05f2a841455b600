// OperatorServices: the Services of rules that portalctl shares with the routes. An operator is not
// limited, and nothing is remembered from verb to verb.
#pragma once

#include "ctl/session.h"
#include "portal/services.h"

namespace portal::ctl {

class NoLimiter final : public Limiter {
  public:
    io::Task<Verdict> admit(Limits) override { co_return Verdict{}; }
    void give_back(const Limits&) noexcept override {}
    bool exhausted(const Limit&) const noexcept override { return false; }
    LimitKey row_key(const Policy&, const Uuid&) const override { return {}; }
    LimitKey text_key(const Policy&, std::string_view) const override { return {}; }
};

class NoCache final : public ConfigCache {
  public:
    CachedConfig find(const Uuid&, bool) override { return nullptr; }
    std::uint64_t generation() override { return 0; }
    void store(const Uuid&, CachedConfig, std::uint64_t) override {}
    void bump(const Uuid&) override {}  // the database tells every node
};

class OperatorServices {
  public:
    OperatorServices(Session& session, HelperClient& helper)
        : services_{session.loop(), session.db(), session.secrets(), settings_, limiter_,
                    cache_,         helper} {
        settings_.base_url = session.config().base_url;
    }
    OperatorServices(const OperatorServices&) = delete;
    Services& get() { return services_; }

  private:
    Settings settings_;
    NoLimiter limiter_;
    NoCache cache_;
    Services services_;
};

}  // namespace portal::ctl
