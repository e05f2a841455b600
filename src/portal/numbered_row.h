// What is numbered per workspace and may bring its number: contacts, companies, portal items. One
// way to save, change, find and delete them; each noun has its own statements and rules.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "http/json.h"
#include "http/validation.h"
#include "io/postgres.h"
#include "io/task.h"
#include "portal/idempotency.h"

// From a CTE `judged` (known: the number of the row that is changed, NULL for none; given: the
// number sent; refused) to `granted` (number, made), which has a row where nothing is refused and
// the Idempotency-Key, if any, is ours.
//   $1 workspace  $2 what is sent, by column  $3 principal  $4 path  $5 Idempotency-Key  $6 payload
//   hash
#define PORTAL_GRANT_NUMBER(table) \
    "making AS MATERIALIZED ("                                                                                 \
    " SELECT coalesce(known, given, portal.next_number($1, '" table "')) AS number, known IS NULL AS made"      \
    " FROM judged WHERE refused = ''"                                                                          \
    "), claiming AS ("                                                                                         \
    " SELECT portal.number_uuid(number) AS resource_id, NULL::text AS token_ciphertext,"                       \
    " CASE WHEN made THEN 201 ELSE 200 END AS status, 'infinity'::timestamptz AS expires_at FROM making"       \
    "), claim AS ("                                                                                            \
    PORTAL_CLAIM_KEY("$1", "$3", "$4", "$5", "$6", "claiming")                                                 \
    "), granted AS MATERIALIZED ("                                                                             \
    " SELECT * FROM making WHERE $5 IS NULL OR EXISTS (SELECT FROM claim)"                                     \
    ")"

// One word of `refused`: the row `s` names something by this column that does not live here.
#define PORTAL_UNKNOWN(table, column)                                                            \
    "CASE WHEN s." column " IS NOT NULL AND NOT EXISTS (SELECT FROM portal." table               \
    " x"                                                                                         \
    " WHERE x.workspace_id = $1 AND x.id = s." column " AND x.deleted_at IS NULL) THEN '" column \
    "' END"

// One word of `refused`: `sent` ends the link of `same` to a customer, and who asks may not. It is the scope that is
// missing; may_unlink is no column's, and absent where there is nobody to ask.
#define PORTAL_UNLINKS(sent)                                                       \
    "CASE WHEN same.customer_id IS NOT NULL AND " sent                             \
    " @> '{\"customer_id\": null, \"may_unlink\": false}' THEN 'customers:write' END"

namespace portal {

// A sentence for a word that a statement's `refused` may hold, told at the field.
struct NumberedRule {
    const char* word;
    const char* field;
    const char* sentence;
};

struct NumberedNoun {
    const io::Statement&
        save;  // PORTAL_GRANT_NUMBER's parameters; answers refused, made and the row's columns
    const io::Statement& change;  // $1 workspace  $2 number  $3 what is sent; answers refused and
                                  // the columns, or no row
    const io::Statement& find;    // $1 workspace  $2 number
    const io::Statement& remove;  // $1 workspace  $2 number
    const char* number;           // the column that is NULL where there is no row
    std::span<const NumberedRule> rules;
    http::Json (*render)(const io::Row& row);
};

struct Saved {
    http::Json row;
    bool made = false;  // else changed
};

// `members` is what was sent, checked, by column: what is absent stays, null clears. Each throws a
// 422 with every rule that was broken, 403 as PORTAL_UNLINKS has it, and 404 where there is no such
// row.
io::Task<Saved> save_numbered(io::Postgres& db, std::string workspace_id, const NumberedNoun& noun,
                              http::Json members, KeyClaim claim);
io::Task<http::Json> change_numbered(io::Postgres& db, std::string workspace_id,
                                     const NumberedNoun& noun, std::int64_t number,
                                     http::Json members);
io::Task<http::Json> find_numbered(io::Postgres& db, std::string workspace_id,
                                   const NumberedNoun& noun, std::int64_t number);
io::Task<void> delete_numbered(io::Postgres& db, std::string workspace_id, const NumberedNoun& noun,
                               std::int64_t number);

// Into `members` what the body has under this name: its checked value, or null.
template <class Value>
void take_field(const http::Fields& fields, http::Json& members, const char* name,
                const std::optional<Value>& value) {
    if (fields.given(name)) {
        members.set(name, value);
    }
}

// An integer column, null where it is NULL.
inline http::Json optional_integer(const io::Row& row, const char* column) {
    return row.null(column) ? http::Json(nullptr) : http::Json(row.integer(column));
}

}  // namespace portal
