#include "portal/payment.h"

#include "portal/email.h"

#define PAYMENT_COLUMNS(alias)                                                                    \
    alias                                                                                         \
        ".id AS payment_id, "                                                                     \
        "portal.time_text(" alias                                                                 \
        ".created_at) AS payment_created_at, "                                                    \
        "portal.time_text(" alias ".modified_at) AS payment_modified_at, " alias                  \
        ".session_id AS payment_session_id, " alias ".status AS payment_status, " alias           \
        ".amount_cents AS payment_amount_cents, " alias ".currency AS payment_currency, " alias   \
        ".platform_fee_cents AS payment_platform_fee_cents, " alias                               \
        ".stripe_checkout_session_id AS payment_stripe_checkout_session_id, " alias                      \
        ".stripe_payment_intent_id AS payment_stripe_payment_intent_id, " alias                                  \
        ".buyer_email AS payment_buyer_email, " alias ".buyer_name AS payment_buyer_name, " alias \
        ".customer_id AS payment_customer_id"

#define SETTABLE(alias)                                                                           \
    alias "status, " alias "amount_cents, " alias "currency, " alias "platform_fee_cents, " alias \
          "stripe_checkout_session_id, " alias "stripe_payment_intent_id, " alias                 \
          "buyer_email, " alias "buyer_name"

namespace portal {
namespace {

using http::Json;
using io::Parameters;
using io::Statement;

//   $1 workspace  $2 session  $3 customer id  $4 external id  $5 columns
//   $6 principal  $7 path  $8 Idempotency-Key  $9 payload hash
constexpr Statement create_statement{"payment_create", R"(
WITH buyer AS MATERIALIZED (
)" PORTAL_NAMED_CUSTOMER("$1", "$3", "$4") R"(
), judged AS MATERIALIZED (
    SELECT session.id AS session_id, session.currency, buyer.id AS customer_id,
           $3 IS NULL AND $4 IS NULL OR buyer.id IS NOT NULL AS customer_known
      FROM portal.file_share_sessions session
      LEFT JOIN buyer ON true
     WHERE session.workspace_id = $1 AND session.id = $2::uuid
), making AS MATERIALIZED (
    SELECT judged.*, gen_random_uuid() AS resource_id, NULL::text AS token_ciphertext, 201 AS status,
           now() + interval '24 h' AS expires_at
      FROM judged
     WHERE customer_known
), claim AS (
)" PORTAL_CLAIM_KEY("$1", "$6", "$7", "$8", "$9", "making") R"(
), made AS (
    INSERT INTO portal.file_share_payments (id, workspace_id, session_id, customer_id, )" SETTABLE(
                                                           "") R"()
    SELECT m.resource_id, $1, m.session_id, m.customer_id, )" SETTABLE("sent.") R"(
      FROM making m,
           jsonb_populate_record(NULL::portal.file_share_payments,
                                 jsonb_build_object('currency', m.currency) || $5::jsonb) AS sent
     WHERE $8 IS NULL OR EXISTS (SELECT FROM claim)
    RETURNING *
)
SELECT judged.customer_known, )" PAYMENT_COLUMNS("p") R"(
  FROM judged
  LEFT JOIN made p ON true)"};

constexpr Statement find_statement{"payment_find", R"(
SELECT )" PAYMENT_COLUMNS("p") R"(
  FROM portal.file_share_payments p
 WHERE p.workspace_id = $1::uuid AND p.id = $2::uuid)",
                                   io::Lane::main, io::Retry::read};

//   $1 workspace  $2 session  $3 customer id  $4 external id  $5 columns  $6 payment  $7 takes the
//   customer away
constexpr Statement change_statement{"payment_change", R"(
WITH buyer AS MATERIALIZED (
)" PORTAL_NAMED_CUSTOMER("$1", "$3", "$4") R"(
), judged AS MATERIALIZED (
    SELECT id, $3 IS NULL AND $4 IS NULL OR EXISTS (SELECT FROM buyer) AS customer_known
      FROM portal.file_share_payments
     WHERE workspace_id = $1 AND session_id = $2::uuid AND id = $6::uuid
), changed AS (
    UPDATE portal.file_share_payments AS p
       SET (customer_id, )" SETTABLE("") R"() = (
               SELECT CASE WHEN $7::boolean THEN NULL ELSE coalesce((SELECT buyer.id FROM buyer), p.customer_id) END,
                      )" SETTABLE("sent.") R"(
                 FROM jsonb_populate_record(p, $5::jsonb) AS sent)
      FROM judged
     WHERE p.workspace_id = $1 AND p.id = judged.id AND judged.customer_known
    RETURNING p.*
)
SELECT judged.customer_known, )" PAYMENT_COLUMNS("p") R"(
  FROM judged
  LEFT JOIN changed p ON true)"};

// No row: the session is not the customer's to see. A row without a payment: it has none.
constexpr Statement session_list_statement{"payment_list_of_session", R"(
WITH )" PORTAL_VISIBLE_ROWS("payment", "file_share_payments") R"(
SELECT p.customer_id IS NOT DISTINCT FROM $2 AS own, )" PAYMENT_COLUMNS("p") R"(
  FROM session
  LEFT JOIN payment p ON true
 ORDER BY p.created_at DESC, p.id DESC)",
                                           io::Lane::main, io::Retry::read, 5000};

// As file_sharing_list.cpp's: the page is cut from the index, and only then are its rows read.
constexpr Statement own_list_statement{"payment_list_own", R"(
WITH mine AS NOT MATERIALIZED (
    SELECT created_at, id FROM portal.file_share_payments WHERE workspace_id = $3::uuid AND customer_id = $4::uuid
), paged AS MATERIALIZED (
    SELECT * FROM mine ORDER BY created_at DESC, id DESC LIMIT $1::bigint OFFSET $2::bigint
), placed AS MATERIALIZED (
    SELECT id, row_number() OVER (ORDER BY created_at DESC, id DESC) AS position FROM paged
)
SELECT (SELECT count(*) FROM mine) AS total, placed.position, )" PAYMENT_COLUMNS("p") R"(
  FROM (SELECT 1) AS always
  LEFT JOIN (placed JOIN portal.file_share_payments p ON p.workspace_id = $3 AND p.id = placed.id) ON true
 ORDER BY placed.position)",
                                       io::Lane::main, io::Retry::read, 5000};

constexpr std::size_t max_text = 256;

Json managed_payment_json(const io::Row& row) {
    Json payment = payment_json(row);
    payment.set("customer_id", row.optional("payment_customer_id"));
    return payment;
}

// What an owner sees of what somebody else paid.
Json payment_of_another(const io::Row& row) {
    Json payment = payment_json(row);
    for (const char* whose :
         {"stripe_checkout_session_id", "stripe_payment_intent_id", "buyer_email", "buyer_name"}) {
        payment.set(whose, nullptr);
    }
    return payment;
}

void read_columns(http::Fields& fields, Json& into, bool change) {
    Columns columns(fields, into, change);
    columns.integer("amount_cents", {.min = 0, .required = !change, .nullable = change}, false);
    columns.currency("currency");
    columns.take(
        "status",
        fields.choice("status", {"pending", "completed", "refunded", "failed"}, {.nullable = true}),
        false);
    columns.take("buyer_email", email_field(fields, "buyer_email", {.nullable = true}), true);
    columns.take("buyer_name", fields.string("buyer_name", {.max = max_text, .nullable = true}),
                 true);
    for (const char* name : {"stripe_checkout_session_id", "stripe_payment_intent_id"}) {
        columns.take(name, fields.string(name, {.min = 1, .max = max_text, .nullable = true}),
                     true);
    }
    columns.integer("platform_fee_cents", {.min = 0, .nullable = true}, false);
}

}  // namespace

Json payment_json(const io::Row& row) {
    return Json::object({
        {"id", row.text("payment_id")},
        {"created_at", row.text("payment_created_at")},
        {"modified_at", row.optional("payment_modified_at")},
        {"session_id", row.text("payment_session_id")},
        {"status", row.text("payment_status")},
        {"amount_cents", row.integer("payment_amount_cents")},
        {"currency", row.text("payment_currency")},
        {"platform_fee_cents", row.integer("payment_platform_fee_cents")},
        {"stripe_checkout_session_id", row.optional("payment_stripe_checkout_session_id")},
        {"stripe_payment_intent_id", row.optional("payment_stripe_payment_intent_id")},
        {"buyer_email", row.optional("payment_buyer_email")},
        {"buyer_name", row.optional("payment_buyer_name")},
    });
}

PaymentInput PaymentInput::parse(Json body) {
    http::Fields fields(std::move(body));
    PaymentInput input;
    input.customer = NamedCustomer::read(fields);
    input.columns = Json::object({{"status", "pending"}, {"platform_fee_cents", 0}});
    read_columns(fields, input.columns, false);
    fields.done();
    return input;
}

PaymentInput PaymentInput::parse_change(Json body) {
    http::Fields fields(std::move(body));
    PaymentInput input;
    input.customer = NamedCustomer::read(fields);
    input.clears_customer = fields.value("customer_id").is_null() && !input.customer.given();
    read_columns(fields, input.columns, true);
    fields.done();
    return input;
}

io::Task<Json> create_payment(io::Postgres& db, std::string workspace_id, std::string session_id,
                              PaymentInput input, KeyClaim claim) {
    for (int attempt = 1; attempt <= 2; ++attempt) {
        Parameters parameters(workspace_id, session_id, input.customer.id,
                              input.customer.external_id, input.columns.dump());
        claim.add_to(parameters);
        io::Rows rows = co_await query_once_more(db, create_statement, std::move(parameters),
                                                 claim.key.given());
        if (!rows.empty() && !rows.front().null("payment_id")) {
            co_return managed_payment_json(rows.front());
        }
        std::optional<Uuid> earlier = co_await claimed_resource(db, workspace_id, claim);
        if (earlier) {
            Parameters which(workspace_id, earlier->text());
            io::Rows kept = co_await db.query(find_statement, std::move(which));
            if (!kept.empty()) {
                co_return managed_payment_json(kept.front());
            }
        }
        if (rows.empty()) {
            throw http::resource_not_found();
        }
        if (!rows.front().boolean("customer_known")) {
            throw http::validation_failed({input.customer.unknown()});
        }
        // what the key had made has just gone: once more
    }
    throw still_running();
}

io::Task<Json> change_payment(io::Postgres& db, std::string workspace_id, std::string session_id,
                              std::string id, PaymentInput input) {
    Parameters parameters(workspace_id, session_id, input.customer.id, input.customer.external_id,
                          input.columns.dump(), id, input.clears_customer);
    io::Rows rows = co_await query_once_more(db, change_statement, std::move(parameters));
    if (rows.empty()) {
        throw http::resource_not_found();
    }
    if (!rows.front().boolean("customer_known")) {
        throw http::validation_failed({input.customer.unknown()});
    }
    co_return managed_payment_json(rows.front());
}

io::Task<Json> list_visible_session_payments(io::Postgres& db, std::string workspace_id,
                                             std::string customer_id, std::string session_id) {
    Parameters parameters(workspace_id, customer_id, session_id);
    io::Rows rows = co_await db.query(session_list_statement, std::move(parameters));
    if (rows.empty()) {
        throw http::resource_not_found();
    }
    Json payments = Json::array();
    for (int index = 0; index < rows.size(); ++index) {
        const io::Row row = rows[index];
        if (!row.null("payment_id")) {
            payments.push(row.boolean("own") ? payment_json(row) : payment_of_another(row));
        }
    }
    co_return payments;
}

io::Task<Page> list_own_payments(io::Postgres& db, std::string workspace_id,
                                 std::string customer_id, PageRequest request) {
    Parameters parameters(request.per_page(), request.offset(), workspace_id, customer_id);
    io::Rows rows = co_await db.query(own_list_statement, std::move(parameters));
    co_return page_of(rows, request, payment_json);
}

}  // namespace portal
