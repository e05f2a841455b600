/*
 * Credentials never reach a log: the POST_READ phase takes them out of the
 * request and overwrites their bytes wherever a log format may look.  For
 * requests that nginx refuses before that the LOG phase does, ahead of the
 * access log.
 */

#pragma once

#include "ngx.hpp"


ngx_int_t ngx_portal_redact_handler(ngx_http_request_t *r) noexcept;
ngx_int_t ngx_portal_redact_refused_handler(ngx_http_request_t *r) noexcept;
