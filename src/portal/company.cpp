#include "portal/company.h"

#include "portal/business_failure.h"
#include "portal/email.h"

#define COMPANY_COLUMNS(alias)                                                      \
    alias ".id AS company_id, "                                                     \
    "portal.time_text(" alias ".created_at) AS company_created_at, "                \
    "portal.time_text(" alias ".modified_at) AS company_modified_at, "              \
    alias ".workspace_id AS company_workspace_id, " alias ".name AS company_name, " \
    alias ".email AS company_email, " alias ".customer_id AS company_customer_id, " \
    alias ".external_id AS company_external_id"

namespace portal {
namespace {

using http::Json;
using io::Parameters;
using io::Statement;

// customer_known is false when a customer was named that does not live here; nothing is written then
constexpr Statement save_statement{"company_save", R"(
WITH known AS (
    SELECT $5::uuid IS NULL OR EXISTS (
               SELECT FROM portal.customers
                WHERE workspace_id = $1::uuid AND id = $5 AND deleted_at IS NULL) AS customer
), saved AS (
    INSERT INTO portal.companies AS c (workspace_id, id, name, email, customer_id, external_id)
    SELECT $1, $2::bigint, $3::text, $4::text, $5, $6::text
      FROM known
     WHERE known.customer
    ON CONFLICT (workspace_id, external_id) WHERE deleted_at IS NULL DO UPDATE
       SET name = excluded.name,
           email = coalesce(excluded.email, c.email),
           customer_id = coalesce(excluded.customer_id, c.customer_id)
    RETURNING *
)
SELECT known.customer AS customer_known, )" COMPANY_COLUMNS("s") R"(
  FROM known
  LEFT JOIN saved s ON true)"};

constexpr Statement find_statement{"company_find", R"(
SELECT )" COMPANY_COLUMNS("c") R"(
  FROM portal.companies c
 WHERE c.workspace_id = $1::uuid AND c.id = $2::bigint AND c.deleted_at IS NULL)",
    io::Lane::main, io::Retry::read};

constexpr Statement list_statement{
    "company_list",
    PORTAL_PAGE("SELECT * FROM portal.companies WHERE workspace_id = $3::uuid AND deleted_at IS NULL "
                "AND ($4::text IS NULL OR "
                "position(lower($4) IN lower(concat_ws(' ', name, email, external_id))) > 0)",
                "id", COMPANY_COLUMNS("r")),
    io::Lane::main, io::Retry::read, 5000};

constexpr std::size_t max_text = 256;

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

}  // namespace

CompanyInput CompanyInput::parse(Json body) {
    http::Fields fields(std::move(body));
    CompanyInput input;
    input.id = fields.integer("id", {.min = 1, .nullable = true});
    input.name = fields.string("name", {.min = 1, .max = max_text, .required = true}).value_or("");
    input.email = email_field(fields, "email", {.nullable = true});
    if (std::optional<Uuid> customer = fields.uuid4("customer_id", {.nullable = true})) {
        input.customer_id = customer->text();
    }
    input.external_id = fields.string("external_id", {.min = 1, .max = max_text, .nullable = true});
    fields.done();
    return input;
}

io::Task<Json> save_company(io::Postgres& db, std::string workspace_id, CompanyInput input) {
    Parameters parameters(workspace_id, input.id, input.name, input.email, input.customer_id,
                          input.external_id);
    try {
        io::Rows rows = co_await db.query(save_statement, std::move(parameters));
        if (!rows.front().boolean("customer_known")) {
            throw business_failure("customer_id", "Customer does not exist.", input.customer_id);
        }
        co_return company_json(rows.front());
    } catch (const io::PostgresError& error) {
        if (error.sqlstate != "23505") {
            throw;
        }
        throw business_failure("id", "A company with this id already exists.", input.id);
    }
}

io::Task<Json> find_company(io::Postgres& db, std::string workspace_id, std::int64_t id) {
    Parameters parameters(workspace_id, id);
    io::Rows rows = co_await db.query(find_statement, std::move(parameters));
    if (rows.empty()) {
        throw http::resource_not_found("Company not found");
    }
    co_return company_json(rows.front());
}

io::Task<Page> list_companies(io::Postgres& db, std::string workspace_id, std::optional<std::string> query,
                              PageRequest request) {
    Parameters parameters(request.per_page(), request.offset(), workspace_id, query);
    io::Rows rows = co_await db.query(list_statement, std::move(parameters));
    co_return page_of(rows, request, company_json);
}

}  // namespace portal
