/*
 * What a worker has: the clients of the backends and all that rests on them.
 * Made in init_process, taken down in exit_process.
 */

#pragma once

#include "settings.h"

#include <array>
#include <optional>

#include "api/route_metrics.h"
#include "api/router.h"
#include "event_loop.h"
#include "page/answer.h"
#include "portal/assertion.h"
#include "portal/authenticator.h"
#include "portal/config_cache.h"
#include "portal/helper_link.h"
#include "portal/node_limiter.h"
#include "portal/services.h"
#include "portal/zone.h"
#include "streams.h"
#include "zone.h"


/* rendered configurations live in the zone; answers share a copy of ours */

class ngx_portal_config_cache : public portal::ConfigCache {

public:
    explicit ngx_portal_config_cache(portal::Zone &zone) noexcept
        : zone_(zone)
    {
    }

    portal::CachedConfig find(const portal::Uuid &workspace, bool stale)
        override;
    std::uint64_t generation() override;
    void store(const portal::Uuid &workspace, portal::CachedConfig config,
        std::uint64_t generation) override;
    void bump(const portal::Uuid &id) override;

private:
    struct kept_t {
        portal::Uuid          workspace;
        portal::CachedConfig  config;
    };

    kept_t &kept(const portal::Uuid &workspace) noexcept
    {
        return kept_[workspace.bytes.back()];
    }

    portal::Zone             &zone_;
    std::array<kept_t, 256>   kept_;   /* spares copies: the zone decides */
};


/* where no portal_helper is configured */

class ngx_portal_no_helper : public portal::HelperClient {

public:
    std::optional<portal::Uuid> helper_id() const override;
    portal::io::Task<portal::SendOutcome> send_now(portal::Uuid outbox_id,
        std::int64_t milliseconds) override;
};


/* something of a request's that has to go before the worker does */

class ngx_portal_live {

public:
    ngx_portal_live() noexcept;
    ngx_portal_live(const ngx_portal_live &) = delete;
    virtual ~ngx_portal_live();
    virtual void cancel() noexcept = 0;

    struct link_t {
        ngx_queue_t       queue;
        ngx_portal_live  *owner;
    };

    link_t  link;
};


class ngx_portal_worker {

public:
    ngx_portal_worker(const ngx_portal_product_t &product,
        ngx_portal_main_conf_t &pmcf);
    ~ngx_portal_worker();

    ngx_queue_t                            live;   /* of ngx_portal_live */
    ngx_portal_event_loop                  loop;
    ngx_portal_zone_lock                   lock;
    portal::Zone                           zone;
    portal::api::RouteMetrics              requests;
    portal::Assertions                     assertions;
    portal::io::Postgres                   postgres;
    std::unique_ptr<portal::io::Redis>     redis;
    portal::NodeLimiter                    limiter;
    portal::Authenticator                  authenticator;
    ngx_portal_config_cache                configs;
    std::unique_ptr<portal::HelperClient>  helper;
    portal::EventHub                       events;
    ngx_portal_streams                     streams;
    portal::Services                       services;
    std::optional<portal::page::Server>    page;     /* of portal_page */
    bool                                   has_helper;

    /* says once that limits by address see a proxy's, not the client's */
    void look_at_address(ngx_connection_t *c) noexcept;

    /* puts what this worker has just now into the zone */
    void tell() noexcept;

private:
    bool                                address_told_ = false;
    bool                                up_for_a_second_ = false;
    std::unique_ptr<portal::io::Timer>  tell_timer_;
};


/* null outside a worker, and where nothing is configured */
extern ngx_portal_worker  *ngx_portal_this_worker;

/* the routes, which are the same for all */
const portal::api::Router &ngx_portal_router();

ngx_int_t ngx_portal_init_process(ngx_cycle_t *cycle) noexcept;
void ngx_portal_exit_process(ngx_cycle_t *cycle) noexcept;
