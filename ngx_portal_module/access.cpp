#include "access.h"

#include <new>
#include <optional>

#include "context.h"
#include "cookie.h"
#include "exchange.h"
#include "request.h"
#include "worker.h"


namespace {


/*
 * What the access phase answers.  NGX_DECLINED: nothing against the request;
 * NGX_OK: somebody may come in, which is what "satisfy any" asks for.
 */

struct decision_t {
    ngx_int_t                status = NGX_DECLINED;
    const char              *challenge = nullptr;
    portal::http::RateLimit  limit;
};


constexpr char  challenge[] = "Bearer realm=\"portal\"";
constexpr char  challenge_invalid[] =
    "Bearer realm=\"portal\", error=\"invalid_token\", "
    "error_description=\"The access token provided is expired, revoked, "
    "malformed, or invalid for other reasons.\"";


class guard_t final : private portal::io::Completion,
                      private portal::io::Posted,
                      private ngx_portal_live
{

public:
    guard_t(ngx_http_request_t *r, ngx_portal_context_t *ctx)
        : r_(r), ctx_(ctx)
    {
    }

    ngx_int_t start(ngx_portal_loc_conf_t *plcf);
    ngx_int_t outcome() noexcept;

    static void cleanup(void *data) noexcept
    {
        static_cast<guard_t *>(data)->~guard_t();
    }

    bool                      waiting = false;
    bool                      refused = false;

private:
    portal::io::Task<decision_t> decide(ngx_portal_loc_conf_t *plcf);
    void judge(ngx_portal_loc_conf_t *plcf, const ngx_str_t &slug,
        bool unavailable, decision_t &decision);
    portal::io::Task<void> authenticate(const ngx_str_t *slug);
    portal::io::Task<void> charge(ngx_array_t *limits, decision_t &decision);
    portal::LimitKey key_of(const ngx_portal_limit_t &limit) const;
    static void count(ngx_int_t status) noexcept;

    void completed() noexcept override
    {
        if (waiting) {
            ngx_portal_this_worker->loop.post(*this);
        }
    }

    void run() noexcept override;

    void cancel() noexcept override
    {
        task_.reset();
    }

    ngx_http_request_t            *r_;
    ngx_portal_context_t          *ctx_;
    portal::Authentication         found_;
    bool                           asked_ = false;
    bool                           by_cookie_ = false;
    bool                           charged_ = false;
    portal::io::Task<decision_t>   task_;   /* refers to the rest */
};


ngx_int_t
guard_t::start(ngx_portal_loc_conf_t *plcf)
{
    task_ = decide(plcf);
    task_.start(this);

    if (task_.done()) {
        return outcome();
    }

    waiting = true;

    r_->read_event_handler = ngx_http_test_reading;
    r_->write_event_handler = ngx_http_request_empty_handler;

    if (r_->connection->read->ready && !r_->connection->read->posted) {
        ngx_post_event(r_->connection->read, &ngx_posted_events);
    }

    return NGX_AGAIN;
}


void
guard_t::run() noexcept
{
    ngx_connection_t    *c = r_->connection;
    ngx_http_request_t  *r = r_;

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, c->log, 0, "portal: access decided");

    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_core_run_phases;

    ngx_http_core_run_phases(r);
    ngx_http_run_posted_requests(c);
}


/* the decision, carried out: bare statuses, so that error_page works */

ngx_int_t
guard_t::outcome() noexcept try
{
    ngx_str_t          id;
    ngx_table_elt_t   *h;

    waiting = false;

    decision_t  decision = task_.result();

    count(decision.status);

    if (ngx_portal_add_limit(r_, decision.limit) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (decision.challenge != nullptr) {

        /* where nginx looks for it: "satisfy any" takes it back */

        h = static_cast<ngx_table_elt_t *>(
                ngx_list_push(&r_->headers_out.headers));
        if (h == nullptr) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        ngx_memzero(h, sizeof(ngx_table_elt_t));

        h->hash = 1;
        ngx_str_set(&h->key, "WWW-Authenticate");
        h->value = ngx_portal_str(decision.challenge);
        r_->headers_out.www_authenticate = h;
    }

    refused = decision.status > NGX_OK;

    if (refused && ngx_portal_request_id(r_, &id) == NGX_OK) {
        (void) ngx_portal_add_header(r_, ngx_string("X-Request-ID"), id);
    }

    return decision.status;

} catch (const std::exception &error) {

    ngx_log_error(NGX_LOG_ERR, r_->connection->log, 0,
                  "portal: access could not be decided: %s", error.what());
    ctx_->auth_status = NGX_HTTP_INTERNAL_SERVER_ERROR;
    return NGX_HTTP_INTERNAL_SERVER_ERROR;
}


void
guard_t::count(ngx_int_t status) noexcept
{
    portal::Counter  counter;

    switch (status) {
    case NGX_OK:
    case NGX_DECLINED:
        counter = portal::Counter::access_passed;
        break;

    case NGX_HTTP_UNAUTHORIZED:
        counter = portal::Counter::access_unauthorized;
        break;

    case NGX_HTTP_FORBIDDEN:
        counter = portal::Counter::access_forbidden;
        break;

    case NGX_HTTP_TOO_MANY_REQUESTS:
        counter = portal::Counter::access_limited;
        break;

    default:
        counter = portal::Counter::access_unavailable;
    }

    ngx_portal_this_worker->zone.count(counter);
}


portal::io::Task<decision_t>
guard_t::decide(ngx_portal_loc_conf_t *plcf)
{
    bool          unavailable = false;
    ngx_str_t     slug = ngx_null_string;
    ngx_str_t    *wanted = plcf->workspace != nullptr ? &slug : nullptr;
    decision_t    decision;

    if (plcf->workspace != nullptr
        && ngx_http_complex_value(r_, plcf->workspace, &slug) != NGX_OK)
    {
        decision.status = NGX_HTTP_INTERNAL_SERVER_ERROR;
        co_return decision;
    }

    if (plcf->kinds != 0) {

        /* once for a request, wherever it is redirected internally */

        if (!asked_) {
            try {
                co_await authenticate(wanted);
                asked_ = true;

            } catch (const portal::io::PostgresUnavailable &) {
                unavailable = true;
            }
        }

        judge(plcf, slug, unavailable, decision);

        if (decision.status != NGX_OK) {

            if (!plcf->auth_dry_run) {
                co_return decision;
            }

            ctx_->auth_dry_run = 1;
            ngx_portal_this_worker->zone.count(
                portal::Counter::access_dry_run);
            decision = decision_t{};
        }
    }

    if (plcf->limits != nullptr && !charged_) {
        co_await charge(plcf->limits, decision);
    }

    co_return decision;
}


/* of a verdict that refuses */

ngx_int_t
refusal(const portal::Verdict &verdict) noexcept
{
    return verdict.unavailable ? NGX_HTTP_SERVICE_UNAVAILABLE
                               : NGX_HTTP_TOO_MANY_REQUESTS;
}


/* may whoever was found come in? */

void
guard_t::judge(ngx_portal_loc_conf_t *plcf, const ngx_str_t &slug,
    bool unavailable, decision_t &decision)
{
    const portal::Principal  &principal = found_.principal;

    ctx_->auth_dry_run = 0;

    if (unavailable) {
        ctx_->auth_status = NGX_HTTP_SERVICE_UNAVAILABLE;
        decision.status = NGX_HTTP_SERVICE_UNAVAILABLE;
        decision.limit.retry_after = 1;
        return;
    }

    if (found_.state == portal::Authentication::State::limited) {
        decision.limit = found_.verdict.limit;
        decision.status = refusal(found_.verdict);
        ctx_->auth_status = decision.status;
        return;
    }

    if (found_.state == portal::Authentication::State::invalid) {
        ctx_->auth_status = NGX_HTTP_UNAUTHORIZED;
        decision.limit = found_.verdict.limit;
        decision.status = NGX_HTTP_UNAUTHORIZED;
        decision.challenge = challenge_invalid;
        return;
    }

    /* the wrong kind and another workspace's count as none */

    if (found_.state != portal::Authentication::State::known
        || !(plcf->kinds & portal::api::only(principal.kind))
        || (plcf->workspace != nullptr
            && !ngx_portal_same_slug(slug, principal.workspace_slug)))
    {
        ctx_->auth_status = NGX_HTTP_UNAUTHORIZED;
        decision.status = NGX_HTTP_UNAUTHORIZED;
        decision.challenge = challenge;
        return;
    }

    if (principal.code_wanted
        || (principal.scopes & plcf->scopes) != plcf->scopes
        || (by_cookie_ && !ngx_portal_same_origin(r_)))
    {
        ctx_->auth_status = NGX_HTTP_FORBIDDEN;
        decision.status = NGX_HTTP_FORBIDDEN;
        return;
    }

    ctx_->auth_status = NGX_HTTP_OK;
    ctx_->principal = principal;
    decision.status = NGX_OK;
}


/* a bearer always beats a cookie */

portal::io::Task<void>
guard_t::authenticate(const ngx_str_t *slug)
{
    auto              &worker = *ngx_portal_this_worker;
    std::string_view   address = ngx_portal_view(r_->connection->addr_text);

    std::optional<std::string_view>  authorization, token;

    if (r_->headers_in.authorization != nullptr) {
        authorization = ngx_portal_view(r_->headers_in.authorization->value);
    }

    token = portal::bearer_token(authorization);

    if (!token) {
        token = ngx_portal_session_cookie(r_, slug);
        by_cookie_ = token.has_value();
    }

    if (!token) {
        co_return;
    }

    if (worker.authenticator.authenticate_now(*token, found_.principal)) {
        found_.state = portal::Authentication::State::known;

    } else {
        found_ = co_await worker.authenticator.authenticate(*token, address);
    }

    /* a browser's cookie that has run out is no attack: as if it were none */

    if (by_cookie_ && found_.state == portal::Authentication::State::invalid) {
        found_.state = portal::Authentication::State::none;
    }
}


portal::LimitKey
guard_t::key_of(const ngx_portal_limit_t &limit) const
{
    auto                     &limiter = ngx_portal_this_worker->limiter;
    const portal::Uuid       *row = nullptr;
    const portal::Principal  &principal = ctx_->principal;

    if (ctx_->auth_status == NGX_HTTP_OK) {

        switch (limit.key) {
        case ngx_portal_limit_t::principal:
            row = &principal.token_id;
            break;

        case ngx_portal_limit_t::customer:
            row = &principal.customer_id;
            break;

        case ngx_portal_limit_t::workspace:
            row = &principal.workspace_id;
            break;

        case ngx_portal_limit_t::address:
            break;
        }
    }

    if (row != nullptr && !row->is_nil()) {
        return limiter.row_key(limit.policy, *row);
    }

    /* nobody's, or of a principal without that id: its address */

    return limiter.client_key(limit.policy,
                              ngx_portal_view(r_->connection->addr_text));
}


ngx_portal_limit_status_e
passed(const portal::Verdict &verdict) noexcept
{
    return verdict.degraded ? ngx_portal_limit_degraded
                            : ngx_portal_limit_passed;
}


portal::io::Task<void>
guard_t::charge(ngx_array_t *array, decision_t &decision)
{
    auto  *limit = static_cast<ngx_portal_limit_t *>(array->elts);
    auto  &limiter = ngx_portal_this_worker->limiter;

    ngx_portal_this_worker->look_at_address(r_->connection);

    portal::Limits  limits, tried;

    for (ngx_uint_t i = 0; i < array->nelts; i++) {
        auto  &list = limit[i].dry_run ? tried : limits;

        list.push_back({ &limit[i].policy, key_of(limit[i]) });
    }

    if (!limits.empty()) {
        portal::Verdict  verdict = co_await limiter.admit(std::move(limits));

        decision.limit = verdict.limit;

        if (!verdict.allowed) {
            ctx_->limit_status = ngx_portal_limit_refused;
            decision.status = refusal(verdict);
            co_return;
        }

        ctx_->limit_status = passed(verdict);
    }

    charged_ = true;

    if (!tried.empty()) {
        portal::Verdict  verdict = co_await limiter.admit(std::move(tried));

        if (!verdict.allowed) {
            ctx_->limit_status = ngx_portal_limit_dry_run;
            ngx_portal_this_worker->zone.count(
                portal::Counter::access_dry_run);

        } else if (ctx_->limit_status == ngx_portal_limit_none) {
            ctx_->limit_status = passed(verdict);
        }
    }
}


}


ngx_int_t
ngx_portal_access_handler(ngx_http_request_t *r) noexcept try
{
    guard_t                *guard;
    ngx_http_cleanup_t     *cln;
    ngx_portal_context_t   *ctx;
    ngx_portal_loc_conf_t  *plcf;

    plcf = static_cast<ngx_portal_loc_conf_t *>(
               ngx_http_get_module_loc_conf(r, ngx_portal_module));

    /* our own routes go through the whole chain in their content handler */

    if ((plcf->kinds == 0 && plcf->limits == nullptr)
        || r != r->main
        || r->content_handler == ngx_portal_api_handler
        || r->content_handler == ngx_portal_page_handler)
    {
        return NGX_DECLINED;
    }

    if (ngx_portal_this_worker == nullptr) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    ctx = ngx_portal_get_context(r);
    if (ctx == nullptr) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    guard = static_cast<guard_t *>(ctx->guard);

    if (guard != nullptr && guard->waiting) {
        return guard->outcome();
    }

    /* the page that tells of a refusal of ours is not refused, too */

    if (guard != nullptr && guard->refused && r->error_page) {
        return NGX_DECLINED;
    }

    if (guard == nullptr) {

        void  *memory = ngx_palloc(r->pool, sizeof(guard_t));

        cln = ngx_http_cleanup_add(r, 0);

        if (memory == nullptr || cln == nullptr) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        guard = new (memory) guard_t(r, ctx);
        cln->handler = guard_t::cleanup;
        cln->data = guard;
        ctx->guard = guard;
    }

    return guard->start(plcf);

} catch (const std::exception &error) {

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "portal: access could not be decided: %s", error.what());
    return NGX_HTTP_INTERNAL_SERVER_ERROR;
}
