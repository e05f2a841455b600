// EventFeed: where a worker's live events come from, and where streams are counted for all workers of a host.
// portal-helper is at its other end; HelperLink is the line to it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "io/task.h"
#include "portal/uuid.h"

namespace portal {

// What the feed tells. Called from the loop, never from inside a call to the feed.
class EventListener {
  public:
    // Once, whoever of the listened audiences sees it. `text`: as event_frame() makes it.
    virtual void on_event(const Uuid& workspace, std::int64_t number, const std::vector<std::string_view>& audiences,
                          std::string_view text) = 0;
    // Events of the workspace (nil: of any) may be missing; they are in PostgreSQL.
    virtual void on_gap(const Uuid& workspace) = 0;
    // A key claimed exclusively is another's now.
    virtual void on_evict(const Uuid& key) = 0;
    // The line is up (again) and knows of no audience and no claim.
    virtual void on_line() = 0;

  protected:
    ~EventListener() = default;
};

class EventFeed {
  public:
    virtual ~EventFeed() = default;
    // One listener, which outlives the feed or takes itself away with nullptr.
    virtual void hear(EventListener* listener) noexcept = 0;

    // Waits until every event from here on is sent. false: there is no line; on_line() will come.
    virtual io::Task<bool> listen(Uuid workspace, std::string audience) = 0;
    virtual void unlisten(const Uuid& workspace, std::string_view audience) = 0;

    enum class Claim { granted, refused, unknown };   // unknown: there is no line
    // One more holder of the key, up to `limit` on this host; 0: the only one, whoever held it.
    virtual io::Task<Claim> claim(Uuid key, std::uint32_t limit) = 0;
    virtual void release(const Uuid& key) = 0;
};

}  // namespace portal
