#include "portal/customer.h"

#include "portal/billing_address.h"
#include "portal/email.h"
#include "portal/hmac.h"
#include "portal/member.h"
#include "portal/secrets.h"

// One key of an ORDER BY chosen by a parameter, which is "" when there is no such key.
#define CUSTOMER_KEY(parameter)                                                                       \
    "CASE " parameter " WHEN 'email' THEN lower(email COLLATE \"C\") WHEN 'name' THEN lower(name) "   \
    "WHEN 'created_at' THEN to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') END, " \
    "CASE " parameter " WHEN '-email' THEN lower(email COLLATE \"C\") WHEN '-name' THEN lower(name) " \
    "WHEN '-created_at' THEN to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') END " \
    "DESC NULLS LAST, "

namespace portal {
namespace {

using http::Json;
using io::Parameters;
using io::Statement;

// Looks before it inserts, and does nothing where somebody was faster: the violation of a unique index would write the
// address into the server's log. A key claimed in vain is let go by starting over.
//
//   $1 workspace  $2 external id  $3 e-mail  $4 name  $5 type  $6 billing address  $7 metadata
//   $8 to $10 the owner's external id, e-mail and name  $11 id
//   $12 principal  $13 path  $14 Idempotency-Key  $15 payload hash
constexpr Statement create_statement{"customer_create", R"(
WITH taken AS (
    SELECT coalesce(bool_or(lower(email COLLATE "C") = lower($3::text COLLATE "C")), false) AS email,
           coalesce(bool_or(external_id = $2::text), false) AS external_id
      FROM portal.customers
     WHERE workspace_id = $1::uuid AND deleted_at IS NULL
       AND (lower(email COLLATE "C") = lower($3 COLLATE "C") OR external_id = $2)
), making AS MATERIALIZED (
    SELECT $11::uuid AS resource_id, NULL::text AS token_ciphertext, 201 AS status, 'infinity'::timestamptz AS expires_at
      FROM taken
     WHERE NOT taken.email AND NOT taken.external_id
), claim AS (
)" PORTAL_CLAIM_KEY("$1", "$12", "$13", "$14", "$15", "making") R"(
), customer AS (
    INSERT INTO portal.customers (id, workspace_id, external_id, email, name, type, billing_address, metadata)
    SELECT resource_id, $1, $2, $3, $4::text, coalesce($5::text, 'individual'), $6::jsonb, coalesce($7::jsonb, '{}')
      FROM making
     WHERE $14 IS NULL OR EXISTS (SELECT FROM claim)
    ON CONFLICT DO NOTHING
    RETURNING *
), owner AS (
    INSERT INTO portal.members (workspace_id, customer_id, external_id, email, name, role)
    SELECT c.workspace_id, c.id, $8::text, coalesce($9::text, c.email), coalesce($10::text, c.name), 'owner'
      FROM customer c
      JOIN portal.workspaces w ON w.id = c.workspace_id
     WHERE (w.feature_settings->>'member_model_enabled')::boolean
    RETURNING *
)
SELECT taken.email AS email_taken, taken.external_id AS external_id_taken,
       CASE WHEN c.id IS NULL AND EXISTS (SELECT FROM claim) THEN portal.start_over() END AS again,
       )" PORTAL_CUSTOMER_COLUMNS("c") ", " PORTAL_MEMBER_COLUMNS("m") R"(
  FROM taken
  LEFT JOIN customer c ON true
  LEFT JOIN owner m ON true)"};

// the id wins over the external id, that over the address
constexpr Statement find_statement{"customer_find", R"(
SELECT )" PORTAL_CUSTOMER_COLUMNS("c") ", " PORTAL_MEMBER_COLUMNS("m") R"(
  FROM (SELECT *
          FROM portal.customers
         WHERE workspace_id = $1::uuid AND deleted_at IS NULL
           AND (id = $2::uuid OR external_id = $3::text
                OR lower(email COLLATE "C") = lower($4::text COLLATE "C"))
         ORDER BY id = $2 DESC NULLS LAST, external_id = $3 DESC NULLS LAST
         LIMIT 1) c
  LEFT JOIN portal.members m
    ON m.workspace_id = c.workspace_id AND m.customer_id = c.id AND m.deleted_at IS NULL
 ORDER BY m.created_at, m.id)", io::Lane::main, io::Retry::read};

constexpr Statement list_statement{
    "customer_list",
    PORTAL_PAGE(R"(
        SELECT *
          FROM portal.customers
         WHERE workspace_id = $3::uuid AND deleted_at IS NULL
           AND ($4::text IS NULL OR lower(email COLLATE "C") = lower($4 COLLATE "C"))
           AND ($5::text IS NULL
                OR position(lower($5) IN lower(concat_ws(' ', email, name, external_id))) > 0)
           AND ($6::jsonb IS NULL
                OR NOT EXISTS (SELECT FROM jsonb_each_text($6) wanted
                                WHERE metadata->>wanted.key IS DISTINCT FROM wanted.value)))",
                CUSTOMER_KEY("$7::text") CUSTOMER_KEY("$8::text") CUSTOMER_KEY("$9::text") "id",
                PORTAL_CUSTOMER_COLUMNS("r")),
    io::Lane::main, io::Retry::read, 5000};

constexpr std::size_t max_text = 256;
constexpr std::size_t max_metadata = 50;

// NULL for an absent or null value.
std::optional<std::string> stored(const Json& json) {
    if (!json.present() || json.is_null()) {
        return std::nullopt;
    }
    return json.dump();
}

// Its problems are noted at body.owner.<member>.
OwnerInput parse_owner(const Json& sent, http::Fields& outer) {
    http::Fields fields(sent);
    OwnerInput owner;
    owner.email = email_field(fields, "email", {.nullable = true});
    owner.name = fields.string("name", {.max = max_text, .nullable = true});
    owner.external_id = fields.string("external_id", {.min = 1, .max = max_text, .nullable = true});
    try {
        fields.done();
    } catch (http::Failure& failure) {
        for (http::Problem& problem : failure.problems) {
            problem.loc.insert(problem.loc.begin() + 1, "owner");
            outer.add(std::move(problem));
        }
    }
    return owner;
}

// Throws a 422 for what another customer has already; both problems when both are.
void refuse_taken(const io::Row& row, const CustomerInput& input) {
    std::vector<http::Problem> problems;
    if (row.boolean("email_taken")) {
        problems.push_back(http::business_problem(
            {"body", "email"}, "A customer with this email address already exists.", input.email));
    }
    if (row.boolean("external_id_taken")) {
        problems.push_back(http::business_problem(
            {"body", "external_id"}, "A customer with this external ID already exists.", input.external_id));
    }
    if (!problems.empty()) {
        throw http::validation_failed(std::move(problems));
    }
}

}  // namespace

std::string avatar_url(std::string_view email) {
    return "https://www.gravatar.com/avatar/" + hex(sha256(ascii_lower(email))) + "?d=404";
}

Json billing_address_json(const io::Row& row, const char* column) {
    if (row.null(column)) {
        return nullptr;
    }
    Json stored = Json::parse(row.text(column));
    Json address = Json::object();
    for (const char* part : {"country", "line1", "line2", "postal_code", "city", "state"}) {
        Json value = stored[part];
        address.set(part, value.present() ? value : Json(nullptr));
    }
    return address;
}

namespace {

template <class Object>
void set_customer(Object& customer, const io::Row& row) {
    customer.set("id", row.text("customer_id"));
    customer.set("created_at", row.text("customer_created_at"));
    customer.set("modified_at", row.nullable("customer_modified_at"));
    customer.set("metadata", Json::parse(row.text("customer_metadata")));
    customer.set("external_id", row.nullable("customer_external_id"));
    customer.set("email", row.text("customer_email"));
    customer.set("email_verified", row.boolean("customer_email_verified"));
    customer.set("name", row.nullable("customer_name"));
    customer.set("billing_address", billing_address_json(row, "customer_billing_address"));
    customer.set("workspace_id", row.text("customer_workspace_id"));
    customer.set("deleted_at", row.nullable("customer_deleted_at"));
    customer.set("avatar_url", avatar_url(row.text("customer_email")));
    customer.set("type", row.nullable("customer_type"));
}

}  // namespace

Json customer_json(const io::Row& row) {
    Json customer = Json::object();
    set_customer(customer, row);
    return customer;
}

void write_customer(http::JsonText& customer, const io::Row& row) { set_customer(customer, row); }

Json customer_with_members(const io::Rows& rows) {
    Json customer = customer_json(rows.front());
    Json members = Json::array();
    for (int index = 0; index < rows.size(); ++index) {
        if (!rows[index].null("member_id")) {
            members.push(member_json(rows[index]));
        }
    }
    customer.set("members", members);
    return customer;
}

Json metadata_field(http::Fields& fields) {
    Json metadata = fields.value("metadata");
    if (metadata.is_object() && metadata.size() > max_metadata) {
        fields.refuse("metadata", "Metadata has at most 50 keys.");
    } else if (metadata.present() && !metadata.is_null() && !metadata.is_object()) {
        fields.problem("metadata", "dict_type", "Input should be a valid dictionary");
    }
    return metadata;
}

CustomerInput CustomerInput::parse(Json body) {
    http::Fields fields(std::move(body));
    CustomerInput input;
    input.email = email_field(fields, "email", {.required = true}).value_or("");
    input.external_id = fields.string("external_id", {.min = 1, .max = max_text, .nullable = true});
    input.name = fields.string("name", {.max = max_text, .nullable = true});
    input.type = fields.choice("type", {"individual", "team"}, {.nullable = true});
    input.billing_address = billing_address_field(fields);
    input.metadata = metadata_field(fields);
    if (Json owner = fields.value("owner"); owner.is_object()) {
        input.owner = parse_owner(owner, fields);
    } else if (owner.present() && !owner.is_null()) {
        fields.problem("owner", "model_attributes_type",
                       "Input should be a valid dictionary or object to extract fields from");
    }
    fields.done();
    return input;
}

CustomerReference CustomerReference::any(const std::string& text) {
    CustomerReference which;
    if (Uuid::parse(text)) {
        which.id = text;
    }
    which.external_id = text;
    which.email = text;
    return which;
}

io::Task<Json> create_customer(io::Postgres& db, std::string workspace_id, CustomerInput input, KeyClaim claim) {
    for (int attempt = 0; attempt < 2; ++attempt) {
        Parameters parameters(workspace_id, input.external_id, input.email, input.name, input.type,
                              stored(input.billing_address), stored(input.metadata), input.owner.external_id,
                              input.owner.email, input.owner.name, Uuid::random().text());
        claim.add_to(parameters);
        io::Rows rows = co_await query_once_more(db, create_statement, std::move(parameters), claim.key.given());
        if (!rows.front().null("customer_id")) {
            co_return customer_with_members(rows);
        }
        std::optional<Uuid> earlier = co_await claimed_resource(db, workspace_id, claim);
        if (earlier) {
            Parameters which(workspace_id, earlier->text(), nullptr, nullptr);
            io::Rows kept = co_await db.query(find_statement, std::move(which));
            if (!kept.empty()) {
                co_return customer_with_members(kept);
            }
        }
        // neither made nor taken: somebody was faster, and is seen the second time
        refuse_taken(rows.front(), input);
    }
    throw claim.key.given() ? still_running() : http::unavailable(1);
}

io::Task<Json> find_customer(io::Postgres& db, std::string workspace_id, CustomerReference which) {
    Parameters parameters(workspace_id, which.id, which.external_id, which.email);
    io::Rows rows = co_await db.query(find_statement, std::move(parameters));
    if (rows.empty()) {
        throw http::resource_not_found();
    }
    co_return customer_with_members(rows);
}

io::Task<Page> list_customers(io::Postgres& db, std::string workspace_id, CustomerFilter filter,
                              PageRequest request) {
    if (request.sorting.empty()) {
        request.sorting.push_back("-created_at");
    }
    Parameters parameters(request.per_page(), request.offset(), workspace_id, filter.email, filter.query,
                          stored(filter.metadata), request.key(0), request.key(1), request.key(2));
    io::Rows rows = co_await db.query(list_statement, std::move(parameters));
    co_return page_of(rows, request, customer_json);
}

}  // namespace portal
