// Company: an addressee of the client portal, numbered per workspace.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "portal/numbered_row.h"
#include "portal/page.h"

namespace portal {

struct CompanyInput {
    http::Json members;  // checked, by column; null clears

    static CompanyInput parse(http::Json body);
    // Of a PATCH: nothing is required, and the number stays.
    static CompanyInput parse_change(http::Json body);
};

struct CompanyFilter {
    std::optional<std::string> query;  // part of name, e-mail or external id
    std::optional<std::string> customer_id;
    std::optional<std::string> email;  // the whole address, in any case
    std::optional<std::string> external_id;
};

// Inserts, or changes the living company with this external id: what is absent stays as it is.
io::Task<Saved> save_company(io::Postgres& db, std::string workspace_id, CompanyInput input,
                             KeyClaim claim = {});
// Each of these throws 404 where there is none.
io::Task<http::Json> change_company(io::Postgres& db, std::string workspace_id, std::int64_t id,
                                    CompanyInput change);
io::Task<http::Json> find_company(io::Postgres& db, std::string workspace_id, std::int64_t id);
// Its number is not given again; its links end.
io::Task<void> delete_company(io::Postgres& db, std::string workspace_id, std::int64_t id);
// Sorted by id, name, email, created_at (default id).
io::Task<Page> list_companies(io::Postgres& db, std::string workspace_id, CompanyFilter filter,
                              PageRequest request);

}  // namespace portal
