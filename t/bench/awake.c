/*
 * Keeps wrk awake (LD_PRELOAD): it asks for events again and again instead of sleeping until there are some.
 *
 * Who writes to a sleeping process on another core pays for waking it, several microseconds in a virtual machine. At
 * 100,000 answers a second wrk never sleeps, at 50,000 it does after each, so the slower of two subjects would be
 * charged for being slower. Clients elsewhere have no such effect.
 */
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout)
{
    int count = (int) syscall(SYS_epoll_wait, epoll, events, most, 0);

    (void) timeout;

    /* some microseconds without touching what the writer is about to touch */
    for (int turn = 0; count == 0 && turn < 10000; turn++) {
        __asm__ volatile("" : : : "memory");
    }

    return count;
}
