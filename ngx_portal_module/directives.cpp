/*
 * The directives: their table and the setters of those of http {} and of the
 * content handlers that have a grammar of their own.
 */

#include "directives.h"

#include <algorithm>
#include <cstddef>
#include <exception>

#include <sys/un.h>

#include "assertion.h"
#include "status.h"
#include "zone.h"


static char *ngx_portal_check_helper(ngx_conf_t *cf, void *post, void *data)
    noexcept;
static char *ngx_portal_check_prefix(ngx_conf_t *cf, void *post, void *data)
    noexcept;
static char *ngx_portal_check_heartbeat(ngx_conf_t *cf, void *post, void *data)
    noexcept;
static char *ngx_portal_postgres(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf) noexcept;
static char *ngx_portal_redis(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
    noexcept;
static char *ngx_portal_origins(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf) noexcept;
static char *ngx_portal_webhook_allow(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf) noexcept;
static char *ngx_portal_webhook_http(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf) noexcept;
static char *ngx_portal_api(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
    noexcept;
static char *ngx_portal_page(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
    noexcept;


static constexpr ngx_uint_t  anywhere = NGX_HTTP_MAIN_CONF
                                        | NGX_HTTP_SRV_CONF
                                        | NGX_HTTP_LOC_CONF;


static ngx_conf_post_t  ngx_portal_helper_post = { ngx_portal_check_helper };
static ngx_conf_post_t  ngx_portal_prefix_post = { ngx_portal_check_prefix };
static ngx_conf_post_t  ngx_portal_heartbeat_post =
    { ngx_portal_check_heartbeat };


ngx_command_t  ngx_portal_commands[] = {

    { ngx_string("portal_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_portal_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      nullptr },

    { ngx_string("portal_postgres"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE123,
      ngx_portal_postgres,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      nullptr },

    { ngx_string("portal_redis"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE12,
      ngx_portal_redis,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      nullptr },

    { ngx_string("portal_helper"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_portal_main_conf_t, helper),
      &ngx_portal_helper_post },

    { ngx_string("portal_secret_file"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_portal_main_conf_t, secret_file),
      nullptr },

    { ngx_string("portal_base_url"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_portal_main_conf_t, base_url),
      nullptr },

    { ngx_string("portal_token_prefix"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_portal_main_conf_t, token_prefix),
      &ngx_portal_prefix_post },

    { ngx_string("portal_stale"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_portal_main_conf_t, stale),
      nullptr },

    { ngx_string("portal_cache"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_portal_main_conf_t, cache),
      nullptr },

    { ngx_string("portal_body_limit"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_portal_main_conf_t, body_limit),
      nullptr },

    { ngx_string("portal_invite_wait"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_portal_main_conf_t, invite_wait),
      nullptr },

    { ngx_string("portal_stream_limit"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_portal_stream_limit,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      nullptr },

    { ngx_string("portal_stream_heartbeat"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_portal_main_conf_t, stream_heartbeat),
      &ngx_portal_heartbeat_post },

    { ngx_string("portal_cors_credentials"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_portal_origins,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_portal_main_conf_t, credential_origins),
      nullptr },

    { ngx_string("portal_frame_ancestors"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_portal_origins,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_portal_main_conf_t, frame_ancestors),
      nullptr },

    { ngx_string("portal_webhook_allow"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_portal_webhook_allow,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_portal_main_conf_t, webhook_allow),
      nullptr },

    { ngx_string("portal_webhook_http"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_portal_webhook_http,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_portal_main_conf_t, webhook_http),
      nullptr },

    { ngx_string("portal_logo_root"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_portal_main_conf_t, logo_root),
      nullptr },

    { ngx_string("portal_page_files"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_portal_main_conf_t, page_files),
      nullptr },

    { ngx_string("portal_page_overrides"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_portal_main_conf_t, page_overrides),
      nullptr },

    { ngx_string("portal_rate_limit_class"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE3,
      ngx_portal_class,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      nullptr },

    { ngx_string("portal_rate_limit_on_error"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE2,
      ngx_portal_on_error,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      nullptr },

    { ngx_string("portal_api"),
      NGX_HTTP_LOC_CONF|NGX_CONF_ANY,
      ngx_portal_api,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      nullptr },

    { ngx_string("portal_page"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_portal_page,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      nullptr },

    { ngx_string("portal_metrics"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_portal_metrics,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      nullptr },

    { ngx_string("portal_health"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_portal_health,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      nullptr },

    { ngx_string("portal_jwks"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_portal_jwks,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      nullptr },

    { ngx_string("portal_auth"),
      anywhere|NGX_CONF_1MORE,
      ngx_portal_auth,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      nullptr },

    { ngx_string("portal_workspace"),
      anywhere|NGX_CONF_TAKE1,
      ngx_portal_workspace,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      nullptr },

    { ngx_string("portal_rate_limit"),
      anywhere|NGX_CONF_1MORE,
      ngx_portal_rate_limit,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      nullptr },

    { ngx_string("portal_login_by_address"),
      anywhere|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_portal_loc_conf_t, login_by_address),
      nullptr },

      ngx_null_command
};


ngx_portal_main_conf_t *
ngx_portal_main_conf(ngx_conf_t *cf) noexcept
{
    return static_cast<ngx_portal_main_conf_t *>(
               ngx_http_conf_get_module_main_conf(cf, ngx_portal_module));
}


char *
ngx_portal_invalid(ngx_conf_t *cf, ngx_command_t *cmd, ngx_str_t *value,
    const char *expected) noexcept
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\" in \"%V\", expected %s",
                       value, &cmd->name, expected);

    return static_cast<char *>(NGX_CONF_ERROR);
}


static char *
ngx_portal_check_helper(ngx_conf_t *, void *, void *data) noexcept
{
    std::string_view  path = ngx_portal_view(*static_cast<ngx_str_t *>(data));

    if (!path.starts_with("unix:/")
        || path.size() - 5 >= sizeof(sockaddr_un::sun_path))
    {
        return const_cast<char *>("needs \"unix:\" and the absolute path of a "
                                  "socket, of at most 107 characters,");
    }

    return NGX_CONF_OK;
}


static char *
ngx_portal_check_heartbeat(ngx_conf_t *cf, void *, void *data) noexcept
{
    auto  *heartbeat = static_cast<ngx_msec_t *>(data);

    if (*heartbeat < 1000) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"portal_stream_heartbeat\" must be one second "
                           "or more");
        return static_cast<char *>(NGX_CONF_ERROR);
    }

    return NGX_CONF_OK;
}


/* it stands in URLs and headers, and tells our tokens from others */

static char *
ngx_portal_check_prefix(ngx_conf_t *, void *, void *data) noexcept
{
    std::string_view  prefix = ngx_portal_view(*static_cast<ngx_str_t *>(data));

    static constexpr std::string_view  allowed =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";

    if (prefix.empty() || prefix.size() > 32
        || prefix.find_first_not_of(allowed) != prefix.npos)
    {
        return const_cast<char *>("needs 1 to 32 letters, digits, \"_\" or "
                                  "\"-\"");
    }

    return NGX_CONF_OK;
}


/* NAME=N within bounds; false: another parameter, or out of them */

static bool
number_parameter(ngx_str_t *value, std::string_view name, ngx_int_t low,
    ngx_int_t high, ngx_int_t *out) noexcept
{
    std::string_view  text = ngx_portal_view(*value);

    if (!text.starts_with(name)) {
        return false;
    }

    *out = ngx_atoi(value->data + name.size(), value->len - name.size());

    return *out >= low && *out <= high;
}


static char *
ngx_portal_postgres(ngx_conf_t *cf, ngx_command_t *cmd, void *conf) noexcept
{
    auto       *pmcf = static_cast<ngx_portal_main_conf_t *>(conf);
    auto       *value = static_cast<ngx_str_t *>(cf->args->elts);
    ngx_uint_t  i;

    if (pmcf->postgres.data != nullptr) {
        return const_cast<char *>("is duplicate");
    }

    pmcf->postgres = value[1];

    for (i = 2; i < cf->args->nelts; i++) {
        if (!number_parameter(&value[i], "lookup=", 1, 16,
                              &pmcf->lookup_connections)
            && !number_parameter(&value[i], "connections=", 1, 64,
                                 &pmcf->connections))
        {
            return ngx_portal_invalid(cf, cmd, &value[i],
                                      "\"lookup=1..16\" or "
                                      "\"connections=1..64\"");
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_portal_redis(ngx_conf_t *cf, ngx_command_t *cmd, void *conf) noexcept
{
    auto       *pmcf = static_cast<ngx_portal_main_conf_t *>(conf);
    auto       *value = static_cast<ngx_str_t *>(cf->args->elts);
    ngx_int_t   budget;
    ngx_str_t   text;

    if (pmcf->redis.data != nullptr) {
        return const_cast<char *>("is duplicate");
    }

    pmcf->redis = value[1];

    if (cf->args->nelts == 3) {

        if (!ngx_portal_view(value[2]).starts_with("budget=")) {
            return ngx_portal_invalid(cf, cmd, &value[2], "\"budget=TIME\"");
        }

        text.data = value[2].data + 7;
        text.len = value[2].len - 7;
        budget = ngx_parse_time(&text, 0);

        if (budget == NGX_ERROR || budget < 10 || budget > 10000) {
            return ngx_portal_invalid(cf, cmd, &value[2], "10ms to 10s");
        }

        pmcf->redis_budget = (ngx_msec_t) budget;
    }

    return NGX_CONF_OK;
}


/* words into an array at the command's offset, each of which is to fit */

static char *
words(ngx_conf_t *cf, ngx_command_t *cmd, void *conf,
    bool (*fits)(std::string_view), const char *expected) noexcept
{
    auto          *value = static_cast<ngx_str_t *>(cf->args->elts);
    ngx_str_t     *word;
    ngx_uint_t     i;
    ngx_array_t  **array;

    array = reinterpret_cast<ngx_array_t **>(static_cast<char *>(conf)
                                             + cmd->offset);

    if (*array != NGX_CONF_UNSET_PTR) {
        return const_cast<char *>("is duplicate");
    }

    *array = ngx_array_create(cf->pool, cf->args->nelts, sizeof(ngx_str_t));
    if (*array == nullptr) {
        return static_cast<char *>(NGX_CONF_ERROR);
    }

    for (i = 1; i < cf->args->nelts; i++) {

        if (!fits(ngx_portal_view(value[i]))) {
            return ngx_portal_invalid(cf, cmd, &value[i], expected);
        }

        word = static_cast<ngx_str_t *>(ngx_array_push(*array));
        if (word == nullptr) {
            return static_cast<char *>(NGX_CONF_ERROR);
        }

        *word = value[i];
    }

    return NGX_CONF_OK;
}


/* it becomes part of a header */

static bool
is_origin(std::string_view text) noexcept
{
    size_t  host = text.find("://");

    return host != text.npos && host != 0 && host + 3 != text.size()
           && text.find('/', host + 3) == text.npos
           && text.find_first_of(" ;,'\"") == text.npos;
}


static char *
ngx_portal_origins(ngx_conf_t *cf, ngx_command_t *cmd, void *conf) noexcept
{
    return words(cf, cmd, conf, is_origin,
                 "an origin like \"https://app.example.com\"");
}


static bool
is_range(std::string_view text) noexcept try
{
    portal::IpRange::parse(text);
    return true;

} catch (const std::exception &) {
    return false;
}


static char *
ngx_portal_webhook_allow(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
    noexcept
{
    return words(cf, cmd, conf, is_range,
                 "a range of addresses like \"10.0.0.0/8\" or "
                 "\"fd00::/8\"");
}


/* as a URL names it, without its port */

static bool
is_host(std::string_view text) noexcept
{
    return !text.empty()
           && (text.front() == '[') == (text.back() == ']')
           && (text.front() == '[' || text.find(':') == text.npos)
           && text.find_first_of("/@ ") == text.npos
           && std::none_of(text.begin(), text.end(),
                           [](char c) { return c >= 'A' && c <= 'Z'; });
}


static char *
ngx_portal_webhook_http(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
    noexcept
{
    return words(cf, cmd, conf, is_host,
                 "a host in lower case, without port");
}


static char *
ngx_portal_api(ngx_conf_t *cf, ngx_command_t *cmd, void *conf) noexcept
{
    auto  *plcf = static_cast<ngx_portal_loc_conf_t *>(conf);
    auto  *value = static_cast<ngx_str_t *>(cf->args->elts);

    ngx_uint_t  i, group;

    static constexpr struct {
        std::string_view    name;
        portal::api::Group  group;
    } known[] = {
        { "sessions",       portal::api::Group::sessions },
        { "portal",         portal::api::Group::portal },
        { "client-portal",  portal::api::Group::client_portal },
        { "management",     portal::api::Group::management },
    };

    if (plcf->groups != 0) {
        return const_cast<char *>("is duplicate");
    }

    for (i = 1; i < cf->args->nelts; i++) {

        for (group = 0; group < 4; group++) {
            if (known[group].name == ngx_portal_view(value[i])) {
                plcf->groups |= portal::api::group_bit(known[group].group);
                break;
            }
        }

        if (group == 4) {
            return ngx_portal_invalid(cf, cmd, &value[i],
                                      "\"sessions\", \"portal\", "
                                      "\"client-portal\" or \"management\"");
        }
    }

    if (plcf->groups == 0) {
        plcf->groups = portal::api::default_groups;
    }

    ngx_portal_main_conf(cf)->used = 1;

    return NGX_CONF_OK;
}


static char *
ngx_portal_page(ngx_conf_t *cf, ngx_command_t *, void *conf) noexcept
{
    auto  *plcf = static_cast<ngx_portal_loc_conf_t *>(conf);

    if (plcf->page) {
        return const_cast<char *>("is duplicate");
    }

    plcf->page = 1;
    ngx_portal_main_conf(cf)->used = 1;
    ngx_portal_main_conf(cf)->page_used = 1;

    return NGX_CONF_OK;
}
