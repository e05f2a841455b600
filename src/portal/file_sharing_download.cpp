#include "portal/file_sharing_download.h"

#define DOWNLOAD_COLUMNS(alias)                                                   \
    alias                                                                         \
        ".id AS download_id, "                                                    \
        "portal.time_text(" alias                                                 \
        ".created_at) AS download_created_at, "                                   \
        "portal.time_text(" alias ".modified_at) AS download_modified_at, " alias \
        ".session_id AS download_session_id, " alias                              \
        ".slot_number AS download_slot_number, " alias ".customer_id AS download_customer_id"

namespace portal {
namespace {

using http::Json;
using io::Parameters;
using io::Statement;

// The session is locked before it is looked at, so that this decides as the trigger that counts
// would, and no refused download is an error in the server's log.
//   $1 workspace  $2 session  $3 customer id  $4 external id  $5 slot number
//   $6 principal  $7 path  $8 Idempotency-Key  $9 payload hash
constexpr Statement create_statement{"file_share_download_create", R"(
WITH session AS MATERIALIZED (
    SELECT id, max_downloads = 0 OR download_count < max_downloads AS open
      FROM portal.file_share_sessions
     WHERE workspace_id = $1::uuid AND id = $2::uuid
       FOR NO KEY UPDATE
), buyer AS MATERIALIZED (
)" PORTAL_NAMED_CUSTOMER("$1", "$3", "$4") R"(
), judged AS MATERIALIZED (
    SELECT session.id AS session_id, session.open, buyer.id AS customer_id,
           $3 IS NULL AND $4 IS NULL OR buyer.id IS NOT NULL AS customer_known
      FROM session
      LEFT JOIN buyer ON true
), making AS MATERIALIZED (
    SELECT judged.*, gen_random_uuid() AS resource_id, NULL::text AS token_ciphertext, 201 AS status,
           now() + interval '24 h' AS expires_at
      FROM judged
     WHERE open AND customer_known
), claim AS (
)" PORTAL_CLAIM_KEY("$1", "$6", "$7", "$8", "$9", "making") R"(
), made AS (
    INSERT INTO portal.file_share_downloads (id, workspace_id, session_id, customer_id, slot_number)
    SELECT resource_id, $1, session_id, customer_id, $5::integer
      FROM making
     WHERE $8 IS NULL OR EXISTS (SELECT FROM claim)
    RETURNING *
)
SELECT judged.open, judged.customer_known, )" DOWNLOAD_COLUMNS("d") R"(
  FROM judged
  LEFT JOIN made d ON true)"};

constexpr Statement find_statement{"file_share_download_find", R"(
SELECT )" DOWNLOAD_COLUMNS("d") R"(
  FROM portal.file_share_downloads d
 WHERE d.workspace_id = $1::uuid AND d.id = $2::uuid)",
                                   io::Lane::main, io::Retry::read};

// No row: the session is not the customer's to see. A row without a download: it has none.
constexpr Statement list_statement{"file_share_download_list", R"(
WITH )" PORTAL_VISIBLE_ROWS("download", "file_share_downloads") R"(
SELECT )" DOWNLOAD_COLUMNS("d") R"(
  FROM session
  LEFT JOIN download d ON true
 ORDER BY d.created_at DESC, d.id DESC)",
                                   io::Lane::main, io::Retry::read, 5000};

Json download_json(const io::Row& row) {
    return Json::object({
        {"id", row.text("download_id")},
        {"created_at", row.text("download_created_at")},
        {"modified_at", row.optional("download_modified_at")},
        {"session_id", row.text("download_session_id")},
        {"slot_number", row.integer("download_slot_number")},
    });
}

Json managed_download_json(const io::Row& row) {
    Json download = download_json(row);
    download.set("customer_id", row.optional("download_customer_id"));
    return download;
}

}  // namespace

FileShareDownloadInput FileShareDownloadInput::parse(Json body) {
    http::Fields fields(std::move(body));
    FileShareDownloadInput input;
    input.customer = NamedCustomer::read(fields);
    input.slot_number =
        fields.integer("slot_number", {.min = 0, .max = 2147483647, .nullable = true});
    fields.done();
    return input;
}

io::Task<Json> create_file_share_download(io::Postgres& db, std::string workspace_id,
                                          std::string session_id, FileShareDownloadInput input,
                                          KeyClaim claim) {
    for (int attempt = 1; attempt <= 2; ++attempt) {
        Parameters parameters(workspace_id, session_id, input.customer.id,
                              input.customer.external_id, input.slot_number);
        claim.add_to(parameters);
        io::Rows rows = co_await query_once_more(db, create_statement, std::move(parameters),
                                                 claim.key.given());
        if (!rows.empty() && !rows.front().null("download_id")) {
            co_return managed_download_json(rows.front());
        }
        std::optional<Uuid> earlier = co_await claimed_resource(db, workspace_id, claim);
        if (earlier) {
            Parameters which(workspace_id, earlier->text());
            io::Rows kept = co_await db.query(find_statement, std::move(which));
            if (!kept.empty()) {
                co_return managed_download_json(kept.front());
            }
        }
        if (rows.empty()) {
            throw http::resource_not_found();
        }
        if (!rows.front().boolean("customer_known")) {
            throw http::validation_failed({input.customer.unknown()});
        }
        if (!rows.front().boolean("open")) {
            throw http::not_permitted("Download limit reached.");
        }
        // what the key had made has just gone: once more
    }
    throw still_running();
}

io::Task<Json> list_visible_file_share_downloads(io::Postgres& db, std::string workspace_id,
                                                 std::string customer_id, std::string session_id) {
    Parameters parameters(workspace_id, customer_id, session_id);
    io::Rows rows = co_await db.query(list_statement, std::move(parameters));
    if (rows.empty()) {
        throw http::resource_not_found();
    }
    Json downloads = Json::array();
    for (int index = 0; index < rows.size(); ++index) {
        if (!rows[index].null("download_id")) {
            downloads.push(download_json(rows[index]));
        }
    }
    co_return downloads;
}

}  // namespace portal
