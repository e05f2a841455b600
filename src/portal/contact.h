// Contact: a person the client portal is for, numbered per workspace; may belong to a company.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "http/json.h"
#include "io/postgres.h"
#include "io/task.h"
#include "portal/page.h"

namespace portal {

struct ContactInput {
    std::optional<std::int64_t> id;   // given: kept, as a system being replaced has it
    std::string name;
    std::optional<std::string> email, customer_id, external_id;
    std::optional<std::int64_t> company_id;

    static ContactInput parse(http::Json body);
};

// Inserts, or changes the living contact with this external id: what is absent stays as it is.
io::Task<http::Json> save_contact(io::Postgres& db, std::string workspace_id, ContactInput input);
// Throws 404 "Contact not found".
io::Task<http::Json> find_contact(io::Postgres& db, std::string workspace_id, std::int64_t id);
// Sorted by id; `query` is a part of name, e-mail or external id.
io::Task<Page> list_contacts(io::Postgres& db, std::string workspace_id, std::optional<std::string> query,
                              PageRequest request);

}  // namespace portal
