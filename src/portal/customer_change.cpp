// PATCH and DELETE of a customer.
#include "portal/billing_address.h"
#include "portal/customer.h"
#include "portal/email.h"
#include "portal/member.h"

namespace portal {
namespace {

using http::Json;
using io::Parameters;
using io::Statement;

// portal.change_customer() judges and changes: it alone can keep the violation of a unique index
// out of the log.
//   $1 workspace  $2 id  $3 external id  $4 the members that change, by name
constexpr Statement change_statement{"customer_change",
                                     R"(
SELECT array_to_string(r.refused, ' ') AS refused, )" PORTAL_CUSTOMER_COLUMNS(
                                         "(r.changed)") ", " PORTAL_MEMBER_COLUMNS("m") R"(
  FROM portal.change_customer($1::uuid, $2::uuid, $3::text, $4::jsonb) r
  LEFT JOIN portal.members m
    ON m.workspace_id = $1 AND m.customer_id = (r.changed).id AND m.deleted_at IS NULL
 ORDER BY m.created_at, m.id)"};

// The triggers of the table end sessions and members, and tell every node.
constexpr Statement delete_statement{"customer_delete", R"(
UPDATE portal.customers
   SET deleted_at = now()
 WHERE workspace_id = $1::uuid AND (id = $2::uuid OR external_id = $3::text) AND deleted_at IS NULL
RETURNING id)"};

// portal.erasures' triggers do it. Twice is once; a customer that was deleted long ago may still be
// erased, by its id.
constexpr Statement erase_statement{"customer_erase", R"(
INSERT INTO portal.erasures (workspace_id, customer_id)
SELECT workspace_id, id
  FROM portal.customers
 WHERE workspace_id = $1::uuid AND (id = $2::uuid OR (external_id = $3::text AND deleted_at IS NULL))
ON CONFLICT (workspace_id, customer_id) DO NOTHING
RETURNING customer_id AS id)",
                                    io::Lane::main, io::Retry::never, 5000};

constexpr std::size_t max_text = 256;

void take(http::Fields& fields, Json& members, const char* name,
          const std::optional<std::string>& value) {
    if (fields.given(name)) {
        members.set(name, value);
    }
}

void take(http::Fields& fields, Json& members, const char* name, const Json& value) {
    if (fields.given(name)) {
        members.set(name, value.present() ? value : Json(nullptr));
    }
}

// A 422 with every rule that portal.change_customer() names.
http::Failure refusal(std::string_view refused, const Json& sent) {
    std::vector<http::Problem> problems;
    auto refuse = [&](std::string_view rule, const char* field, const char* sentence) {
        if (refused.find(rule) != std::string_view::npos) {
            problems.push_back(http::business_problem({"body", field}, sentence, sent[field]));
        }
    };
    refuse("email_taken", "email", "A customer with this email address already exists.");
    refuse("external_id_taken", "external_id", "A customer with this external ID already exists.");
    refuse("external_id_fixed", "external_id", "Customer external ID cannot be updated.");
    refuse("type_downgrade", "type",
           "Customer type cannot be downgraded from 'team' to 'individual'.");
    return http::validation_failed(std::move(problems));
}

}  // namespace

CustomerChange CustomerChange::parse(Json body, bool by_operator) {
    http::Fields fields(std::move(body));
    CustomerChange change;
    change.members = Json::object();
    take(fields, change.members, "email", email_field(fields, "email"));
    take(fields, change.members, "external_id",
         fields.string("external_id", {.min = 1, .max = max_text, .nullable = true}));
    take(fields, change.members, "name",
         fields.string("name", {.max = max_text, .nullable = true}));
    take(fields, change.members, "type",
         fields.choice("type", {"individual", "team"}, {.nullable = true}));
    take(fields, change.members, "billing_address", billing_address_field(fields));
    take(fields, change.members, "metadata", metadata_field(fields));
    if (std::optional<bool> blocked = by_operator ? fields.boolean("blocked") : std::nullopt) {
        change.members.set("blocked", *blocked);
    }
    fields.done();
    return change;
}

io::Task<Json> change_customer(io::Postgres& db, std::string workspace_id, CustomerReference which,
                               CustomerChange change) {
    Parameters parameters(workspace_id, which.id, which.external_id, change.members.dump());
    io::Rows rows = co_await query_once_more(db, change_statement, std::move(parameters));
    if (rows.empty()) {
        throw http::resource_not_found();
    }
    if (!rows.front().text("refused").empty()) {
        throw refusal(rows.front().text("refused"), change.members);
    }
    co_return customer_with_members(rows);
}

io::Task<Uuid> delete_customer(io::Postgres& db, std::string workspace_id, CustomerReference which,
                               bool anonymize) {
    Parameters parameters(workspace_id, which.id, which.external_id);
    const Statement& statement = anonymize ? erase_statement : delete_statement;
    io::Rows rows = co_await query_once_more(db, statement, std::move(parameters));
    if (rows.empty()) {
        throw http::resource_not_found();
    }
    co_return Uuid::parse(rows.front().text("id")).value_or(Uuid{});
}

}  // namespace portal
