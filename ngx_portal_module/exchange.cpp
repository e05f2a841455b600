#include "exchange.h"

#include <optional>

#include "api/dispatch.h"
#include "context.h"
#include "request.h"
#include "worker.h"


namespace {


class exchange_t final : public portal::http::Request,
                         private portal::io::Completion,
                         private portal::io::Posted,
                         private ngx_portal_live
{

public:
    exchange_t(ngx_http_request_t *r, ngx_http_cleanup_t *cleanup);

    ngx_int_t start(ngx_portal_loc_conf_t *plcf, bool page);

    std::optional<std::string_view> header(std::string_view name) const
        override;
    std::string cookies() const override;
    portal::io::Task<std::string> read_body(std::size_t limit) override;

    static void on_request_gone(void *data) noexcept;

    /* many begin and end together, which malloc() is slow at */

    static void *operator new(std::size_t size)
    {
        return portal::io::frame_allocate(size);
    }

    static void operator delete(void *exchange, std::size_t size) noexcept
    {
        portal::io::frame_free(exchange, size);
    }

private:
    /* suspends a coroutine until the body is there, too large, or gone */
    struct body_t {
        exchange_t &exchange;

        bool await_ready() const noexcept
        {
            return exchange.body_state_ != reading;
        }

        void await_suspend(std::coroutine_handle<> waiting) const noexcept
        {
            exchange.body_waiter_ = waiting;
        }

        void await_resume() const
        {
            if (exchange.body_state_ == too_large) {
                throw portal::http::BodyTooLarge();
            }

            if (exchange.body_state_ == aborted) {
                throw portal::http::BodyAborted();
            }
        }
    };

    void completed() noexcept override;
    void run() noexcept override;
    void cancel() noexcept override;

    void wait_for_client() noexcept;
    ngx_int_t finish() noexcept;
    void end() noexcept;
    void count() noexcept;
    ngx_int_t send(const portal::http::Response &response) noexcept;
    ngx_int_t begin_stream() noexcept;
    ngx_int_t send_headers(const portal::http::Response &response) noexcept;

    void begin_body(std::size_t limit) noexcept;
    ngx_int_t read_on() noexcept;
    void take_buffers() noexcept;
    static void on_body(ngx_http_request_t *r) noexcept;
    static void on_body_readable(ngx_http_request_t *r) noexcept;

    enum body_state_e { unread, reading, complete, too_large, aborted };

    ngx_http_request_t                        *r_;
    ngx_http_cleanup_t                        *cleanup_;
    portal::http::Response                     response_;
    std::string                                body_;
    std::size_t                                body_limit_ = 0;
    body_state_e                               body_state_ = unread;
    ngx_int_t                                  body_error_ = 0;
    std::coroutine_handle<>                    body_waiter_;
    bool                                       suspended_ = false;
    portal::api::Call                          call_;
    portal::io::Task<portal::http::Response>   task_;   /* refers to the rest */
};


portal::http::Method
method_of(ngx_http_request_t *r) noexcept
{
    switch (r->method) {
    case NGX_HTTP_GET:      return portal::http::Method::get;
    case NGX_HTTP_HEAD:     return portal::http::Method::head;
    case NGX_HTTP_POST:     return portal::http::Method::post;
    case NGX_HTTP_PUT:      return portal::http::Method::put;
    case NGX_HTTP_PATCH:    return portal::http::Method::patch;
    case NGX_HTTP_DELETE:   return portal::http::Method::del;
    case NGX_HTTP_OPTIONS:  return portal::http::Method::options;
    }

    return portal::http::Method::other;
}


/* nginx 1.22 knows no reason phrase for these */

ngx_str_t
status_line_of(int status) noexcept
{
    switch (status) {
    case 422:  return ngx_string("422 Unprocessable Entity");
    }

    return ngx_null_string;
}


std::string_view
text_of(const portal::http::Response &response) noexcept
{
    return response.body.empty() ? response.text
                                 : std::string_view(response.body);
}


exchange_t::exchange_t(ngx_http_request_t *r, ngx_http_cleanup_t *cleanup)
    : r_(r), cleanup_(cleanup), call_{*this, ngx_portal_this_worker->services}
{
    ngx_str_t  id;

    cleanup->handler = on_request_gone;
    cleanup->data = this;

    method = method_of(r);
    path = ngx_portal_path(r);
    query = ngx_portal_view(r->args);
    client_address = ngx_portal_view(r->connection->addr_text);

    if (ngx_portal_request_id(r, &id) == NGX_OK) {
        request_id = ngx_portal_view(id);
    }

    if (auto *ctx = ngx_portal_find_context(r)) {
        credential = ngx_portal_view(ctx->credential);
    }
}


ngx_int_t
exchange_t::start(ngx_portal_loc_conf_t *plcf, bool page)
{
    auto       *worker = ngx_portal_this_worker;
    ngx_int_t   rc;
    ngx_str_t   slug;

    worker->look_at_address(r_->connection);

    login_by_address = plcf->login_by_address;

    if (plcf->workspace != nullptr) {

        if (ngx_http_complex_value(r_, plcf->workspace, &slug) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        /* a variable without a value is nobody's, not everybody's */

        workspace = slug.len != 0 ? ngx_portal_view(slug)
                                  : portal::http::Request::no_workspace;
    }

    if (page) {
        task_ = portal::page::answer(call_, *worker->page);

    } else {
        call_.groups = plcf->groups;
        task_ = portal::api::dispatch(call_, worker->authenticator,
                                      ngx_portal_router());
    }

    task_.start(this);

    if (task_.done()) {
        rc = finish();

        if (rc == NGX_DONE) {
            r_->main->count++;   /* the stream's */
            end();
        }

        return rc;
    }

    suspended_ = true;
    r_->main->count++;

    if (body_state_ != reading) {
        wait_for_client();
    }

    return NGX_DONE;
}


/* a client that leaves while a backend is asked ends its request */

void
exchange_t::wait_for_client() noexcept
{
    ngx_connection_t  *c = r_->connection;

    r_->read_event_handler = r_->discard_body
                                 ? ngx_http_discarded_request_body_handler
                                 : ngx_http_test_reading;
    r_->write_event_handler = ngx_http_request_empty_handler;

    if (c->read->ready && !c->read->posted) {
        /* edge-triggered: the end of the stream may have come already */
        ngx_post_event(c->read, &ngx_posted_events);
    }
}


/* called from the final suspension: the frame is still running */

void
exchange_t::completed() noexcept
{
    if (suspended_) {
        ngx_portal_this_worker->loop.post(*this);
    }
}


void
exchange_t::run() noexcept
{
    ngx_int_t            rc;
    ngx_connection_t    *c = r_->connection;
    ngx_http_request_t  *r = r_;

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, c->log, 0, "portal: route returned");

    rc = finish();

    if (rc == NGX_DONE) {
        end();   /* the reference is the stream's now */
        return;
    }

    /* this object may be gone after the next line */

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


/* before its request does */

void
exchange_t::end() noexcept
{
    ngx_portal_get_context(r_)->exchange = nullptr;
    cleanup_->data = nullptr;

    delete this;
}


void
exchange_t::cancel() noexcept
{
    task_.reset();
}


/* NGX_DONE: it goes on as a stream */

ngx_int_t
exchange_t::finish() noexcept try
{
    ngx_int_t  rc;

    response_ = task_.result();

    count();

    if (body_state_ != complete) {
        rc = ngx_http_discard_request_body(r_);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    return response_.stream ? begin_stream() : send(response_);

} catch (const portal::http::BodyAborted &) {
    return body_error_;

} catch (const std::exception &error) {
    ngx_log_error(NGX_LOG_ERR, r_->connection->log, 0,
                  "portal: answer could not be made: %s", error.what());
    return NGX_HTTP_INTERNAL_SERVER_ERROR;
}


void
exchange_t::count() noexcept
{
    auto        *worker = ngx_portal_this_worker;
    ngx_time_t  *tp = ngx_timeofday();

    std::int64_t  took = (std::int64_t) (tp->sec - r_->start_sec) * 1000
                         + ((std::int64_t) tp->msec
                            - (std::int64_t) r_->start_msec);

    worker->requests.count(call_.route, response_.status);

    if (!response_.stream) {
        worker->zone.metrics().took(portal::Timing::request, took * 1000);
    }
}


ngx_int_t
exchange_t::send(const portal::http::Response &response) noexcept
{
    ngx_int_t         rc;
    ngx_buf_t        *b;
    ngx_chain_t       out;
    std::string_view  text;

    /* what a client quotes of an error is found in the log */

    if (response.status >= NGX_HTTP_BAD_REQUEST) {
        ngx_str_t   id = ngx_portal_str(request_id);
        ngx_uint_t  level = response.status >= NGX_HTTP_INTERNAL_SERVER_ERROR
                                ? NGX_LOG_ERR : NGX_LOG_NOTICE;

        ngx_log_error(level, r_->connection->log, 0,
                      "portal: answered %d, request_id: %V",
                      response.status, &id);
    }

    rc = send_headers(response);

    if (rc == NGX_ERROR || rc > NGX_OK || r_->header_only) {
        return rc;
    }

    b = static_cast<ngx_buf_t *>(ngx_calloc_buf(r_->pool));
    if (b == nullptr) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* the text lives in this exchange, which lives as long as the request */

    text = text_of(response);

    if (!text.empty()) {
        b->pos = ngx_portal_str(text).data;
        b->last = b->pos + text.size();
        b->memory = 1;
    }

    b->last_buf = (r_ == r_->main);
    b->last_in_chain = 1;

    out.buf = b;
    out.next = nullptr;

    return ngx_http_output_filter(r_, &out);
}


ngx_int_t
exchange_t::begin_stream() noexcept try
{
    ngx_int_t  rc;

    if (r_ != r_->main) {
        return NGX_HTTP_NOT_FOUND;
    }

    r_->keepalive = 0;

    rc = send_headers(response_);

    if (rc == NGX_ERROR || rc > NGX_OK || r_->header_only) {
        return rc;
    }

    if (ngx_http_send_special(r_, NGX_HTTP_FLUSH) == NGX_ERROR) {
        return NGX_ERROR;
    }

    ngx_portal_this_worker->streams.begin(r_, std::move(response_.stream));

    return NGX_DONE;

} catch (const std::exception &error) {
    ngx_log_error(NGX_LOG_ERR, r_->connection->log, 0,
                  "portal: stream could not be started: %s", error.what());
    return NGX_ERROR;
}


ngx_int_t
exchange_t::send_headers(const portal::http::Response &response) noexcept
{
    static const struct {
        ngx_str_t  name;
        ngx_str_t  value;
    } always[] = {
        { ngx_string("X-Content-Type-Options"), ngx_string("nosniff") },
        { ngx_string("Referrer-Policy"), ngx_string("no-referrer") },
    };

    bool              caching = false;   /* the route says it itself */
    ngx_list_part_t  *last;

    r_->headers_out.status = response.status;
    r_->headers_out.status_line = status_line_of(response.status);
    r_->headers_out.content_length_n = response.stream
                                           ? -1
                                           : (off_t) text_of(response).size();
    r_->disable_not_modified = 1;   /* the route has looked at that itself */

    if (!text_of(response).empty() || response.stream) {
        r_->headers_out.content_type = ngx_portal_str(response.content_type);
        r_->headers_out.content_type_len = response.content_type.size();

    } else if (response.status == NGX_HTTP_NO_CONTENT
               || response.status == NGX_HTTP_NOT_MODIFIED)
    {
        r_->headers_out.content_length_n = -1;
        r_->header_only = 1;
    }

    if (ngx_portal_add_header(r_, ngx_string("X-Request-ID"),
                              ngx_portal_str(request_id))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (auto &each : always) {
        if (ngx_portal_add_header(r_, each.name, each.value) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (ngx_portal_add_limit(r_, response.limit) != NGX_OK) {
        return NGX_ERROR;
    }

    /* the access log is written when this exchange is gone: copies */

    if (!response.etag.empty()
        && ngx_portal_copy_header(r_, "ETag", response.etag) != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (auto &each : response.headers) {

        if (ngx_portal_copy_header(r_, each.name, each.value) != NGX_OK) {
            return NGX_ERROR;
        }

        caching = caching || each.name == "Cache-Control";

        if (each.name == "Content-Encoding") {

            /* so that no filter compresses it again */

            last = r_->headers_out.headers.last;
            r_->headers_out.content_encoding =
                &static_cast<ngx_table_elt_t *>(last->elts)[last->nelts - 1];
        }
    }

    if (!caching
        && ngx_portal_add_header(r_, ngx_string("Cache-Control"),
                                 ngx_string("no-store"))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_send_header(r_);
}


std::optional<std::string_view>
exchange_t::header(std::string_view name) const
{
    const ngx_str_t  *value;

    value = ngx_portal_find_header(r_, name);

    if (value == nullptr) {
        return std::nullopt;
    }

    return ngx_portal_view(*value);
}


std::string
exchange_t::cookies() const
{
    std::string        all;
    ngx_uint_t         i;
    ngx_table_elt_t  **h;

    h = static_cast<ngx_table_elt_t **>(r_->headers_in.cookies.elts);

    for (i = 0; i < r_->headers_in.cookies.nelts; i++) {

        if (!all.empty()) {
            all += "; ";
        }

        all += ngx_portal_view(h[i]->value);
    }

    return all;
}


portal::io::Task<std::string>
exchange_t::read_body(std::size_t limit)
{
    begin_body(limit);

    co_await body_t{*this};

    co_return std::move(body_);
}


void
exchange_t::begin_body(std::size_t limit) noexcept
{
    ngx_int_t  rc;

    body_limit_ = limit;

    if (r_->headers_in.content_length_n > (off_t) limit) {
        body_state_ = too_large;
        return;
    }

    body_state_ = reading;

    if (r_->request_body != nullptr) {

        /* an earlier phase or a parent has read it */

        body_state_ = complete;
        take_buffers();
        return;
    }

    /* unbuffered, so that a chunked body is counted as it comes */

    r_->request_body_no_buffering = 1;

    rc = ngx_http_read_client_request_body(r_, on_body);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        body_state_ = aborted;
        body_error_ = rc;
        return;
    }

    if (body_state_ == reading) {
        rc = read_on();

        if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
            body_state_ = aborted;
            body_error_ = rc;
            return;
        }
    }

    if (body_state_ == reading) {
        r_->read_event_handler = on_body_readable;
        r_->write_event_handler = ngx_http_request_empty_handler;

    } else if (suspended_) {

        /* nginx has stopped to look at the client: it is all there */

        wait_for_client();
    }
}


/*
 * nginx reads on into a full buffer only when it is called again after we
 * took what is there: no event will tell of bytes that have come already
 */

ngx_int_t
exchange_t::read_on() noexcept
{
    size_t     before;
    ngx_int_t  rc;

    do {
        before = body_.size();

        rc = ngx_http_read_unbuffered_request_body(r_);

        if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
            return rc;
        }

        take_buffers();

    } while (body_state_ == reading && rc == NGX_AGAIN
             && body_.size() > before);

    if (body_state_ == reading && rc != NGX_AGAIN && !r_->reading_body) {
        body_state_ = complete;
    }

    return rc;
}


/* called before ngx_http_read_client_request_body() returns */

void
exchange_t::on_body(ngx_http_request_t *r) noexcept
{
    auto  *exchange = static_cast<exchange_t *>(
                          ngx_portal_get_context(r)->exchange);

    /* the reference we hold is our own */

    r->main->count--;

    exchange->take_buffers();

    if (exchange->body_state_ == reading && !r->reading_body) {
        exchange->body_state_ = complete;
    }
}


void
exchange_t::take_buffers() noexcept try
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    for (cl = r_->request_body ? r_->request_body->bufs : nullptr;
         cl != nullptr;
         cl = cl->next)
    {
        b = cl->buf;

        if (!ngx_buf_in_memory(b)) {

            /* an earlier reader put it into a file, which we do not open */

            if (ngx_buf_size(b) != 0) {
                body_state_ = too_large;
            }

            continue;
        }

        if (body_.size() + (b->last - b->pos) > body_limit_) {
            body_state_ = too_large;

        } else {
            body_.append(reinterpret_cast<char *>(b->pos), b->last - b->pos);
        }

        /* what others have read is theirs, too: a mirror sends it on */

        if (r_->request_body_no_buffering) {
            b->pos = b->last;
        }
    }

    if (r_->request_body && r_->request_body_no_buffering) {
        r_->request_body->bufs = nullptr;
    }

} catch (const std::bad_alloc &) {
    body_state_ = aborted;
    body_error_ = NGX_HTTP_INTERNAL_SERVER_ERROR;
}


void
exchange_t::on_body_readable(ngx_http_request_t *r) noexcept
{
    ngx_int_t          rc;
    ngx_connection_t  *c = r->connection;

    auto  *exchange = static_cast<exchange_t *>(
                          ngx_portal_get_context(r)->exchange);

    if (c->read->timedout) {
        c->timedout = 1;
        ngx_http_finalize_request(r, NGX_HTTP_REQUEST_TIME_OUT);
        ngx_http_run_posted_requests(c);
        return;
    }

    rc = exchange->read_on();

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        ngx_http_finalize_request(r, rc);
        ngx_http_run_posted_requests(c);
        return;
    }

    if (exchange->body_state_ == reading) {
        return;
    }

    exchange->wait_for_client();
    std::exchange(exchange->body_waiter_, {}).resume();
}


void
exchange_t::on_request_gone(void *data) noexcept
{
    delete static_cast<exchange_t *>(data);
}


}


static ngx_int_t
ngx_portal_begin(ngx_http_request_t *r, bool page) noexcept try
{
    exchange_t             *exchange;
    ngx_http_cleanup_t     *cln;
    ngx_portal_context_t   *ctx;
    ngx_portal_loc_conf_t  *plcf;

    if (ngx_portal_this_worker == nullptr) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    plcf = static_cast<ngx_portal_loc_conf_t *>(
               ngx_http_get_module_loc_conf(r, ngx_portal_module));

    ctx = ngx_portal_get_context(r);
    if (ctx == nullptr) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == nullptr) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    exchange = new exchange_t(r, cln);
    ctx->exchange = exchange;

    return exchange->start(plcf, page);

} catch (const std::exception &error) {
    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "portal: request could not be started: %s", error.what());
    return NGX_HTTP_INTERNAL_SERVER_ERROR;
}


ngx_int_t
ngx_portal_api_handler(ngx_http_request_t *r) noexcept
{
    return ngx_portal_begin(r, false);
}


ngx_int_t
ngx_portal_page_handler(ngx_http_request_t *r) noexcept
{
    return ngx_portal_begin(r, true);
}
