/*
 * The variables for upstreams and logs.
 */

#pragma once

#include "ngx.hpp"


ngx_int_t ngx_portal_add_variables(ngx_conf_t *cf) noexcept;
