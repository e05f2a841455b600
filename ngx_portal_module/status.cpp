#include "status.h"

#include <new>
#include <string>

#include "http/json.h"
#include "request.h"
#include "worker.h"


static constexpr std::string_view  no_store = "no-store";


ngx_int_t
ngx_portal_metrics_handler(ngx_http_request_t *r) noexcept try
{
    static const ngx_str_t  type =
        ngx_string("text/plain; version=0.0.4; charset=utf-8");

    if (ngx_portal_this_worker == nullptr) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    ngx_portal_this_worker->tell();

    return ngx_portal_send_text(r, NGX_HTTP_OK, type, no_store,
               ngx_portal_this_worker->requests.text(portal::monotonic_ms()));

} catch (...) {
    return NGX_HTTP_INTERNAL_SERVER_ERROR;
}


ngx_int_t
ngx_portal_live_handler(ngx_http_request_t *r) noexcept try
{
    static const ngx_str_t  type = ngx_string("application/json");

    return ngx_portal_send_text(r, NGX_HTTP_OK, type, no_store,
                                "{\"status\":\"live\"}");

} catch (...) {
    return NGX_HTTP_INTERNAL_SERVER_ERROR;
}


/* not ready without PostgreSQL; what else is away degrades, and is told */

ngx_int_t
ngx_portal_ready_handler(ngx_http_request_t *r) noexcept try
{
    static const ngx_str_t  type = ngx_string("application/json");

    auto  *worker = ngx_portal_this_worker;

    if (worker == nullptr) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    auto  load = worker->postgres.load();
    bool  ready = load.connections != 0 && !load.refusing;

    portal::http::Json  answer = portal::http::Json::object({
        { "status", ready ? "ready" : "unavailable" },
        { "postgres", ready },
    });

    if (worker->redis != nullptr) {
        answer.set("redis", worker->redis->available());
    }

    if (worker->has_helper) {
        answer.set("helper", worker->helper->helper_id().has_value());
    }

    return ngx_portal_send_text(r, ready ? NGX_HTTP_OK
                                         : NGX_HTTP_SERVICE_UNAVAILABLE,
                                type, no_store, answer.dump());

} catch (...) {
    return NGX_HTTP_INTERNAL_SERVER_ERROR;
}


ngx_int_t
ngx_portal_send_text(ngx_http_request_t *r, ngx_uint_t status, ngx_str_t type,
    std::string_view caching, std::string_view text)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t   out;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    r->headers_out.status = status;
    r->headers_out.content_length_n = text.size();
    r->headers_out.content_type = type;
    r->headers_out.content_type_len = type.len;

    if (ngx_portal_add_header(r, ngx_string("Cache-Control"),
                              ngx_portal_str(caching))
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b = ngx_create_temp_buf(r->pool, text.size());
    if (b == nullptr) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->last = ngx_cpymem(b->last, text.data(), text.size());
    b->last_buf = (r == r->main);
    b->last_in_chain = 1;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    out.buf = b;
    out.next = nullptr;

    return ngx_http_output_filter(r, &out);
}


char *
ngx_portal_metrics(ngx_conf_t *cf, ngx_command_t *, void *) noexcept
{
    return ngx_portal_content(cf, ngx_portal_metrics_handler);
}


char *
ngx_portal_health(ngx_conf_t *cf, ngx_command_t *cmd, void *) noexcept
{
    auto  *value = static_cast<ngx_str_t *>(cf->args->elts);

    if (ngx_portal_view(value[1]) == "live") {
        return ngx_portal_content(cf, ngx_portal_live_handler);
    }

    if (ngx_portal_view(value[1]) == "ready") {
        return ngx_portal_content(cf, ngx_portal_ready_handler);
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\" in \"%V\", expected \"live\" "
                       "or \"ready\"", &value[1], &cmd->name);

    return static_cast<char *>(NGX_CONF_ERROR);
}


char *
ngx_portal_content(ngx_conf_t *cf, ngx_http_handler_pt handler) noexcept
{
    ngx_portal_main_conf_t    *pmcf;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = static_cast<ngx_http_core_loc_conf_t *>(
               ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module));

    if (clcf->handler != nullptr) {
        return const_cast<char *>("is in a location that has its content from "
                                  "elsewhere already");
    }

    clcf->handler = handler;

    pmcf = static_cast<ngx_portal_main_conf_t *>(
               ngx_http_conf_get_module_main_conf(cf, ngx_portal_module));
    pmcf->used = 1;

    return NGX_CONF_OK;
}
