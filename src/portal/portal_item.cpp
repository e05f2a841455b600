#include "portal/portal_item.h"

#include <algorithm>

#define ITEM_COLUMNS(alias)                                                                       \
    alias ".id AS item_id, portal.time_text(" alias                                               \
          ".created_at) AS item_created_at, "                                                     \
          "portal.time_text(" alias ".modified_at) AS item_modified_at, " alias                   \
          ".workspace_id AS item_workspace_id, " alias ".contact_id AS item_contact_id, " alias   \
          ".company_id AS item_company_id, " alias ".module AS item_module, " alias               \
          ".external_id AS item_external_id, " alias ".title AS item_title, " alias               \
          ".status AS item_status, " alias ".amount_cents AS item_amount_cents, " alias           \
          ".currency AS item_currency, portal.time_text(" alias ".due_at) AS item_due_at, " alias \
          ".url AS item_url, " alias ".data AS item_data"

#define ITEM_KEY(parameter)                            \
    PORTAL_SORT(parameter, "id", "id")                 \
    PORTAL_SORT(parameter, "created_at", "created_at") \
    PORTAL_SORT(parameter, "due_at", "due_at")         \
    PORTAL_SORT(parameter, "title", "lower(title)")    \
    PORTAL_SORT(parameter, "status", "status")         \
    PORTAL_SORT(parameter, "amount_cents", "amount_cents")

namespace portal {
namespace {

using http::Json;
using io::Parameters;
using io::Statement;

// The living item of this module and external id is locked first: whoever deletes it meanwhile was
// before us or comes after. $2 names one addressee, and is checked to; what it names the other by
// is cleared.
constexpr Statement save_statement{"portal_item_save", R"(
WITH sent AS MATERIALIZED (
    SELECT * FROM jsonb_populate_record(NULL::portal.portal_items, $2::jsonb)
), same AS MATERIALIZED (
    SELECT i.id
      FROM portal.portal_items i, sent s
     WHERE i.workspace_id = $1::uuid AND i.module = s.module AND i.external_id = s.external_id
       AND i.deleted_at IS NULL
       FOR NO KEY UPDATE OF i
), judged AS MATERIALIZED (
    SELECT same.id AS known, s.id AS given, array_to_string(ARRAY[
        CASE WHEN s.id <> same.id THEN 'external_id' END,
        CASE WHEN same.id IS NULL AND EXISTS (
                      SELECT FROM portal.portal_items x WHERE x.workspace_id = $1 AND x.id = s.id) THEN 'id' END,
        )" PORTAL_UNKNOWN("contacts", "contact_id") R"(,
        )" PORTAL_UNKNOWN("companies", "company_id") R"(], ' ') AS refused
      FROM sent s
      LEFT JOIN same ON true
), )" PORTAL_GRANT_NUMBER("portal_items") R"(, changed AS (
    UPDATE portal.portal_items i
       SET (contact_id, company_id, title, status, amount_cents, currency, due_at, url, data) =
           (SELECT s.contact_id, s.company_id, n.title, n.status, n.amount_cents, n.currency, n.due_at, n.url, n.data
              FROM sent s, jsonb_populate_record(i, $2) n)
      FROM granted g
     WHERE i.workspace_id = $1 AND i.id = g.number AND NOT g.made
    RETURNING i.*
), made AS (
    INSERT INTO portal.portal_items (workspace_id, id, contact_id, company_id, module, external_id, title, status,
                                     amount_cents, currency, due_at, url, data)
    SELECT $1, g.number, s.contact_id, s.company_id, s.module, s.external_id, s.title, s.status,
           s.amount_cents, s.currency, s.due_at, s.url, s.data
      FROM granted g, sent s
     WHERE g.made
    RETURNING *
), saved AS (
    SELECT false AS made, * FROM changed UNION ALL SELECT true, * FROM made
)
SELECT j.refused, s.made, )" ITEM_COLUMNS("s") R"(
  FROM judged j
  LEFT JOIN saved s ON true)"};

// next: the item as it would be; s: what is named anew
constexpr Statement change_statement{"portal_item_change", R"(
WITH same AS MATERIALIZED (
    SELECT i
      FROM portal.portal_items i
     WHERE workspace_id = $1::uuid AND id = $2::bigint AND deleted_at IS NULL
       FOR NO KEY UPDATE
), judged AS MATERIALIZED (
    SELECT array_to_string(ARRAY[
        CASE WHEN num_nonnulls(next.contact_id, next.company_id) <> 1 THEN 'addressee' END,
        CASE WHEN EXISTS (SELECT FROM portal.portal_items x
                           WHERE x.workspace_id = $1 AND x.module = next.module AND x.external_id = next.external_id
                             AND x.id <> $2 AND x.deleted_at IS NULL) THEN 'external_id' END,
        )" PORTAL_UNKNOWN("contacts", "contact_id") R"(,
        )" PORTAL_UNKNOWN("companies", "company_id") R"(], ' ') AS refused
      FROM same, jsonb_populate_record(same.i, $3::jsonb) next,
           jsonb_populate_record(NULL::portal.portal_items, $3) s
), changed AS (
    UPDATE portal.portal_items i
       SET (contact_id, company_id, module, external_id, title, status, amount_cents, currency, due_at, url, data) =
           (SELECT n.contact_id, n.company_id, n.module, n.external_id, n.title, n.status, n.amount_cents, n.currency,
                   n.due_at, n.url, n.data
              FROM jsonb_populate_record(i, $3) n)
      FROM judged j
     WHERE i.workspace_id = $1 AND i.id = $2 AND j.refused = ''
    RETURNING i.*
)
SELECT j.refused, )" ITEM_COLUMNS("s") R"(
  FROM judged j
  LEFT JOIN changed s ON true)"};

constexpr Statement find_statement{"portal_item_find", R"(
SELECT )" ITEM_COLUMNS("i") R"(
  FROM portal.portal_items i
 WHERE i.workspace_id = $1::uuid AND i.id = $2::bigint AND i.deleted_at IS NULL)",
                                   io::Lane::main, io::Retry::read};

constexpr Statement delete_statement{"portal_item_delete", R"(
UPDATE portal.portal_items
   SET deleted_at = now()
 WHERE workspace_id = $1::uuid AND id = $2::bigint AND deleted_at IS NULL
RETURNING id)"};

constexpr Statement list_statement{
    "portal_item_list",
    PORTAL_PAGE(R"(
        SELECT *
          FROM portal.portal_items
         WHERE workspace_id = $3::uuid AND deleted_at IS NULL
           AND ($4::bigint IS NULL OR contact_id = $4)
           AND ($5::bigint IS NULL OR company_id = $5)
           AND ($6::text IS NULL OR module = $6)
           AND ($7::text IS NULL OR status = $7)
           AND ($8::text IS NULL OR external_id = $8)
           AND ($9::text IS NULL OR position(lower($9) IN lower(title || ' ' || external_id)) > 0))",
                ITEM_KEY("$10::text") ITEM_KEY("$11::text") ITEM_KEY("$12::text")
                    ITEM_KEY("$13::text") ITEM_KEY("$14::text") ITEM_KEY("$15::text") "id",
                ITEM_COLUMNS("r")),
    io::Lane::main, io::Retry::read, 5000};

//   $4 contact  $5 modules
constexpr Statement of_contact_statement{
    "portal_item_of_contact",
    PORTAL_PAGE(R"(
        SELECT *
          FROM portal.portal_items
         WHERE workspace_id = $3::uuid AND contact_id = $4::bigint AND deleted_at IS NULL
           AND module = ANY ($5::text[]))",
                "created_at DESC, id DESC", ITEM_COLUMNS("r")),
    io::Lane::main, io::Retry::read, 5000};

//   $4 company  $5 modules
constexpr Statement of_company_statement{
    "portal_item_of_company",
    PORTAL_PAGE(R"(
        SELECT *
          FROM portal.portal_items
         WHERE workspace_id = $3::uuid AND company_id = $4::bigint AND deleted_at IS NULL
           AND module = ANY ($5::text[])
        UNION ALL
        SELECT i.*
          FROM portal.contacts c
          JOIN portal.portal_items i ON i.workspace_id = c.workspace_id AND i.contact_id = c.id
         WHERE c.workspace_id = $3 AND c.company_id = $4 AND c.deleted_at IS NULL
           AND i.deleted_at IS NULL AND i.module = ANY ($5))",
                "created_at DESC, id DESC", ITEM_COLUMNS("r")),
    io::Lane::main, io::Retry::read, 5000};

constexpr std::size_t max_text = 256;
constexpr std::size_t max_status = 64;
constexpr const char* one_addressee = "Exactly one of contact_id and company_id is expected.";

constexpr NumberedRule rules[] = {
    {"id", "id", "An item with this id already exists."},
    {"addressee", "contact_id", one_addressee},
    {"external_id", "external_id", "An item with this external ID already exists in this module."},
    {"contact_id", "contact_id", "Contact does not exist."},
    {"company_id", "company_id", "Company does not exist."},
};

constexpr NumberedNoun noun{save_statement,   change_statement, find_statement,
                            delete_statement, "item_id",        rules,
                            portal_item_json};

// Three letters, as ISO 4217 has them, in either case.
std::optional<std::string> read_currency(http::Fields& fields) {
    std::optional<std::string> currency = fields.string("currency", {.nullable = true});
    auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    if (currency && (currency->size() != 3 || !std::ranges::all_of(*currency, letter))) {
        fields.problem("currency", "string_pattern_mismatch",
                       "String should match pattern '^[A-Za-z]{3}$'",
                       Json::object({{"pattern", "^[A-Za-z]{3}$"}}));
        return std::nullopt;
    }
    return currency;
}

Json read_members(http::Fields& fields, bool required) {
    Json members = Json::object();
    take_field(fields, members, "contact_id",
               fields.integer("contact_id", {.min = 1, .nullable = true}));
    take_field(fields, members, "company_id",
               fields.integer("company_id", {.min = 1, .nullable = true}));
    take_field(fields, members, "module",
               fields.choice("module", portal_modules, {.required = required}));
    take_field(fields, members, "external_id",
               fields.string("external_id", {.min = 1, .max = max_text, .required = required}));
    take_field(fields, members, "title",
               fields.string("title", {.min = 1, .max = max_text, .required = required}));
    take_field(fields, members, "status",
               fields.string("status", {.min = 1, .max = max_status, .required = required}));
    take_field(fields, members, "amount_cents",
               fields.integer("amount_cents", {.min = 0, .nullable = true}));
    take_field(fields, members, "currency", read_currency(fields));
    take_field(fields, members, "due_at", fields.time("due_at", {.nullable = true}));
    take_field(fields, members, "url", fields.url("url", {.nullable = true}));
    Json data = fields.value("data");
    if (data.present() && !data.is_null() && !data.is_object()) {
        fields.problem("data", "dict_type", "Input should be a valid dictionary");
    } else if (data.present()) {
        members.set("data", data);
    }
    return members;
}

bool names(const http::Fields& fields, const char* name) {
    return fields.given(name) && !fields.value(name).is_null();
}

}  // namespace

Json portal_item_json(const io::Row& row) {
    return Json::object({
        {"id", row.integer("item_id")},
        {"created_at", row.text("item_created_at")},
        {"modified_at", row.optional("item_modified_at")},
        {"workspace_id", row.text("item_workspace_id")},
        {"contact_id", optional_integer(row, "item_contact_id")},
        {"company_id", optional_integer(row, "item_company_id")},
        {"module", row.text("item_module")},
        {"external_id", row.text("item_external_id")},
        {"title", row.text("item_title")},
        {"status", row.text("item_status")},
        {"amount_cents", optional_integer(row, "item_amount_cents")},
        {"currency", row.optional("item_currency")},
        {"due_at", row.optional("item_due_at")},
        {"url", row.optional("item_url")},
        {"data", row.null("item_data") ? Json(nullptr) : Json::parse(row.text("item_data"))},
    });
}

PortalItemInput PortalItemInput::parse(Json body) {
    http::Fields fields(std::move(body));
    PortalItemInput input;
    const std::optional<std::int64_t> id = fields.integer("id", {.min = 1, .nullable = true});
    input.members = read_members(fields, true);
    take_field(fields, input.members, "id", id);
    if (names(fields, "contact_id") == names(fields, "company_id")) {
        fields.refuse("contact_id", one_addressee);
    }
    fields.done();
    return input;
}

PortalItemInput PortalItemInput::parse_change(Json body) {
    http::Fields fields(std::move(body));
    PortalItemInput change;
    change.members = read_members(fields, false);
    fields.done();
    return change;
}

io::Task<Saved> save_portal_item(io::Postgres& db, std::string workspace_id, PortalItemInput input,
                                 KeyClaim claim) {
    return save_numbered(db, std::move(workspace_id), noun, std::move(input.members),
                         std::move(claim));
}

io::Task<Json> change_portal_item(io::Postgres& db, std::string workspace_id, std::int64_t id,
                                  PortalItemInput change) {
    return change_numbered(db, std::move(workspace_id), noun, id, std::move(change.members));
}

io::Task<Json> find_portal_item(io::Postgres& db, std::string workspace_id, std::int64_t id) {
    return find_numbered(db, std::move(workspace_id), noun, id);
}

io::Task<void> delete_portal_item(io::Postgres& db, std::string workspace_id, std::int64_t id) {
    return delete_numbered(db, std::move(workspace_id), noun, id);
}

io::Task<Page> list_portal_items(io::Postgres& db, std::string workspace_id,
                                 PortalItemFilter filter, PageRequest request) {
    Parameters parameters(request.per_page(), request.offset(), workspace_id, filter.contact_id,
                          filter.company_id, filter.module, filter.status, filter.external_id,
                          filter.query, request.key(0), request.key(1), request.key(2),
                          request.key(3), request.key(4), request.key(5));
    io::Rows rows = co_await db.query(list_statement, std::move(parameters));
    co_return page_of(rows, request, portal_item_json);
}

io::Task<Page> list_addressee_items(io::Postgres& db, std::string workspace_id, bool company,
                                    std::int64_t addressee_id, std::vector<std::string> modules,
                                    PageRequest request) {
    Parameters parameters(request.per_page(), request.offset(), workspace_id, addressee_id,
                          modules);
    const Statement& statement = company ? of_company_statement : of_contact_statement;
    io::Rows rows = co_await db.query(statement, std::move(parameters));
    co_return page_of(rows, request, portal_item_json);
}

}  // namespace portal
