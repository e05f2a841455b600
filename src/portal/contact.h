// Contact: a person the client portal is for, numbered per workspace; may belong to a company.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "portal/numbered_row.h"
#include "portal/page.h"

namespace portal {

struct ContactInput {
    http::Json members;  // checked, by column; null clears

    static ContactInput parse(http::Json body);
    // Of a PATCH: nothing is required, and the number stays.
    static ContactInput parse_change(http::Json body);
};

struct ContactFilter {
    std::optional<std::string> query;  // part of name, e-mail or external id
    std::optional<std::int64_t> company_id;
    std::optional<std::string> customer_id;
    std::optional<std::string> email;  // the whole address, in any case
    std::optional<std::string> external_id;
};

// Inserts, or changes the living contact with this external id: what is absent stays as it is.
io::Task<Saved> save_contact(io::Postgres& db, std::string workspace_id, ContactInput input,
                             KeyClaim claim = {});
// Each of these throws 404 where there is none.
io::Task<http::Json> change_contact(io::Postgres& db, std::string workspace_id, std::int64_t id,
                                    ContactInput change);
io::Task<http::Json> find_contact(io::Postgres& db, std::string workspace_id, std::int64_t id);
// Its number is not given again; its links end.
io::Task<void> delete_contact(io::Postgres& db, std::string workspace_id, std::int64_t id);
// Sorted by id, name, email, created_at (default id).
io::Task<Page> list_contacts(io::Postgres& db, std::string workspace_id, ContactFilter filter,
                             PageRequest request);

}  // namespace portal
