#include "helper/claims.h"

namespace portal::helper {

bool Claims::claim(std::uint64_t line, const Uuid& key, std::uint32_t limit) {
    std::uint64_t held = 0;
    auto found = holders_.find(key);
    if (found != holders_.end()) {
        for (const auto& [holder, count] : found->second) {
            held += count;
        }
    }
    if (held >= limit) {
        return false;
    }
    ++holders_[key][line];
    return true;
}

std::vector<std::uint64_t> Claims::take(std::uint64_t line, const Uuid& key) {
    std::vector<std::uint64_t> evicted;
    std::map<std::uint64_t, std::uint32_t>& holders = holders_[key];
    for (const auto& [holder, count] : holders) {
        evicted.push_back(holder);
    }
    holders = {{line, 1}};
    return evicted;
}

void Claims::release(std::uint64_t line, const Uuid& key) {
    auto found = holders_.find(key);
    if (found == holders_.end()) {
        return;
    }
    auto mine = found->second.find(line);
    if (mine != found->second.end() && --mine->second == 0) {
        found->second.erase(mine);
    }
    if (found->second.empty()) {
        holders_.erase(found);
    }
}

void Claims::remove(std::uint64_t line) {
    for (auto at = holders_.begin(); at != holders_.end();) {
        at->second.erase(line);
        at = at->second.empty() ? holders_.erase(at) : std::next(at);
    }
}

}  // namespace portal::helper
