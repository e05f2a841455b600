#include "io/task.h"

#include <new>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PORTAL_PLAIN_FRAMES 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define PORTAL_PLAIN_FRAMES 1
#endif

namespace portal::io {

#ifdef PORTAL_PLAIN_FRAMES

// AddressSanitizer is to see each frame's birth and death.
void* frame_allocate(std::size_t size) { return ::operator new(size); }
void frame_free(void* frame, std::size_t size) noexcept { ::operator delete(frame, size); }

#else

namespace {

constexpr std::size_t step = 64;
constexpr std::size_t largest = 4096;
constexpr unsigned kept = 256;   // frames per class; a burst's rest goes back to malloc

struct Free {
    Free* next;
};
struct Class {
    Free* first;
    unsigned count;
};

// Trivial, so that it needs no destructor at thread exit: nginx may have unloaded the module by then.
thread_local Class classes[largest / step];

}  // namespace

void* frame_allocate(std::size_t size) {
    if (size > largest) {
        return ::operator new(size);
    }
    std::size_t index = (size - 1) / step;
    Class& list = classes[index];
    if (Free* frame = list.first) {
        list.first = frame->next;
        --list.count;
        return frame;
    }
    return ::operator new((index + 1) * step);
}

void frame_free(void* frame, std::size_t size) noexcept {
    if (size > largest) {
        ::operator delete(frame);
        return;
    }
    Class& list = classes[(size - 1) / step];
    if (list.count == kept) {
        ::operator delete(frame);
        return;
    }
    list.first = new (frame) Free{list.first};
    ++list.count;
}

#endif

}  // namespace portal::io
