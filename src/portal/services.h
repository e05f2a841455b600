// Services: what a route may use. One per process, made by its host (module, helper, portalctl, unit test).
#pragma once

#include "io/loop.h"
#include "io/postgres.h"
#include "portal/config_cache.h"
#include "portal/event_hub.h"
#include "portal/helper_client.h"
#include "portal/limiter.h"
#include "portal/secrets.h"
#include "portal/settings.h"

namespace portal {

struct Services {
    io::Loop& loop;
    io::Postgres& db;
    const Secrets& secrets;
    const Settings& settings;
    Limiter& limiter;
    ConfigCache& configs;
    HelperClient& helper;
    EventHub* events = nullptr;   // only workers have streams

    // The same, writing on somebody's behalf.
    Services with(io::Postgres& other) const {
        return {loop, other, secrets, settings, limiter, configs, helper, events};
    }
};

}  // namespace portal
