// GET /api/customers/{id}/export: everything held about one customer.
//
//   {"exported_at": …, "customer": {Customer, billing_name, blocked_at}, "members": […],
//   "customer_sessions": […], …,
//    "next": null}
//
// One list for each table that holds something of the customer's, oldest first, without hashes,
// tokens and ciphertexts. An answer holds about 4 MiB: where there is more, `next` is what ?after=
// takes to go on from there, and the lists of the next answer continue those of this one.
#include <array>

#include "portal/customer.h"

namespace portal {
namespace {

using http::Json;
using io::Parameters;
using io::Statement;

// The lists, in the order of the answer: the number in front of a record is its list's place here.
constexpr std::array lists{
    "members",   "customer_sessions",    "member_sessions", "contacts",
    "companies", "client_portal_tokens", "mails",           "events",
    "file_share_sessions", "file_share_downloads", "file_share_payments",
    "portal_items", "login_challenges",
};

#define TIME(column) "portal.time_text(" column ")"
#define MADE(alias) "'id', " alias ".id, 'created_at', " TIME(alias ".created_at")
#define MADE_AND_MODIFIED(alias) MADE(alias) ", 'modified_at', " TIME(alias ".modified_at")
#define SESSION(alias) \
    "'return_url', " alias ".return_url, 'signed_in_by', " alias                                \
    ".signed_in_by, 'device', " alias ".device, 'expires_at', " TIME(                           \
        alias ".expires_at") ", 'last_used_at', " TIME(alias ".last_used_at") ", "              \
    "'revoked_at', " TIME(alias ".revoked_at")

// Theirs is what an erasure would wipe: what names the customer, or one of its addresses within its
// workspace. A challenge's id is half of what opens it, and not told.
// A table of a later migration adds its branch to `record` and its name to `lists`.
//   $1 workspace  $2 customer  $3 the last record of the answer before  $4 bytes of records
constexpr Statement export_statement{"customer_export",
                                     R"(
WITH customer AS MATERIALIZED (
    SELECT * FROM portal.customers WHERE workspace_id = $1::uuid AND id = $2::uuid AND deleted_at IS NULL
), address AS MATERIALIZED (
    SELECT a.email FROM customer c, portal.addresses_of(c.id) a (email)
), contact AS MATERIALIZED (
    SELECT p.* FROM customer c JOIN portal.contacts p ON p.workspace_id = c.workspace_id AND p.customer_id = c.id
), company AS MATERIALIZED (
    SELECT f.* FROM customer c JOIN portal.companies f ON f.workspace_id = c.workspace_id AND f.customer_id = c.id
), token AS MATERIALIZED (
    SELECT t.*
      FROM contact p
      JOIN portal.client_portal_tokens t ON t.workspace_id = p.workspace_id AND t.contact_id = p.id
     UNION ALL
    SELECT t.*
      FROM company f
      JOIN portal.client_portal_tokens t ON t.workspace_id = f.workspace_id AND t.company_id = f.id
), item AS MATERIALIZED (
    SELECT i.* FROM contact p JOIN portal.portal_items i ON i.workspace_id = p.workspace_id AND i.contact_id = p.id
     UNION ALL
    SELECT i.* FROM company f JOIN portal.portal_items i ON i.workspace_id = f.workspace_id AND i.company_id = f.id
), record (list, made, id, body) AS (
    SELECT 0, m.created_at, m.id::text, json_build_object()" MADE_AND_MODIFIED("m") R"(,
           'external_id', m.external_id, 'email', m.email, 'name', m.name, 'role', m.role,
           'deleted_at', )" TIME("m.deleted_at") R"()
      FROM customer c JOIN portal.members m ON m.workspace_id = c.workspace_id AND m.customer_id = c.id
     UNION ALL
    SELECT 1, s.created_at, s.id::text, json_build_object()" MADE_AND_MODIFIED("s") ", " SESSION(
                                         "s") R"()
      FROM customer c JOIN portal.customer_sessions s ON s.workspace_id = c.workspace_id AND s.customer_id = c.id
     UNION ALL
    SELECT 2, s.created_at, s.id::text,
           json_build_object()" MADE_AND_MODIFIED("s") ", 'member_id', s.member_id, " SESSION("s") R"()
      FROM customer c JOIN portal.member_sessions s ON s.workspace_id = c.workspace_id AND s.customer_id = c.id
     UNION ALL
    SELECT 3, p.created_at, p.id::text, json_build_object()" MADE_AND_MODIFIED("p") R"(,
           'name', p.name, 'email', p.email, 'company_id', p.company_id, 'external_id', p.external_id,
           'deleted_at', )" TIME("p.deleted_at") R"()
      FROM contact p
     UNION ALL
    SELECT 4, f.created_at, f.id::text, json_build_object()" MADE_AND_MODIFIED("f") R"(,
           'name', f.name, 'email', f.email, 'external_id', f.external_id,
           'deleted_at', )" TIME("f.deleted_at") R"()
      FROM company f
     UNION ALL
    SELECT 5, t.created_at, t.id::text, json_build_object()" MADE_AND_MODIFIED("t") R"(,
           'contact_id', t.contact_id, 'company_id', t.company_id, 'expires_at', )" TIME("t."
                                                                                         "expires_"
                                                                                         "at") R"(,
           'last_accessed_at', )" TIME("t.last_accessed_at") R"(, 'access_count', t.access_count,
           'revoked_at', )" TIME("t.revoked_at") R"()
      FROM token t
     UNION ALL
    SELECT 6, o.created_at, o.id::text, json_build_object()" MADE("o") R"(, 'kind', o.kind, 'state', o.state,
           'attempts', o.attempts, 'sent_at', )" TIME("o.sent_at") ", 'failed_at', " TIME("o."
                                                                                          "failed_"
                                                                                          "at") R"()
      FROM portal.outbox o
     WHERE o.workspace_id = $1
       AND (o.token_id IN (SELECT id FROM token)
            OR o.member_id IN (SELECT m.id
                                 FROM customer c
                                 JOIN portal.members m
                                   ON m.workspace_id = c.workspace_id AND m.customer_id = c.id))
     UNION ALL
    SELECT 7, e.timestamp, e.id::text, json_build_object('id', e.id, 'type', e.type, 'number', e.number,
           'timestamp', )" TIME("e.timestamp") R"(, 'data', e.data)
      FROM portal.events e
     WHERE e.workspace_id = $1
       AND (e.audience ->> 'customer' = (SELECT id::text FROM customer)
            OR e.data ->> 'customer_id' = (SELECT id::text FROM customer)
            OR portal.email_key(e.data ->> 'buyer_email') = ANY (ARRAY(SELECT email FROM address)))
     UNION ALL
    SELECT 8, s.created_at, s.id::text, json_build_object()" MADE_AND_MODIFIED("s") R"(,
           'short_slug', s.short_slug, 'long_slug', s.long_slug, 'status', s.status, 'max_downloads', s.max_downloads,
           'download_count', s.download_count, 'price_cents', s.price_cents, 'currency', s.currency,
           'title', s.title, 'file_name', s.file_name, 'file_size_bytes', s.file_size_bytes,
           'ttl_seconds', s.ttl_seconds, 'expires_at', )" TIME("s.expires_at") R"(,
           'activated_at', )" TIME("s.activated_at") ", 'completed_at', " TIME("s.completed_at") R"(,
           'user_id', s.user_id, 'share_id', s.share_id)
      FROM customer c
      JOIN portal.file_share_sessions s ON s.workspace_id = c.workspace_id AND s.customer_id = c.id
     UNION ALL
    SELECT 9, d.created_at, d.id::text, json_build_object()" MADE_AND_MODIFIED("d") R"(,
           'session_id', d.session_id, 'slot_number', d.slot_number)
      FROM customer c
      JOIN portal.file_share_downloads d ON d.workspace_id = c.workspace_id AND d.customer_id = c.id
     UNION ALL
    SELECT 10, p.created_at, p.id::text, json_build_object()" MADE_AND_MODIFIED("p") R"(,
           'session_id', p.session_id, 'status', p.status, 'amount_cents', p.amount_cents, 'currency', p.currency,
           'platform_fee_cents', p.platform_fee_cents, 'stripe_checkout_session_id', p.stripe_checkout_session_id,
           'stripe_payment_intent_id', p.stripe_payment_intent_id, 'buyer_email', p.buyer_email,
           'buyer_name', p.buyer_name)
      FROM portal.file_share_payments p
     WHERE p.workspace_id = $1
       AND (p.customer_id = (SELECT id FROM customer)
            OR portal.email_key(p.buyer_email) = ANY (ARRAY(SELECT email FROM address)))
     UNION ALL
    SELECT 11, i.created_at, i.id::text, json_build_object()" MADE_AND_MODIFIED("i") R"(,
           'contact_id', i.contact_id, 'company_id', i.company_id, 'module', i.module, 'external_id', i.external_id,
           'title', i.title, 'status', i.status, 'amount_cents', i.amount_cents, 'currency', i.currency,
           'due_at', )" TIME("i.due_at") R"(, 'url', i.url, 'data', i.data,
           'deleted_at', )" TIME("i.deleted_at") R"()
      FROM item i
     UNION ALL
    SELECT 12, l.created_at, l.id::text, json_build_object('created_at', )" TIME("l.created_at") R"(,
           'expires_at', )" TIME("l.expires_at") ", 'consumed_at', " TIME("l.consumed_at") R"()
      FROM portal.login_challenges l
     WHERE l.workspace_id = $1 AND l.email IN (SELECT email FROM address)
), numbered AS MATERIALIZED (
    SELECT list, body::text AS body, row_number() OVER (ORDER BY list, made, id) AS number FROM record
), measured AS (
    SELECT *, sum(octet_length(body)) OVER (ORDER BY number) - octet_length(body) AS bytes_before
      FROM numbered
     WHERE number > $3::bigint
)
SELECT )" PORTAL_CUSTOMER_COLUMNS("c") R"(, c.billing_name, portal.time_text(c.blocked_at) AS blocked_at,
       portal.time_text(now()) AS exported_at, (SELECT count(*) FROM numbered) AS records, r.number, r.list, r.body
  FROM customer c
  LEFT JOIN measured r ON r.bytes_before < $4::bigint
 ORDER BY r.number)",
                                     io::Lane::main, io::Retry::read, 5000};

#undef SESSION
#undef MADE_AND_MODIFIED
#undef MADE
#undef TIME

constexpr std::int64_t answer_bytes = std::int64_t(4) << 20;

}  // namespace

// Put together as text: the records are JSON already.
io::Task<std::string> export_customer(io::Postgres& db, std::string workspace_id,
                                      CustomerReference which, std::int64_t after) {
    Parameters parameters(workspace_id, which.id, after, answer_bytes);
    io::Rows rows = co_await db.query(export_statement, std::move(parameters));
    if (rows.empty()) {
        throw http::resource_not_found();
    }
    Json customer = customer_json(rows.front());
    customer.set("billing_name", rows.front().optional("billing_name"));
    customer.set("blocked_at", rows.front().optional("blocked_at"));
    std::string body = "{\"exported_at\":" + Json(rows.front().text("exported_at")).dump() +
                       ",\"customer\":" + customer.dump();
    int at = rows.front().null("number") ? rows.size() : 0;
    for (std::size_t list = 0; list < lists.size(); ++list) {
        body.append(",\"").append(lists[list]).append("\":[");
        for (bool first = true; at < rows.size() && rows[at].integer("list") == std::int64_t(list);
             ++at) {
            body.append(first ? "" : ",").append(rows[at].text("body"));
            first = false;
        }
        body += ']';
    }
    const std::int64_t last =
        rows[rows.size() - 1].integer("number");  // 0 when there was none left
    const bool more = last != 0 && last < rows.front().integer("records");
    body += ",\"next\":" + (more ? std::to_string(last) : "null") + "}";
    co_return body;
}

}  // namespace portal
