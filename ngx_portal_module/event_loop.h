/*
 * io::Loop over nginx's events and timers, one per worker.
 */

#pragma once

#include "io/loop.h"
#include "ngx.hpp"


class ngx_portal_event_loop : public portal::io::Loop {

public:
    ngx_portal_event_loop() noexcept;
    ~ngx_portal_event_loop() override;

    std::int64_t now() const noexcept override;
    std::unique_ptr<portal::io::Watch> watch(int fd,
        portal::io::Watcher &watcher) override;
    std::unique_ptr<portal::io::Timer> timer(std::function<void()> fired,
        Hold hold) override;
    void post(portal::io::Posted &posted) noexcept override;
    bool stopping() const noexcept override;
    void log(portal::io::LogLevel level, const char *line) noexcept override;

private:
    static void run_posted(ngx_event_t *ev) noexcept;

    ngx_event_t              posted_;   /* its data is the loop */
    portal::io::PostedQueue  queue_;
};
