/*
 * portal_auth and portal_rate_limit: the access phase of the site's own
 * locations.
 */

#pragma once

#include "ngx.hpp"


ngx_int_t ngx_portal_access_handler(ngx_http_request_t *r) noexcept;
