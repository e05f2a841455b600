// Member: a person inside a customer, in workspaces with the member model.
#pragma once

#include "http/json.h"
#include "io/postgres.h"

// What member_json() and portal_member_json() read, of the members row called `alias`; prefix member_.
#define PORTAL_MEMBER_COLUMNS(alias)                                                              \
    alias ".id AS member_id, "                                                                    \
    "portal.rfc3339(" alias ".created_at) AS member_created_at, "                                 \
    "portal.rfc3339(" alias ".modified_at) AS member_modified_at, "                               \
    alias ".workspace_id AS member_workspace_id, " alias ".customer_id AS member_customer_id, "   \
    alias ".external_id AS member_external_id, " alias ".email AS member_email, "                 \
    alias ".name AS member_name, " alias ".role AS member_role"

namespace portal {

// The table's columns: what integrators see (/api/members/, `member` of POST /api/member-sessions/).
http::Json member_json(const io::Row& row);

// CustomerPortalMember {id, created_at, modified_at, email, name, role}: what the customer's own people see.
http::Json portal_member_json(const io::Row& row);

}  // namespace portal
