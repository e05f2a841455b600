/*
 * This worker's event streams: http::StreamBody <-> a client's connection.
 *
 * Over HTTP/1.x a stream takes the connection over from its request, as
 * keep-alive does: an open request holds some 8 kB, a connection without one
 * half of one.  Every other stream (HTTP/2, buffered input ...) keeps it.
 */

#pragma once

#include "ngx.hpp"

#include <memory>

#include "http/stream.h"
#include "io/loop.h"


class ngx_portal_stream;


/* what tells the streams that keep their requests of a shutdown */

class ngx_portal_streams : private portal::io::Watcher {

public:
    explicit ngx_portal_streams(portal::io::Loop &loop);
    ~ngx_portal_streams();
    ngx_portal_streams(const ngx_portal_streams &) = delete;

    /*
     * The headers are sent and flushed, and the caller's reference to the
     * main request is now the stream's.  Starts the body from a later event.
     */
    void begin(ngx_http_request_t *r,
        std::unique_ptr<portal::http::StreamBody> body);

private:
    friend class ngx_portal_stream;

    void on_ready(bool readable, bool writable) noexcept override;
    void on_shutdown() noexcept override;

    portal::io::Loop                   &loop_;
    ngx_queue_t                         with_request_;
    int                                 fd_;
    std::unique_ptr<portal::io::Watch>  watch_;   /* idle, and never ready */
    std::unique_ptr<portal::io::Timer>  turn_;    /* of the event loop */
};
