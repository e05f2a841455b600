/*
 * portal_auth and portal_workspace: who may come in, and of which workspace.
 */

#include "directives.h"


char *
ngx_portal_auth(ngx_conf_t *cf, ngx_command_t *cmd, void *conf) noexcept try
{
    auto  *plcf = static_cast<ngx_portal_loc_conf_t *>(conf);
    auto  *value = static_cast<ngx_str_t *>(cf->args->elts);

    ngx_uint_t  i;

    if (plcf->auth_set) {
        return const_cast<char *>("is duplicate");
    }

    plcf->auth_set = 1;

    if (ngx_portal_view(value[1]) == "off") {
        return cf->args->nelts == 2
                   ? NGX_CONF_OK
                   : ngx_portal_invalid(cf, cmd, &value[2],
                                        "nothing after \"off\"");
    }

    for (i = 1; i < cf->args->nelts; i++) {
        std::string_view  text = ngx_portal_view(value[i]);

        if (text == "customer") {
            plcf->kinds |= portal::api::only(portal::Kind::customer);

        } else if (text == "member") {
            plcf->kinds |= portal::api::only(portal::Kind::member);

        } else if (text == "workspace") {
            plcf->kinds |= portal::api::only(portal::Kind::workspace);

        } else if (text == "portal") {
            plcf->kinds |= portal::api::only(portal::Kind::portal);

        } else if (text == "any") {
            plcf->kinds |= ngx_portal_any_kind;

        } else if (text == "dry_run") {
            plcf->auth_dry_run = 1;

        } else if (text.starts_with("scope=")) {
            auto  scope = portal::parse_scope(text.substr(6));

            if (!scope) {
                return ngx_portal_invalid(cf, cmd, &value[i],
                                          "a known scope, as in "
                                          "\"scope=client_portal:read\"");
            }

            plcf->scopes |= (uint32_t) *scope;

        } else {
            return ngx_portal_invalid(cf, cmd, &value[i],
                                      "\"customer\", \"member\", "
                                      "\"workspace\", \"portal\", \"any\", "
                                      "\"off\", \"scope=\" or \"dry_run\"");
        }
    }

    if (plcf->kinds == 0) {
        return ngx_portal_invalid(cf, cmd, &value[1],
                                  "whom to let in beside the scope");
    }

    ngx_portal_main_conf(cf)->used = 1;

    return NGX_CONF_OK;

} catch (...) {
    return const_cast<char *>("needs more memory than there is");
}


char *
ngx_portal_workspace(ngx_conf_t *cf, ngx_command_t *cmd, void *conf) noexcept
{
    auto  *plcf = static_cast<ngx_portal_loc_conf_t *>(conf);
    auto  *value = static_cast<ngx_str_t *>(cf->args->elts);

    if (plcf->workspace != nullptr || plcf->any_workspace != NGX_CONF_UNSET) {
        return const_cast<char *>("is duplicate");
    }

    if (ngx_portal_view(value[1]) == "any") {
        plcf->any_workspace = 1;
        return NGX_CONF_OK;
    }

    if (value[1].len == 0) {
        return ngx_portal_invalid(cf, cmd, &value[1],
                                  "a slug, a variable, or \"any\"");
    }

    ngx_http_compile_complex_value_t  ccv;

    ngx_memzero(&ccv, sizeof(ccv));

    plcf->workspace = static_cast<ngx_http_complex_value_t *>(
        ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t)));
    if (plcf->workspace == nullptr) {
        return static_cast<char *>(NGX_CONF_ERROR);
    }

    ccv.cf = cf;
    ccv.value = &value[1];
    ccv.complex_value = plcf->workspace;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return static_cast<char *>(NGX_CONF_ERROR);
    }

    return NGX_CONF_OK;
}
