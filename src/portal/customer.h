// Customer: a person or team that buys, in one workspace.
#pragma once

#include <string>
#include <string_view>

#include "http/json.h"
#include "io/postgres.h"

// What customer_json() reads, of the customers row called `alias`, for any statement's select list. Every column is
// returned under the prefix customer_, so that a session and its customer fit in one row.
#define PORTAL_CUSTOMER_COLUMNS(alias)                                                          \
    alias ".id AS customer_id, "                                                                \
    "portal.rfc3339(" alias ".created_at) AS customer_created_at, "                             \
    "portal.rfc3339(" alias ".modified_at) AS customer_modified_at, "                           \
    alias ".metadata AS customer_metadata, " alias ".external_id AS customer_external_id, "     \
    alias ".email AS customer_email, " alias ".email_verified AS customer_email_verified, "     \
    alias ".name AS customer_name, " alias ".billing_address AS customer_billing_address, "     \
    alias ".workspace_id AS customer_workspace_id, "                                            \
    "portal.rfc3339(" alias ".deleted_at) AS customer_deleted_at, "                             \
    alias ".type AS customer_type"

namespace portal {

// The `customer` object of contract/customer-sessions.md, from a row with PORTAL_CUSTOMER_COLUMNS.
http::Json customer_json(const io::Row& row);

// https://www.gravatar.com/avatar/<sha256 hex of the lower-cased address>?d=404
std::string avatar_url(std::string_view email);

// {country, line1, line2, postal_code, city, state} from a billing_address column; null when it is NULL.
http::Json billing_address_json(const io::Row& row, const char* column);

}  // namespace portal
