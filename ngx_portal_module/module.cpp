/*
 * The module: its tables and where it hooks into nginx.
 */

#include "access.h"
#include "context.h"
#include "exchange.h"
#include "redact.h"
#include "request.h"
#include "settings.h"
#include "variables.h"
#include "worker.h"


static ngx_int_t ngx_portal_route_handler(ngx_http_request_t *r) noexcept;
static ngx_int_t ngx_portal_init(ngx_conf_t *cf) noexcept;


static ngx_http_module_t  ngx_portal_module_ctx = {
    ngx_portal_add_variables,              /* preconfiguration */
    ngx_portal_init,                       /* postconfiguration */

    ngx_portal_create_main_conf,           /* create main configuration */
    ngx_portal_init_main_conf,             /* init main configuration */

    nullptr,                               /* create server configuration */
    nullptr,                               /* merge server configuration */

    ngx_portal_create_loc_conf,            /* create location configuration */
    ngx_portal_merge_loc_conf              /* merge location configuration */
};


ngx_module_t  ngx_portal_module = {
    NGX_MODULE_V1,
    &ngx_portal_module_ctx,                /* module context */
    ngx_portal_commands,                   /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    nullptr,                               /* init master */
    nullptr,                               /* init module */
    ngx_portal_init_process,               /* init process */
    nullptr,                               /* init thread */
    nullptr,                               /* exit thread */
    ngx_portal_exit_process,               /* exit process */
    nullptr,                               /* exit master */
    NGX_MODULE_V1_PADDING
};


/*
 * Gives the paths of portal_api and portal_page to our content handlers,
 * whatever handler the location has for the others.  A path below /api/ that
 * nobody serves is answered by us, too, in the API's own shape.
 */

static ngx_int_t
ngx_portal_route_handler(ngx_http_request_t *r) noexcept try
{
    ngx_portal_loc_conf_t  *plcf;

    plcf = static_cast<ngx_portal_loc_conf_t *>(
               ngx_http_get_module_loc_conf(r, ngx_portal_module));

    if (plcf->groups == 0 && !plcf->page) {
        return NGX_DECLINED;
    }

    std::string_view  path = ngx_portal_path(r);

    if (plcf->page && portal::page::Address::parse(path).kind
                      != portal::page::Address::Kind::none)
    {
        r->content_handler = ngx_portal_page_handler;
        return NGX_DECLINED;
    }

    if (plcf->groups == 0) {
        return NGX_DECLINED;
    }

    portal::api::Match match = ngx_portal_router().find(path);

    if (match.any(plcf->groups)
        || (r->content_handler == nullptr && path.starts_with("/api/")))
    {
        r->content_handler = ngx_portal_api_handler;
    }

    return NGX_DECLINED;

} catch (...) {
    return NGX_HTTP_INTERNAL_SERVER_ERROR;
}


static ngx_int_t
ngx_portal_add_handler(ngx_http_core_main_conf_t *cmcf, ngx_uint_t phase,
    ngx_http_handler_pt handler) noexcept
{
    auto  *h = static_cast<ngx_http_handler_pt *>(
                   ngx_array_push(&cmcf->phases[phase].handlers));

    if (h == nullptr) {
        return NGX_ERROR;
    }

    *h = handler;

    return NGX_OK;
}


static ngx_int_t
ngx_portal_init(ngx_conf_t *cf) noexcept
{
    ngx_portal_main_conf_t     *pmcf;
    ngx_http_core_main_conf_t  *cmcf;

    pmcf = static_cast<ngx_portal_main_conf_t *>(
               ngx_http_conf_get_module_main_conf(cf, ngx_portal_module));

    if (!pmcf->used) {
        return NGX_OK;
    }

    cmcf = static_cast<ngx_http_core_main_conf_t *>(
               ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module));

    if (ngx_portal_add_handler(cmcf, NGX_HTTP_POST_READ_PHASE,
                               ngx_portal_redact_handler)
        != NGX_OK
        || ngx_portal_add_handler(cmcf, NGX_HTTP_PREACCESS_PHASE,
                                  ngx_portal_route_handler)
           != NGX_OK
        || ngx_portal_add_handler(cmcf, NGX_HTTP_ACCESS_PHASE,
                                  ngx_portal_access_handler)
           != NGX_OK
        || ngx_portal_add_handler(cmcf, NGX_HTTP_LOG_PHASE,
                                  ngx_portal_redact_refused_handler)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}
