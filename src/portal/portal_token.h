// PortalToken: the link of a contact or company to its client portal.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/json.h"
#include "io/task.h"
#include "portal/idempotency.h"
#include "portal/principal.h"
#include "portal/services.h"

// The living contact or company ($1 workspace, $2 'contact' or 'company', $3 id), as rows for a CTE.
#define PORTAL_ADDRESSEE                                                                                      \
    "SELECT workspace_id, true AS is_contact, id, email FROM portal.contacts "                               \
    "WHERE $2::text = 'contact' AND workspace_id = $1::uuid AND id = $3::bigint AND deleted_at IS NULL "     \
    "UNION ALL SELECT workspace_id, false, id, email FROM portal.companies "                                 \
    "WHERE $2 = 'company' AND workspace_id = $1 AND id = $3 AND deleted_at IS NULL"

// The tokens t of the addressee a, as the index client_portal_tokens_addressee has them.
#define PORTAL_TOKENS_OF_ADDRESSEE                                                                            \
    "t.workspace_id = a.workspace_id AND (t.contact_id IS NOT NULL) = a.is_contact "                          \
    "AND coalesce(t.contact_id, t.company_id) = a.id AND t.revoked_at IS NULL"

namespace portal {

// Whom a link is for.
struct Addressee {
    bool company = false;
    std::int64_t id = 0;

    const char* type() const { return company ? "company" : "contact"; }
    http::Failure not_found() const;      // 404 "Contact not found"
    http::Failure has_no_email() const;   // 400
};

struct PortalTokenInput {
    Addressee addressee;
    bool rotate = false;

    static PortalTokenInput parse(std::string_view body, std::optional<std::string_view> content_type);
};

struct PortalToken {
    Uuid id;
    std::string token, expires_at;
};

// The newest living token of the addressee, else a new one; `rotate` revokes all and makes one. Parallel calls agree.
io::Task<PortalToken> get_or_create_portal_token(Services& portal, const Principal& caller, PortalTokenInput input,
                                                 IdempotencyKey key);
// Revokes all of the addressee's tokens. Throws 404.
io::Task<void> revoke_portal_tokens(Services& portal, const Principal& caller, Addressee addressee);

// <base>/client-portal/<token>
std::string portal_link(const Services& portal, std::string_view token);

}  // namespace portal
