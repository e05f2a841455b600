// PortalItem: an invoice, a proposal, a task … that the client portal shows to a contact or a
// company.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "portal/numbered_row.h"
#include "portal/page.h"

namespace portal {

// What the client portal has tabs for.
inline constexpr std::string_view portal_modules[] = {"invoices", "proposals", "contracts", "tasks",
                                                      "projects", "tickets",   "files"};

// The object of GET /api/portal-items/{id}, from a row with ITEM_COLUMNS (portal_item.cpp).
http::Json portal_item_json(const io::Row& row);

struct PortalItemInput {
    http::Json members;  // checked, by column; null clears

    static PortalItemInput parse(http::Json body);
    // Of a PATCH: nothing is required, and the number stays.
    static PortalItemInput parse_change(http::Json body);
};

struct PortalItemFilter {
    std::optional<std::int64_t> contact_id, company_id;
    std::optional<std::string> module, status, external_id;
    std::optional<std::string> query;  // part of title or external id
};

// Inserts, or changes the living item of this module with this external id: what is absent stays as
// it is.
io::Task<Saved> save_portal_item(io::Postgres& db, std::string workspace_id, PortalItemInput input,
                                 KeyClaim claim = {});
// Each of these throws 404 where there is none.
io::Task<http::Json> change_portal_item(io::Postgres& db, std::string workspace_id, std::int64_t id,
                                        PortalItemInput change);
io::Task<http::Json> find_portal_item(io::Postgres& db, std::string workspace_id, std::int64_t id);
io::Task<void> delete_portal_item(io::Postgres& db, std::string workspace_id, std::int64_t id);
// Sorted by id, created_at, due_at, title, status, amount_cents (default id).
io::Task<Page> list_portal_items(io::Postgres& db, std::string workspace_id,
                                 PortalItemFilter filter, PageRequest request);
// What a contact sees: its own; a company: its own and its contacts'. Newest first.
io::Task<Page> list_addressee_items(io::Postgres& db, std::string workspace_id, bool company,
                                    std::int64_t addressee_id, std::vector<std::string> modules,
                                    PageRequest request);

}  // namespace portal
