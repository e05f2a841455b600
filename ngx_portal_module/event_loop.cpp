#include "event_loop.h"


namespace {


/*
 * In a debug build of nginx every timer call reads ((ngx_connection_t *)
 * ev->data)->fd, so "data" has to be a connection, if only this one.
 */

ngx_connection_t *
dumb_connection() noexcept
{
    static ngx_connection_t  dumb = [] {
        ngx_connection_t  c{};
        c.fd = (ngx_socket_t) -1;
        return c;
    }();

    return &dumb;
}


class watch_t : public portal::io::Watch {

public:
    watch_t(ngx_connection_t *c, portal::io::Watcher &watcher) noexcept
        : connection_(c), watcher_(watcher)
    {
        c->data = this;
        c->log = ngx_cycle->log;
        c->read->log = ngx_cycle->log;
        c->write->log = ngx_cycle->log;
        c->read->handler = on_event;
        c->write->handler = on_event;
    }

    ~watch_t() override
    {
        ngx_connection_t  *c = connection_;

        want(false, false);

        if (c->read->posted) {
            ngx_delete_posted_event(c->read);
        }

        if (c->write->posted) {
            ngx_delete_posted_event(c->write);
        }

        /* the descriptor stays its owner's: no ngx_close_connection() */

        c->read->closed = 1;
        c->write->closed = 1;
        c->idle = 0;

        ngx_free_connection(c);
        c->fd = (ngx_socket_t) -1;
    }

    /* level-triggered: libpq and hiredis read once per call */

    void want(bool read, bool write) noexcept override
    {
        set(connection_->read, NGX_READ_EVENT, read);
        set(connection_->write, NGX_WRITE_EVENT, write);
    }

    void idle(bool idle) noexcept override
    {
        connection_->idle = idle;
    }

    /* epoll has dropped it: only the flags are left to be cleared */

    void lost() noexcept override
    {
        if (connection_->read->active) {
            (void) ngx_del_event(connection_->read, NGX_READ_EVENT,
                                 NGX_CLOSE_EVENT);
        }

        if (connection_->write->active) {
            (void) ngx_del_event(connection_->write, NGX_WRITE_EVENT,
                                 NGX_CLOSE_EVENT);
        }
    }

private:
    static void set(ngx_event_t *ev, ngx_int_t kind, bool wanted) noexcept
    {
        if (wanted && !ev->active) {
            (void) ngx_add_event(ev, kind, 0);

        } else if (!wanted && ev->active) {
            (void) ngx_del_event(ev, kind, 0);
        }
    }

    static void on_event(ngx_event_t *ev) noexcept
    {
        auto  *c = static_cast<ngx_connection_t *>(ev->data);
        auto  *watch = static_cast<watch_t *>(c->data);

        if (c->close) {
            watch->watcher_.on_shutdown();
            return;
        }

        watch->watcher_.on_ready(!ev->write, ev->write);
    }

    ngx_connection_t     *connection_;
    portal::io::Watcher  &watcher_;
};


class event_timer_t : public portal::io::Timer {

public:
    event_timer_t(std::function<void()> fired, bool cancelable)
        : slot_(), fired_(std::move(fired))
    {
        slot_.event.data = dumb_connection();
        slot_.event.handler = on_timer;
        slot_.event.log = ngx_cycle->log;
        slot_.event.cancelable = cancelable;
        slot_.owner = this;
    }

    ~event_timer_t() override
    {
        cancel();
    }

    void set(std::int64_t milliseconds) noexcept override
    {
        cancel();
        ngx_add_timer(&slot_.event,
                      (ngx_msec_t) (milliseconds < 0 ? 0 : milliseconds));
    }

    void cancel() noexcept override
    {
        if (slot_.event.timer_set) {
            ngx_del_timer(&slot_.event);
        }
    }

private:
    struct slot_t {
        ngx_event_t     event;   /* first: the handler is given its address */
        event_timer_t  *owner;
    };

    static void on_timer(ngx_event_t *ev) noexcept
    {
        reinterpret_cast<slot_t *>(ev)->owner->fired_();
    }

    slot_t                 slot_;
    std::function<void()>  fired_;
};


ngx_uint_t
log_level(portal::io::LogLevel level) noexcept
{
    switch (level) {
    case portal::io::LogLevel::error:    return NGX_LOG_ERR;
    case portal::io::LogLevel::warning:  return NGX_LOG_WARN;
    case portal::io::LogLevel::notice:   return NGX_LOG_NOTICE;
    case portal::io::LogLevel::info:     return NGX_LOG_INFO;
    case portal::io::LogLevel::debug:    return NGX_LOG_DEBUG;
    }

    return NGX_LOG_ERR;
}


}


ngx_portal_event_loop::ngx_portal_event_loop() noexcept
    : posted_()
{
    posted_.data = this;
    posted_.handler = run_posted;
    posted_.log = ngx_cycle->log;
}


ngx_portal_event_loop::~ngx_portal_event_loop()
{
    if (posted_.posted) {
        ngx_delete_posted_event(&posted_);
    }
}


std::int64_t
ngx_portal_event_loop::now() const noexcept
{
    return (std::int64_t) ngx_current_msec;
}


std::unique_ptr<portal::io::Watch>
ngx_portal_event_loop::watch(int fd, portal::io::Watcher &watcher)
{
    ngx_connection_t  *c;

    c = ngx_get_connection(fd, ngx_cycle->log);
    if (c == nullptr) {
        return nullptr;
    }

    return std::make_unique<watch_t>(c, watcher);
}


std::unique_ptr<portal::io::Timer>
ngx_portal_event_loop::timer(std::function<void()> fired, Hold hold)
{
    return std::make_unique<event_timer_t>(std::move(fired),
                                           hold == Hold::nothing);
}


void
ngx_portal_event_loop::post(portal::io::Posted &posted) noexcept
{
    queue_.push(posted);

    if (!posted_.posted) {
        ngx_post_event(&posted_, &ngx_posted_events);
    }
}


void
ngx_portal_event_loop::run_posted(ngx_event_t *ev) noexcept
{
    static_cast<ngx_portal_event_loop *>(ev->data)->queue_.run_all();
}


bool
ngx_portal_event_loop::stopping() const noexcept
{
    return ngx_exiting || ngx_terminate || ngx_quit;
}


void
ngx_portal_event_loop::log(portal::io::LogLevel level, const char *line)
    noexcept
{
    ngx_log_error(log_level(level), ngx_cycle->log, 0, "%s", line);
}
