#include "variables.h"

#include "assertion.h"
#include "context.h"
#include "cookie.h"
#include "http/site_path.h"
#include "portal/assertion.h"
#include "request.h"


using text_pt = std::string (*)(const portal::Principal &principal);


static ngx_int_t ngx_portal_principal_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data) noexcept;
static ngx_int_t ngx_portal_auth_status_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data) noexcept;
static ngx_int_t ngx_portal_limit_status_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data) noexcept;
static ngx_int_t ngx_portal_request_id_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data) noexcept;
static ngx_int_t ngx_portal_return_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data) noexcept;
static ngx_int_t ngx_portal_cookie_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data) noexcept;


static std::string
id_text(const portal::Uuid &id)
{
    return id.is_nil() ? std::string() : id.text();
}


static std::string
customer_id(const portal::Principal &principal)
{
    return id_text(principal.customer_id);
}


static std::string
member_id(const portal::Principal &principal)
{
    return id_text(principal.member_id);
}


static std::string
workspace_id(const portal::Principal &principal)
{
    return id_text(principal.workspace_id);
}


static std::string
token_id(const portal::Principal &principal)
{
    return id_text(principal.token_id);
}


/* those of access tokens, and the one that only sessions have */

static std::string
scopes(const portal::Principal &principal)
{
    std::string  names;

    auto add = [&](portal::Scope scope) {
        if (principal.has(scope)) {
            names += names.empty() ? "" : " ";
            names += portal::scope_name(scope);
        }
    };

    for (portal::Scope scope : portal::all_scopes()) {
        add(scope);
    }

    add(portal::Scope::customer_portal_write);

    return names;
}


static ngx_http_variable_t  ngx_portal_variables[] = {

    { ngx_string("portal_customer_id"), nullptr,
      ngx_portal_principal_variable,
      reinterpret_cast<uintptr_t>(customer_id), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("portal_member_id"), nullptr,
      ngx_portal_principal_variable,
      reinterpret_cast<uintptr_t>(member_id), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("portal_workspace_id"), nullptr,
      ngx_portal_principal_variable,
      reinterpret_cast<uintptr_t>(workspace_id), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("portal_token_id"), nullptr,
      ngx_portal_principal_variable,
      reinterpret_cast<uintptr_t>(token_id), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("portal_principal"), nullptr,
      ngx_portal_principal_variable,
      reinterpret_cast<uintptr_t>(portal::subject_of), NGX_HTTP_VAR_NOCACHEABLE,
      0 },

    { ngx_string("portal_scopes"), nullptr,
      ngx_portal_principal_variable,
      reinterpret_cast<uintptr_t>(scopes), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("portal_assertion"), nullptr,
      ngx_portal_assertion_variable, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("portal_return_to"), nullptr,
      ngx_portal_return_variable, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("portal_auth_status"), nullptr,
      ngx_portal_auth_status_variable, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("portal_limit_status"), nullptr,
      ngx_portal_limit_status_variable, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("portal_request_id"), nullptr,
      ngx_portal_request_id_variable, 0, 0, 0 },

    { ngx_string("portal_upstream_cookie"), nullptr,
      ngx_portal_cookie_variable, 0, 0, 0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_portal_add_variables(ngx_conf_t *cf) noexcept
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_portal_variables; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == nullptr) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


static void
ngx_portal_set(ngx_http_variable_value_t *v, const ngx_str_t &value) noexcept
{
    v->data = value.data;
    v->len = value.len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
}


static ngx_int_t
ngx_portal_principal_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data) noexcept try
{
    ngx_str_t              value;
    std::string            text;
    ngx_portal_context_t  *ctx;

    ctx = ngx_portal_find_context(r);

    if (ctx != nullptr && ctx->auth_status == NGX_HTTP_OK) {
        text = reinterpret_cast<text_pt>(data)(ctx->principal);
    }

    if (text.empty()) {
        v->not_found = 1;
        return NGX_OK;
    }

    value.len = text.size();
    value.data = static_cast<u_char *>(ngx_pnalloc(r->pool, text.size()));
    if (value.data == nullptr) {
        return NGX_ERROR;
    }

    ngx_memcpy(value.data, text.data(), text.size());
    ngx_portal_set(v, value);

    return NGX_OK;

} catch (...) {
    return NGX_ERROR;
}


/* let through, and would have been refused so */

static ngx_int_t
ngx_portal_set_dry_run(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    const ngx_str_t &status) noexcept
{
    static const ngx_str_t  suffix = ngx_string("_DRY_RUN");

    u_char     *p;
    ngx_str_t   value;

    value.len = status.len + suffix.len;
    value.data = static_cast<u_char *>(ngx_pnalloc(r->pool, value.len));
    if (value.data == nullptr) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(value.data, status.data, status.len);
    ngx_memcpy(p, suffix.data, suffix.len);

    ngx_portal_set(v, value);

    return NGX_OK;
}


static ngx_int_t
ngx_portal_auth_status_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t) noexcept
{
    ngx_str_t              value = ngx_null_string;
    ngx_portal_context_t  *ctx;

    ctx = ngx_portal_find_context(r);

    switch (ctx != nullptr ? ctx->auth_status : 0) {
    case NGX_HTTP_OK:                    ngx_str_set(&value, "OK"); break;
    case NGX_HTTP_UNAUTHORIZED:          ngx_str_set(&value, "UNAUTHORIZED");
                                         break;
    case NGX_HTTP_FORBIDDEN:             ngx_str_set(&value, "FORBIDDEN");
                                         break;
    case NGX_HTTP_TOO_MANY_REQUESTS:     ngx_str_set(&value, "LIMITED"); break;
    case NGX_HTTP_SERVICE_UNAVAILABLE:
    case NGX_HTTP_INTERNAL_SERVER_ERROR: ngx_str_set(&value, "UNAVAILABLE");
                                         break;
    default:
        v->not_found = 1;
        return NGX_OK;
    }

    if (ctx->auth_dry_run) {
        return ngx_portal_set_dry_run(r, v, value);
    }

    ngx_portal_set(v, value);

    return NGX_OK;
}


static ngx_int_t
ngx_portal_limit_status_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t) noexcept
{
    ngx_portal_context_t  *ctx;

    /* by ngx_portal_limit_status_e */

    static const ngx_str_t  names[] = {
        ngx_null_string,
        ngx_string("PASSED"),
        ngx_string("REJECTED"),
        ngx_string("DEGRADED"),
        ngx_string("REJECTED_DRY_RUN"),
    };

    ctx = ngx_portal_find_context(r);

    if (ctx == nullptr || ctx->limit_status == ngx_portal_limit_none) {
        v->not_found = 1;
        return NGX_OK;
    }

    ngx_portal_set(v, names[ctx->limit_status]);

    return NGX_OK;
}


static ngx_int_t
ngx_portal_request_id_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t) noexcept
{
    ngx_str_t  id;

    if (ngx_portal_request_id(r, &id) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_portal_set(v, id);

    return NGX_OK;
}


/*
 * What the client asked for, escaped for an argument of a sign-in's address;
 * "%2F" where that is no path of this site ("//evil.example", "/\\evil") or
 * cannot be asked for again
 */

static ngx_int_t
ngx_portal_return_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t) noexcept
{
    size_t     escaped;
    ngx_str_t  path = r->unparsed_uri, value;

    if (!portal::http::is_site_path({ reinterpret_cast<char *>(path.data),
                                      path.len })
        || !(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD)))
    {
        ngx_str_set(&path, "/");
    }

    escaped = ngx_escape_uri(nullptr, path.data, path.len,
                             NGX_ESCAPE_URI_COMPONENT);

    value.len = path.len + 2 * escaped;
    value.data = static_cast<u_char *>(ngx_pnalloc(r->pool, value.len));
    if (value.data == nullptr) {
        return NGX_ERROR;
    }

    (void) ngx_escape_uri(value.data, path.data, path.len,
                          NGX_ESCAPE_URI_COMPONENT);

    ngx_portal_set(v, value);

    return NGX_OK;
}


static ngx_int_t
ngx_portal_cookie_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t) noexcept
{
    ngx_str_t  value;

    if (ngx_portal_upstream_cookie(r, &value) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_portal_set(v, value);

    return NGX_OK;
}
