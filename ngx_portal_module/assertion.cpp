#include "assertion.h"

#include <exception>
#include <string>

#include "context.h"
#include "status.h"
#include "worker.h"


static ngx_int_t ngx_portal_jwks_handler(ngx_http_request_t *r) noexcept;


/* signed once for a caller and host in twenty seconds, by whichever worker */

ngx_int_t
ngx_portal_assertion_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t) noexcept try
{
    std::string            text;
    std::int64_t           now;
    ngx_portal_worker     *worker = ngx_portal_this_worker;
    ngx_portal_context_t  *ctx;

    ctx = ngx_portal_find_context(r);

    if (worker == nullptr || ctx == nullptr || ctx->auth_status != NGX_HTTP_OK)
    {
        v->not_found = 1;
        return NGX_OK;
    }

    std::string_view  host = ngx_portal_view(r->headers_in.server);
    portal::Digest    key = worker->assertions.cache_key(ctx->principal, host);

    now = portal::monotonic_ms();

    if (!worker->zone.find_assertion(key, now, text)) {
        text = worker->assertions.sign(ctx->principal, host, ngx_time());
        worker->zone.store_assertion(key, text, now);
    }

    v->data = static_cast<u_char *>(ngx_pnalloc(r->pool, text.size()));
    if (v->data == nullptr) {
        return NGX_ERROR;
    }

    ngx_memcpy(v->data, text.data(), text.size());
    v->len = text.size();
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;

} catch (const std::exception &error) {
    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0, "portal: %s",
                  error.what());
    return NGX_ERROR;
}


static ngx_int_t
ngx_portal_jwks_handler(ngx_http_request_t *r) noexcept try
{
    static const ngx_str_t  type = ngx_string("application/jwk-set+json");

    if (ngx_portal_this_worker == nullptr) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    return ngx_portal_send_text(r, NGX_HTTP_OK, type, "max-age=300",
               ngx_portal_this_worker->assertions.key_set());

} catch (...) {
    return NGX_HTTP_INTERNAL_SERVER_ERROR;
}


char *
ngx_portal_jwks(ngx_conf_t *cf, ngx_command_t *, void *) noexcept
{
    return ngx_portal_content(cf, ngx_portal_jwks_handler);
}
