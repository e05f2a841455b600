/*
 * The tables nginx looks up in a dynamic module.  In C, so that no question
 * of name mangling arises; the version script exports just these three.
 */


#include <ngx_config.h>
#include <ngx_core.h>


extern ngx_module_t  ngx_portal_module;


ngx_module_t *ngx_modules[] = {
    &ngx_portal_module,
    NULL
};


char *ngx_module_names[] = {
    "ngx_portal_module",
    NULL
};


/*
 * Handlers of the LOG phase run in this order: ours goes before
 * ngx_http_log_module, to overwrite what must not be logged.  Those of other
 * phases run in the reverse of it: ours goes before ngx_http_access_module so
 * that it runs after allow and deny, which are cheaper than a look-up.
 */

char *ngx_module_order[] = {
    "ngx_portal_module",
    "ngx_http_log_module",
    "ngx_http_access_module",
    NULL
};
