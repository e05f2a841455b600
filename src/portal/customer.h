// Customer: a person or team that buys, in one workspace.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/json.h"
#include "http/validation.h"
#include "io/postgres.h"
#include "io/task.h"
#include "portal/idempotency.h"
#include "portal/page.h"

// What customer_json() reads, of the customers row called `alias`, for any statement's select list. Every column is
// returned under the prefix customer_, so that a session and its customer fit in one row.
#define PORTAL_CUSTOMER_COLUMNS(alias)                                                      \
    alias ".id AS customer_id, "                                                            \
    "portal.time_text(" alias ".created_at) AS customer_created_at, "                       \
    "portal.time_text(" alias ".modified_at) AS customer_modified_at, "                     \
    alias ".metadata AS customer_metadata, " alias ".external_id AS customer_external_id, " \
    alias ".email AS customer_email, " alias ".email_verified AS customer_email_verified, " \
    alias ".name AS customer_name, " alias ".billing_address AS customer_billing_address, " \
    alias ".workspace_id AS customer_workspace_id, "                                        \
    "portal.time_text(" alias ".deleted_at) AS customer_deleted_at, "                       \
    alias ".type AS customer_type"

namespace portal {

// The `customer` object of contract/customer-sessions.md, from a row with PORTAL_CUSTOMER_COLUMNS.
http::Json customer_json(const io::Row& row);
// The same members, written where an object has been opened for them.
void write_customer(http::JsonText& customer, const io::Row& row);

// https://www.gravatar.com/avatar/<sha256 hex of the lower-cased address>?d=404
std::string avatar_url(std::string_view email);

// {country, line1, line2, postal_code, city, state} from a billing_address column; null when it is NULL.
http::Json billing_address_json(const io::Row& row, const char* column);

struct OwnerInput {
    std::optional<std::string> email, name, external_id;   // the customer's, where absent
};

struct CustomerInput {
    std::string email;
    std::optional<std::string> external_id, name, type;   // type: individual (the default) or team
    http::Json billing_address;                           // absent or an object
    http::Json metadata;                                  // absent or an object of at most 50 keys
    OwnerInput owner;                                     // of the member made with it, under the member model

    static CustomerInput parse(http::Json body);
};

struct CustomerFilter {
    std::optional<std::string> email;   // the whole address, in any case
    std::optional<std::string> query;   // part of e-mail, name or external id
    http::Json metadata;                // members that must be equal; absent: any
};

// What a caller names a customer by: the id wins over the external id, that over the address.
struct CustomerReference {
    std::optional<std::string> id, external_id, email;
    // An id, an external id or an address, whichever fits.
    static CustomerReference any(const std::string& text);
};

// What is absent stays; null removes what may be missing; metadata is replaced as a whole.
struct CustomerChange {
    http::Json members;   // checked, by column

    // {email, external_id, name, type, billing_address, metadata}, and for operators `blocked`.
    static CustomerChange parse(http::Json body, bool by_operator);
};

// Each answers the customer object and its living `members`.
io::Task<http::Json> create_customer(io::Postgres& db, std::string workspace_id, CustomerInput input,
                                     KeyClaim claim = {});
// Throws 404.
io::Task<http::Json> find_customer(io::Postgres& db, std::string workspace_id, CustomerReference which);
// Sorted by email, name, created_at (default -created_at).
io::Task<Page> list_customers(io::Postgres& db, std::string workspace_id, CustomerFilter filter,
                              PageRequest request);
// Throws 404, or a 422 with every rule that is broken.
io::Task<http::Json> change_customer(io::Postgres& db, std::string workspace_id, CustomerReference which,
                                     CustomerChange change);
// Ends its sessions and its members. With `anonymize` its personal data is wiped wherever it went, of a customer that
// was deleted before, too. Answers its id; throws 404.
io::Task<Uuid> delete_customer(io::Postgres& db, std::string workspace_id, CustomerReference which, bool anonymize);
// The body of GET /api/customers/{id}/export: everything held about it (customer_export.cpp tells its shape). Begins
// after the record `after`, 0 for the first. Throws 404.
io::Task<std::string> export_customer(io::Postgres& db, std::string workspace_id, CustomerReference which,
                                      std::int64_t after);

// ---- for the rules of customers

// The object and its `members`, of rows with PORTAL_CUSTOMER_COLUMNS that repeat the customer beside each member.
http::Json customer_with_members(const io::Rows& rows);
// {"metadata": {…}} of a body, checked; absent or null where it is that.
http::Json metadata_field(http::Fields& fields);

}  // namespace portal
