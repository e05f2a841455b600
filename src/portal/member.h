// Member: a person inside a customer, in workspaces with the member model.
#pragma once

#include <optional>
#include <string>

#include "http/failure.h"
#include "http/json.h"
#include "io/postgres.h"
#include "io/task.h"
#include "portal/idempotency.h"
#include "portal/page.h"

// What member_json() and portal_member_json() read, of the members row called `alias`; prefix member_.
#define PORTAL_MEMBER_COLUMNS(alias)                                                            \
    alias ".id AS member_id, "                                                                  \
    "portal.time_text(" alias ".created_at) AS member_created_at, "                             \
    "portal.time_text(" alias ".modified_at) AS member_modified_at, "                           \
    alias ".workspace_id AS member_workspace_id, " alias ".customer_id AS member_customer_id, " \
    alias ".external_id AS member_external_id, " alias ".email AS member_email, "               \
    alias ".name AS member_name, " alias ".role AS member_role"

namespace portal {

// The table's columns: what integrators see (/api/members/, `member` of POST /api/member-sessions/).
http::Json member_json(const io::Row& row);
void write_member(http::JsonText& member, const io::Row& row);

// CustomerPortalMember {id, created_at, modified_at, email, name, role}: what the customer's own people see.
http::Json portal_member_json(const io::Row& row);

struct MemberInput {
    std::string customer_id;
    std::string email;
    std::optional<std::string> name, external_id;
    std::optional<std::string> role;   // absent: owner for a customer's first member, else member

    static MemberInput parse(http::Json body);
};

// What is absent stays; null removes a name and an external id.
struct MemberChange {
    http::Json members;   // checked: email, name, external_id, role

    static MemberChange parse(http::Json body);
};

struct MemberFilter {
    std::optional<std::string> customer_id, email, external_id, role;   // the address in any case
};

// Each that changes something throws 403 when the workspace has no member model, and keeps exactly one owner where a
// customer has members (422): parallel changes of one customer's members wait for each other (portal.lock_members).

// Throws 404 "Customer not found", 403 for a second member of an individual. With a key the same member is shown again.
io::Task<http::Json> create_member(io::Postgres& db, std::string workspace_id, MemberInput input, KeyClaim claim = {});
// Throws 404 "Member not found", as the next two.
io::Task<http::Json> find_member(io::Postgres& db, std::string workspace_id, std::string id);
io::Task<http::Json> change_member(io::Postgres& db, std::string workspace_id, std::string id, MemberChange change);
// Ends their sessions, too. An owner goes last.
io::Task<void> remove_member(io::Postgres& db, std::string workspace_id, std::string id);
// Oldest first.
io::Task<Page> list_members(io::Postgres& db, std::string workspace_id, MemberFilter filter, PageRequest request);

http::Failure no_member_model();   // 403

}  // namespace portal
