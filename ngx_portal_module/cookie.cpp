#include "cookie.h"

#include "exchange.h"
#include "worker.h"


/* "__Host-" needs https, which the base URL decides, not the connection */

static std::string_view
ngx_portal_cookie_prefix()
{
    const auto  &settings = ngx_portal_this_worker->services.settings;

    return settings.base_url.starts_with("https:") ? "__Host-portal_"
                                                   : "portal_";
}


/* calls each with every "name=value" of the request's Cookie headers */

template <class F>
static void
ngx_portal_each_cookie(ngx_http_request_t *r, F each)
{
    ngx_uint_t         i;
    ngx_table_elt_t  **h;

    h = static_cast<ngx_table_elt_t **>(r->headers_in.cookies.elts);

    for (i = 0; i < r->headers_in.cookies.nelts; i++) {
        std::string_view  rest = ngx_portal_view(h[i]->value);

        while (!rest.empty()) {
            size_t            end = rest.find(';');
            std::string_view  pair = rest.substr(0, end);

            rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);

            while (pair.starts_with(' ')) {
                pair.remove_prefix(1);
            }

            if (!pair.empty()) {
                each(pair);
            }
        }
    }
}


std::optional<std::string_view>
ngx_portal_session_cookie(ngx_http_request_t *r, const ngx_str_t *slug)
{
    std::string_view  prefix = ngx_portal_cookie_prefix();

    std::optional<std::string_view>  found;

    ngx_portal_each_cookie(r, [&](std::string_view pair) {
        size_t  equals = pair.find('=');

        if (found || equals == pair.npos || !pair.starts_with(prefix)) {
            return;
        }

        std::string_view  name = pair.substr(prefix.size(),
                                             equals - prefix.size());

        if (name == "challenge" || equals + 1 == pair.size()) {
            return;
        }

        if (slug == nullptr
            || (name.size() == slug->len
                && ngx_strncasecmp(slug->data, ngx_portal_str(name).data,
                                   slug->len) == 0))
        {
            found = pair.substr(equals + 1);
        }
    });

    return found;
}


/* of the base URL: an origin has no path */

static std::string_view
ngx_portal_own_origin()
{
    std::string_view  url = ngx_portal_this_worker->services.settings.base_url;

    return url.substr(0, url.find('/', url.find("://") + 3));
}


bool
ngx_portal_same_origin(ngx_http_request_t *r)
{
    const ngx_str_t  *site, *origin;

    if (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD)) {
        return true;
    }

    site = ngx_portal_find_header(r, "sec-fetch-site");

    if (site != nullptr) {
        return ngx_portal_view(*site) == "same-origin";
    }

    origin = ngx_portal_find_header(r, "origin");

    return origin != nullptr
           && ngx_portal_view(*origin) == ngx_portal_own_origin();
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

    ngx_portal_each_cookie(r, [&](std::string_view pair) {
        if (pair.starts_with("__Host-portal_") || pair.starts_with("portal_")) {
            return;
        }

        if (!kept.empty()) {
            kept += "; ";
        }

        kept += pair;
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
