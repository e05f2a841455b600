/*
 * What of a request is asked for in more than one place.
 */

#pragma once

#include "ngx.hpp"

#include "http/rate_limit.h"


/* the request's path without the path of portal_base_url */
std::string_view ngx_portal_path(ngx_http_request_t *r) noexcept;

/* X-Request-ID of a request, made at its first use: 32 hex digits */
ngx_int_t ngx_portal_request_id(ngx_http_request_t *r, ngx_str_t *id) noexcept;

/* a response header; name and value must live as long as the request */
ngx_int_t ngx_portal_add_header(ngx_http_request_t *r, ngx_str_t name,
    ngx_str_t value) noexcept;

/* the same, its value copied into the request's pool */
ngx_int_t ngx_portal_copy_header(ngx_http_request_t *r, std::string_view name,
    std::string_view value) noexcept;

/* the headers that tell of a rate limit */
ngx_int_t ngx_portal_add_limit(ngx_http_request_t *r,
    const portal::http::RateLimit &limit) noexcept;

/* a request header's first value by lower-case name; NULL: not sent */
const ngx_str_t *ngx_portal_find_header(ngx_http_request_t *r,
    std::string_view lower_case_name) noexcept;
