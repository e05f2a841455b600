#include "request.h"

#include "context.h"
#include "portal/secrets.h"
#include "settings.h"


std::string_view
ngx_portal_path(ngx_http_request_t *r) noexcept
{
    std::string_view         path = ngx_portal_view(r->uri);
    ngx_portal_main_conf_t  *pmcf;

    pmcf = static_cast<ngx_portal_main_conf_t *>(
               ngx_http_get_module_main_conf(r, ngx_portal_module));

    const std::string  &base = pmcf->product->base_path;

    if (path.starts_with(base) && path.substr(base.size()).starts_with('/')) {
        path.remove_prefix(base.size());
    }

    return path;
}


ngx_int_t
ngx_portal_add_header(ngx_http_request_t *r, ngx_str_t name, ngx_str_t value)
    noexcept
{
    ngx_table_elt_t  *h;

    h = static_cast<ngx_table_elt_t *>(
            ngx_list_push(&r->headers_out.headers));
    if (h == nullptr) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = 1;
    h->key = name;
    h->value = value;

    return NGX_OK;
}


ngx_int_t
ngx_portal_copy_header(ngx_http_request_t *r, std::string_view name,
    std::string_view value) noexcept
{
    ngx_str_t  copy = ngx_portal_str(value);

    copy.data = ngx_pstrdup(r->pool, &copy);
    if (copy.data == nullptr) {
        return NGX_ERROR;
    }

    return ngx_portal_add_header(r, ngx_portal_str(name), copy);
}


ngx_int_t
ngx_portal_add_limit(ngx_http_request_t *r,
    const portal::http::RateLimit &limit) noexcept
{
    char       *space;
    size_t      room = limit.room();
    ngx_int_t   rc = NGX_OK;

    if (room == 0) {
        return NGX_OK;
    }

    space = static_cast<char *>(ngx_pnalloc(r->pool, room));
    if (space == nullptr) {
        return NGX_ERROR;
    }

    limit.each(space, [&](std::string_view name, std::string_view value) {
        if (rc == NGX_OK) {
            rc = ngx_portal_add_header(r, ngx_portal_str(name),
                                       ngx_portal_str(value));
        }
    });

    return rc;
}


const ngx_str_t *
ngx_portal_find_header(ngx_http_request_t *r, std::string_view name) noexcept
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    if (name == "authorization") {
        return r->headers_in.authorization
                   ? &r->headers_in.authorization->value : nullptr;
    }

    /* the list of a request without headers (HTTP/0.9) is all zeroes */

    part = &r->headers_in.headers.part;

    for ( /* void */ ; part != nullptr; part = part->next) {
        h = static_cast<ngx_table_elt_t *>(part->elts);

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len == name.size()
                && ngx_memcmp(h[i].lowcase_key, name.data(), name.size()) == 0)
            {
                return &h[i].value;
            }
        }
    }

    return nullptr;
}


ngx_int_t
ngx_portal_request_id(ngx_http_request_t *r, ngx_str_t *id) noexcept try
{
    u_char                 bytes[16];
    ngx_portal_context_t  *ctx;

    ctx = ngx_portal_get_context(r);
    if (ctx == nullptr) {
        return NGX_ERROR;
    }

    if (ctx->request_id[0] == '\0') {
        portal::random_bytes(bytes, sizeof(bytes));
        (void) ngx_hex_dump(ctx->request_id, bytes, sizeof(bytes));
    }

    id->data = ctx->request_id;
    id->len = sizeof(ctx->request_id);

    return NGX_OK;

} catch (...) {
    return NGX_ERROR;
}
