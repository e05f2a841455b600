/*
 * The directives of limits: the API's classes, a site's locations, streams.
 */

#include "directives.h"


/* [session=N] [portal=N] [address=N] [worker=N], 0 for no limit */

char *
ngx_portal_stream_limit(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
    noexcept
{
    ngx_int_t    n;
    ngx_uint_t   i;
    ngx_str_t   *value = static_cast<ngx_str_t *>(cf->args->elts);

    auto  *pmcf = static_cast<ngx_portal_main_conf_t *>(conf);
    auto  &limits = pmcf->product->streams;

    struct {
        std::string_view  name;
        uint32_t         &limit;
    } known[] = {
        { "session=", limits.session },
        { "portal=", limits.portal },
        { "address=", limits.address },
        { "worker=", limits.worker },
    };

    for (i = 1; i < cf->args->nelts; i++) {
        std::string_view  text = ngx_portal_view(value[i]);
        uint32_t         *limit = nullptr;

        for (auto &each : known) {
            if (text.starts_with(each.name)) {
                limit = &each.limit;
                text.remove_prefix(each.name.size());
                break;
            }
        }

        n = limit ? ngx_atoi(ngx_portal_str(text).data, text.size())
                  : NGX_ERROR;

        if (n == NGX_ERROR || n > 1000000) {
            return ngx_portal_invalid(cf, cmd, &value[i],
                                      "session=N, portal=N, address=N or "
                                      "worker=N, with N up to 1000000 and 0 "
                                      "for no limit");
        }

        *limit = (uint32_t) n;
    }

    return NGX_CONF_OK;
}


static const portal::Policy *
known_class(std::string_view name) noexcept
{
    for (const portal::Policy *policy : { &portal::limits::bad_token,
                                          &portal::limits::restricted,
                                          &portal::limits::client_portal,
                                          &portal::limits::standard,
                                          &portal::limits::code_send,
                                          &portal::limits::code_mail,
                                          &portal::limits::code_try,
                                          &portal::limits::invitation_mail,
                                          &portal::limits::member_mail })
    {
        if (policy->name == name) {
            return policy;
        }
    }

    return nullptr;
}


static constexpr char  classes[] = "\"bad-token\", \"restricted\", "
                                   "\"client-portal\", \"default\", "
                                   "\"code-send\", \"code-mail\", "
                                   "\"code-try\", \"mail\" or "
                                   "\"member-mail\"";


/* the override of a class, made from its default when it is the first */

static portal::Policy &
override_of(ngx_portal_main_conf_t *pmcf, const portal::Policy &known)
{
    auto  &policies = pmcf->product->policies;

    for (auto &policy : policies) {
        if (policy.name == known.name) {
            return policy;
        }
    }

    return policies.emplace_back(known);
}


/* N and WINDOW of portal_rate_limit and portal_rate_limit_class */

static bool
parse_rate(ngx_str_t *number, ngx_str_t *time, portal::Policy &policy)
    noexcept
{
    ngx_int_t  quota, window;

    quota = ngx_atoi(number->data, number->len);
    window = ngx_parse_time(time, 1);

    if (quota < 1 || quota > 10000000 || window == NGX_ERROR || window < 1
        || window > 86400)
    {
        return false;
    }

    policy.quota = (uint32_t) quota;
    policy.window = (uint32_t) window;

    return true;
}


char *
ngx_portal_class(ngx_conf_t *cf, ngx_command_t *cmd, void *conf) noexcept try
{
    auto  *pmcf = static_cast<ngx_portal_main_conf_t *>(conf);
    auto  *value = static_cast<ngx_str_t *>(cf->args->elts);

    const portal::Policy  *known;

    known = known_class(ngx_portal_view(value[1]));
    if (known == nullptr) {
        return ngx_portal_invalid(cf, cmd, &value[1], classes);
    }

    if (!parse_rate(&value[2], &value[3], override_of(pmcf, *known))) {
        return ngx_portal_invalid(cf, cmd, &value[2],
                                  "1 to 10000000 per 1s to 1d, as in \"60 "
                                  "60s\"");
    }

    return NGX_CONF_OK;

} catch (...) {
    return const_cast<char *>("needs more memory than there is");
}


char *
ngx_portal_on_error(ngx_conf_t *cf, ngx_command_t *cmd, void *conf) noexcept
try
{
    auto  *pmcf = static_cast<ngx_portal_main_conf_t *>(conf);
    auto  *value = static_cast<ngx_str_t *>(cf->args->elts);

    std::string_view       choice = ngx_portal_view(value[2]);
    const portal::Policy  *known;

    known = known_class(ngx_portal_view(value[1]));
    if (known == nullptr) {
        return ngx_portal_invalid(cf, cmd, &value[1], classes);
    }

    if (choice != "allow" && choice != "deny") {
        return ngx_portal_invalid(cf, cmd, &value[2], "\"allow\" or \"deny\"");
    }

    override_of(pmcf, *known).on_error =
        choice == "deny" ? portal::Policy::OnError::deny
                         : portal::Policy::OnError::degrade;

    return NGX_CONF_OK;

} catch (...) {
    return const_cast<char *>("needs more memory than there is");
}


/*
 * portal_rate_limit N WINDOW [key=...] [name=...] [on_error=...] [dry_run]
 *                   | off
 */

char *
ngx_portal_rate_limit(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
    noexcept try
{
    auto  *plcf = static_cast<ngx_portal_loc_conf_t *>(conf);
    auto  *value = static_cast<ngx_str_t *>(cf->args->elts);
    auto  *pmcf = ngx_portal_main_conf(cf);

    ngx_uint_t           i;
    ngx_portal_limit_t   limit{};
    ngx_portal_limit_t  *slot;
    std::string          name;

    if (ngx_portal_view(value[1]) == "off" && cf->args->nelts == 2) {
        if (plcf->limits != nullptr || plcf->no_limits != NGX_CONF_UNSET) {
            return const_cast<char *>("is duplicate");
        }

        plcf->no_limits = 1;
        return NGX_CONF_OK;
    }

    if (plcf->no_limits != NGX_CONF_UNSET) {
        return const_cast<char *>("is off here already");
    }

    if (cf->args->nelts < 3 || !parse_rate(&value[1], &value[2], limit.policy))
    {
        return ngx_portal_invalid(cf, cmd, &value[1],
                                  "1 to 10000000 per 1s to 1d, as in \"100 "
                                  "60s\", or \"off\"");
    }

    limit.key = ngx_portal_limit_t::principal;
    limit.policy.on_error = portal::Policy::OnError::degrade;

    for (i = 3; i < cf->args->nelts; i++) {
        std::string_view  text = ngx_portal_view(value[i]);

        if (text == "key=principal") {
            limit.key = ngx_portal_limit_t::principal;

        } else if (text == "key=customer") {
            limit.key = ngx_portal_limit_t::customer;

        } else if (text == "key=workspace") {
            limit.key = ngx_portal_limit_t::workspace;

        } else if (text == "key=address") {
            limit.key = ngx_portal_limit_t::address;

        } else if (text.starts_with("name=") && text.size() > 5
                   && text.find_first_of("\"\\; ,") == text.npos)
        {
            name = text.substr(5);

        } else if (text == "dry_run") {
            limit.dry_run = true;

        } else if (text == "on_error=allow") {
            limit.policy.on_error = portal::Policy::OnError::degrade;

        } else if (text == "on_error=deny") {
            limit.policy.on_error = portal::Policy::OnError::deny;

        } else {
            return ngx_portal_invalid(cf, cmd, &value[i],
                                      "\"key=principal|customer|workspace|address\", "
                                      "\"name=NAME\", "
                                      "\"on_error=allow|deny\" or \"dry_run\"");
        }
    }

    if (plcf->limits == nullptr) {
        plcf->limits = ngx_array_create(cf->pool, 2,
                                        sizeof(ngx_portal_limit_t));
        if (plcf->limits == nullptr) {
            return static_cast<char *>(NGX_CONF_ERROR);
        }
    }

    if (plcf->limits->nelts == 4) {
        return const_cast<char *>("is given more than four times here");
    }

    /* limits of one name share their counters, whatever the location */

    if (name.empty()) {
        name = "site-" + ngx_portal_string(value[1]) + "-"
               + ngx_portal_string(value[2]);
    }

    if (known_class(name) != nullptr) {
        return const_cast<char *>("has the name of a class of the API");
    }

    for (auto &known : pmcf->product->site_policies) {
        if (known.name == name && (known.quota != limit.policy.quota
                                   || known.window != limit.policy.window))
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" of the name \"%s\" was given with "
                               "another rate before, and they would share "
                               "their counters", &cmd->name, name.c_str());
            return static_cast<char *>(NGX_CONF_ERROR);
        }
    }

    /* without a caller both would count his address, in the same counter */

    slot = static_cast<ngx_portal_limit_t *>(plcf->limits->elts);

    for (i = 0; i < plcf->limits->nelts; i++) {
        if (slot[i].policy.name == name) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" of the name \"%s\" is given twice "
                               "here, \"name=\" tells them apart",
                               &cmd->name, name.c_str());
            return static_cast<char *>(NGX_CONF_ERROR);
        }
    }

    limit.policy.name = pmcf->product->names.emplace_back(std::move(name));
    pmcf->product->site_policies.push_back(limit.policy);

    slot = static_cast<ngx_portal_limit_t *>(ngx_array_push(plcf->limits));
    if (slot == nullptr) {
        return static_cast<char *>(NGX_CONF_ERROR);
    }

    *slot = limit;
    pmcf->used = 1;

    return NGX_CONF_OK;

} catch (...) {
    return const_cast<char *>("needs more memory than there is");
}
