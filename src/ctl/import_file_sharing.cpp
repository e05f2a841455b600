// portalctl import: file-sharing sessions, their downloads and their payments.
#include "ctl/import_kind.h"
#include "http/failure.h"
#include "portal/file_sharing.h"
#include "portal/file_sharing_download.h"
#include "portal/payment.h"

// The columns of a session that a record may have, of `alias`.
#define SESSION_COLUMNS(alias)                                                           \
    alias "short_slug, " alias "long_slug, " alias "price_cents, " alias "title, " alias \
          "file_name, " alias "file_size_bytes, " alias "expires_at, " alias             \
          "activated_at, " alias "completed_at, " alias "user_id, " alias "share_id"
#define PAYMENT_COLUMNS(alias)                                        \
    alias "amount_cents, " alias "stripe_checkout_session_id, " alias \
          "stripe_payment_intent_id, " alias "buyer_email, " alias "buyer_name"

// The living customer that a record names: the external id wins.
#define CUSTOMER_OF(record_row)                      \
    "coalesce(by_external.id, CASE WHEN " record_row \
    ".record->>'external_customer_id' IS NULL THEN by_customer.id END)"
#define JOIN_CUSTOMERS(record_row)                                                           \
    " LEFT JOIN portal.customers by_customer ON by_customer.workspace_id = run.workspace_id" \
    " AND by_customer.id = " record_row                                                      \
    ".customer_id AND by_customer.deleted_at IS NULL"                                        \
    " LEFT JOIN portal.customers by_external ON by_external.workspace_id = run.workspace_id" \
    " AND by_external.external_id = " record_row                                             \
    ".record->>'external_customer_id' AND by_external.deleted_at IS NULL"
#define JUDGE_CUSTOMER(table, customer)                                                 \
    "SELECT line, CASE WHEN record->>'external_customer_id' IS NULL THEN 'customer_id'" \
    " ELSE 'external_customer_id' END || ': Customer does not exist.' FROM " table      \
    " WHERE " customer                                                                  \
    " IS NULL AND coalesce(record->>'external_customer_id', record->>'customer_id') IS NOT NULL"

// Downloads and payments alike: of a session, told of by id alone, maybe a customer's (`buyer`).
// nth: its place among those of its session that are made.
#define STAGE_OF_SESSION(table, columns) \
    "CREATE TEMP TABLE incoming_" table                                                          \
    " ON COMMIT DROP AS"                                                                         \
    " SELECT r.line, r.position, r.record, r.id, r.created_at, r.session_id, s.id AS session, "  \
    columns ", " CUSTOMER_OF("r") " AS buyer, by_id.session_id AS old_session,"                  \
    " row_number() OVER (PARTITION BY r.session_id, run.updating AND m.by_id IS NOT NULL"        \
    " ORDER BY r.created_at, r.position) AS nth,"                                                \
    " by_id.id IS NOT NULL AS id_taken, m.by_id, CASE WHEN run.updating THEN m.by_id END AS existing" \
    " FROM read_" table                                                                          \
    " r CROSS JOIN run"                                                                          \
    " LEFT JOIN portal.file_share_sessions s ON s.workspace_id = run.workspace_id"               \
    " AND s.id = r.session_id"                                                                   \
    " LEFT JOIN portal." table " by_id ON by_id.id = r.id" JOIN_CUSTOMERS("r")                   \
    " CROSS JOIN LATERAL (SELECT CASE WHEN by_id.workspace_id = run.workspace_id THEN by_id.id END AS by_id) m;" \
    " ANALYZE incoming_" table
#define JUDGE_OF_SESSION(table, noun)                                                     \
    "SELECT line, 'id: A " noun " with this id already exists.' AS reason FROM " table    \
    " WHERE id_taken AND existing IS NULL"                                                \
    " UNION ALL " IMPORT_TWICE(                                                           \
        table, "id",                                                                      \
        "id") " UNION ALL SELECT line, 'session_id: Session does not exist.' FROM " table \
              " WHERE session IS NULL"                                                    \
              " UNION ALL SELECT line, 'session_id: The " noun                            \
              " is of another session.' FROM " table                                      \
              " WHERE existing IS NOT NULL AND old_session <> session_id"                 \
              " UNION ALL " JUDGE_CUSTOMER(table, "buyer")
// Null takes the customer away.
#define CHANGED_CUSTOMER                                                                          \
    "CASE WHEN i.record ?| '{customer_id,external_customer_id}' THEN i.buyer ELSE t.customer_id " \
    "END"

namespace portal::ctl {
namespace {

using http::Json;

// What a line says of its customer and its columns, null where it clears; checked by `parse` and
// `parse_change` of a REST body.
template <class Input>
void read_columns(const Json& line, Json& record) {
    Input::parse(line);
    const Input input = Input::parse_change(line);
    record = input.columns;
    for (const char* name : {"customer_id", "external_customer_id"}) {
        if (line[name].present()) {
            record.set(name, line[name]);
        }
    }
}

void read_download(const Json& line, Json& record) {
    const FileShareDownloadInput input = FileShareDownloadInput::parse(line);
    for (const char* name : {"customer_id", "external_customer_id"}) {
        if (line[name].present()) {
            record.set(name, line[name]);
        }
    }
    if (input.slot_number) {
        record.set("slot_number", *input.slot_number);
    }
}

// The same, beside the session it is of.
template <void (*read)(const Json& line, Json& record)>
void read_with_session(const Json& line, Json& record) {
    std::vector<http::Problem> problems;
    http::Fields fields(line);
    const std::optional<Uuid> session = fields.uuid4("session_id", {.required = true});
    try {
        fields.done();
    } catch (const http::Failure& failure) {
        problems = failure.problems;
    }
    try {
        read(line, record);
    } catch (const http::Failure& failure) {
        problems.insert(problems.end(), failure.problems.begin(), failure.problems.end());
    }
    if (!problems.empty()) {
        throw http::validation_failed(std::move(problems));
    }
    record.set("session_id", session->text());
}

std::vector<ImportRecord> parse_session(const Json& line, std::int64_t) {
    return {{"file_share_session", kept_members(line, true, read_columns<FileShareSessionInput>)}};
}

std::vector<ImportRecord> parse_download(const Json& line, std::int64_t) {
    return {{"file_share_download", kept_members(line, true, read_with_session<read_download>)}};
}

std::vector<ImportRecord> parse_payment(const Json& line, std::int64_t) {
    return {{"file_share_payment",
             kept_members(line, true, read_with_session<read_columns<PaymentInput>>)}};
}

// ---- sessions

// downloads: how many the session is said to have had, else how many the file has.
constexpr const char* stage_sessions = R"(
CREATE TEMP TABLE incoming_file_share_sessions ON COMMIT DROP AS
SELECT r.line, r.position, r.record, r.id, r.created_at, r.status, r.max_downloads, r.currency, r.ttl_seconds, )"
    SESSION_COLUMNS("r.") R"(,
       coalesce(r.download_count, counted.downloads) AS downloads, )" CUSTOMER_OF("r") R"( AS owner,
       by_id.id IS NOT NULL AS id_taken, m.by_id, by_short.id AS by_short, by_long.id AS by_long,
       CASE WHEN run.updating THEN coalesce(m.by_id, by_short.id, by_long.id) END AS existing
  FROM read_file_share_sessions r
  CROSS JOIN run
  LEFT JOIN (SELECT (record ->> 'session_id')::uuid AS session, count(*)::integer AS downloads
               FROM incoming WHERE kind = 'file_share_download' GROUP BY 1) counted ON counted.session = r.id
  LEFT JOIN portal.file_share_sessions by_id ON by_id.id = r.id
  LEFT JOIN portal.file_share_sessions by_short
    ON by_short.workspace_id = run.workspace_id AND by_short.short_slug = r.short_slug
  LEFT JOIN portal.file_share_sessions by_long
    ON by_long.workspace_id = run.workspace_id AND by_long.long_slug = r.long_slug)" JOIN_CUSTOMERS(
                                                                                 "r") R"(
  CROSS JOIN LATERAL (SELECT CASE WHEN by_id.workspace_id = run.workspace_id THEN by_id.id END AS by_id) m;
ANALYZE incoming_file_share_sessions)";

constexpr const char* judge_sessions =
    "SELECT line, 'id: A session with this id already exists.' AS reason FROM incoming_file_share_sessions"
    " WHERE id_taken AND (by_id IS NULL OR existing IS NULL)"
    " UNION ALL "
    "SELECT line, 'id: The session has another id.' FROM incoming_file_share_sessions"
    " WHERE NOT id_taken AND id <> existing"
    " UNION ALL " IMPORT_TAKEN("incoming_file_share_sessions", "by_short", "short_slug",
                               "A session with this slug already exists.")
    " UNION ALL " IMPORT_TAKEN("incoming_file_share_sessions", "by_long", "long_slug",
                               "A session with this slug already exists.")
    " UNION ALL " IMPORT_TWICE("incoming_file_share_sessions", "id", "id")
    " UNION ALL " IMPORT_TWICE("incoming_file_share_sessions", "existing", "session")
    " UNION ALL " IMPORT_TWICE("incoming_file_share_sessions", "short_slug", "short_slug")
    " UNION ALL " IMPORT_TWICE("incoming_file_share_sessions", "long_slug", "long_slug")
    " UNION ALL " JUDGE_CUSTOMER("incoming_file_share_sessions", "owner")
    " UNION ALL "
    "SELECT i.line, 'download_count: The download count cannot be above the maximum of downloads.'"
    "  FROM incoming_file_share_sessions i LEFT JOIN portal.file_share_sessions s ON s.id = i.existing"
    " WHERE coalesce(i.max_downloads, s.max_downloads, 0) > 0"
    "   AND coalesce(CASE WHEN s.id IS NULL OR i.record ? 'download_count' THEN i.downloads END,"
    "                s.download_count, 0) > coalesce(i.max_downloads, s.max_downloads, 0)";

constexpr const char* write_sessions =
    "WITH changed AS (UPDATE portal.file_share_sessions t SET (customer_id, status, max_downloads, "
    "download_count, currency, ttl_seconds, " SESSION_COLUMNS("") ") ="
    " (SELECT i.owner, n.status, n.max_downloads, n.download_count, n.currency, n.ttl_seconds, "
    SESSION_COLUMNS("n.") " FROM jsonb_populate_record(t, i.record) n)"
    " FROM incoming_file_share_sessions i, run"
    " WHERE t.workspace_id = run.workspace_id AND t.id = i.existing RETURNING 1"
    "), made AS (INSERT INTO portal.file_share_sessions (id, workspace_id, created_at, customer_id, status, "
    "max_downloads, download_count, currency, ttl_seconds, " SESSION_COLUMNS("") ")"
    " SELECT coalesce(i.id, gen_random_uuid()), run.workspace_id, coalesce(i.created_at, now()), i.owner,"
    " coalesce(i.status, 'created'), coalesce(i.max_downloads, 0), coalesce(i.downloads, 0),"
    " coalesce(i.currency, 'usd'), coalesce(i.ttl_seconds, 0), " SESSION_COLUMNS("i.")
    " FROM incoming_file_share_sessions i, run WHERE i.existing IS NULL ORDER BY i.line"
    " ON CONFLICT DO NOTHING RETURNING 1)"
    " SELECT (SELECT count(*) FROM made), (SELECT count(*) FROM changed)";

// ---- downloads

constexpr const char* stage_downloads = STAGE_OF_SESSION("file_share_downloads", "r.slot_number");

constexpr const char* judge_downloads =
    JUDGE_OF_SESSION("incoming_file_share_downloads", "download");

// Numbered in their session after those it has.
constexpr const char* write_downloads =
    "WITH before AS MATERIALIZED (SELECT session_id, count(*) AS downloads"
    " FROM portal.file_share_downloads d, run"
    " WHERE d.workspace_id = run.workspace_id"
    " AND d.session_id IN (SELECT session_id FROM incoming_file_share_downloads) GROUP BY "
    "session_id"
    "), changed AS (UPDATE portal.file_share_downloads t SET customer_id = " CHANGED_CUSTOMER
    ", slot_number = coalesce(i.slot_number, t.slot_number)"
    " FROM incoming_file_share_downloads i, run"
    " WHERE t.workspace_id = run.workspace_id AND t.id = i.existing RETURNING 1"
    "), made AS (INSERT INTO portal.file_share_downloads"
    " (id, workspace_id, created_at, session_id, customer_id, slot_number)"
    " SELECT coalesce(i.id, gen_random_uuid()), run.workspace_id, coalesce(i.created_at, now()), "
    "i.session_id, i.buyer,"
    " coalesce(i.slot_number, coalesce(before.downloads, 0) + i.nth)"
    " FROM run CROSS JOIN incoming_file_share_downloads i LEFT JOIN before ON before.session_id = "
    "i.session_id"
    " WHERE i.existing IS NULL ORDER BY i.line ON CONFLICT DO NOTHING RETURNING 1)"
    " SELECT (SELECT count(*) FROM made), (SELECT count(*) FROM changed)";

// ---- payments

constexpr const char* stage_payments = STAGE_OF_SESSION(
    "file_share_payments", "r.status, r.currency, r.platform_fee_cents, " PAYMENT_COLUMNS("r."));

constexpr const char* judge_payments = JUDGE_OF_SESSION("incoming_file_share_payments", "payment");

// The currency that is not told is the session's.
constexpr const char* write_payments =
    "WITH changed AS (UPDATE portal.file_share_payments t SET (customer_id, status, currency, "
    "platform_fee_cents, " PAYMENT_COLUMNS("") ") ="
    " (SELECT " CHANGED_CUSTOMER ", n.status, n.currency, n.platform_fee_cents, " PAYMENT_COLUMNS(
        "n.") " FROM jsonb_populate_record(t, i.record) n)"
    " FROM incoming_file_share_payments i, run"
    " WHERE t.workspace_id = run.workspace_id AND t.id = i.existing RETURNING 1"
    "), made AS (INSERT INTO portal.file_share_payments (id, workspace_id, created_at, session_id, customer_id, status, "
    "currency, platform_fee_cents, " PAYMENT_COLUMNS("") ")"
    " SELECT coalesce(i.id, gen_random_uuid()), run.workspace_id, coalesce(i.created_at, now()), i.session_id, i.buyer,"
    " coalesce(i.status, 'pending'), i.currency, coalesce(i.platform_fee_cents, 0), " PAYMENT_COLUMNS("i.")
    " FROM incoming_file_share_payments i, run WHERE i.existing IS NULL ORDER BY i.line"
    " ON CONFLICT DO NOTHING RETURNING 1)"
    " SELECT (SELECT count(*) FROM made), (SELECT count(*) FROM changed)";

constexpr ImportKind kinds[] = {
    {"file_share_session", "file_share_sessions", parse_session, stage_sessions, judge_sessions,
     nullptr, write_sessions},
    {"file_share_download", "file_share_downloads", parse_download, stage_downloads,
     judge_downloads, nullptr, write_downloads},
    {"file_share_payment", "file_share_payments", parse_payment, stage_payments, judge_payments,
     nullptr, write_payments},
};

}  // namespace

std::span<const ImportKind> file_sharing_kinds() { return kinds; }

}  // namespace portal::ctl
