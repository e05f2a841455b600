// Company: an addressee of the client portal, numbered per workspace.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "http/json.h"
#include "io/postgres.h"
#include "io/task.h"
#include "portal/page.h"

namespace portal {

struct CompanyInput {
    std::optional<std::int64_t> id;   // given: kept, as a system being replaced has it
    std::string name;
    std::optional<std::string> email, customer_id, external_id;

    static CompanyInput parse(http::Json body);
};

// Inserts, or changes the living company with this external id: what is absent stays as it is.
io::Task<http::Json> save_company(io::Postgres& db, std::string workspace_id, CompanyInput input);
// Throws 404 "Company not found".
io::Task<http::Json> find_company(io::Postgres& db, std::string workspace_id, std::int64_t id);
// Sorted by id; `query` is a part of name, e-mail or external id.
io::Task<Page> list_companies(io::Postgres& db, std::string workspace_id, std::optional<std::string> query,
                              PageRequest request);

}  // namespace portal
