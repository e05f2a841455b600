// Principal: who a credential stands for, as the zone keeps it and every handler receives it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "portal/uuid.h"

namespace portal {

enum class Kind : std::uint8_t {
    none,
    workspace,   // workspace access token, portal_oat_
    customer,    // customer session, portal_cst_
    member,      // member session, portal_mst_
    portal,      // a contact's or company's portal token, portal_cpt_
};

enum class Role : std::uint8_t { none, owner, billing_manager, member };

// Bits of Principal::scopes. A write scope includes its read (Scopes::parse sets both).
enum class Scope : std::uint32_t {
    none = 0,
    customer_sessions_write = 1u << 0,
    member_sessions_write = 1u << 1,
    customers_read = 1u << 2,
    customers_write = 1u << 3,
    members_read = 1u << 4,
    members_write = 1u << 5,
    client_portal_read = 1u << 6,
    client_portal_write = 1u << 7,
    file_sharing_read = 1u << 8,
    file_sharing_write = 1u << 9,
    payments_read = 1u << 10,
    payments_write = 1u << 11,
    webhooks_read = 1u << 12,
    webhooks_write = 1u << 13,
    workspaces_read = 1u << 14,
    workspaces_write = 1u << 15,
    workspace_access_tokens_read = 1u << 16,
    workspace_access_tokens_write = 1u << 17,
    customer_portal_write = 1u << 18,
};

// "client_portal:read" <-> the bit. nullopt / "" for an unknown one.
std::optional<Scope> parse_scope(std::string_view name);
std::string_view scope_name(Scope scope);
// Every scope an access token may have, in the contract's order.
const std::vector<Scope>& all_scopes();

// Trivially copyable: it is stored inline in shared memory.
struct Principal {
    Kind kind = Kind::none;
    Role role = Role::none;
    bool member_model = false;       // the workspace's
    bool addressee_is_company : 1 = false;
    bool code_wanted : 1 = false;    // a link's token that opens nothing before a code is entered, too
    std::uint32_t scopes = 0;        // Scope bits, reads implied by writes included
    Uuid token_id;                   // row id of the token or session
    Uuid workspace_id;
    Uuid customer_id;                // sessions; portal tokens of a linked contact; else nil
    Uuid member_id;                  // member sessions, else nil
    std::int64_t addressee_id = 0;   // portal tokens: contact or company id
    std::int64_t expires_at = 0;     // Unix seconds, 0: never
    char workspace_slug[64] = {};

    bool sees_payments() const {
        return kind == Kind::customer || role == Role::owner || role == Role::billing_manager;
    }
    bool has(Scope scope) const { return (scopes & std::uint32_t(scope)) == std::uint32_t(scope); }
};

}  // namespace portal
