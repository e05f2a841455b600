/*
 * Setters of directives, and what they share.
 */

#pragma once

#include "settings.h"


char *ngx_portal_stream_limit(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
    noexcept;
char *ngx_portal_class(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
    noexcept;
char *ngx_portal_on_error(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
    noexcept;
char *ngx_portal_rate_limit(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
    noexcept;
char *ngx_portal_auth(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
    noexcept;
char *ngx_portal_workspace(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
    noexcept;

ngx_portal_main_conf_t *ngx_portal_main_conf(ngx_conf_t *cf) noexcept;

/* tells which parameter of which directive is wrong; NGX_CONF_ERROR */
char *ngx_portal_invalid(ngx_conf_t *cf, ngx_command_t *cmd, ngx_str_t *value,
    const char *expected) noexcept;
