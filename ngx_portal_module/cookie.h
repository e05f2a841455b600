/*
 * The portal's cookies on the site's own locations (contract/README.md,
 * Cookies and forgery).
 */

#pragma once

#include "ngx.hpp"

#include <optional>


/* the session of this workspace's cookie, of any workspace's for NULL */
std::optional<std::string_view> ngx_portal_session_cookie(
    ngx_http_request_t *r, const ngx_str_t *slug);

/* may this request, authenticated by cookie, change something? */
bool ngx_portal_same_origin(ngx_http_request_t *r);

/* slugs ignore case */
bool ngx_portal_same_slug(const ngx_str_t &wanted, const char *slug) noexcept;

/* the Cookie header for an upstream: all but ours */
ngx_int_t ngx_portal_upstream_cookie(ngx_http_request_t *r, ngx_str_t *value)
    noexcept;
