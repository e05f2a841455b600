// Claims: keys that are held a limited number of times by all lines together (streams of one session), or by one alone
// (a stream ticket). A line is one dialled connection, by its number in the Server; it may hold a key several times.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "portal/uuid.h"

namespace portal::helper {

class Claims {
  public:
    // False: held `limit` times already.
    bool claim(std::uint64_t line, const Uuid& key, std::uint32_t limit);
    // For `line` alone. Returns the lines that have lost it, `line` itself included; they need not release it.
    std::vector<std::uint64_t> take(std::uint64_t line, const Uuid& key);
    // Once. What is not held is passed over.
    void release(std::uint64_t line, const Uuid& key);
    void remove(std::uint64_t line);   // with all it holds

  private:
    std::map<Uuid, std::map<std::uint64_t, std::uint32_t>> holders_;   // key, line, how often
};

}  // namespace portal::helper
