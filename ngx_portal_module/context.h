/*
 * What the module knows of a request.  It outlives internal redirects, which
 * clear r->ctx: it is found again through the pool's cleanups, as realip does.
 */

#pragma once

#include "ngx.hpp"

#include "portal/principal.h"


/* of portal_rate_limit */
enum ngx_portal_limit_status_e {
    ngx_portal_limit_none = 0,
    ngx_portal_limit_passed,
    ngx_portal_limit_refused,
    ngx_portal_limit_degraded,     /* passed, by this node alone */
    ngx_portal_limit_dry_run       /* passed, dry_run refuses */
};


struct ngx_portal_context_t {
    void               *exchange;       /* of the content handler's */
    void               *guard;          /* of the access phase's */
    void               *stream;         /* what the answer became */
    u_char              request_id[32];
    portal::Principal   principal;
    ngx_uint_t          auth_status;    /* 0: not asked; 200, 401, 403 ... */
    ngx_uint_t          auth_dry_run;   /* let through nevertheless */
    ngx_str_t           credential;     /* taken out of the request line */

    ngx_portal_limit_status_e  limit_status;
};


/* of the main request; NULL: out of memory */
ngx_portal_context_t *ngx_portal_get_context(ngx_http_request_t *r) noexcept;

/* the same, NULL also when there is none yet */
ngx_portal_context_t *ngx_portal_find_context(ngx_http_request_t *r) noexcept;
