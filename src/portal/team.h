// Team: the members of a customer, as its own people see and change them
// (contract/customer-portal.md, Members).
//
// Every change locks the customer's row first (portal.lock_members), so that parallel ones leave
// exactly one owner.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/json.h"
#include "io/task.h"
#include "portal/idempotency.h"
#include "portal/principal.h"
#include "portal/services.h"

namespace portal {

// What each of these throws beside its own: 403 for the role member and for a customer that is no
// team, 401 when the caller is no member any more.

// A bare array, oldest first.
io::Task<http::Json> list_team(io::Postgres& db, Principal caller);

struct TeamMemberInput {
    std::string email;
    std::optional<std::string> name;
    std::string role;  // billing_manager or member

    static TeamMemberInput parse(std::string_view body,
                                 std::optional<std::string_view> content_type);
};

// Whether adding this address would make or revive a member, and so a mail.
io::Task<bool> plan_team_member(io::Postgres& db, Principal caller, std::string email);

struct TeamMember {
    http::Json member;
    bool mailed = false;  // made or revived, and an invitation queued
};
// The member and the invitation in one statement; one who is active already stays as it is.
// `may_mail`: the mail was charged for. nullopt when it was not but would be needed, or another
// request was faster with this key: look again.
io::Task<std::optional<TeamMember>> add_team_member(Services& portal, Principal caller,
                                                    TeamMemberInput input, bool may_mail,
                                                    KeyClaim claim);
// The member an earlier request with this key made; nullopt when the key is free.
io::Task<std::optional<http::Json>> replay_team_member(Services& portal, Principal caller,
                                                       KeyClaim claim);

struct TeamMemberChange {
    Uuid id;
    std::string role;

    // Throws every problem of the path's id and the body.
    static TeamMemberChange parse(std::string_view id, std::string_view body,
                                  std::optional<std::string_view> content_type);
};
// Making another the owner makes the caller, the owner, a billing manager. Throws 404 and 422.
io::Task<http::Json> change_team_member(Services& portal, Principal caller,
                                        TeamMemberChange change);

// Ends the member's sessions, too. Throws 404 and 422.
io::Task<void> remove_team_member(Services& portal, Principal caller, Uuid id);

}  // namespace portal
