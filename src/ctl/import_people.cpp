// portalctl import: customers and members.
#include "ctl/import_kind.h"
#include "http/validation.h"
#include "portal/customer.h"
#include "portal/member.h"

namespace portal::ctl {
namespace {

using http::Json;

// ---- customers

void take(const Json& line, Json& record, const char* name, const Json& value) {
    if (line[name].present()) {
        record.set(name, value);
    }
}

void read_customer(const Json& line, Json& record) {
    const CustomerInput input = CustomerInput::parse(line);
    record.set("email", input.email);
    take(line, record, "external_id", input.external_id);
    take(line, record, "name", input.name);
    if (input.type) {
        record.set("type", *input.type);
    }
    if (input.billing_address.is_object()) {
        record.set("billing_address", input.billing_address);
    }
    if (input.metadata.is_object()) {
        record.set("metadata", input.metadata);
    }
    record.set("owner", Json::object({{"email", input.owner.email},
                                      {"name", input.owner.name},
                                      {"external_id", input.owner.external_id}}));
}

constexpr const char* no_customer = "00000000-0000-4000-8000-000000000000";

void read_member(const Json& line, Json& record) {
    const MemberInput input = MemberInput::parse(line);
    record.set("email", input.email);
    take(line, record, "name", input.name);
    take(line, record, "external_id", input.external_id);
    if (input.role) {
        record.set("role", *input.role);
    }
    record.set("customer_id", input.customer_id);
}

// A member inside its customer's line, which is named by the line: the customer may have no id yet.
Json nested_member(const Json& member, std::int64_t number) {
    Json line = Json::object();
    if (member.is_object()) {
        line = Json::steal(json_copy(member.get()));
    }
    line.set("customer_id", no_customer);
    Json record = kept_members(line, true, read_member);
    json_object_del(record.get(), "customer_id");
    record.set("customer_line", number);
    return record;
}

std::vector<ImportRecord> parse_customer(const Json& line, std::int64_t number) {
    std::vector<http::Problem> problems;
    std::vector<ImportRecord> records;
    try {
        records.push_back({"customer", kept_members(line, true, read_customer)});
    } catch (const http::Failure& failure) {
        problems = failure.problems;
    }
    const Json members = line["members"];
    if (members.present() && !members.is_null() && !members.is_array()) {
        problems.push_back(
            http::business_problem({"body", "members"}, "Input should be a valid list", members));
    }
    for (std::size_t at = 0; members.is_array() && at < members.size(); ++at) {
        try {
            records.push_back({"member", nested_member(members[at], number)});
        } catch (const http::Failure& failure) {
            for (http::Problem problem : failure.problems) {
                problem.loc.insert(problem.loc.begin() + 1, {"members", std::to_string(at)});
                problems.push_back(std::move(problem));
            }
        }
    }
    if (!problems.empty()) {
        throw http::validation_failed(std::move(problems));
    }
    return records;
}

// target: the id the customer has, or will have
constexpr const char* stage_customers = R"(
CREATE TEMP TABLE incoming_customers ON COMMIT DROP AS
SELECT m.*, coalesce(m.existing, m.id, gen_random_uuid()) AS target
  FROM (SELECT r.line, r.position, r.record, r.id, r.created_at, r.external_id, r.email, r.name, r.type, r.billing_address,
               r.metadata, CASE WHEN by_id.workspace_id = run.workspace_id AND by_id.deleted_at IS NULL
                                THEN by_id.id END AS by_id,
               by_id.id IS NOT NULL AS id_taken, by_external.id AS by_external, by_email.id AS by_email,
               CASE WHEN run.updating
                    THEN coalesce(CASE WHEN by_id.workspace_id = run.workspace_id AND by_id.deleted_at IS NULL
                                       THEN by_id.id END, by_external.id, by_email.id) END AS existing
          FROM read_customers r
          CROSS JOIN run
          LEFT JOIN portal.customers by_id ON by_id.id = r.id
          LEFT JOIN portal.customers by_external
            ON by_external.workspace_id = run.workspace_id AND by_external.external_id = r.external_id
           AND by_external.deleted_at IS NULL
          LEFT JOIN portal.customers by_email
            ON by_email.workspace_id = run.workspace_id
           AND lower(by_email.email COLLATE "C") = lower(r.email COLLATE "C") AND by_email.deleted_at IS NULL) m;
CREATE UNIQUE INDEX ON incoming_customers (line);
ANALYZE incoming_customers)";

constexpr const char* judge_customers =
    "SELECT line, 'id: A customer with this id already exists.' AS reason FROM incoming_customers"
    " WHERE id_taken AND (by_id IS NULL OR existing IS NULL)"
    " UNION ALL "
    "SELECT line, 'id: The customer has another id.' FROM incoming_customers"
    " WHERE NOT id_taken AND id <> existing"
    " UNION ALL " IMPORT_TAKEN("incoming_customers", "by_external", "external_id",
                               "A customer with this external ID already exists.")
    " UNION ALL " IMPORT_TAKEN("incoming_customers", "by_email", "email",
                               "A customer with this email address already exists.")
    " UNION ALL " IMPORT_TWICE("incoming_customers", "id", "id")
    " UNION ALL " IMPORT_TWICE("incoming_customers", "existing", "customer")
    " UNION ALL " IMPORT_TWICE("incoming_customers", "external_id", "external_id")
    " UNION ALL " IMPORT_TWICE("incoming_customers", "lower(email COLLATE \"C\")", "email")
    " UNION ALL "
    "SELECT i.line, 'external_id: Customer external ID cannot be updated.' FROM incoming_customers i"
    "  JOIN portal.customers c ON c.id = i.existing"
    " WHERE c.external_id IS NOT NULL AND i.record ? 'external_id'"
    "   AND i.external_id IS DISTINCT FROM c.external_id"
    " UNION ALL "
    "SELECT i.line, 'type: Customer type cannot be downgraded from ''team'' to ''individual''.'"
    "  FROM incoming_customers i JOIN portal.customers c ON c.id = i.existing"
    " WHERE c.type = 'team' AND i.type = 'individual'";

constexpr const char* write_customers = R"(
WITH changed AS (
    UPDATE portal.customers c
       SET (external_id, email, name, type, billing_address, metadata) =
           (SELECT n.external_id, n.email, n.name, n.type, n.billing_address, n.metadata
              FROM jsonb_populate_record(c, i.record) n)
      FROM incoming_customers i, run
     WHERE c.workspace_id = run.workspace_id AND c.id = i.existing AND c.deleted_at IS NULL
    RETURNING 1
), made AS (
    INSERT INTO portal.customers (id, created_at, workspace_id, external_id, email, name, type, billing_address, metadata)
    SELECT i.target, coalesce(i.created_at, now()), run.workspace_id, i.external_id, i.email, i.name,
           coalesce(i.type, 'individual'), i.billing_address, coalesce(i.metadata, '{}')
      FROM incoming_customers i, run
     WHERE i.existing IS NULL
     ORDER BY i.line
    ON CONFLICT DO NOTHING
    RETURNING 1
)
SELECT (SELECT count(*) FROM made), (SELECT count(*) FROM changed))";

// ---- members

std::vector<ImportRecord> parse_member(const Json& line, std::int64_t) {
    return {{"member", kept_members(line, true, read_member)}};
}

// Under the member model a customer that is made has an owner: the line's, or the customer itself.
constexpr const char* stage_members = R"(
CREATE TEMP TABLE incoming_people ON COMMIT DROP AS
SELECT r.line, r.position, r.record, r.id, r.created_at, coalesce(c.target, r.customer_id) AS customer_id, r.external_id, r.email,
       r.name, r.role
  FROM read_members r
  LEFT JOIN incoming_customers c ON c.line = (r.record->>'customer_line')::bigint;
INSERT INTO incoming_people (line, position, record, customer_id, external_id, email, name, role)
SELECT c.line, c.position, '{}', c.target, c.record->'owner'->>'external_id', coalesce(c.record->'owner'->>'email', c.email),
       coalesce(c.record->'owner'->>'name', c.name), 'owner'
  FROM incoming_customers c, run
 WHERE run.member_model AND c.existing IS NULL
   AND NOT EXISTS (SELECT FROM incoming_people p WHERE p.customer_id = c.target);
ANALYZE incoming_people;
CREATE TEMP TABLE incoming_members ON COMMIT DROP AS
SELECT p.line, p.record, p.id, p.created_at, p.customer_id, p.external_id, p.email, p.name,
       by_id.id IS NOT NULL AS id_taken, m.by_id, m.by_external, m.by_email, m.existing,
       coalesce(p.role, old.role,
                CASE WHEN row_number() OVER (customer ORDER BY p.position) = 1
                          AND bool_or(p.role = 'owner') OVER customer IS NOT TRUE
                          AND NOT EXISTS (SELECT FROM portal.members o
                                           WHERE o.customer_id = p.customer_id AND o.deleted_at IS NULL)
                     THEN 'owner' ELSE 'member' END) AS role
  FROM incoming_people p
  CROSS JOIN run
  LEFT JOIN portal.members by_id ON by_id.id = p.id
  LEFT JOIN portal.members by_external
    ON by_external.customer_id = p.customer_id AND by_external.external_id = p.external_id
   AND by_external.deleted_at IS NULL
  LEFT JOIN portal.members by_email
    ON by_email.customer_id = p.customer_id AND lower(by_email.email COLLATE "C") = lower(p.email COLLATE "C")
   AND by_email.deleted_at IS NULL
  CROSS JOIN LATERAL (
       SELECT b.id AS by_id, by_external.id AS by_external, by_email.id AS by_email,
              CASE WHEN run.updating THEN coalesce(b.id, by_external.id, by_email.id) END AS existing
         FROM (SELECT CASE WHEN by_id.customer_id = p.customer_id AND by_id.deleted_at IS NULL
                           THEN by_id.id END AS id) b) m
  LEFT JOIN portal.members old ON old.id = m.existing
WINDOW customer AS (PARTITION BY p.customer_id);
ANALYZE incoming_members)";

constexpr const char* judge_members =
    "SELECT line, 'Member management is not enabled for this workspace' AS reason"
    "  FROM incoming_members, run WHERE NOT run.member_model"
    " UNION ALL " IMPORT_UNKNOWN("incoming_members", "customers", "customer_id",
                                 "Customer does not exist.")
    " UNION ALL "
    "SELECT line, 'id: A member with this id already exists.' FROM incoming_members"
    " WHERE id_taken AND (by_id IS NULL OR existing IS NULL)"
    " UNION ALL "
    "SELECT line, 'id: The member has another id.' FROM incoming_members WHERE NOT id_taken AND id <> existing"
    " UNION ALL " IMPORT_TAKEN("incoming_members", "by_external", "external_id",
                               "A member with this external ID already exists.")
    " UNION ALL " IMPORT_TAKEN("incoming_members", "by_email", "email",
                               "A member with this email address already exists.")
    " UNION ALL " IMPORT_TWICE("incoming_members", "id", "id")
    " UNION ALL " IMPORT_TWICE("incoming_members", "existing", "member")
    " UNION ALL " IMPORT_TWICE("incoming_members", "customer_id, external_id", "external_id")
    " UNION ALL " IMPORT_TWICE("incoming_members", "customer_id, lower(email COLLATE \"C\")", "email")
    " UNION ALL "
    "SELECT p.line, CASE WHEN p.owners <> 1 THEN 'role: Customer must have exactly one owner.'"
    "                    ELSE 'An individual customer has one member.' END"
    "  FROM (SELECT customer_id, max(line) AS line, count(*) AS living,"
    "               count(*) FILTER (WHERE role = 'owner') AS owners"
    "          FROM (SELECT customer_id, line, role FROM incoming_members"
    "                UNION ALL"
    "                SELECT m.customer_id, NULL, m.role FROM portal.members m"
    "                 WHERE m.deleted_at IS NULL"
    "                   AND m.customer_id IN (SELECT customer_id FROM incoming_members)"
    "                   AND NOT EXISTS (SELECT FROM incoming_members i WHERE i.existing = m.id)) AS together"
    "         GROUP BY customer_id) p"
    "  JOIN portal.customers c ON c.id = p.customer_id"
    " WHERE p.owners <> 1 OR (p.living > 1 AND c.type IS DISTINCT FROM 'team')";

constexpr const char* write_members = R"(
WITH changed AS (
    UPDATE portal.members m
       SET (external_id, email, name, role) =
           (SELECT n.external_id, n.email, n.name, i.role FROM jsonb_populate_record(m, i.record) n)
      FROM incoming_members i, run
     WHERE m.workspace_id = run.workspace_id AND m.id = i.existing AND m.deleted_at IS NULL
    RETURNING 1
), made AS (
    INSERT INTO portal.members (id, created_at, workspace_id, customer_id, external_id, email, name, role)
    SELECT coalesce(i.id, gen_random_uuid()), coalesce(i.created_at, now()), run.workspace_id, i.customer_id,
           i.external_id, i.email, i.name, i.role
      FROM incoming_members i, run
     WHERE i.existing IS NULL
     ORDER BY i.line
    ON CONFLICT (customer_id, lower(email COLLATE "C")) WHERE deleted_at IS NULL DO NOTHING
    RETURNING 1
)
SELECT (SELECT count(*) FROM made), (SELECT count(*) FROM changed))";

constexpr ImportKind kinds[] = {
    {"customer", "customers", parse_customer, stage_customers, judge_customers, nullptr,
     write_customers},
    {"member", "members", parse_member, stage_members, judge_members, nullptr, write_members},
};

}  // namespace

std::span<const ImportKind> people_kinds() { return kinds; }

}  // namespace portal::ctl
