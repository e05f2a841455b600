#include "settings.h"

#include <new>
#include <system_error>

#include "zone.h"


static void ngx_portal_cleanup_product(void *data) noexcept;
static void ngx_portal_copy_words(ngx_array_t *array,
    std::vector<std::string> &words);
static void ngx_portal_copy_ranges(ngx_array_t *array,
    std::vector<portal::IpRange> &ranges);
static ngx_int_t ngx_portal_read_secrets(ngx_conf_t *cf,
    ngx_portal_main_conf_t *pmcf);
static ngx_int_t ngx_portal_read_page(ngx_conf_t *cf,
    ngx_portal_main_conf_t *pmcf);
static ngx_int_t ngx_portal_check_base_url(ngx_conf_t *cf, ngx_str_t *url);


void *
ngx_portal_create_main_conf(ngx_conf_t *cf) noexcept
{
    ngx_pool_cleanup_t      *cln;
    ngx_portal_main_conf_t  *pmcf;

    pmcf = static_cast<ngx_portal_main_conf_t *>(
               ngx_pcalloc(cf->pool, sizeof(ngx_portal_main_conf_t)));
    if (pmcf == nullptr) {
        return nullptr;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     pmcf->zone = NULL;
     *     pmcf->postgres, redis, helper, secret_file ... = { 0, NULL };
     *     pmcf->used = 0;
     *     pmcf->page_used = 0;
     */

    pmcf->lookup_connections = NGX_CONF_UNSET;
    pmcf->connections = NGX_CONF_UNSET;
    pmcf->redis_budget = NGX_CONF_UNSET_MSEC;
    pmcf->stale = NGX_CONF_UNSET_MSEC;
    pmcf->cache = NGX_CONF_UNSET_MSEC;
    pmcf->body_limit = NGX_CONF_UNSET_SIZE;
    pmcf->invite_wait = NGX_CONF_UNSET_MSEC;
    pmcf->stream_heartbeat = NGX_CONF_UNSET_MSEC;
    pmcf->credential_origins =
        static_cast<ngx_array_t *>(NGX_CONF_UNSET_PTR);
    pmcf->frame_ancestors =
        static_cast<ngx_array_t *>(NGX_CONF_UNSET_PTR);
    pmcf->webhook_allow =
        static_cast<ngx_array_t *>(NGX_CONF_UNSET_PTR);
    pmcf->webhook_http =
        static_cast<ngx_array_t *>(NGX_CONF_UNSET_PTR);

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == nullptr) {
        return nullptr;
    }

    pmcf->product = new (std::nothrow) ngx_portal_product_t();
    if (pmcf->product == nullptr) {
        return nullptr;
    }

    cln->handler = ngx_portal_cleanup_product;
    cln->data = pmcf->product;

    return pmcf;
}


static void
ngx_portal_cleanup_product(void *data) noexcept
{
    delete static_cast<ngx_portal_product_t *>(data);
}


char *
ngx_portal_init_main_conf(ngx_conf_t *cf, void *conf) noexcept try
{
    auto  *pmcf = static_cast<ngx_portal_main_conf_t *>(conf);
    auto  &product = *pmcf->product;

    portal::Settings  &settings = product.settings;

    ngx_conf_init_value(pmcf->lookup_connections, 1);
    ngx_conf_init_value(pmcf->connections, 2);
    ngx_conf_init_msec_value(pmcf->redis_budget, 250);
    ngx_conf_init_msec_value(pmcf->stale, 30000);
    ngx_conf_init_msec_value(pmcf->cache, 300000);
    ngx_conf_init_size_value(pmcf->body_limit, 64 * 1024);
    ngx_conf_init_msec_value(pmcf->invite_wait, 10000);
    ngx_conf_init_msec_value(pmcf->stream_heartbeat, 15000);
    ngx_conf_init_ptr_value(pmcf->credential_origins, nullptr);
    ngx_conf_init_ptr_value(pmcf->frame_ancestors, nullptr);
    ngx_conf_init_ptr_value(pmcf->webhook_allow, nullptr);
    ngx_conf_init_ptr_value(pmcf->webhook_http, nullptr);

    if (!pmcf->used) {
        return NGX_CONF_OK;
    }

    struct {
        bool         missing;
        const char  *directive;
    } needed[] = {
        { pmcf->zone == nullptr,       "portal_zone" },
        { pmcf->postgres.len == 0,     "portal_postgres" },
        { pmcf->secret_file.len == 0,  "portal_secret_file" },
        { pmcf->base_url.len == 0,     "portal_base_url" },
    };

    for (auto &each : needed) {
        if (each.missing) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%s\" is needed in http {} where a "
                               "directive of a location is used, such as "
                               "\"portal_api\" or \"portal_auth\"",
                               each.directive);
            return static_cast<char *>(NGX_CONF_ERROR);
        }
    }

    if (ngx_portal_check_base_url(cf, &pmcf->base_url) != NGX_OK
        || ngx_portal_read_secrets(cf, pmcf) != NGX_OK)
    {
        return static_cast<char *>(NGX_CONF_ERROR);
    }

    try {
        product.postgres = portal::io::PostgresOptions::resolve(
                               ngx_portal_string(pmcf->postgres));

    } catch (const std::invalid_argument &error) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"portal_postgres\": %s", error.what());
        return static_cast<char *>(NGX_CONF_ERROR);
    }

    product.postgres.lookup_connections = (int) pmcf->lookup_connections;
    product.postgres.main_connections = (int) pmcf->connections;
    product.postgres.application_name = "portal_nginx";

    if (pmcf->redis.len != 0) {

        try {
            product.redis = std::make_unique<portal::io::RedisOptions>(
                portal::io::RedisOptions::parse(
                    ngx_portal_view(pmcf->redis), true));

        } catch (const std::invalid_argument &error) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"portal_redis\": %s", error.what());
            return static_cast<char *>(NGX_CONF_ERROR);
        }

        product.redis->budget = (std::int64_t) pmcf->redis_budget;
        product.redis->client_name = "portal_nginx";
    }

    settings.base_url = ngx_portal_string(pmcf->base_url);
    product.base_path = settings.base_path();
    settings.body_limit = pmcf->body_limit;
    settings.invite_wait = (std::int64_t) pmcf->invite_wait;
    product.streams.heartbeat = (std::int64_t) pmcf->stream_heartbeat;

    if (pmcf->logo_root.len != 0
        && ngx_conf_full_name(cf->cycle, &pmcf->logo_root, 0) != NGX_OK)
    {
        return static_cast<char *>(NGX_CONF_ERROR);
    }

    settings.portal_logo_root = ngx_portal_string(pmcf->logo_root);

    ngx_portal_copy_words(pmcf->credential_origins,
                          settings.credential_origins);
    ngx_portal_copy_words(pmcf->frame_ancestors, settings.frame_ancestors);
    ngx_portal_copy_words(pmcf->webhook_http,
                          settings.webhook_targets.http_hosts);
    ngx_portal_copy_ranges(pmcf->webhook_allow,
                           settings.webhook_targets.allow);

    try {
        settings.webhook_targets.own = portal::own_addresses();

    } catch (const std::system_error &) {
        /* only the sender, which looks again, can tell then */
    }

    if (!settings.frame_ancestors.empty()
        && !settings.base_url.starts_with("https:"))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"portal_frame_ancestors\" needs an https "
                           "\"portal_base_url\": browsers keep no other "
                           "cookie in a frame");
        return static_cast<char *>(NGX_CONF_ERROR);
    }

    if (pmcf->page_used && ngx_portal_read_page(cf, pmcf) != NGX_OK) {
        return static_cast<char *>(NGX_CONF_ERROR);
    }

    return NGX_CONF_OK;

} catch (const std::exception &error) {
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "portal: %s", error.what());
    return static_cast<char *>(NGX_CONF_ERROR);
}


static void
ngx_portal_copy_words(ngx_array_t *array, std::vector<std::string> &words)
{
    ngx_str_t   *word;
    ngx_uint_t   i;

    if (array == nullptr) {
        return;
    }

    word = static_cast<ngx_str_t *>(array->elts);

    for (i = 0; i < array->nelts; i++) {
        words.push_back(ngx_portal_string(word[i]));
    }
}


/* checked when the directive was read */

static void
ngx_portal_copy_ranges(ngx_array_t *array,
    std::vector<portal::IpRange> &ranges)
{
    std::vector<std::string>  texts;

    ngx_portal_copy_words(array, texts);

    for (auto &text : texts) {
        ranges.push_back(portal::IpRange::parse(text));
    }
}


static ngx_int_t
ngx_portal_read_secrets(ngx_conf_t *cf, ngx_portal_main_conf_t *pmcf)
{
    u_char            buf[16385];   /* one more than is taken */
    ssize_t           n;
    ngx_fd_t          fd;
    ngx_str_t        *path = &pmcf->secret_file;
    ngx_file_info_t   fi;
    std::string       prefix = "portal_";

    if (ngx_conf_full_name(cf->cycle, path, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    fd = ngx_open_file(path->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "\"portal_secret_file\": cannot open \"%V\"; "
                           "\"portalctl secret new\" makes one", path);
        return NGX_ERROR;
    }

    n = ngx_read_fd(fd, buf, sizeof(buf));

    if (ngx_fd_info(fd, &fi) == 0 && (fi.st_mode & (S_IROTH|S_IWOTH))) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"%V\" can be read by everybody on this host, "
                           "\"chmod 0640\" mends it", path);
    }

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_ALERT, cf, ngx_errno,
                           "closing \"%V\" failed", path);
    }

    if (n < 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "\"portal_secret_file\": cannot read \"%V\"", path);
        return NGX_ERROR;
    }

    if (n == sizeof(buf)) {
        ngx_explicit_memzero(buf, sizeof(buf));
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"portal_secret_file\": \"%V\" is longer than "
                           "16 KiB", path);
        return NGX_ERROR;
    }

    if (pmcf->token_prefix.data != nullptr) {
        prefix = ngx_portal_string(pmcf->token_prefix);
    }

    try {
        pmcf->product->secrets = std::make_unique<portal::Secrets>(
            portal::Secrets::parse(
                { reinterpret_cast<char *>(buf), (size_t) n }, prefix));

    } catch (const std::invalid_argument &error) {
        ngx_explicit_memzero(buf, sizeof(buf));
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"portal_secret_file\": \"%V\": %s",
                           path, error.what());
        return NGX_ERROR;
    }

    ngx_explicit_memzero(buf, sizeof(buf));

    return NGX_OK;
}


/* all of the page is read here: a worker opens logos only */

static ngx_int_t
ngx_portal_read_page(ngx_conf_t *cf, ngx_portal_main_conf_t *pmcf)
{
    if (pmcf->page_files.len == 0) {
        ngx_str_set(&pmcf->page_files, "/usr/share/portal/page");
    }

    if (ngx_conf_full_name(cf->cycle, &pmcf->page_files, 0) != NGX_OK
        || (pmcf->page_overrides.len != 0
            && ngx_conf_full_name(cf->cycle, &pmcf->page_overrides, 0)
               != NGX_OK))
    {
        return NGX_ERROR;
    }

    try {
        pmcf->product->site = std::make_unique<portal::page::Site>(
            ngx_portal_string(pmcf->page_files),
            ngx_portal_string(pmcf->page_overrides),
            pmcf->product->settings);

    } catch (const std::exception &error) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"portal_page\" cannot use \"portal_page_files\" "
                           "\"%V\" or \"portal_page_overrides\": %s",
                           &pmcf->page_files, error.what());
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_portal_check_base_url(ngx_conf_t *cf, ngx_str_t *url)
{
    std::string_view  view, host;

    while (url->len != 0 && url->data[url->len - 1] == '/') {
        url->len--;
    }

    view = ngx_portal_view(*url);

    if (view.starts_with("https://")) {
        host = view.substr(8);

    } else if (view.starts_with("http://")) {
        host = view.substr(7);

        if (!host.starts_with("127.") && !host.starts_with("[::1]")
            && host.substr(0, host.find(':')) != "localhost")
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"portal_base_url\": \"%V\" must be https, "
                               "http is for loopback only", url);
            return NGX_ERROR;
        }
    }

    if (host.empty() || host.find_first_of(" ?#@\"<>\\") != host.npos) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"portal_base_url\": \"%V\" is no URL like "
                           "\"https://portal.example.com\"", url);
        return NGX_ERROR;
    }

    return NGX_OK;
}


void *
ngx_portal_create_loc_conf(ngx_conf_t *cf) noexcept
{
    ngx_portal_loc_conf_t  *plcf;

    plcf = static_cast<ngx_portal_loc_conf_t *>(
               ngx_pcalloc(cf->pool, sizeof(ngx_portal_loc_conf_t)));
    if (plcf == nullptr) {
        return nullptr;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     plcf->groups = 0;
     *     plcf->page = 0;
     *     plcf->kinds = 0;
     *     plcf->scopes = 0;
     *     plcf->auth_set = 0;
     *     plcf->auth_dry_run = 0;
     *     plcf->workspace = NULL;
     *     plcf->limits = NULL;
     */

    plcf->any_workspace = NGX_CONF_UNSET;
    plcf->no_limits = NGX_CONF_UNSET;
    plcf->login_by_address = NGX_CONF_UNSET;

    return plcf;
}


/*
 * portal_api and portal_page are of their own location and of what lies in it
 * without a name, "if" and "limit_except"; the rest is inherited
 */

char *
ngx_portal_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child) noexcept
{
    auto  *prev = static_cast<ngx_portal_loc_conf_t *>(parent);
    auto  *conf = static_cast<ngx_portal_loc_conf_t *>(child);

    ngx_http_core_loc_conf_t  *clcf;

    clcf = static_cast<ngx_http_core_loc_conf_t *>(
               ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module));

    if (clcf->noname && conf->groups == 0 && !conf->page) {
        conf->groups = prev->groups;
        conf->page = prev->page;
    }

    if (!conf->auth_set) {
        conf->kinds = prev->kinds;
        conf->scopes = prev->scopes;
        conf->auth_set = prev->auth_set;
        conf->auth_dry_run = prev->auth_dry_run;
    }

    if (conf->workspace == nullptr && conf->any_workspace == NGX_CONF_UNSET) {
        conf->workspace = prev->workspace;
        conf->any_workspace = prev->any_workspace;
    }

    if (conf->limits == nullptr && conf->no_limits == NGX_CONF_UNSET) {
        conf->limits = prev->limits;
        conf->no_limits = prev->no_limits;
    }

    ngx_conf_merge_value(conf->login_by_address, prev->login_by_address, 0);

    if (conf->kinds != 0 && conf->workspace == nullptr
        && conf->any_workspace != 1)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"portal_auth\" needs \"portal_workspace\": a "
                           "slug, a variable, or \"any\"");
        return static_cast<char *>(NGX_CONF_ERROR);
    }

    if (conf->page && conf->workspace == nullptr && conf->any_workspace != 1)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"portal_page\" needs \"portal_workspace\": a "
                           "slug, a variable, or \"any\"");
        return static_cast<char *>(NGX_CONF_ERROR);
    }

    if (conf->groups != 0 || conf->page) {

        /* the limit of both is portal_body_limit, kept by ourselves */

        clcf->client_max_body_size = 0;
    }

    return NGX_CONF_OK;
}
