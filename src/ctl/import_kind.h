// ImportKind: what `portalctl import` knows of one kind of record. A file's lines are checked by
// the rules of the REST bodies and stand in the temporary table `incoming` (line, kind, record);
// each kind in turn, in an order in which nothing is named before it is there, is laid out in a
// table of its own, judged as a whole and written.
//
// Temporary tables: run (one row: workspace_id, member_model, updating), incoming, read_<plural>
// (line, position, record and the record as a row of the table), incoming_<plural>. In the latter
// `existing` is the row that a record changes, NULL for one that is made; by_<column> is the living
// row that already has what the record has there.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "http/json.h"

// A record that has in `column` what another row has than the one it changes.
#define IMPORT_TAKEN(table, by, column, sentence)                                \
    "SELECT line, '" column ": " sentence "' AS reason FROM " table " WHERE " by \
    " IS NOT NULL AND " by " IS DISTINCT FROM existing"
// Records that have the same as one before them.
#define IMPORT_TWICE(table, key, column)                                                       \
    "SELECT line, '" column                                                                    \
    ": The same as on line ' || first || '.' AS reason FROM ("                                 \
    "SELECT line, min(line) OVER same AS first, row_number() OVER (same ORDER BY line) AS nth" \
    " FROM " table " WHERE num_nulls(" key ") = 0 WINDOW same AS (PARTITION BY " key           \
    ")) AS twice WHERE nth > 1"
// Records that name what does not live here.
#define IMPORT_UNKNOWN(table, referred, column, sentence)                          \
    "SELECT line, '" column ": " sentence "' AS reason FROM " table                \
    " i, run"                                                                      \
    " WHERE i." column " IS NOT NULL AND NOT EXISTS (SELECT FROM portal." referred \
    " x"                                                                           \
    " WHERE x.workspace_id = run.workspace_id AND x.id = i." column " AND x.deleted_at IS NULL)"

namespace portal::ctl {

// A row of `incoming`: usually one for a line.
struct ImportRecord {
    const char* kind;
    http::Json record;  // by column, checked
};

struct ImportKind {
    const char* name;    // the `kind` of a line
    const char* plural;  // the table, and how the summary calls it
    // Throws http::Failure with every problem.
    std::vector<ImportRecord> (*parse)(const http::Json& line, std::int64_t number);
    const char* stage;     // statements that make incoming_<plural> of read_<plural>
    const char* judge;     // a query for (line, reason) of what is refused
    const char* numbered;  // the table whose rows are numbered, else null
    const char* write;     // a statement that answers how many were (made, changed)
};

// Customers and members.
std::span<const ImportKind> people_kinds();
// Companies, contacts and items of the client portal.
std::span<const ImportKind> client_portal_kinds();
// File-sharing sessions, their downloads and payments.
std::span<const ImportKind> file_sharing_kinds();

// Beside the REST body: `created_at`, and for what has no number `id`. Problems are noted together
// with those that `parse` throws.
http::Json kept_members(const http::Json& line, bool uuid,
                        void (*parse)(const http::Json& line, http::Json& record));

}  // namespace portal::ctl
