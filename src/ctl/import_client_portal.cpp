// portalctl import: companies, contacts and items of the client portal.
#include "ctl/import_kind.h"
#include "portal/company.h"
#include "portal/contact.h"
#include "portal/portal_item.h"

// The rows that a numbered record may be about. `same`: the condition for the row b that has the
// same external id.
#define STAGE_NUMBERED(table, columns, same)                                                     \
    "CREATE TEMP TABLE incoming_" table                                                          \
    " ON COMMIT DROP AS"                                                                         \
    " SELECT r.line, r.position, r.record, r.id, r.created_at, " columns                         \
    ", by_id.id IS NOT NULL AS id_taken, m.by_id, m.by_external,"                                \
    " CASE WHEN run.updating THEN coalesce(m.by_id, m.by_external) END AS existing"              \
    " FROM read_" table                                                                          \
    " r CROSS JOIN run"                                                                          \
    " LEFT JOIN portal." table                                                                   \
    " by_id ON by_id.workspace_id = run.workspace_id AND by_id.id = r.id"                        \
    " LEFT JOIN portal." table                                                                   \
    " b ON b.workspace_id = run.workspace_id AND b.deleted_at IS NULL AND " same                 \
    " CROSS JOIN LATERAL (SELECT CASE WHEN by_id.deleted_at IS NULL THEN by_id.id END AS by_id," \
    " b.id AS by_external) m; ANALYZE incoming_" table

// `article` and `noun`: "A" "contact".
#define JUDGE_NUMBERED(table, article, noun, external, twice) \
    "SELECT line, 'id: " article " " noun " with this id already exists.' AS reason FROM " table                \
    " WHERE id_taken AND (by_id IS NULL OR existing IS NULL)"                                                   \
    " UNION ALL SELECT line, 'id: The " noun " has another id.' FROM " table                                    \
    " WHERE NOT id_taken AND id <> existing"                                                                    \
    " UNION ALL " IMPORT_TAKEN(table, "by_external", "external_id", external)                                   \
    " UNION ALL " IMPORT_TWICE(table, "id", "id")                                                               \
    " UNION ALL " IMPORT_TWICE(table, "existing", noun)                                                         \
    " UNION ALL " IMPORT_TWICE(table, twice, "external_id")

// What is there is changed, the rest made; `columns` are those a record may have, of the rows i and
// n.
#define WRITE_NUMBERED(table, columns, of_i, of_n)                                                 \
    "WITH changed AS (UPDATE portal." table " t SET (" columns                                     \
    ") ="                                                                                          \
    " (SELECT " of_n                                                                               \
    " FROM jsonb_populate_record(t, i.record) n)"                                                  \
    " FROM incoming_" table                                                                        \
    " i, run"                                                                                      \
    " WHERE t.workspace_id = run.workspace_id AND t.id = i.existing AND t.deleted_at IS NULL "     \
    "RETURNING 1"                                                                                  \
    "), made AS (INSERT INTO portal." table " (workspace_id, id, created_at, " columns             \
    ")"                                                                                            \
    " SELECT run.workspace_id, i.id, coalesce(i.created_at, now()), " of_i " FROM incoming_" table \
    " i, run WHERE i.existing IS NULL ORDER BY i.line ON CONFLICT DO NOTHING RETURNING 1)"         \
    " SELECT (SELECT count(*) FROM made), (SELECT count(*) FROM changed)"

namespace portal::ctl {
namespace {

using http::Json;

template <class Input>
void read_members(const Json& line, Json& record) {
    record = Input::parse(line).members;
}

template <class Input>
ImportRecord record_of(const char* kind, const Json& line) {
    return {kind, kept_members(line, false, read_members<Input>)};
}

std::vector<ImportRecord> parse_company(const Json& line, std::int64_t) {
    return {record_of<CompanyInput>("company", line)};
}

std::vector<ImportRecord> parse_contact(const Json& line, std::int64_t) {
    return {record_of<ContactInput>("contact", line)};
}

std::vector<ImportRecord> parse_item(const Json& line, std::int64_t) {
    return {record_of<PortalItemInput>("portal_item", line)};
}

// ---- companies

constexpr const char* stage_companies = STAGE_NUMBERED(
    "companies", "r.name, r.email, r.customer_id, r.external_id", "b.external_id = r.external_id");

constexpr const char* judge_companies = JUDGE_NUMBERED(
    "incoming_companies", "A", "company", "A company with this external ID already exists.",
    "external_id") " UNION ALL " IMPORT_UNKNOWN("incoming_companies", "customers", "customer_id",
                                                "Customer does not exist.");

constexpr const char* write_companies =
    WRITE_NUMBERED("companies", "name, email, customer_id, external_id",
                   "i.name, i.email, i.customer_id, i.external_id",
                   "n.name, n.email, n.customer_id, n.external_id");

// ---- contacts

constexpr const char* stage_contacts =
    STAGE_NUMBERED("contacts", "r.name, r.email, r.company_id, r.customer_id, r.external_id",
                   "b.external_id = r.external_id");

constexpr const char* judge_contacts =
    JUDGE_NUMBERED("incoming_contacts", "A", "contact",
                   "A contact with this external ID already exists.", "external_id")
    " UNION ALL " IMPORT_UNKNOWN("incoming_contacts", "companies", "company_id",
                                 "Company does not exist.")
    " UNION ALL " IMPORT_UNKNOWN("incoming_contacts", "customers", "customer_id",
                                 "Customer does not exist.");

constexpr const char* write_contacts =
    WRITE_NUMBERED("contacts", "name, email, company_id, customer_id, external_id",
                   "i.name, i.email, i.company_id, i.customer_id, i.external_id",
                   "n.name, n.email, n.company_id, n.customer_id, n.external_id");

// ---- items

constexpr const char* stage_items = STAGE_NUMBERED(
    "portal_items",
    "r.contact_id, r.company_id, r.module, r.external_id, r.title, r.status, r.amount_cents, "
    "r.currency, r.due_at, r.url, r.data",
    "b.module = r.module AND b.external_id = r.external_id");

constexpr const char* judge_items =
    JUDGE_NUMBERED("incoming_portal_items", "An", "item",
                   "An item with this external ID already exists in this module.",
                   "module, external_id")
    " UNION ALL " IMPORT_UNKNOWN("incoming_portal_items", "contacts", "contact_id",
                                 "Contact does not exist.")
    " UNION ALL " IMPORT_UNKNOWN("incoming_portal_items", "companies", "company_id",
                                 "Company does not exist.");

// Its one addressee is the record's.
constexpr const char* write_items = WRITE_NUMBERED(
    "portal_items",
    "contact_id, company_id, module, external_id, title, status, amount_cents, currency, due_at, "
    "url, data",
    "i.contact_id, i.company_id, i.module, i.external_id, i.title, i.status, i.amount_cents, "
    "i.currency, i.due_at, i.url, i.data",
    "i.contact_id, i.company_id, n.module, n.external_id, n.title, n.status, n.amount_cents, "
    "n.currency, n.due_at, n.url, n.data");

constexpr ImportKind kinds[] = {
    {"company", "companies", parse_company, stage_companies, judge_companies, "companies",
     write_companies},
    {"contact", "contacts", parse_contact, stage_contacts, judge_contacts, "contacts",
     write_contacts},
    {"portal_item", "portal_items", parse_item, stage_items, judge_items, "portal_items",
     write_items},
};

}  // namespace

std::span<const ImportKind> client_portal_kinds() { return kinds; }

}  // namespace portal::ctl
