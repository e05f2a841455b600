#include "zone.h"

#include "settings.h"


static ngx_int_t ngx_portal_init_zone(ngx_shm_zone_t *zone, void *data)
    noexcept;
static size_t ngx_portal_zone_size(ngx_slab_pool_t *pool) noexcept;


char *
ngx_portal_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf) noexcept
{
    auto       *pmcf = static_cast<ngx_portal_main_conf_t *>(conf);
    ngx_str_t  *value = static_cast<ngx_str_t *>(cf->args->elts);

    u_char     *colon;
    ssize_t     size;
    ngx_str_t   name, text;

    if (pmcf->zone != nullptr) {
        return const_cast<char *>("is duplicate");
    }

    colon = ngx_strlchr(value[1].data, value[1].data + value[1].len, ':');

    if (colon == nullptr || colon == value[1].data) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" must be \"name:size\", as in "
                           "\"portal:64m\", in \"%V\"",
                           &value[1], &cmd->name);
        return static_cast<char *>(NGX_CONF_ERROR);
    }

    name.data = value[1].data;
    name.len = colon - value[1].data;
    text.data = colon + 1;
    text.len = value[1].data + value[1].len - text.data;

    size = ngx_parse_size(&text);

    if (size == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid size \"%V\" of zone \"%V\"", &text, &name);
        return static_cast<char *>(NGX_CONF_ERROR);
    }

    if (size < (ssize_t) (portal::Zone::minimum + 65536)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "zone \"%V\" is too small, it needs 5m at least",
                           &name);
        return static_cast<char *>(NGX_CONF_ERROR);
    }

    pmcf->zone = ngx_shared_memory_add(cf, &name, size, &ngx_portal_module);
    if (pmcf->zone == nullptr) {
        return static_cast<char *>(NGX_CONF_ERROR);
    }

    if (pmcf->zone->data != nullptr) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "zone \"%V\" is used for something else already",
                           &name);
        return static_cast<char *>(NGX_CONF_ERROR);
    }

    pmcf->zone->init = ngx_portal_init_zone;
    pmcf->zone->data = pmcf;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_portal_init_zone(ngx_shm_zone_t *zone, void *data) noexcept
{
    size_t            size;
    ngx_slab_pool_t  *pool;

    pool = reinterpret_cast<ngx_slab_pool_t *>(zone->shm.addr);

    if (data != nullptr || zone->shm.exists) {

        /* a reload, or memory left by another build of this module */

        if (portal::Zone::recognises(pool->data, ngx_portal_zone_size(pool))) {
            return NGX_OK;
        }

        ngx_log_error(NGX_LOG_EMERG, zone->shm.log, 0,
                      "zone \"%V\" is laid out by another version of this "
                      "module, give it another name", &zone->shm.name);
        return NGX_ERROR;
    }

    /* one allocation takes all pages; fresh shared memory is zeroed */

    size = pool->pfree * ngx_pagesize;

    pool->data = ngx_slab_alloc(pool, size);
    if (pool->data == nullptr) {
        return NGX_ERROR;
    }

    portal::Zone::format(pool->data, size);

    return NGX_OK;
}


/* after the allocation above the pool has no free page left */

static size_t
ngx_portal_zone_size(ngx_slab_pool_t *pool) noexcept
{
    return pool->end - static_cast<u_char *>(pool->data);
}


void *
ngx_portal_zone_memory(ngx_shm_zone_t *zone) noexcept
{
    return reinterpret_cast<ngx_slab_pool_t *>(zone->shm.addr)->data;
}
