// Customer and member sessions: a browser's hour at a portal.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "http/json.h"
#include "io/task.h"
#include "portal/idempotency.h"
#include "portal/principal.h"
#include "portal/services.h"
#include "portal/uuid.h"

namespace portal {

struct CustomerSessionInput {
    std::optional<Uuid> customer_id;
    std::optional<std::string> external_customer_id;   // wins when both are sent
    std::string external_customer_field;               // the name it was sent under
    std::optional<std::string> return_url;
    std::optional<Uuid> member_id;
    std::optional<std::string> external_member_id;
    std::int64_t expires_in = 3600;                    // seconds

    // Throws every problem of the body.
    static CustomerSessionInput parse(std::string_view body, std::optional<std::string_view> content_type);
};

struct MemberSessionInput {
    Uuid member_id;
    std::optional<std::string> return_url;
    std::int64_t expires_in = 3600;

    static MemberSessionInput parse(std::string_view body, std::optional<std::string_view> content_type);
};

// The object of POST /api/customer-sessions/, its token included: the only time it is shown (but to the same
// Idempotency-Key). Throws 422 for customers, members and return hosts that are none of the workspace's.
io::Task<http::JsonText> create_customer_session(Services& portal, const Principal& caller, CustomerSessionInput input,
                                                 IdempotencyKey key);
// Likewise of POST /api/member-sessions/. Throws 403 when the workspace has no member model.
io::Task<http::JsonText> create_member_session(Services& portal, const Principal& caller, MemberSessionInput input,
                                               IdempotencyKey key);

// Revokes a customer's or member's session. Throws 404.
io::Task<void> revoke_session(Services& portal, const Principal& caller, Uuid id);
// Revokes all living sessions of a customer and of its members; how many there were.
io::Task<std::int64_t> revoke_customer_sessions(Services& portal, const Principal& caller, Uuid customer_id);

}  // namespace portal
