#include "context.h"

#include <new>
#include <type_traits>


/* freed with the pool, nothing to be destroyed */
static_assert(std::is_trivially_destructible_v<ngx_portal_context_t>);


static void
ngx_portal_cleanup_context(void *) noexcept
{
    /* marks the context among the pool's cleanups */
}


ngx_portal_context_t *
ngx_portal_find_context(ngx_http_request_t *r) noexcept
{
    ngx_pool_cleanup_t    *cln;
    ngx_portal_context_t  *ctx;

    ctx = static_cast<ngx_portal_context_t *>(
              ngx_http_get_module_ctx(r, ngx_portal_module));

    if (ctx != nullptr || (r == r->main && !r->internal)) {
        return ctx;
    }

    for (cln = r->pool->cleanup; cln != nullptr; cln = cln->next) {
        if (cln->handler == ngx_portal_cleanup_context) {
            ctx = static_cast<ngx_portal_context_t *>(cln->data);
            ngx_http_set_ctx(r, ctx, ngx_portal_module);
            return ctx;
        }
    }

    return nullptr;
}


ngx_portal_context_t *
ngx_portal_get_context(ngx_http_request_t *r) noexcept
{
    ngx_pool_cleanup_t    *cln;
    ngx_portal_context_t  *ctx;

    ctx = ngx_portal_find_context(r);
    if (ctx != nullptr) {
        return ctx;
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_portal_context_t));
    if (cln == nullptr) {
        return nullptr;
    }

    ctx = new (cln->data) ngx_portal_context_t();
    cln->handler = ngx_portal_cleanup_context;

    ngx_http_set_ctx(r, ctx, ngx_portal_module);

    return ctx;
}
