#include "cookie.h"

#include "portal/portal_cookie.h"
#include "request.h"
#include "worker.h"


static const portal::Settings &
ngx_portal_settings()
{
    return ngx_portal_this_worker->services.settings;
}


/* calls each with name and value of every cookie of the request */

template <class F>
static void
ngx_portal_each_cookie(ngx_http_request_t *r, F each)
{
    ngx_uint_t         i;
    ngx_table_elt_t  **h;

    h = static_cast<ngx_table_elt_t **>(r->headers_in.cookies.elts);

    for (i = 0; i < r->headers_in.cookies.nelts; i++) {
        portal::each_cookie(ngx_portal_view(h[i]->value), each);
    }
}


std::optional<std::string_view>
ngx_portal_session_cookie(ngx_http_request_t *r, const ngx_str_t *slug)
{
    std::optional<std::string_view>  found;

    ngx_portal_each_cookie(r, [&](std::string_view name,
                                  std::string_view value) {
        auto  cookie = portal::session_cookie(ngx_portal_settings(), name,
                                              value);

        if (!found && cookie
            && (slug == nullptr
                || portal::same_slug(cookie->slug, ngx_portal_view(*slug))))
        {
            found = cookie->token;
        }
    });

    return found;
}


static std::optional<std::string_view>
ngx_portal_header(ngx_http_request_t *r, std::string_view name)
{
    const ngx_str_t  *value = ngx_portal_find_header(r, name);

    return value == nullptr ? std::nullopt
                            : std::optional(ngx_portal_view(*value));
}


bool
ngx_portal_same_origin(ngx_http_request_t *r)
{
    if (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD)) {
        return true;
    }

    return portal::is_own_page(ngx_portal_settings(),
                               ngx_portal_header(r, "sec-fetch-site"),
                               ngx_portal_header(r, "origin"));
}


bool
ngx_portal_same_slug(const ngx_str_t &wanted, const char *slug) noexcept
{
    return wanted.len == ngx_strlen(slug)
           && ngx_strncasecmp(wanted.data,
                              reinterpret_cast<u_char *>(
                                  const_cast<char *>(slug)),
                              wanted.len)
              == 0;
}


ngx_int_t
ngx_portal_upstream_cookie(ngx_http_request_t *r, ngx_str_t *value) noexcept
try
{
    std::string  kept;

    ngx_portal_each_cookie(r, [&](std::string_view name,
                                  std::string_view value) {
        if (portal::is_portal_cookie(name)) {
            return;
        }

        if (!kept.empty()) {
            kept += "; ";
        }

        /* as it came: the value ends where the pair does */

        kept.append(name.data(), value.data() == nullptr
                                     ? name.size()
                                     : value.data() + value.size()
                                       - name.data());
    });

    value->len = kept.size();
    value->data = static_cast<u_char *>(ngx_pnalloc(r->pool, kept.size()));

    if (value->data == nullptr) {
        return NGX_ERROR;
    }

    ngx_memcpy(value->data, kept.data(), kept.size());

    return NGX_OK;

} catch (...) {
    return NGX_ERROR;
}
