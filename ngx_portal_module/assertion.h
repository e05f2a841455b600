/*
 * $portal_assertion, which a backend can verify, and portal_jwks, the keys
 * it does that with.
 */

#pragma once

#include "ngx.hpp"


ngx_int_t ngx_portal_assertion_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data) noexcept;

char *ngx_portal_jwks(ngx_conf_t *cf, ngx_command_t *cmd, void *conf) noexcept;
