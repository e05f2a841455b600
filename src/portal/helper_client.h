// HelperClient: a worker's (or portalctl's) line to this host's portal-helper, over its unix SEQPACKET socket.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "io/task.h"
#include "portal/uuid.h"

namespace portal {

// What the mail server said to "send this now and tell me".
struct SendOutcome {
    enum class Result {
        sent,       // accepted
        refused,    // refused for good: `reply` is the server's, cleaned of control characters
        deferred,   // not (yet) accepted: no answer in time, a temporary refusal, or no helper there
    };
    Result result = Result::deferred;
    std::string reply;
};

class HelperClient {
  public:
    virtual ~HelperClient() = default;
    // The helper's instance id while the line is up: the owner of leases for rows it is to send at once.
    virtual std::optional<Uuid> helper_id() const = 0;
    // Waits at most `milliseconds`; never throws. deferred at once when there is no line.
    virtual io::Task<SendOutcome> send_now(Uuid outbox_id, std::int64_t milliseconds) = 0;
};

}  // namespace portal
