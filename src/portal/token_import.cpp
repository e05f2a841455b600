#include "portal/token_import.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <utility>

#include "http/failure.h"
#include "portal/access_token.h"
#include "portal/uuid.h"

namespace portal {
namespace {

using http::Json;

// One row per line; none is stored when one is in trouble. Nobody else's table can be told apart by
// that: a token is known or not, wherever. The event of a new portal token is written once the
// statement is through, so that what is set here holds for it.
//
//   $1 workspace  $2 rows  $3 announce
constexpr io::Statement store_statement{"token_import_store", R"(
WITH input AS MATERIALIZED (
    SELECT i.*, coalesce(i.expires_at, date_trunc('second', now()) + make_interval(secs => i.expires_in)) AS ends_at
      FROM jsonb_to_recordset($2::jsonb) AS i (
           line bigint, kind text, id uuid, created_at timestamptz, token_hash text, secret_id text, accepted text[],
           scopes text[], comment text, contact_id bigint, company_id bigint, expires_at timestamptz,
           expires_in bigint)
), trouble AS MATERIALIZED (
    SELECT line, reason
      FROM input i, LATERAL (SELECT CASE
           WHEN EXISTS (SELECT FROM portal.workspace_access_tokens t WHERE t.token_hash = ANY (i.accepted))
             OR EXISTS (SELECT FROM portal.client_portal_tokens t WHERE t.token_hash = ANY (i.accepted))
             OR EXISTS (SELECT FROM portal.customer_sessions t WHERE t.token_hash = ANY (i.accepted))
             OR EXISTS (SELECT FROM portal.member_sessions t WHERE t.token_hash = ANY (i.accepted))
                THEN 'this token is known already'
           WHEN EXISTS (SELECT FROM portal.workspace_access_tokens t WHERE t.id = i.id)
             OR EXISTS (SELECT FROM portal.client_portal_tokens t WHERE t.id = i.id)
                THEN 'this id is taken'
           WHEN i.ends_at <= now() THEN 'expires_at is over'
           WHEN i.contact_id IS NOT NULL AND NOT EXISTS (
                SELECT FROM portal.contacts c
                 WHERE c.workspace_id = $1::uuid AND c.id = i.contact_id AND c.deleted_at IS NULL)
                THEN 'contact_id: Contact not found'
           WHEN i.company_id IS NOT NULL AND NOT EXISTS (
                SELECT FROM portal.companies c
                 WHERE c.workspace_id = $1 AND c.id = i.company_id AND c.deleted_at IS NULL)
                THEN 'company_id: Company not found' END AS reason) AS r
     WHERE reason IS NOT NULL
     ORDER BY line LIMIT 1
), access_token AS (
    INSERT INTO portal.workspace_access_tokens
           (id, created_at, workspace_id, token_hash, secret_id, scopes, comment, expires_at)
    SELECT coalesce(id, gen_random_uuid()), coalesce(created_at, now()), $1, token_hash, secret_id, scopes, comment,
           ends_at
      FROM input WHERE kind = 'access_token' AND NOT EXISTS (SELECT FROM trouble)
    RETURNING 1
), portal_token AS (
    INSERT INTO portal.client_portal_tokens
           (id, created_at, workspace_id, contact_id, company_id, token_hash, secret_id, expires_at)
    SELECT coalesce(i.id, gen_random_uuid()), coalesce(i.created_at, now()), $1, i.contact_id, i.company_id,
           i.token_hash, i.secret_id,
           coalesce(i.ends_at, date_trunc('second', now())
                    + make_interval(days => coalesce(f.token_expiration_days, 30)))
      FROM input i
      LEFT JOIN portal.client_portal_configs f ON f.workspace_id = $1
     WHERE i.kind = 'portal_token' AND NOT EXISTS (SELECT FROM trouble)
    RETURNING 1
)
SELECT (SELECT line FROM trouble) AS line, (SELECT reason FROM trouble) AS reason,
       (SELECT count(*) FROM access_token) AS access_tokens, (SELECT count(*) FROM portal_token) AS portal_tokens,
       CASE WHEN NOT $3::boolean THEN set_config('portal.announce', 'off', true) END AS announce)",
                                        io::Lane::main, io::Retry::never, 600000};

constexpr std::size_t shortest_token = 8, longest_token = 512;  // longest: what a worker looks up
constexpr std::size_t most_rows = 500000;
constexpr std::int64_t longest_life = std::int64_t(100) * 366 * 86400;

// RFC 3339 with a zone; what PostgreSQL would refuse too is refused here, where the line is known.
bool is_time(const std::string& text) {
    int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, read = 0;
    if (std::sscanf(text.c_str(), "%4d-%2d-%2d%*1[Tt ]%2d:%2d:%2d%n", &year, &month, &day, &hour,
                    &minute, &second, &read) != 6 ||
        read != 19) {
        return false;
    }
    std::string_view rest = std::string_view(text).substr(19);
    if (rest.starts_with('.')) {
        const auto end = std::min(rest.find_first_not_of("0123456789", 1), rest.size());
        if (end == 1 || end > 10) {
            return false;
        }
        rest.remove_prefix(end);
    }
    const std::chrono::year_month_day date{std::chrono::year(year),
                                           std::chrono::month(unsigned(month)),
                                           std::chrono::day(unsigned(day))};
    if (!date.ok() || year < 1970 || hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
        second < 0 || second > 59) {
        return false;
    }
    if (rest == "Z" || rest == "z") {
        return true;
    }
    int hours = 0, minutes = 0;
    read = 0;
    const std::string zone(rest);
    return std::sscanf(zone.c_str(), "%*1[+-]%2d:%2d%n", &hours, &minutes, &read) == 2 &&
           read == 6 && zone.size() == 6 && hours >= 0 && hours <= 15 && minutes >= 0 &&
           minutes <= 59;
}

void read_time(http::Fields& fields, const char* name, Json& row) {
    if (std::optional<std::string> text = fields.string(name, {.nullable = true})) {
        if (!is_time(*text)) {
            fields.refuse(name, "Input should be a time like 2026-01-31T12:00:00Z.");
        }
        row.set(name, *text);
    }
}

Json list_of(const std::vector<std::string>& words) {
    Json list = Json::array();
    for (const std::string& word : words) {
        list.push(word);
    }
    return list;
}

// Of a failure, what says where and why; the input is not in it.
std::string sentence_of(const http::Failure& failure) {
    if (failure.problems.empty()) {
        return failure.detail;
    }
    const http::Problem& problem = failure.problems.front();
    if (problem.type == "json_invalid") {
        return "is no JSON object";
    }
    return problem.loc.size() > 1 ? problem.loc[1] + ": " + problem.msg : problem.msg;
}

void refuse_unknown(const Json& object) {
    static constexpr std::string_view known[] = {
        "token",      "kind",       "comment",    "scopes",     "contact_id",
        "company_id", "expires_at", "expires_in", "created_at", "id"};
    const char* name = nullptr;
    json_t* value = nullptr;
    json_object_foreach(object.get(), name, value) {
        if (std::find(std::begin(known), std::end(known), name) == std::end(known)) {
            throw http::Failure(422, "", "has a member that is not known");
        }
    }
}

}  // namespace

TokenImport::TokenImport(const Secrets& secrets, TokenImportDefaults defaults)
    : secrets_(secrets), defaults_(std::move(defaults)) {}

void TokenImport::add_line(std::string_view text) {
    ++line_;
    while (!text.empty() &&
           std::string_view(" \t\r\n").find(text.back()) != std::string_view::npos) {
        text.remove_suffix(1);
    }
    if (text.empty()) {
        return;
    }
    if (rows_.size() >= most_rows) {
        throw ImportRefused(line_, "a file has at most 500,000 tokens");
    }
    try {
        Json row = row_of(text);
        row.set("line", line_);
        require_new("token", row["token_hash"].text());
        if (row["id"].present()) {
            require_new("id", row["id"].text());
        }
        rows_.push(std::move(row));
    } catch (const http::Failure& failure) {
        throw ImportRefused(line_, sentence_of(failure));
    }
}

void TokenImport::require_new(const char* what, std::string_view value) {
    const auto [first, fresh] = seen_.emplace(std::string(value), line_);
    if (!fresh) {
        throw ImportRefused(line_, std::string("the same ") + what + " as on line " +
                                       std::to_string(first->second));
    }
}

Json TokenImport::row_of(std::string_view text) const {
    Json body = text.starts_with('{') ? http::parse_body(text, std::nullopt, http::Surface::rest)
                                      : Json::object({{"token", text}});
    refuse_unknown(body);
    http::Fields fields(body);
    Json row = Json::object();
    const std::string token = fields.string("token", {.required = true}).value_or("");
    const bool has_addressee = fields.given("contact_id") || fields.given("company_id");
    const std::string kind = fields.choice("kind", {"access_token", "portal_token"})
                                 .value_or(has_addressee ? "portal_token" : "access_token");
    row.set("kind", kind);
    if (std::optional<Uuid> id = fields.uuid4("id", {.nullable = true})) {
        row.set("id", id->text());
    }
    read_time(fields, "created_at", row);
    read_time(fields, "expires_at", row);
    std::optional<std::int64_t> life =
        fields.integer("expires_in", {.min = 1, .max = longest_life, .nullable = true});
    if (!life && !row["expires_at"].present()) {
        life = defaults_.expires_in;
    }
    if (life && row["expires_at"].present()) {
        fields.refuse("expires_in", "Either expires_at or expires_in, not both.");
    }
    row.set("expires_in", life);
    const bool portal = kind == "portal_token";
    portal ? read_portal_token(fields, row) : read_access_token(fields, row);
    fields.done();
    take_token(token, portal ? Kind::portal : Kind::workspace, row);
    return row;
}

void TokenImport::read_access_token(http::Fields& fields, Json& row) const {
    for (const char* name : {"contact_id", "company_id"}) {
        if (fields.given(name)) {
            fields.refuse(name, "An access token has no addressee.");
        }
    }
    Json body = Json::object();
    body.set("comment",
             fields.given("comment") ? fields.value("comment") : Json(defaults_.comment));
    body.set("scopes", fields.given("scopes") ? fields.value("scopes") : list_of(defaults_.scopes));
    AccessTokenInput input = AccessTokenInput::parse(std::move(body), true);
    row.set("comment", input.comment).set("scopes", list_of(input.scopes));
}

void TokenImport::read_portal_token(http::Fields& fields, Json& row) const {
    for (const char* name : {"comment", "scopes"}) {
        if (fields.given(name)) {
            fields.refuse(name, "A portal token has none.");
        }
    }
    const auto contact = fields.integer("contact_id", {.min = 1, .nullable = true});
    const auto company = fields.integer("company_id", {.min = 1, .nullable = true});
    if (contact.has_value() == company.has_value()) {
        fields.refuse("contact_id", "A portal token is for either a contact or a company.");
    }
    row.set("contact_id", contact).set("company_id", company);
}

// A token of our own form is looked at as what it claims to be, and only if it was made under our
// secret.
void TokenImport::take_token(std::string_view token, Kind kind, Json& row) const {
    const bool plain =
        std::all_of(token.begin(), token.end(), [](char c) { return c > 0x20 && c < 0x7f; });
    if (!plain || token.size() < shortest_token || token.size() > longest_token) {
        throw http::Failure(422, "",
                            "a token has 8 to 512 printable ASCII characters, and no blank");
    }
    const Secrets::Form form = secrets_.inspect(token);
    if (form.forged) {
        throw http::Failure(422, "",
                            "the token has the form of ours, but was not made under this secret");
    }
    if (form.kind != Kind::none && form.kind != kind) {
        throw http::Failure(422, "", "the token has the form of another kind");
    }
    Json accepted = Json::array();
    for (const TokenHash& hash : secrets_.hashes(token)) {
        accepted.push(hex(hash.digest));
    }
    const TokenHash hash = secrets_.hash(token);
    row.set("token_hash", hex(hash.digest))
        .set("secret_id", hash.secret_id)
        .set("accepted", accepted);
}

io::Task<TokenImport::Stored> TokenImport::store(io::Postgres& db, std::string workspace_id,
                                                 bool announce) {
    io::Parameters parameters(workspace_id, rows_.dump(), announce);
    io::Rows rows = co_await db.query(store_statement, std::move(parameters));
    const io::Row row = rows.front();
    if (!row.null("line")) {
        throw ImportRefused(row.integer("line"), row.string("reason"));
    }
    co_return Stored{row.integer("access_tokens"), row.integer("portal_tokens")};
}

}  // namespace portal
