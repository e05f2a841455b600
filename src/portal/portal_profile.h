// What a portal tells whoever stands before it, and the person who is signed in
// (contract/customer-portal.md).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/failure.h"
#include "http/json.h"
#include "io/postgres.h"
#include "io/task.h"
#include "portal/principal.h"

namespace portal {

// {"workspace": …, "shares": []}, all that anyone may know of a workspace. Throws 404.
io::Task<http::Json> find_portal_workspace(io::Postgres& db, std::string slug);

// Of the caller's session: {"expires_at", "return_url"}.
io::Task<http::Json> find_session_state(io::Postgres& db, Principal caller);
// {type, name, email, customer_id, member_id, role} of the person who has it.
io::Task<http::Json> find_session_user(io::Postgres& db, Principal caller);

struct PortalCustomerChange {
    std::optional<std::string> billing_name;  // trimmed; "": none of its own
    http::Json billing_address;               // absent or an object

    // What is null or absent is kept. Throws every problem of the body.
    static PortalCustomerChange parse(std::string_view body,
                                      std::optional<std::string_view> content_type);
};

// CustomerPortalCustomer of the caller, a member's being its customer.
io::Task<http::Json> find_portal_customer(io::Postgres& db, Principal caller);
// Throws 403 for the role member.
io::Task<http::Json> change_portal_customer(io::Postgres& db, Principal caller,
                                            PortalCustomerChange change);

// 403 for the role member where owners and billing managers act. A customer's own session has no
// role.
http::Failure insufficient_role();

}  // namespace portal
