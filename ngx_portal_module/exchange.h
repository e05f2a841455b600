/*
 * ngx_http_request_t <-> http::Request and http::Response: starts a route,
 * resumes it, sends what it returns, cancels it when the client goes away.
 */

#pragma once

#include "ngx.hpp"


/* content handlers of portal_api's routes and of portal_page's */
ngx_int_t ngx_portal_api_handler(ngx_http_request_t *r) noexcept;
ngx_int_t ngx_portal_page_handler(ngx_http_request_t *r) noexcept;
