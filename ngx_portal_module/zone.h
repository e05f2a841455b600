/*
 * The shared memory zone of portal_zone: nginx's memory and lock under
 * portal::Zone's tables.
 */

#pragma once

#include "ngx.hpp"
#include "portal/zone.h"


/* of the zone; the lock is the slab pool's, which nginx recovers when a
 * worker dies holding it */

class ngx_portal_zone_lock : public portal::ZoneLock {

public:
    explicit ngx_portal_zone_lock(ngx_shmtx_t &mutex) noexcept
        : mutex_(mutex)
    {
    }

    void lock() noexcept override
    {
        ngx_shmtx_lock(&mutex_);
    }

    void unlock() noexcept override
    {
        ngx_shmtx_unlock(&mutex_);
    }

private:
    ngx_shmtx_t  &mutex_;
};


char *ngx_portal_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
    noexcept;

/* the tables' memory in a zone that is mapped */
void *ngx_portal_zone_memory(ngx_shm_zone_t *zone) noexcept;
