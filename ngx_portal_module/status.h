/*
 * What the operator's systems ask of a node: portal_metrics and
 * portal_health.  Answered from memory, whatever is down.
 */

#pragma once

#include "ngx.hpp"


/* answers GET and HEAD from memory; the text is copied, `caching` is not */
ngx_int_t ngx_portal_send_text(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t type, std::string_view caching, std::string_view text);

/* makes the handler the location's content */
char *ngx_portal_content(ngx_conf_t *cf, ngx_http_handler_pt handler) noexcept;

/* content handlers */
ngx_int_t ngx_portal_metrics_handler(ngx_http_request_t *r) noexcept;
ngx_int_t ngx_portal_live_handler(ngx_http_request_t *r) noexcept;
ngx_int_t ngx_portal_ready_handler(ngx_http_request_t *r) noexcept;

/* setters: portal_metrics; portal_health live|ready */
char *ngx_portal_metrics(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
    noexcept;
char *ngx_portal_health(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
    noexcept;
