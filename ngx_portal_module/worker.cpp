#include "worker.h"


ngx_portal_worker  *ngx_portal_this_worker;


portal::CachedConfig
ngx_portal_config_cache::find(const portal::Uuid &workspace, bool stale)
{
    kept_t                &ours = kept(workspace);
    portal::CachedConfig   config;

    if (ours.workspace == workspace) {
        config = ours.config;
    }

    config = zone_.find_config(workspace, (std::int64_t) ngx_current_msec,
                               stale, std::move(config));

    if (config == nullptr) {
        zone_.count(portal::Counter::config_misses);
        return nullptr;
    }

    if (config != ours.config) {
        ours = { workspace, config };
    }

    zone_.count(portal::Counter::config_hits);

    return config;
}


std::uint64_t
ngx_portal_config_cache::generation()
{
    return zone_.generation();
}


void
ngx_portal_config_cache::store(const portal::Uuid &workspace,
    portal::CachedConfig config, std::uint64_t generation)
{
    zone_.store_config(workspace, *config, generation, portal::monotonic_ms());
    kept(workspace) = { workspace, std::move(config) };
}


void
ngx_portal_config_cache::bump(const portal::Uuid &id)
{
    zone_.bump(id);
}


std::optional<portal::Uuid>
ngx_portal_no_helper::helper_id() const
{
    return std::nullopt;
}


portal::io::Task<portal::SendOutcome>
ngx_portal_no_helper::send_now(portal::Uuid, std::int64_t)
{
    co_return portal::SendOutcome{};
}


ngx_portal_live::ngx_portal_live() noexcept
{
    link.owner = this;
    ngx_queue_insert_tail(&ngx_portal_this_worker->live, &link.queue);
}


ngx_portal_live::~ngx_portal_live()
{
    ngx_queue_remove(&link.queue);
}


static portal::Freshness
freshness_of(const ngx_portal_main_conf_t &pmcf) noexcept
{
    portal::Freshness  freshness;

    freshness.with_beat = (std::int64_t) pmcf.cache;
    freshness.stale = (std::int64_t) pmcf.stale;

    return freshness;
}


static ngx_slab_pool_t *
slab_of(ngx_shm_zone_t *zone) noexcept
{
    return reinterpret_cast<ngx_slab_pool_t *>(zone->shm.addr);
}


static std::unique_ptr<portal::HelperClient>
make_helper(ngx_portal_worker &worker, const ngx_str_t &path)
{
    if (path.len == 0) {
        return std::make_unique<ngx_portal_no_helper>();
    }

    return std::make_unique<portal::HelperLink>(worker.loop,
        ngx_portal_string(path),
        portal::HelperLink::Callbacks{
            [&worker] {
                worker.zone.beat(portal::monotonic_ms());
                worker.events.beat();
            },
            [&worker](const portal::Uuid &id) {
                worker.zone.bump(id);
                worker.events.bump(id);
            },
            [&worker] {
                worker.zone.bump_all();
                worker.events.bump_all();
            },
            [&worker](const portal::HelperReport &report) {
                worker.zone.metrics().report(report, portal::monotonic_ms());
            },
        });
}


/* the pools' options, and who times their answers */

static portal::io::PostgresOptions
timed(portal::io::PostgresOptions options, portal::Metrics &metrics)
{
    options.answered = [&metrics](portal::io::Lane lane, std::int64_t took) {
        metrics.took(lane == portal::io::Lane::lookup
                         ? portal::Timing::postgres_lookup
                         : portal::Timing::postgres,
                     took);
    };

    return options;
}


static portal::io::RedisOptions
timed(portal::io::RedisOptions options, portal::Metrics &metrics)
{
    options.answered = [&metrics](std::int64_t took) {
        metrics.took(portal::Timing::redis, took);
    };

    return options;
}


ngx_portal_worker::ngx_portal_worker(const ngx_portal_product_t &product,
    ngx_portal_main_conf_t &pmcf)
    : lock(slab_of(pmcf.zone)->mutex),
      zone(ngx_portal_zone_memory(pmcf.zone), lock, freshness_of(pmcf),
           ngx_worker),
      requests(zone.metrics(), ngx_portal_router()),
      assertions(*product.secrets, product.settings.base_url),
      postgres(loop, timed(product.postgres, zone.metrics())),
      redis(product.redis
                ? std::make_unique<portal::io::Redis>(loop,
                      timed(*product.redis, zone.metrics()))
                : nullptr),
      limiter(loop, zone, redis.get(), *product.secrets, product.policies),
      authenticator(loop, postgres, zone, *product.secrets, limiter),
      configs(zone),
      helper(make_helper(*this, pmcf.helper)),
      events(loop, postgres, dynamic_cast<portal::EventFeed *>(helper.get()),
             product.streams),
      streams(loop),
      services{loop, postgres, *product.secrets, product.settings, limiter,
               configs, *helper, &events},
      has_helper(pmcf.helper.len != 0)
{
    ngx_queue_init(&live);

    if (product.site) {
        page.emplace(portal::page::Server{*product.site, authenticator,
                                          ngx_portal_router()});
    }

    tell_timer_ = loop.timer([this] {
                                 tell();
                                 tell_timer_->set(1000);
                             },
                             portal::io::Loop::Hold::nothing);
    tell_timer_->set(1000);

    tell();
}


ngx_portal_worker::~ngx_portal_worker()
{
    /* on a fast shutdown requests are still there: their coroutines refer
     * to all of the above */

    while (!ngx_queue_empty(&live)) {
        ngx_queue_t  *q = ngx_queue_head(&live);

        ngx_queue_remove(q);
        ngx_queue_init(q);

        auto  *link = ngx_queue_data(q, ngx_portal_live::link_t, queue);

        link->owner->cancel();
    }

    zone.metrics().leave(ngx_pid);
}


void
ngx_portal_worker::tell() noexcept
{
    auto          load = postgres.load();
    std::int64_t  now = portal::monotonic_ms();

    portal::Gauges  gauges;

    gauges[portal::Gauge::postgres_connections] = load.connections;
    gauges[portal::Gauge::postgres_in_flight] = load.in_flight;
    gauges[portal::Gauge::postgres_waiting] = load.waiting;
    gauges[portal::Gauge::helper_up] = helper->helper_id() ? 1 : 0;
    gauges[portal::Gauge::streams] = events.size();

    if (redis != nullptr) {
        gauges[portal::Gauge::redis_up] = redis->available() ? 1 : 0;
        gauges[portal::Gauge::redis_in_flight] = redis->in_flight();
    }

    zone.metrics().tell(ngx_pid, gauges, now);

    if (redis != nullptr && !redis->available() && up_for_a_second_) {
        zone.metrics().degraded(now);
    }

    up_for_a_second_ = true;
}


void
ngx_portal_worker::look_at_address(ngx_connection_t *c) noexcept
{
    ngx_int_t         second = 0;
    std::string_view  text;

    if (address_told_) {
        return;
    }

    text = ngx_portal_view(c->addr_text);

    if (text.starts_with("172.") && text.find('.', 4) != text.npos) {
        second = ngx_atoi(c->addr_text.data + 4, text.find('.', 4) - 4);
    }

    if (!text.starts_with("unix:") && !text.starts_with("127.")
        && !text.starts_with("10.") && !text.starts_with("192.168.")
        && !(second >= 16 && second <= 31)
        && !text.starts_with("fc") && !text.starts_with("fd")
        && text != "::1")
    {
        return;
    }

    address_told_ = true;

    ngx_log_error(NGX_LOG_WARN, c->log, 0,
                  "portal: a client's address is \"%V\": if that is a proxy, "
                  "all its clients share their limits until "
                  "set_real_ip_from and real_ip_header are configured",
                  &c->addr_text);
}


const portal::api::Router &
ngx_portal_router()
{
    static const portal::api::Router  router;

    return router;
}


ngx_int_t
ngx_portal_init_process(ngx_cycle_t *cycle) noexcept try
{
    ngx_portal_main_conf_t  *pmcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    pmcf = static_cast<ngx_portal_main_conf_t *>(
               ngx_http_cycle_get_module_main_conf(cycle, ngx_portal_module));

    if (pmcf == nullptr || !pmcf->used) {
        return NGX_OK;
    }

    portal::random_discard();
    (void) ngx_portal_router();

    ngx_portal_this_worker = new ngx_portal_worker(*pmcf->product, *pmcf);

    return NGX_OK;

} catch (const std::exception &error) {

    /* a worker that fails here is not respawned: requests answer 503 */

    ngx_log_error(NGX_LOG_ALERT, cycle->log, 0,
                  "portal: worker could not be set up: %s", error.what());
    return NGX_OK;
}


void
ngx_portal_exit_process(ngx_cycle_t *) noexcept
{
    delete ngx_portal_this_worker;
    ngx_portal_this_worker = nullptr;
}
