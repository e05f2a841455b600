#include "streams.h"

#include <system_error>

#include <netinet/tcp.h>
#include <sys/eventfd.h>

#include "context.h"
#include "worker.h"


static constexpr size_t        most_input = 4096;    /* bytes, then closed */
static constexpr size_t        most_rest = 65536;    /* bytes, at the end */
static constexpr unsigned int  user_timeout = 60000; /* ms unacknowledged */


class ngx_portal_stream final : public portal::http::StreamSink,
                                private portal::io::Posted,
                                private ngx_portal_live
{

public:
    ngx_portal_stream(ngx_portal_streams &streams, ngx_http_request_t *r,
        std::unique_ptr<portal::http::StreamBody> body);
    ~ngx_portal_stream() override;

    void start() noexcept;
    void shutdown() noexcept;

    bool send(portal::http::SharedText text) noexcept override;
    void end() noexcept override;

private:
    void run() noexcept override;
    void cancel() noexcept override;

    void await_headers() noexcept;
    bool may_take_over() const noexcept;
    void take_over() noexcept;
    static void free_header_buffers(ngx_connection_t *c,
        ngx_http_connection_t *hc) noexcept;

    bool flush() noexcept;
    bool flush_connection() noexcept;
    bool flush_request() noexcept;
    void drained() noexcept;
    bool fail(const char *why) noexcept;
    void close() noexcept;

    static void on_read(ngx_event_t *rev) noexcept;
    static void on_write(ngx_event_t *wev) noexcept;
    static void on_request_write(ngx_http_request_t *r) noexcept;
    static void on_request_gone(void *data) noexcept;

    struct link_t {
        ngx_queue_t         queue;
        ngx_portal_stream  *owner;
    };
    friend class ngx_portal_streams;

    ngx_portal_streams                         &streams_;
    std::unique_ptr<portal::http::StreamBody>   body_;
    ngx_connection_t                           *connection_;
    ngx_http_request_t                         *request_;   /* until taken over */
    ngx_http_cleanup_t                         *cleanup_ = nullptr;
    ngx_chain_t                                *free_ = nullptr;
    ngx_chain_t                                *busy_ = nullptr;
    portal::http::SharedText                    text_;      /* being sent */
    size_t                                      sent_ = 0;  /* of it */
    const char                                 *why_ = nullptr;   /* it ends */
    time_t                                      since_;
    uint16_t                                    input_ = 0;  /* discarded */
    bool                                        chunked_ = false;
    bool                                        started_ = false;
    link_t                                      link_;      /* with a request */
};


ngx_portal_streams::ngx_portal_streams(portal::io::Loop &loop)
    : loop_(loop), fd_(eventfd(0, EFD_NONBLOCK|EFD_CLOEXEC))
{
    ngx_queue_init(&with_request_);

    if (fd_ == -1) {
        throw std::system_error(errno, std::generic_category(), "eventfd");
    }

    watch_ = loop.watch(fd_, *this);

    if (watch_ == nullptr) {
        ::close(fd_);
        throw std::runtime_error("no connection slot left");
    }

    watch_->idle(true);

    turn_ = loop.timer([] {}, portal::io::Loop::Hold::process);
}


ngx_portal_streams::~ngx_portal_streams()
{
    watch_.reset();

    if (fd_ != -1) {
        ::close(fd_);
    }
}


void
ngx_portal_streams::on_ready(bool, bool) noexcept
{
}


void
ngx_portal_streams::on_shutdown() noexcept
{
    /* an HTTP/2 connection goes by an event posted when its last stream ends:
       without a timer the worker would be gone before */

    if (!ngx_queue_empty(&with_request_)) {
        turn_->set(1);
    }

    while (!ngx_queue_empty(&with_request_)) {
        ngx_queue_t  *q = ngx_queue_head(&with_request_);

        auto  *link = ngx_queue_data(q, ngx_portal_stream::link_t, queue);

        link->owner->shutdown();
    }

    watch_.reset();
    ::close(std::exchange(fd_, -1));
}


void
ngx_portal_streams::begin(ngx_http_request_t *r,
    std::unique_ptr<portal::http::StreamBody> body)
{
    auto  *stream = new ngx_portal_stream(*this, r, std::move(body));

    stream->start();
}


ngx_portal_stream::ngx_portal_stream(ngx_portal_streams &streams,
    ngx_http_request_t *r, std::unique_ptr<portal::http::StreamBody> body)
    : streams_(streams), body_(std::move(body)), connection_(r->connection),
      request_(r), since_(ngx_time())
{
    link_.owner = this;
    ngx_queue_insert_tail(&streams.with_request_, &link_.queue);
}


ngx_portal_stream::~ngx_portal_stream()
{
    ngx_queue_remove(&link_.queue);
}


void
ngx_portal_stream::start() noexcept
{
    ngx_http_request_t  *r = request_;

    cleanup_ = ngx_http_cleanup_add(r, 0);

    if (cleanup_ == nullptr) {
        fail("out of memory");
        return;
    }

    cleanup_->handler = on_request_gone;
    cleanup_->data = this;

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = on_request_write;
    ngx_portal_get_context(r)->stream = this;

    streams_.loop_.post(*this);
}


/* later in the turn that sent the headers, or when the last text is out */

void
ngx_portal_stream::run() noexcept
{
    if (why_ != nullptr) {
        close();
        return;
    }

    if (started_) {
        return;
    }

    if (streams_.fd_ == -1) {

        /* opened by a request that outlasted on_shutdown() */

        if (!request_->buffered && !connection_->buffered) {
            started_ = true;
            body_->start(*this);
        }

        shutdown();
        return;
    }

    if (request_->buffered || connection_->buffered) {
        await_headers();
        return;
    }

    if (connection_->write->timer_set) {
        ngx_del_timer(connection_->write);
    }

    if (may_take_over()) {
        take_over();
    }

    started_ = true;
    body_->start(*this);
}


/* on_request_write() goes on when they are out */

void
ngx_portal_stream::await_headers() noexcept
{
    ngx_event_t               *wev = connection_->write;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = static_cast<ngx_http_core_loc_conf_t *>(
               ngx_http_get_module_loc_conf(request_, ngx_http_core_module));

    if (!wev->timer_set) {
        ngx_add_timer(wev, clcf->send_timeout);
    }

    if (ngx_handle_write_event(wev, clcf->send_lowat) != NGX_OK) {
        fail("out of memory");
    }
}


/* only what keep-alive could do, too */

bool
ngx_portal_stream::may_take_over() const noexcept
{
    ngx_http_request_t  *r = request_;

    return r == r->main
#if (NGX_HTTP_V2)
           && r->stream == nullptr
#endif
           && r->http_version >= NGX_HTTP_VERSION_10
           && r->headers_in.content_length_n <= 0
           && !r->headers_in.chunked
           && r->header_in->pos == r->header_in->last
           && r->headers_out.content_encoding == nullptr
           && r->headers_out.trailers.part.nelts == 0
           && r->count == 1
           && r->posted_requests == nullptr
           && r->postponed == nullptr
           && !connection_->error
           && !ngx_exiting;
}


void
ngx_portal_stream::take_over() noexcept
{
    ngx_connection_t       *c = connection_;
    ngx_http_request_t     *r = request_;
    ngx_http_connection_t  *hc = r->http_connection;

    chunked_ = r->chunked;

    cleanup_->data = nullptr;
    request_ = nullptr;
    ngx_queue_remove(&link_.queue);
    ngx_queue_init(&link_.queue);

    /* the access log line is written here, from what lies in the buffers */

    ngx_http_free_request(r, 0);

    c->destroyed = 0;

    free_header_buffers(c, hc);

    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

#if (NGX_HTTP_SSL)

    if (c->ssl) {
        ngx_ssl_free_buffer(c);
        c->ssl->buffer = 0;
    }

#endif

#ifdef TCP_USER_TIMEOUT

    /* fails on a unix socket, which needs none */

    (void) setsockopt(c->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout,
                      sizeof(user_timeout));

#endif

    c->data = this;
    c->read->handler = on_read;
    c->write->handler = on_write;
    c->log->action = const_cast<char *>("streaming events");
    c->idle = 1;

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        fail("out of memory");
        return;
    }

    if (c->read->ready && !c->read->posted) {
        ngx_post_event(c->read, &ngx_posted_events);
    }
}


void
ngx_portal_stream::free_header_buffers(ngx_connection_t *c,
    ngx_http_connection_t *hc) noexcept
{
    ngx_buf_t    *b = c->buffer;
    ngx_chain_t  *cl, *next;

    if (b != nullptr && ngx_pfree(c->pool, b->start) == NGX_OK) {
        b->start = b->pos = b->last = b->end = nullptr;
    }

    for (ngx_chain_t **chain : { &hc->free, &hc->busy }) {

        for (cl = *chain; cl != nullptr; cl = next) {
            next = cl->next;
            (void) ngx_pfree(c->pool, cl->buf->start);
            ngx_free_chain(c->pool, cl);
        }

        *chain = nullptr;
    }

    hc->nbusy = 0;
}


bool
ngx_portal_stream::send(portal::http::SharedText text) noexcept
{
    if (why_ != nullptr) {
        return false;
    }

    text_ = std::move(text);
    sent_ = 0;

    return flush();
}


void
ngx_portal_stream::end() noexcept
{
    if (why_ == nullptr) {
        why_ = "ended";
    }

    streams_.loop_.post(*this);
}


/* false: the text waits, or the stream fails */

bool
ngx_portal_stream::flush() noexcept
{
    if (request_ != nullptr ? flush_request() : flush_connection()) {
        text_.reset();
        return true;
    }

    return false;
}


bool
ngx_portal_stream::flush_connection() noexcept
{
    ssize_t            n;
    std::string_view   text = chunked_ ? text_->chunk() : text_->plain();
    ngx_connection_t  *c = connection_;

    while (sent_ < text.size()) {

        n = c->send(c, ngx_portal_str(text).data + sent_,
                    text.size() - sent_);

        if (n == NGX_AGAIN) {

            if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
                return fail("out of memory");
            }

            return false;
        }

        if (n <= 0) {
            return fail("client is gone");
        }

        sent_ += n;
    }

    return true;
}


/* the filters are given one text at a time, which stays until it is out */

bool
ngx_portal_stream::flush_request() noexcept
{
    ngx_int_t            rc;
    ngx_buf_t           *b;
    ngx_chain_t         *out = nullptr;
    std::string_view     text = text_->plain();
    ngx_http_request_t  *r = request_;

    if (sent_ == 0) {
        out = ngx_chain_get_free_buf(r->pool, &free_);
        if (out == nullptr) {
            return fail("out of memory");
        }

        b = out->buf;

        b->pos = ngx_portal_str(text).data;
        b->last = b->pos + text.size();
        b->memory = 1;
        b->flush = 1;
        b->tag = (ngx_buf_tag_t) &ngx_portal_module;

        sent_ = text.size();
    }

    rc = ngx_http_output_filter(r, out);

    ngx_chain_update_chains(r->pool, &free_, &busy_, &out,
                            (ngx_buf_tag_t) &ngx_portal_module);

    if (rc == NGX_ERROR) {
        return fail("client is gone");
    }

    if (busy_ == nullptr && !r->buffered && !connection_->buffered) {
        return true;
    }

#if (NGX_HTTP_V2)

    if (r->stream != nullptr) {
        return false;
    }

#endif

    if (ngx_handle_write_event(connection_->write, 0) != NGX_OK) {
        return fail("out of memory");
    }

    return false;
}


void
ngx_portal_stream::drained() noexcept
{
    if (why_ != nullptr) {
        return;
    }

    if (!started_) {
        streams_.loop_.post(*this);
        return;
    }

    if (text_ != nullptr && flush()) {
        body_->drained();
    }
}


/* noted only: whoever sends is in the middle of something */

bool
ngx_portal_stream::fail(const char *why) noexcept
{
    why_ = why;
    streams_.loop_.post(*this);

    return false;
}


/* nginx is going down: no later event is sure to come */

void
ngx_portal_stream::shutdown() noexcept
{
    if (started_ && why_ == nullptr) {
        body_->shutdown();
    }

    why_ = "shutting down";
    close();
}


/* sends the end where it can be sent, and destroys this */

void
ngx_portal_stream::close() noexcept
{
    static u_char  last[] = "0" CRLF CRLF;

    u_char               rest[4096];
    size_t               drained = 0;
    ssize_t              n;
    ngx_int_t            rc;
    ngx_connection_t    *c = connection_;
    ngx_http_request_t  *r = request_;

    bool  whole = text_ == nullptr && !c->error;

    ngx_log_error(NGX_LOG_INFO, c->log, 0,
                  "portal: event stream closed after %T s, %O bytes: %s",
                  ngx_time() - since_, c->sent, why_);

    if (r == nullptr) {

        if (whole && chunked_) {
            (void) c->send(c, last, sizeof(last) - 1);
        }

        /* unread input would make the kernel reset the connection; whoever
           sends more than this may well see that */

        while (whole && drained < most_rest && !c->read->error) {
            n = c->recv(c, rest, sizeof(rest));

            if (n <= 0) {
                break;
            }

            drained += n;
        }

        delete this;
        ngx_http_close_connection(c);
        return;
    }

    if (cleanup_ != nullptr) {
        cleanup_->data = nullptr;
    }

    delete this;

    r->write_event_handler = ngx_http_request_empty_handler;

    rc = whole ? ngx_http_send_special(r, NGX_HTTP_LAST) : NGX_ERROR;

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


/* the worker is going down in a hurry: what the body refers to goes first */

void
ngx_portal_stream::cancel() noexcept
{
    body_.reset();
}


void
ngx_portal_stream::on_read(ngx_event_t *rev) noexcept
{
    u_char    input[512];
    ssize_t   n;

    auto  *c = static_cast<ngx_connection_t *>(rev->data);
    auto  *stream = static_cast<ngx_portal_stream *>(c->data);

    if (c->close) {
        stream->shutdown();
        return;
    }

    for ( ;; ) {
        n = c->recv(c, input, sizeof(input));

        if (n == NGX_AGAIN) {
            break;
        }

        if (n <= 0) {
            c->error = 1;
            stream->why_ = "client closed the connection";
            stream->close();
            return;
        }

        stream->input_ += (uint16_t) n;

        if (stream->input_ > most_input) {
            stream->why_ = "client sends on";
            stream->close();
            return;
        }
    }

    if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        stream->why_ = "out of memory";
        stream->close();
    }
}


void
ngx_portal_stream::on_write(ngx_event_t *wev) noexcept
{
    auto  *c = static_cast<ngx_connection_t *>(wev->data);

    static_cast<ngx_portal_stream *>(c->data)->drained();
}


void
ngx_portal_stream::on_request_write(ngx_http_request_t *r) noexcept
{
    auto  *stream = static_cast<ngx_portal_stream *>(
                        ngx_portal_get_context(r)->stream);

    if (!stream->started_) {

        /* the headers are still on their way */

        if (r->connection->write->timedout) {
            r->connection->timedout = 1;
            stream->fail("client is too slow");
            return;
        }

        if (ngx_http_output_filter(r, nullptr) == NGX_ERROR) {
            stream->fail("client is gone");
            return;
        }
    }

    stream->drained();
}


/* by the client, or by nginx: nothing is to be sent any more */

void
ngx_portal_stream::on_request_gone(void *data) noexcept
{
    delete static_cast<ngx_portal_stream *>(data);
}
