#include "portal/company.h"

#include "portal/email.h"

#define COMPANY_COLUMNS(alias)                                                          \
    alias                                                                               \
        ".id AS company_id, "                                                           \
        "portal.time_text(" alias                                                       \
        ".created_at) AS company_created_at, "                                          \
        "portal.time_text(" alias ".modified_at) AS company_modified_at, " alias        \
        ".workspace_id AS company_workspace_id, " alias ".name AS company_name, " alias \
        ".email AS company_email, " alias ".customer_id AS company_customer_id, " alias \
        ".external_id AS company_external_id"

#define COMPANY_KEY(parameter)                                    \
    PORTAL_SORT(parameter, "id", "id")                            \
    PORTAL_SORT(parameter, "name", "lower(name)")                 \
    PORTAL_SORT(parameter, "email", "lower(email COLLATE \"C\")") \
    PORTAL_SORT(parameter, "created_at", "created_at")

namespace portal {
namespace {

using http::Json;
using io::Parameters;
using io::Statement;

// The living company with this external id is locked first: whoever deletes it meanwhile was before
// us or comes after.
constexpr Statement save_statement{"company_save", R"(
WITH sent AS MATERIALIZED (
    SELECT * FROM jsonb_populate_record(NULL::portal.companies, $2::jsonb)
), same AS MATERIALIZED (
    SELECT c.id, c.customer_id
      FROM portal.companies c, sent s
     WHERE c.workspace_id = $1::uuid AND c.external_id = s.external_id AND c.deleted_at IS NULL
       FOR NO KEY UPDATE OF c
), judged AS MATERIALIZED (
    SELECT same.id AS known, s.id AS given, array_to_string(ARRAY[
        CASE WHEN s.id <> same.id THEN 'external_id' END,
        CASE WHEN same.id IS NULL AND EXISTS (
                      SELECT FROM portal.companies x WHERE x.workspace_id = $1 AND x.id = s.id) THEN 'id' END,
        )" PORTAL_UNLINKS("$2") R"(,
        )" PORTAL_UNKNOWN("customers", "customer_id") R"(], ' ') AS refused
      FROM sent s
      LEFT JOIN same ON true
), )" PORTAL_GRANT_NUMBER("companies") R"(, changed AS (
    UPDATE portal.companies c
       SET (name, email, customer_id, external_id) =
           (SELECT n.name, n.email, n.customer_id, n.external_id FROM jsonb_populate_record(c, $2) n)
      FROM granted g
     WHERE c.workspace_id = $1 AND c.id = g.number AND NOT g.made
    RETURNING c.*
), made AS (
    INSERT INTO portal.companies (workspace_id, id, name, email, customer_id, external_id)
    SELECT $1, g.number, s.name, s.email, s.customer_id, s.external_id
      FROM granted g, sent s
     WHERE g.made
    RETURNING *
), saved AS (
    SELECT false AS made, * FROM changed UNION ALL SELECT true, * FROM made
)
SELECT j.refused, s.made, )" COMPANY_COLUMNS("s") R"(
  FROM judged j
  LEFT JOIN saved s ON true)"};

constexpr Statement change_statement{"company_change", R"(
WITH same AS MATERIALIZED (
    SELECT id, customer_id
      FROM portal.companies
     WHERE workspace_id = $1::uuid AND id = $2::bigint AND deleted_at IS NULL
       FOR NO KEY UPDATE
), judged AS MATERIALIZED (
    SELECT array_to_string(ARRAY[
        CASE WHEN EXISTS (SELECT FROM portal.companies x
                           WHERE x.workspace_id = $1 AND x.external_id = s.external_id AND x.id <> $2
                             AND x.deleted_at IS NULL) THEN 'external_id' END,
        )" PORTAL_UNLINKS("$3") R"(,
        )" PORTAL_UNKNOWN("customers", "customer_id") R"(], ' ') AS refused
      FROM same, jsonb_populate_record(NULL::portal.companies, $3::jsonb) s
), changed AS (
    UPDATE portal.companies c
       SET (name, email, customer_id, external_id) =
           (SELECT n.name, n.email, n.customer_id, n.external_id FROM jsonb_populate_record(c, $3) n)
      FROM judged j
     WHERE c.workspace_id = $1 AND c.id = $2 AND j.refused = ''
    RETURNING c.*
)
SELECT j.refused, )" COMPANY_COLUMNS("s") R"(
  FROM judged j
  LEFT JOIN changed s ON true)"};

constexpr Statement find_statement{"company_find", R"(
SELECT )" COMPANY_COLUMNS("c") R"(
  FROM portal.companies c
 WHERE c.workspace_id = $1::uuid AND c.id = $2::bigint AND c.deleted_at IS NULL)",
                                   io::Lane::main, io::Retry::read};

constexpr Statement delete_statement{"company_delete", R"(
UPDATE portal.companies
   SET deleted_at = now()
 WHERE workspace_id = $1::uuid AND id = $2::bigint AND deleted_at IS NULL
RETURNING id)"};

constexpr Statement list_statement{
    "company_list",
    PORTAL_PAGE(R"(
        SELECT *
          FROM portal.companies
         WHERE workspace_id = $3::uuid AND deleted_at IS NULL
           AND ($4::text IS NULL
                OR position(lower($4) IN lower(concat_ws(' ', name, email, external_id))) > 0)
           AND ($5::uuid IS NULL OR customer_id = $5)
           AND ($6::text IS NULL OR lower(email COLLATE "C") = lower($6 COLLATE "C"))
           AND ($7::text IS NULL OR external_id = $7))",
                COMPANY_KEY("$8::text") COMPANY_KEY("$9::text") COMPANY_KEY("$10::text")
                    COMPANY_KEY("$11::text") "id",
                COMPANY_COLUMNS("r")),
    io::Lane::main, io::Retry::read, 5000};

constexpr std::size_t max_text = 256;

constexpr NumberedRule rules[] = {
    {"id", "id", "A company with this id already exists."},
    {"external_id", "external_id", "A company with this external ID already exists."},
    {"customer_id", "customer_id", "Customer does not exist."},
};

Json company_json(const io::Row& row) {
    return Json::object({
        {"id", row.integer("company_id")},
        {"created_at", row.text("company_created_at")},
        {"modified_at", row.optional("company_modified_at")},
        {"workspace_id", row.text("company_workspace_id")},
        {"name", row.text("company_name")},
        {"email", row.optional("company_email")},
        {"customer_id", row.optional("company_customer_id")},
        {"external_id", row.optional("company_external_id")},
    });
}

constexpr NumberedNoun noun{save_statement,   change_statement, find_statement,
                            delete_statement, "company_id",     rules,
                            company_json};

Json read_members(http::Fields& fields, bool required) {
    Json members = Json::object();
    take_field(fields, members, "name",
               fields.string("name", {.min = 1, .max = max_text, .required = required}));
    take_field(fields, members, "email", email_field(fields, "email", {.nullable = true}));
    const std::optional<Uuid> customer = fields.uuid4("customer_id", {.nullable = true});
    take_field(fields, members, "customer_id",
               customer ? std::optional(customer->text()) : std::nullopt);
    take_field(fields, members, "external_id",
               fields.string("external_id", {.min = 1, .max = max_text, .nullable = true}));
    return members;
}

}  // namespace

CompanyInput CompanyInput::parse(Json body) {
    http::Fields fields(std::move(body));
    CompanyInput input;
    const std::optional<std::int64_t> id = fields.integer("id", {.min = 1, .nullable = true});
    input.members = read_members(fields, true);
    take_field(fields, input.members, "id", id);
    fields.done();
    return input;
}

CompanyInput CompanyInput::parse_change(Json body) {
    http::Fields fields(std::move(body));
    CompanyInput change;
    change.members = read_members(fields, false);
    fields.done();
    return change;
}

io::Task<Saved> save_company(io::Postgres& db, std::string workspace_id, CompanyInput input,
                             KeyClaim claim) {
    return save_numbered(db, std::move(workspace_id), noun, std::move(input.members),
                         std::move(claim));
}

io::Task<Json> change_company(io::Postgres& db, std::string workspace_id, std::int64_t id,
                              CompanyInput change) {
    return change_numbered(db, std::move(workspace_id), noun, id, std::move(change.members));
}

io::Task<Json> find_company(io::Postgres& db, std::string workspace_id, std::int64_t id) {
    return find_numbered(db, std::move(workspace_id), noun, id);
}

io::Task<void> delete_company(io::Postgres& db, std::string workspace_id, std::int64_t id) {
    return delete_numbered(db, std::move(workspace_id), noun, id);
}

io::Task<Page> list_companies(io::Postgres& db, std::string workspace_id, CompanyFilter filter,
                              PageRequest request) {
    Parameters parameters(request.per_page(), request.offset(), workspace_id, filter.query,
                          filter.customer_id, filter.email, filter.external_id, request.key(0),
                          request.key(1), request.key(2), request.key(3));
    io::Rows rows = co_await db.query(list_statement, std::move(parameters));
    co_return page_of(rows, request, company_json);
}

}  // namespace portal
