// Audiences: which line listens to whose events. A line is one dialled connection, by its number in the Server.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "portal/uuid.h"

namespace portal::helper {

class Audiences {
  public:
    bool empty() const { return listeners_.empty(); }

    void add(std::uint64_t line, const Uuid& workspace, std::string_view audience);
    void remove(std::uint64_t line, const Uuid& workspace, std::string_view audience);
    void remove(std::uint64_t line);   // with all it listens to

    // The lines that listen to any of `audiences` (separated by spaces), each with those it listens to.
    std::map<std::uint64_t, std::vector<std::string_view>> listeners(const Uuid& workspace,
                                                                     std::string_view audiences) const;

  private:
    static std::string key(const Uuid& workspace, std::string_view audience);
    void forget(std::uint64_t line, const std::string& key);

    std::unordered_map<std::string, std::set<std::uint64_t>> listeners_;
    std::map<std::uint64_t, std::set<std::string>> of_line_;
};

}  // namespace portal::helper
