#include "portal/file_sharing.h"

#include "portal/slug.h"

// Every column a body may set, of the record called `alias`.
#define SETTABLE(alias)                                                                            \
    alias "short_slug, " alias "long_slug, " alias "status, " alias "max_downloads, " alias        \
          "download_count, " alias "price_cents, " alias "currency, " alias "title, " alias        \
          "file_name, " alias "file_size_bytes, " alias "ttl_seconds, " alias "expires_at, " alias \
          "activated_at, " alias "completed_at, " alias "user_id, " alias "share_id"

namespace portal {
namespace {

using http::Json;
using io::Parameters;
using io::Statement;

//   $1 workspace  $2 customer id  $3 external id  $4 columns
//   $5 principal  $6 path  $7 Idempotency-Key  $8 payload hash
constexpr Statement create_statement{"file_share_session_create", R"(
WITH owner AS MATERIALIZED (
)" PORTAL_NAMED_CUSTOMER("$1", "$2", "$3") R"(
), taken AS MATERIALIZED (
    SELECT EXISTS (SELECT FROM portal.file_share_sessions
                    WHERE workspace_id = $1 AND short_slug = $4::jsonb ->> 'short_slug') AS short_slug,
           EXISTS (SELECT FROM portal.file_share_sessions
                    WHERE workspace_id = $1 AND long_slug = $4 ->> 'long_slug') AS long_slug
), making AS MATERIALIZED (
    SELECT owner.id AS customer_id, gen_random_uuid() AS resource_id, NULL::text AS token_ciphertext, 201 AS status,
           now() + interval '24 h' AS expires_at
      FROM owner, taken
     WHERE NOT taken.short_slug AND NOT taken.long_slug
), claim AS (
)" PORTAL_CLAIM_KEY("$1", "$5", "$6", "$7", "$8", "making") R"(
), made AS (
    INSERT INTO portal.file_share_sessions (id, workspace_id, customer_id, )" SETTABLE("") R"()
    SELECT making.resource_id, $1, making.customer_id, )" SETTABLE("sent.") R"(
      FROM making, jsonb_populate_record(NULL::portal.file_share_sessions, $4) AS sent
     WHERE $7 IS NULL OR EXISTS (SELECT FROM claim)
    RETURNING *
)
SELECT EXISTS (SELECT FROM owner) AS customer_known, taken.short_slug AS short_slug_taken,
       taken.long_slug AS long_slug_taken, )" PORTAL_FILE_SHARE_SESSION_COLUMNS("s") R"(
  FROM taken
  LEFT JOIN made s ON true)"};

constexpr Statement find_statement{"file_share_session_find", R"(
SELECT )" PORTAL_FILE_SHARE_SESSION_COLUMNS("s") R"(
  FROM portal.file_share_sessions s
 WHERE s.workspace_id = $1::uuid AND s.id = $2::uuid)",
                                   io::Lane::main, io::Retry::read};

constexpr Statement find_visible_statement{"file_share_session_find_visible", R"(
SELECT )" PORTAL_FILE_SHARE_SESSION_COLUMNS("s") R"(
  FROM portal.file_share_sessions s
 WHERE s.workspace_id = $1::uuid AND s.id = $3::uuid
   AND (s.customer_id = $2::uuid
        OR EXISTS (SELECT FROM portal.file_share_buyers b
                    WHERE b.workspace_id = $1 AND b.customer_id = $2 AND b.session_id = $3)))",
                                           io::Lane::main, io::Retry::read};

//   $1 workspace  $2 session  $3 customer id  $4 external id  $5 columns
constexpr Statement change_statement{"file_share_session_change", R"(
WITH target AS MATERIALIZED (
    SELECT id, coalesce(($5::jsonb ->> 'max_downloads')::integer, max_downloads) AS max_downloads,
           coalesce(($5 ->> 'download_count')::integer, download_count) AS download_count
      FROM portal.file_share_sessions
     WHERE workspace_id = $1::uuid AND id = $2::uuid
       FOR NO KEY UPDATE
), owner AS MATERIALIZED (
)" PORTAL_NAMED_CUSTOMER("$1", "$3", "$4") R"(
), judged AS MATERIALIZED (
    SELECT id, max_downloads = 0 OR download_count <= max_downloads AS fits,
           $3 IS NULL AND $4 IS NULL OR EXISTS (SELECT FROM owner) AS customer_known,
           EXISTS (SELECT FROM portal.file_share_sessions
                    WHERE workspace_id = $1 AND short_slug = $5 ->> 'short_slug' AND id <> $2) AS short_slug,
           EXISTS (SELECT FROM portal.file_share_sessions
                    WHERE workspace_id = $1 AND long_slug = $5 ->> 'long_slug' AND id <> $2) AS long_slug
      FROM target
), changed AS (
    UPDATE portal.file_share_sessions AS s
       SET (customer_id, )" SETTABLE("") R"() = (
               SELECT coalesce((SELECT owner.id FROM owner), s.customer_id), )" SETTABLE(
                                                                      "sent.") R"(
                 FROM jsonb_populate_record(s, $5) AS sent)
      FROM judged
     WHERE s.workspace_id = $1 AND s.id = judged.id
       AND judged.fits AND judged.customer_known AND NOT judged.short_slug AND NOT judged.long_slug
    RETURNING s.*
)
SELECT judged.fits, judged.customer_known, judged.short_slug AS short_slug_taken,
       judged.long_slug AS long_slug_taken, )" PORTAL_FILE_SHARE_SESSION_COLUMNS("s") R"(
  FROM judged
  LEFT JOIN changed s ON true)"};

constexpr std::size_t max_text = 256;
constexpr std::int64_t max_integer = 2147483647;
constexpr std::int64_t max_ttl = 315360000;  // ten years
constexpr const char* too_many_downloads =
    "The download count cannot be above the maximum of downloads.";

Json optional_integer(const io::Row& row, const char* column) {
    return row.null(column) ? Json(nullptr) : Json(row.integer(column));
}

void read_columns(http::Fields& fields, Json& into, bool change) {
    Columns columns(fields, into, change);
    columns.take("short_slug", slug_field(fields, "short_slug", {.nullable = true}), false);
    columns.take("long_slug", slug_field(fields, "long_slug", {.nullable = true}), false);
    columns.take(
        "status",
        fields.choice("status",
                      {"created", "active", "completed", "expired", "destroyed", "reported"},
                      {.nullable = true}),
        false);
    columns.integer("max_downloads", {.min = 0, .max = max_integer, .nullable = true}, false);
    columns.integer("download_count", {.min = 0, .max = max_integer, .nullable = true}, false);
    columns.integer("price_cents", {.min = 0, .nullable = true}, true);
    columns.currency("currency");
    columns.take("title", fields.string("title", {.max = max_text, .nullable = true}), true);
    columns.take("file_name", fields.string("file_name", {.max = max_text, .nullable = true}),
                 true);
    columns.integer("file_size_bytes", {.min = 0, .nullable = true}, true);
    columns.integer("ttl_seconds", {.min = 0, .max = max_ttl, .nullable = true}, false);
    for (const char* name : {"expires_at", "activated_at", "completed_at"}) {
        columns.take(name, fields.time(name, {.nullable = true}), true);
    }
    for (const char* name : {"user_id", "share_id"}) {
        std::optional<Uuid> id = fields.uuid4(name, {.nullable = true});
        columns.take(name, id ? std::optional(id->text()) : std::nullopt, true);
    }
}

// Everything that is taken or unknown, at once.
std::vector<http::Problem> problems_of(const io::Row& row, const FileShareSessionInput& input) {
    std::vector<http::Problem> problems;
    if (!row.boolean("customer_known")) {
        problems.push_back(input.customer.unknown());
    }
    for (const char* slug : {"short_slug", "long_slug"}) {
        if (row.boolean((std::string(slug) + "_taken").c_str())) {
            problems.push_back(http::business_problem(
                {"body", slug}, "A session with this slug already exists.", input.columns[slug]));
        }
    }
    return problems;
}

}  // namespace

void Columns::take(const char* name, std::optional<std::string> value, bool nullable) {
    if (value) {
        into_.set(name, *value);
    } else if (nullable && clears_ && fields_.value(name).is_null()) {
        into_.set(name, nullptr);
    }
}

void Columns::integer(const char* name, http::Number rule, bool nullable) {
    if (std::optional<std::int64_t> value = fields_.integer(name, rule)) {
        into_.set(name, *value);
    } else if (nullable && clears_ && fields_.value(name).is_null()) {
        into_.set(name, nullptr);
    }
}

void Columns::currency(const char* name) {
    constexpr const char* pattern = "^[A-Za-z]{3}$";
    std::optional<std::string> code = fields_.string(name, {.nullable = true});
    bool letters = code && code->size() == 3;
    for (char c : letters ? *code : std::string()) {
        letters = letters && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'));
    }
    if (code && !letters) {
        fields_.problem(name, "string_pattern_mismatch",
                        std::string("String should match pattern '") + pattern + "'",
                        Json::object({{"pattern", pattern}}));
        return;
    }
    take(name, std::move(code), false);
}

NamedCustomer NamedCustomer::read(http::Fields& fields) {
    NamedCustomer customer;
    if (std::optional<Uuid> id = fields.uuid4("customer_id", {.nullable = true})) {
        customer.id = id->text();
    }
    customer.external_id =
        fields.string("external_customer_id", {.min = 1, .max = max_text, .nullable = true});
    return customer;
}

http::Problem NamedCustomer::unknown() const {
    const char* member = external_id ? "external_customer_id" : "customer_id";
    return http::business_problem({"body", member}, "Customer does not exist.",
                                  external_id ? external_id : id);
}

Json file_share_session_json(const io::Row& row) {
    return Json::object({
        {"id", row.text("session_id")},
        {"created_at", row.text("session_created_at")},
        {"modified_at", row.optional("session_modified_at")},
        {"short_slug", row.text("session_short_slug")},
        {"long_slug", row.text("session_long_slug")},
        {"status", row.text("session_status")},
        {"max_downloads", row.integer("session_max_downloads")},
        {"download_count", row.integer("session_download_count")},
        {"price_cents", optional_integer(row, "session_price_cents")},
        {"currency", row.text("session_currency")},
        {"title", row.optional("session_title")},
        {"file_name", row.optional("session_file_name")},
        {"file_size_bytes", optional_integer(row, "session_file_size_bytes")},
        {"ttl_seconds", row.integer("session_ttl_seconds")},
        {"expires_at", row.optional("session_expires_at")},
        {"activated_at", row.optional("session_activated_at")},
        {"completed_at", row.optional("session_completed_at")},
        {"user_id", row.optional("session_user_id")},
        {"workspace_id", row.text("session_workspace_id")},
        {"share_id", row.optional("session_share_id")},
    });
}

Json managed_file_share_session_json(const io::Row& row) {
    Json session = file_share_session_json(row);
    session.set("customer_id", row.text("session_customer_id"));
    return session;
}

FileShareSessionInput FileShareSessionInput::parse(Json body) {
    http::Fields fields(std::move(body));
    FileShareSessionInput input;
    input.customer = NamedCustomer::read(fields);
    auto sent = [&](const char* name) {
        return fields.given(name) && !fields.value(name).is_null();
    };
    if (!sent("customer_id") && !sent("external_customer_id")) {
        http::Problem problem;
        problem.type = "missing";
        problem.loc = {"body", "customer_id"};
        problem.msg = "Field required";
        problem.input = fields.all();
        fields.add(std::move(problem));
    }
    input.columns = Json::object({{"status", "created"},
                                  {"max_downloads", 0},
                                  {"download_count", 0},
                                  {"currency", "usd"},
                                  {"ttl_seconds", 0}});
    read_columns(fields, input.columns, false);
    std::int64_t most = input.columns["max_downloads"].integer();
    if (most > 0 && input.columns["download_count"].integer() > most) {
        fields.refuse("download_count", too_many_downloads);
    }
    fields.done();
    return input;
}

FileShareSessionInput FileShareSessionInput::parse_change(Json body) {
    http::Fields fields(std::move(body));
    FileShareSessionInput input;
    input.customer = NamedCustomer::read(fields);
    read_columns(fields, input.columns, true);
    fields.done();
    return input;
}

io::Task<Json> create_file_share_session(io::Postgres& db, std::string workspace_id,
                                         FileShareSessionInput input, KeyClaim claim) {
    for (int attempt = 1; attempt <= 2; ++attempt) {
        Parameters parameters(workspace_id, input.customer.id, input.customer.external_id,
                              input.columns.dump());
        claim.add_to(parameters);
        io::Rows rows = co_await query_once_more(db, create_statement, std::move(parameters),
                                                 claim.key.given());
        if (!rows.front().null("session_id")) {
            co_return managed_file_share_session_json(rows.front());
        }
        std::optional<Uuid> earlier = co_await claimed_resource(db, workspace_id, claim);
        if (earlier) {
            Json session = co_await find_file_share_session(db, workspace_id, earlier->text());
            co_return session;
        }
        std::vector<http::Problem> problems = problems_of(rows.front(), input);
        if (!problems.empty()) {
            throw http::validation_failed(std::move(problems));
        }
        // what the key had made has just gone: once more
    }
    throw still_running();
}

io::Task<Json> find_file_share_session(io::Postgres& db, std::string workspace_id, std::string id) {
    Parameters parameters(workspace_id, id);
    io::Rows rows = co_await db.query(find_statement, std::move(parameters));
    if (rows.empty()) {
        throw http::resource_not_found();
    }
    co_return managed_file_share_session_json(rows.front());
}

io::Task<Json> change_file_share_session(io::Postgres& db, std::string workspace_id, std::string id,
                                         FileShareSessionInput input) {
    Parameters parameters(workspace_id, id, input.customer.id, input.customer.external_id,
                          input.columns.dump());
    io::Rows rows = co_await query_once_more(db, change_statement, std::move(parameters));
    if (rows.empty()) {
        throw http::resource_not_found();
    }
    const io::Row row = rows.front();
    std::vector<http::Problem> problems = problems_of(row, input);
    if (!row.boolean("fits")) {
        const char* member =
            input.columns["max_downloads"].present() ? "max_downloads" : "download_count";
        problems.push_back(
            http::business_problem({"body", member}, too_many_downloads, input.columns[member]));
    }
    if (!problems.empty()) {
        throw http::validation_failed(std::move(problems));
    }
    co_return managed_file_share_session_json(row);
}

io::Task<Json> find_visible_file_share_session(io::Postgres& db, std::string workspace_id,
                                               std::string customer_id, std::string id) {
    Parameters parameters(workspace_id, customer_id, id);
    io::Rows rows = co_await db.query(find_visible_statement, std::move(parameters));
    if (rows.empty()) {
        throw http::resource_not_found();
    }
    co_return file_share_session_json(rows.front());
}

}  // namespace portal
