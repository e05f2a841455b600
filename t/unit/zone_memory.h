// Memory for a zone in a test: zeroed pages, as nginx's shared memory is.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "portal/zone.h"

namespace portal::test {

struct FreeMemory {
    void operator()(char* memory) const { std::free(memory); }
};
using ZoneMemory = std::unique_ptr<char, FreeMemory>;

inline ZoneMemory zone_memory(std::size_t size = Zone::minimum) {
    ZoneMemory memory(static_cast<char*>(std::aligned_alloc(4096, size)));
    std::memset(memory.get(), 0, size);
    Zone::format(memory.get(), size);
    return memory;
}

}  // namespace portal::test
