/*
 * What the module knows of a request.  It outlives internal redirects, which
 * clear r->ctx: it is found again through the pool's cleanups, as realip does.
 */

#pragma once

#include "ngx.hpp"

#include "portal/principal.h"


struct ngx_portal_context_t {
    void               *exchange;       /* of the content handler's */
    void               *guard;          /* of the access phase's */
    void               *stream;         /* what the answer became */
    u_char              request_id[32];
    portal::Principal   principal;
    ngx_uint_t          auth_status;    /* 0: not asked; 200, 401, 403 ... */
    ngx_uint_t          auth_dry_run;   /* let through nevertheless */
    ngx_uint_t          limit_status;   /* 0: none; 1: passed; 2: refused;
                                           3: passed while degraded;
                                           4: passed, dry_run refuses */
    ngx_str_t           credential;     /* taken out of the request line */
};


/* of the main request; NULL: out of memory */
ngx_portal_context_t *ngx_portal_get_context(ngx_http_request_t *r) noexcept;

/* the same, NULL also when there is none yet */
ngx_portal_context_t *ngx_portal_find_context(ngx_http_request_t *r) noexcept;
