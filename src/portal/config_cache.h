// ConfigCache: rendered answers of GET /api/v1/client-portal/config, by workspace, in the shared zone.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "portal/uuid.h"

namespace portal {

struct RenderedConfig {
    std::string body;   // {"data":{...}}
    std::string etag;   // quoted; that of two equal bodies is the same
};
// Null: there is none. Many answers share one.
using CachedConfig = std::shared_ptr<const RenderedConfig>;

class ConfigCache {
  public:
    virtual ~ConfigCache() = default;
    // A fresh entry; with `stale` also one that could not be refreshed (PostgreSQL gone), within portal_stale.
    virtual CachedConfig find(const Uuid& workspace, bool stale) = 0;
    // Read before the query is sent, handed to store(): a change in between makes the entry count as old.
    virtual std::uint64_t generation() = 0;
    virtual void store(const Uuid& workspace, CachedConfig config, std::uint64_t generation) = 0;
    // Something about these rows changed here and now: entries resting on them are read again, on this node at once.
    // Ids of tokens, sessions, customers, members, workspaces; a contact or company by addressee_bump_id().
    virtual void bump(const Uuid& id) = 0;
};

}  // namespace portal
