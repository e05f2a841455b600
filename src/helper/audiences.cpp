#include "helper/audiences.h"

#include <algorithm>

namespace portal::helper {

std::string Audiences::key(const Uuid& workspace, std::string_view audience) {
    std::string key(reinterpret_cast<const char*>(workspace.bytes.data()), workspace.bytes.size());
    key += audience;
    return key;
}

void Audiences::add(std::uint64_t line, const Uuid& workspace, std::string_view audience) {
    const std::string both = key(workspace, audience);
    of_line_[line].insert(both);
    listeners_[both].insert(line);
}

void Audiences::remove(std::uint64_t line, const Uuid& workspace, std::string_view audience) {
    auto mine = of_line_.find(line);
    const std::string both = key(workspace, audience);
    if (mine != of_line_.end() && mine->second.erase(both) > 0) {
        forget(line, both);
    }
}

void Audiences::remove(std::uint64_t line) {
    auto mine = of_line_.find(line);
    if (mine == of_line_.end()) {
        return;
    }
    for (const std::string& both : mine->second) {
        forget(line, both);
    }
    of_line_.erase(mine);
}

void Audiences::forget(std::uint64_t line, const std::string& key) {
    auto found = listeners_.find(key);
    found->second.erase(line);
    if (found->second.empty()) {
        listeners_.erase(found);
    }
}

std::map<std::uint64_t, std::vector<std::string_view>> Audiences::listeners(const Uuid& workspace,
                                                                            std::string_view audiences) const {
    std::map<std::uint64_t, std::vector<std::string_view>> lines;
    while (!audiences.empty()) {
        const std::string_view one = audiences.substr(0, audiences.find(' '));
        audiences.remove_prefix(std::min(one.size() + 1, audiences.size()));
        auto found = listeners_.find(key(workspace, one));
        if (found != listeners_.end()) {
            for (std::uint64_t line : found->second) {
                lines[line].push_back(one);
            }
        }
    }
    return lines;
}

}  // namespace portal::helper
