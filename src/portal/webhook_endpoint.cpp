#include "portal/webhook_endpoint.h"

#include <algorithm>
#include <array>

#include "http/validation.h"
#include "portal/webhook_signature.h"

// clang-format off
// What webhook_endpoint_json() reads, of the row called `alias`; prefix endpoint_.
#define PORTAL_WEBHOOK_ENDPOINT_COLUMNS(alias)                                                        \
    alias ".id AS endpoint_id, portal.time_text(" alias ".created_at) AS endpoint_created_at, "       \
    "portal.time_text(" alias ".modified_at) AS endpoint_modified_at, "                               \
    alias ".workspace_id AS endpoint_workspace_id, " alias ".url AS endpoint_url, "                   \
    "to_json(" alias ".event_types) AS endpoint_event_types, " alias ".enabled AS endpoint_enabled, " \
    alias ".disabled_reason AS endpoint_disabled_reason, "                                            \
    "portal.time_text(" alias ".failing_since) AS endpoint_failing_since, "                           \
    "portal.time_text(" alias ".paused_until) AS endpoint_paused_until"
// clang-format on

namespace portal {
namespace {

using http::Json;
using io::Parameters;
using io::Statement;

struct EventType {
    std::string_view name;
    Scope scope;  // who may read what it carries
};

constexpr std::array event_types{
    EventType{"client_portal.invitation_sent", Scope::client_portal_read},
    EventType{"client_portal.invitation_failed", Scope::client_portal_read},
    EventType{"client_portal.token_created", Scope::client_portal_read},
    EventType{"client_portal.token_accessed", Scope::client_portal_read},
    EventType{"client_portal.token_expiring", Scope::client_portal_read},
    EventType{"client_portal.config_updated", Scope::client_portal_read},
    EventType{"customer.created", Scope::customers_read},
    EventType{"customer.updated", Scope::customers_read},
    EventType{"customer.deleted", Scope::customers_read},
    EventType{"file_sharing_session.created", Scope::file_sharing_read},
    EventType{"file_sharing_session.updated", Scope::file_sharing_read},
    EventType{"file_sharing_session.download_completed", Scope::file_sharing_read},
    EventType{"file_sharing_session.expired", Scope::file_sharing_read},
    EventType{"file_sharing_session.payment_received", Scope::file_sharing_read},
    EventType{"payment.updated", Scope::payments_read},
    EventType{"portal_item.created", Scope::client_portal_read},
    EventType{"portal_item.updated", Scope::client_portal_read},
    EventType{"portal_item.deleted", Scope::client_portal_read},
};

// Each takes a row for every event: a workspace has a bounded number.
#define MOST_ENDPOINTS "100"

//   $1 workspace  $2 id  $3 url, event_types, enabled as JSON  $4 secret row's id  $5 secret
//   encrypted $6 the same for the key, bound to $2  $7 who  $8 path  $9 Idempotency-Key  $10
//   payload hash
constexpr Statement create_statement{"webhook_endpoint_create", R"(
WITH judged AS MATERIALIZED (
    SELECT count(*) < )" MOST_ENDPOINTS R"( AS room
      FROM portal.webhook_endpoints
     WHERE workspace_id = $1::uuid AND deleted_at IS NULL
), making AS MATERIALIZED (
    SELECT $2::uuid AS resource_id, $6::text AS token_ciphertext, 201 AS status, 'infinity'::timestamptz AS expires_at
      FROM judged
     WHERE room
), claim AS (
)" PORTAL_CLAIM_KEY("$1", "$7", "$8", "$9", "$10", "making") R"(
), made AS (
    INSERT INTO portal.webhook_endpoints (id, workspace_id, url, event_types, enabled)
    SELECT $2, $1, $3::jsonb ->> 'url',
           CASE WHEN jsonb_typeof($3 -> 'event_types') = 'array'
                THEN ARRAY(SELECT jsonb_array_elements_text($3 -> 'event_types')) END,
           coalesce(($3 ->> 'enabled')::boolean, true)
      FROM judged
     WHERE room AND ($9 IS NULL OR EXISTS (SELECT FROM claim))
    RETURNING *
), secret AS (
    INSERT INTO portal.webhook_secrets (id, workspace_id, endpoint_id, ciphertext)
    SELECT $4::uuid, workspace_id, id, $5::text FROM made
)
SELECT j.room, )" PORTAL_WEBHOOK_ENDPOINT_COLUMNS("e") R"(
  FROM judged j
  LEFT JOIN made e ON true)"};

// What a key made, as long as it lives.  $1 workspace  $2 who  $3 path  $4 key
constexpr Statement replay_statement{"webhook_endpoint_replay", R"(
SELECT k.payload_hash, k.token_ciphertext, )" PORTAL_WEBHOOK_ENDPOINT_COLUMNS("e") R"(
  FROM portal.idempotency_keys k
  JOIN portal.webhook_endpoints e ON e.workspace_id = k.workspace_id AND e.id = k.resource_id AND e.deleted_at IS NULL
 WHERE k.workspace_id = $1::uuid AND k.principal_id = $2::uuid AND k.method = 'POST' AND k.path = $3::text
   AND k.key = $4::text AND k.expires_at > now())",
                                     io::Lane::main, io::Retry::read};

// May who reads these types have to do with an endpoint that takes those? $4 types  $5 all of them
#define WITHIN(types) \
    "(CASE WHEN " types " IS NULL THEN $5::boolean ELSE " types " <@ $4::text[] END)"

// Both what it takes and what it is to take. Enabled again, or moved, it begins with a clean slate.
//   $1 workspace  $2 id  $3 the members that change
constexpr Statement change_statement{"webhook_endpoint_change", R"(
WITH target AS MATERIALIZED (
    SELECT * FROM portal.webhook_endpoints
     WHERE workspace_id = $1::uuid AND id = $2::uuid AND deleted_at IS NULL
       FOR NO KEY UPDATE
), wanted AS MATERIALIZED (
    SELECT id, event_types AS old_types,
           CASE WHEN NOT $3::jsonb ? 'event_types' THEN event_types
                WHEN jsonb_typeof($3 -> 'event_types') = 'array'
                THEN ARRAY(SELECT jsonb_array_elements_text($3 -> 'event_types')) END AS event_types,
           coalesce($3 ->> 'url', url) AS url,
           coalesce(($3 ->> 'enabled')::boolean, enabled) AS enabled,
           $3 ? 'url' OR ($3 ->> 'enabled')::boolean IS TRUE AS afresh
      FROM target
), judged AS MATERIALIZED (
    SELECT *, )" WITHIN("old_types") " AND " WITHIN("event_types") R"( AS allowed FROM wanted
), changed AS (
    UPDATE portal.webhook_endpoints e
       SET url = j.url, event_types = j.event_types, enabled = j.enabled,
           disabled_reason = CASE WHEN j.enabled THEN NULL ELSE e.disabled_reason END,
           failing_since = CASE WHEN j.afresh THEN NULL ELSE e.failing_since END,
           last_failure_at = CASE WHEN j.afresh THEN NULL ELSE e.last_failure_at END,
           failures = CASE WHEN j.afresh THEN 0 ELSE e.failures END,
           paused_until = CASE WHEN j.afresh THEN NULL ELSE e.paused_until END
      FROM judged j
     WHERE e.workspace_id = $1 AND e.id = j.id AND j.allowed
    RETURNING e.*
)
SELECT j.allowed, )" PORTAL_WEBHOOK_ENDPOINT_COLUMNS("e") R"(
  FROM judged j
  LEFT JOIN changed e ON true)"};

#undef WITHIN

constexpr Statement find_statement{"webhook_endpoint_find",
                                   "SELECT " PORTAL_WEBHOOK_ENDPOINT_COLUMNS("e") R"(
  FROM portal.webhook_endpoints e
 WHERE e.workspace_id = $1::uuid AND e.id = $2::uuid AND e.deleted_at IS NULL)",
                                   io::Lane::main, io::Retry::read};

// What still waits for it is given up by the helpers.
constexpr Statement delete_statement{"webhook_endpoint_delete", R"(
WITH gone AS (
    UPDATE portal.webhook_endpoints
       SET deleted_at = now(), enabled = false
     WHERE workspace_id = $1::uuid AND id = $2::uuid AND deleted_at IS NULL
    RETURNING id
), forgotten AS (
    DELETE FROM portal.webhook_secrets s USING gone WHERE s.workspace_id = $1 AND s.endpoint_id = gone.id
)
SELECT id FROM gone)"};

//   $1 workspace  $2 endpoint  $3 secret row's id  $4 secret encrypted
constexpr Statement rotate_statement{"webhook_secret_rotate",
                                     "SELECT " PORTAL_WEBHOOK_ENDPOINT_COLUMNS("t") R"(
  FROM portal.rotate_webhook_secret($1::uuid, $2::uuid, $3::uuid, $4::text) t)"};

constexpr Statement list_statement{
    "webhook_endpoint_list",
    PORTAL_PAGE("SELECT * FROM portal.webhook_endpoints WHERE workspace_id = $3::uuid AND "
                "deleted_at IS NULL",
                "created_at DESC, id", PORTAL_WEBHOOK_ENDPOINT_COLUMNS("r")),
    io::Lane::main, io::Retry::read, 5000};

void require_readable(bool allowed) {
    if (!allowed) {
        throw http::not_permitted(
            "A token cannot make or change an endpoint that takes events it may not read itself.");
    }
}

bool reads(const ReadableEvents& readable, const Json& types) {
    if (!types.is_array()) {
        return readable.all;
    }
    for (std::size_t at = 0; at < types.size(); ++at) {
        if (std::ranges::find(readable.types, types[at].text()) == readable.types.end()) {
            return false;
        }
    }
    return true;
}

void take_url(http::Fields& fields, Json& members, const WebhookTargets& targets, bool required) {
    std::optional<std::string> url = fields.url("url", {.required = required});
    if (!url) {
        return;
    }
    std::string trouble = targets.trouble(*url);
    if (!trouble.empty()) {
        fields.refuse("url", std::move(trouble));
        return;
    }
    members.set("url", *url);
}

void take_event_types(http::Fields& fields, Json& members) {
    const Json sent = fields.value("event_types");
    if (!sent.present() || sent.is_null()) {
        if (sent.present()) {
            members.set("event_types", nullptr);
        }
        return;
    }
    if (!sent.is_array()) {
        fields.problem("event_types", "list_type", "Input should be a valid list");
        return;
    }
    if (sent.size() == 0) {
        fields.refuse("event_types",
                      "An endpoint takes at least one type of event; null is all of them.");
    }
    Json types = Json::array();
    std::vector<std::string_view> seen;
    for (std::size_t at = 0; at < sent.size(); ++at) {
        const std::string_view type = sent[at].text();
        if (std::ranges::find(event_types, type, &EventType::name) == event_types.end()) {
            fields.add(http::enum_problem({"body", "event_types", std::to_string(at)},
                                          webhook_event_types(), sent[at]));
        } else if (std::ranges::find(seen, type) == seen.end()) {
            seen.push_back(type);
            types.push(type);
        }
    }
    members.set("event_types", types);
}

void take_enabled(http::Fields& fields, Json& members) {
    if (std::optional<bool> enabled = fields.boolean("enabled")) {
        members.set("enabled", *enabled);
    }
}

std::optional<std::string> take_secret(http::Fields& fields) {
    std::optional<std::string> secret = fields.string("secret", {.nullable = true});
    if (secret && !webhook_key(*secret)) {
        fields.refuse("secret", "A secret is whsec_ and the base64 of 24 to 64 bytes.");
    }
    return secret;
}

}  // namespace

const std::vector<std::string_view>& webhook_event_types() {
    static const std::vector<std::string_view> names = [] {
        std::vector<std::string_view> list;
        for (const EventType& type : event_types) {
            list.push_back(type.name);
        }
        return list;
    }();
    return names;
}

ReadableEvents ReadableEvents::of(const Principal& caller) {
    ReadableEvents readable;
    for (const EventType& type : event_types) {
        if (caller.has(type.scope)) {
            readable.types.emplace_back(type.name);
        } else {
            readable.all = false;
        }
    }
    return readable;
}

ReadableEvents ReadableEvents::of_operator() {
    const std::vector<std::string_view>& names = webhook_event_types();
    return {{names.begin(), names.end()}, true};
}

WebhookEndpointInput WebhookEndpointInput::parse(Json body, const WebhookTargets& targets) {
    http::Fields fields(std::move(body));
    WebhookEndpointInput input;
    input.members = Json::object();
    take_url(fields, input.members, targets, true);
    take_event_types(fields, input.members);
    take_enabled(fields, input.members);
    input.secret = take_secret(fields);
    fields.done();
    return input;
}

WebhookEndpointInput WebhookEndpointInput::parse_change(Json body, const WebhookTargets& targets) {
    http::Fields fields(std::move(body));
    WebhookEndpointInput input;
    input.members = Json::object();
    take_url(fields, input.members, targets, false);
    take_event_types(fields, input.members);
    take_enabled(fields, input.members);
    fields.done();
    return input;
}

std::optional<std::string> parse_webhook_secret(Json body) {
    http::Fields fields(std::move(body));
    std::optional<std::string> secret = take_secret(fields);
    fields.done();
    return secret;
}

Json webhook_endpoint_json(const io::Row& row) {
    return Json::object({
        {"id", row.text("endpoint_id")},
        {"created_at", row.text("endpoint_created_at")},
        {"modified_at", row.optional("endpoint_modified_at")},
        {"workspace_id", row.text("endpoint_workspace_id")},
        {"url", row.text("endpoint_url")},
        {"event_types", row.null("endpoint_event_types")
                            ? Json(nullptr)
                            : Json::parse(row.text("endpoint_event_types"))},
        {"enabled", row.boolean("endpoint_enabled")},
        {"disabled_reason", row.optional("endpoint_disabled_reason")},
        {"failing_since", row.optional("endpoint_failing_since")},
        {"paused_until", row.optional("endpoint_paused_until")},
    });
}

io::Task<Json> create_webhook_endpoint(io::Postgres& db, const Secrets& secrets,
                                       std::string workspace_id, ReadableEvents readable,
                                       WebhookEndpointInput input, KeyClaim claim) {
    require_readable(reads(readable, input.members["event_types"]));
    const bool keyed = claim.key.given();
    for (int attempt = 0; attempt < 2; ++attempt) {
        const std::string secret = input.secret ? *input.secret : make_webhook_secret();
        const std::string id = Uuid::random().text();
        const std::string secret_id = Uuid::random().text();
        std::optional<std::string> kept;  // only where a key may ask for it again
        if (keyed) {
            kept = secrets.encrypt(secret, id);
        }
        Parameters parameters(workspace_id, id, input.members.dump(), secret_id,
                              secrets.encrypt(secret, secret_id), kept);
        claim.add_to(parameters);
        io::Rows rows =
            co_await query_once_more(db, create_statement, std::move(parameters), keyed);
        if (!rows.front().null("endpoint_id")) {
            Json made = webhook_endpoint_json(rows.front());
            made.set("secret", secret);
            co_return made;
        }
        if (keyed) {
            Parameters which(workspace_id, claim.principal, claim.key.path, claim.key.key);
            io::Rows earlier = co_await db.query(replay_statement, std::move(which));
            if (!earlier.empty()) {
                require_same_payload(claim.key, earlier.front().text("payload_hash"));
                std::optional<std::string> shown =
                    secrets.decrypt(earlier.front().text("token_ciphertext"),
                                    earlier.front().text("endpoint_id"));
                if (shown) {
                    Json made = webhook_endpoint_json(earlier.front());
                    made.set("secret", *shown);
                    co_return made;
                }
            }
        }
        if (!rows.front().boolean("room")) {
            throw http::not_permitted("A workspace has at most " MOST_ENDPOINTS
                                      " webhook endpoints.");
        }
        // it was deleted just now: the key is free
    }
    throw still_running();
}

io::Task<Json> change_webhook_endpoint(io::Postgres& db, std::string workspace_id, std::string id,
                                       ReadableEvents readable, WebhookEndpointInput input) {
    if (!Uuid::parse(id)) {
        throw http::resource_not_found();
    }
    Parameters parameters(workspace_id, id, input.members.dump(), readable.types, readable.all);
    io::Rows rows = co_await query_once_more(db, change_statement, std::move(parameters));
    if (rows.empty()) {
        throw http::resource_not_found();
    }
    require_readable(rows.front().boolean("allowed"));
    co_return webhook_endpoint_json(rows.front());
}

io::Task<Json> find_webhook_endpoint(io::Postgres& db, std::string workspace_id, std::string id) {
    if (!Uuid::parse(id)) {
        throw http::resource_not_found();
    }
    Parameters parameters(workspace_id, id);
    io::Rows rows = co_await db.query(find_statement, std::move(parameters));
    if (rows.empty()) {
        throw http::resource_not_found();
    }
    co_return webhook_endpoint_json(rows.front());
}

io::Task<void> delete_webhook_endpoint(io::Postgres& db, std::string workspace_id, std::string id) {
    if (!Uuid::parse(id)) {
        throw http::resource_not_found();
    }
    Parameters parameters(workspace_id, id);
    io::Rows rows = co_await query_once_more(db, delete_statement, std::move(parameters));
    if (rows.empty()) {
        throw http::resource_not_found();
    }
}

io::Task<Json> rotate_webhook_secret(io::Postgres& db, const Secrets& secrets,
                                     std::string workspace_id, std::string id,
                                     std::optional<std::string> brought) {
    if (!Uuid::parse(id)) {
        throw http::resource_not_found();
    }
    const std::string secret = brought ? *brought : make_webhook_secret();
    const std::string secret_id = Uuid::random().text();
    Parameters parameters(workspace_id, id, secret_id, secrets.encrypt(secret, secret_id));
    io::Rows rows = co_await query_once_more(db, rotate_statement, std::move(parameters));
    if (rows.empty()) {
        throw http::resource_not_found();
    }
    Json endpoint = webhook_endpoint_json(rows.front());
    endpoint.set("secret", secret);
    co_return endpoint;
}

io::Task<Page> list_webhook_endpoints(io::Postgres& db, std::string workspace_id,
                                      PageRequest request) {
    Parameters parameters(request.per_page(), request.offset(), workspace_id);
    io::Rows rows = co_await db.query(list_statement, std::move(parameters));
    co_return page_of(rows, request, webhook_endpoint_json);
}

}  // namespace portal
