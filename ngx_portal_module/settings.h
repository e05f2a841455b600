/*
 * Configuration: the structures directives fill, how they are merged and
 * what nginx -t reports about them.
 */

#pragma once

#include "ngx.hpp"

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "api/router.h"
#include "io/postgres.h"
#include "io/redis.h"
#include "page/site.h"
#include "portal/event_hub.h"
#include "portal/limiter.h"
#include "portal/secrets.h"
#include "portal/settings.h"


/* what directives say becomes this when the whole of http {} is read */

struct ngx_portal_product_t {
    portal::io::PostgresOptions           postgres;
    std::unique_ptr<portal::io::RedisOptions>  redis;
    std::unique_ptr<portal::Secrets>      secrets;
    portal::Settings                      settings;
    std::string                           base_path;  /* of the base URL */
    std::unique_ptr<portal::page::Site>   site;       /* of portal_page */
    portal::EventStreamLimits             streams;
    std::vector<portal::Policy>           policies;   /* overrides */
    std::vector<portal::Policy>           site_policies;
    std::deque<std::string>               names;      /* of policies */
};


struct ngx_portal_main_conf_t {
    ngx_shm_zone_t        *zone;
    ngx_str_t              postgres;
    ngx_int_t              lookup_connections;
    ngx_int_t              connections;
    ngx_str_t              redis;
    ngx_msec_t             redis_budget;
    ngx_str_t              helper;
    ngx_str_t              secret_file;
    ngx_str_t              base_url;
    ngx_str_t              token_prefix;
    ngx_msec_t             stale;
    ngx_msec_t             cache;
    size_t                 body_limit;
    ngx_msec_t             invite_wait;
    ngx_msec_t             stream_heartbeat;
    ngx_array_t           *credential_origins;   /* of ngx_str_t */
    ngx_str_t              logo_root;
    ngx_array_t           *frame_ancestors;      /* of ngx_str_t */
    ngx_array_t           *webhook_allow;        /* of ngx_str_t */
    ngx_array_t           *webhook_http;         /* of ngx_str_t */
    ngx_str_t              page_files;
    ngx_str_t              page_overrides;
    ngx_flag_t             used;      /* some location needs the product */
    ngx_flag_t             page_used;
    ngx_portal_product_t  *product;   /* destroyed with the cycle's pool */
};


/* one portal_rate_limit of a location */

struct ngx_portal_limit_t {
    enum key_e { principal, customer, workspace, address };

    portal::Policy  policy;
    key_e           key;
    bool            dry_run;
};


static_assert(std::is_trivially_copyable_v<ngx_portal_limit_t>,
              "it lies in an ngx_array_t");


struct ngx_portal_loc_conf_t {
    portal::api::Groups         groups;       /* 0: no portal_api here */
    ngx_uint_t                  page;         /* portal_page here */
    ngx_uint_t                  kinds;        /* bits; off: 0 */
    uint32_t                    scopes;
    ngx_uint_t                  auth_set;     /* portal_auth given here */
    ngx_uint_t                  auth_dry_run;
    ngx_http_complex_value_t   *workspace;
    ngx_flag_t                  any_workspace;
    ngx_array_t                *limits;       /* of ngx_portal_limit_t */
    ngx_flag_t                  no_limits;    /* portal_rate_limit off */
    ngx_flag_t                  login_by_address;
};


inline constexpr ngx_uint_t  ngx_portal_any_kind =
    portal::api::only(portal::Kind::workspace)
    | portal::api::only(portal::Kind::customer)
    | portal::api::only(portal::Kind::member)
    | portal::api::only(portal::Kind::portal);


void *ngx_portal_create_main_conf(ngx_conf_t *cf) noexcept;
char *ngx_portal_init_main_conf(ngx_conf_t *cf, void *conf) noexcept;
void *ngx_portal_create_loc_conf(ngx_conf_t *cf) noexcept;
char *ngx_portal_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
    noexcept;

extern ngx_command_t  ngx_portal_commands[];
