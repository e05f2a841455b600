#include "portal/contact.h"

#include "portal/business_failure.h"
#include "portal/email.h"

#define CONTACT_COLUMNS(alias)                                                      \
    alias ".id AS contact_id, "                                                     \
    "portal.time_text(" alias ".created_at) AS contact_created_at, "                \
    "portal.time_text(" alias ".modified_at) AS contact_modified_at, "              \
    alias ".workspace_id AS contact_workspace_id, " alias ".name AS contact_name, " \
    alias ".email AS contact_email, " alias ".company_id AS contact_company_id, "   \
    alias ".customer_id AS contact_customer_id, " alias ".external_id AS contact_external_id"

namespace portal {
namespace {

using http::Json;
using io::Parameters;
using io::Statement;

// customer_known, company_known: false when one was named that does not live here; nothing is written then
constexpr Statement save_statement{"contact_save", R"(
WITH known AS (
    SELECT $5::uuid IS NULL OR EXISTS (
               SELECT FROM portal.customers
                WHERE workspace_id = $1::uuid AND id = $5 AND deleted_at IS NULL) AS customer,
           $7::bigint IS NULL OR EXISTS (
               SELECT FROM portal.companies
                WHERE workspace_id = $1 AND id = $7 AND deleted_at IS NULL) AS company
), saved AS (
    INSERT INTO portal.contacts AS c (workspace_id, id, name, email, customer_id, external_id, company_id)
    SELECT $1, $2::bigint, $3::text, $4::text, $5, $6::text, $7
      FROM known
     WHERE known.customer AND known.company
    ON CONFLICT (workspace_id, external_id) WHERE deleted_at IS NULL DO UPDATE
       SET name = excluded.name,
           email = coalesce(excluded.email, c.email),
           customer_id = coalesce(excluded.customer_id, c.customer_id),
           company_id = coalesce(excluded.company_id, c.company_id)
    RETURNING *
)
SELECT known.customer AS customer_known, known.company AS company_known, )" CONTACT_COLUMNS("s") R"(
  FROM known
  LEFT JOIN saved s ON true)"};

constexpr Statement find_statement{"contact_find", R"(
SELECT )" CONTACT_COLUMNS("c") R"(
  FROM portal.contacts c
 WHERE c.workspace_id = $1::uuid AND c.id = $2::bigint AND c.deleted_at IS NULL)",
    io::Lane::main, io::Retry::read};

constexpr Statement list_statement{
    "contact_list",
    PORTAL_PAGE("SELECT * FROM portal.contacts WHERE workspace_id = $3::uuid AND deleted_at IS NULL "
                "AND ($4::text IS NULL OR "
                "position(lower($4) IN lower(concat_ws(' ', name, email, external_id))) > 0)",
                "id", CONTACT_COLUMNS("r")),
    io::Lane::main, io::Retry::read, 5000};

constexpr std::size_t max_text = 256;

Json optional_integer(const io::Row& row, const char* column) {
    return row.null(column) ? Json(nullptr) : Json(row.integer(column));
}

Json contact_json(const io::Row& row) {
    return Json::object({
        {"id", row.integer("contact_id")},
        {"created_at", row.text("contact_created_at")},
        {"modified_at", row.optional("contact_modified_at")},
        {"workspace_id", row.text("contact_workspace_id")},
        {"name", row.text("contact_name")},
        {"email", row.optional("contact_email")},
        {"company_id", optional_integer(row, "contact_company_id")},
        {"customer_id", row.optional("contact_customer_id")},
        {"external_id", row.optional("contact_external_id")},
    });
}

// Both at once when both are wrong.
http::Failure unknown_references(bool company_known, bool customer_known, const ContactInput& input) {
    std::vector<http::Problem> problems;
    if (!company_known) {
        problems.push_back(
            http::business_problem({"body", "company_id"}, "Company does not exist.", input.company_id));
    }
    if (!customer_known) {
        problems.push_back(
            http::business_problem({"body", "customer_id"}, "Customer does not exist.", input.customer_id));
    }
    return http::validation_failed(std::move(problems));
}

}  // namespace

ContactInput ContactInput::parse(Json body) {
    http::Fields fields(std::move(body));
    ContactInput input;
    input.id = fields.integer("id", {.min = 1, .nullable = true});
    input.name = fields.string("name", {.min = 1, .max = max_text, .required = true}).value_or("");
    input.email = email_field(fields, "email", {.nullable = true});
    input.company_id = fields.integer("company_id", {.min = 1, .nullable = true});
    if (std::optional<Uuid> customer = fields.uuid4("customer_id", {.nullable = true})) {
        input.customer_id = customer->text();
    }
    input.external_id = fields.string("external_id", {.min = 1, .max = max_text, .nullable = true});
    fields.done();
    return input;
}

io::Task<Json> save_contact(io::Postgres& db, std::string workspace_id, ContactInput input) {
    Parameters parameters(workspace_id, input.id, input.name, input.email, input.customer_id,
                          input.external_id, input.company_id);
    try {
        io::Rows rows = co_await db.query(save_statement, std::move(parameters));
        bool company_known = rows.front().boolean("company_known");
        bool customer_known = rows.front().boolean("customer_known");
        if (!company_known || !customer_known) {
            throw unknown_references(company_known, customer_known, input);
        }
        co_return contact_json(rows.front());
    } catch (const io::PostgresError& error) {
        if (error.sqlstate != "23505") {
            throw;
        }
        throw business_failure("id", "A contact with this id already exists.", input.id);
    }
}

io::Task<Json> find_contact(io::Postgres& db, std::string workspace_id, std::int64_t id) {
    Parameters parameters(workspace_id, id);
    io::Rows rows = co_await db.query(find_statement, std::move(parameters));
    if (rows.empty()) {
        throw http::resource_not_found("Contact not found");
    }
    co_return contact_json(rows.front());
}

io::Task<Page> list_contacts(io::Postgres& db, std::string workspace_id, std::optional<std::string> query,
                              PageRequest request) {
    Parameters parameters(request.per_page(), request.offset(), workspace_id, query);
    io::Rows rows = co_await db.query(list_statement, std::move(parameters));
    co_return page_of(rows, request, contact_json);
}

}  // namespace portal
