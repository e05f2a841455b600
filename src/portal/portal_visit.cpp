#include "portal/portal_visit.h"

#include "http/failure.h"
#include "portal/client_portal_config.h"
#include "portal/credential.h"
#include "portal/event.h"
#include "portal/event_data.h"
#include "portal/portal_item.h"

namespace portal {
namespace {

using http::Json;
using io::Lane;
using io::Parameters;
using io::Retry;
using io::Statement;

// The link's row is locked: of parallel openings one counts, and ending the link waits for this
// session and then ends it, too. A try was taken for the challenge, and is given back.
//
//   $1 workspace  $2 the link  $3 session id  $4 secret id  $5 hash  $6 device  $7 challenge
constexpr Statement open_statement{"portal_visit_open", R"(
WITH proof AS (
    UPDATE portal.link_challenges SET consumed_at = now(), tries = tries - 1
     WHERE workspace_id = $1::uuid AND token_id = $2::uuid AND id = $7::uuid
       AND consumed_at IS NULL AND expires_at > now()
    RETURNING id
), link AS MATERIALIZED (
    SELECT *
      FROM portal.client_portal_tokens
     WHERE workspace_id = $1 AND id = $2 AND parent_id IS NULL
       AND revoked_at IS NULL AND expires_at > now()
       AND ($7 IS NULL OR EXISTS (SELECT FROM proof))
       FOR NO KEY UPDATE
), accessed AS (
    UPDATE portal.client_portal_tokens t
       SET last_accessed_at = now(), access_count = t.access_count + 1
      FROM link
     WHERE t.workspace_id = $1 AND t.id = link.id
       AND (link.last_accessed_at IS NULL OR link.last_accessed_at <= now() - interval '1 hour')
)
INSERT INTO portal.client_portal_tokens
       (workspace_id, contact_id, company_id, expires_at, id, secret_id, token_hash, device, parent_id)
SELECT workspace_id, contact_id, company_id, expires_at, $3::uuid, $4::text, $5::text, $6::text, id FROM link
RETURNING ceil(extract(epoch FROM expires_at - now()))::bigint AS expires_in)"};

//   $1 workspace  $2 session
constexpr Statement end_statement{"portal_visit_end", R"(
UPDATE portal.client_portal_tokens
   SET revoked_at = now()
 WHERE workspace_id = $1::uuid AND id = $2::uuid AND parent_id IS NOT NULL AND revoked_at IS NULL)"};

//   $1 workspace  $2 the link or its session
constexpr Statement describe_statement{"portal_visit_describe", R"(
SELECT w.name AS workspace_name, coalesce(p.name, o.name) AS name, coalesce(p.email, o.email) AS email,
       portal.time_text(date_trunc('second', t.expires_at)) AS expires_at
  FROM portal.client_portal_tokens t
  JOIN portal.workspaces w ON w.id = t.workspace_id
  LEFT JOIN portal.contacts p ON p.workspace_id = t.workspace_id AND p.id = t.contact_id
  LEFT JOIN portal.companies o ON o.workspace_id = t.workspace_id AND o.id = t.company_id
 WHERE t.workspace_id = $1::uuid AND t.id = $2::uuid)",
                                       Lane::main, Retry::read};

//   $1 limit  $2 offset  $3 workspace  $4 audience  $5 modules
constexpr Statement activity_statement{
    "portal_visit_activity",
    PORTAL_PAGE(R"(
        SELECT e.number, e.type, e.timestamp, e.data
          FROM portal.event_audiences a
          JOIN portal.events e ON e.workspace_id = a.workspace_id AND e.number = a.number
         WHERE a.workspace_id = $3::uuid AND a.audience = $4::text
           AND e.type LIKE 'portal_item.%' AND e.data ->> 'module' = ANY ($5::text[]))",
                "number DESC",
                "r.number, r.type, portal.time_text(r.timestamp) AS timestamp, r.data"),
    Lane::main, Retry::read, 5000};

Json event_json(const io::Row& row) {
    return Json::object({
        {"id", row.integer("number")},
        {"type", row.text("type")},
        {"timestamp", row.text("timestamp")},
        {"data", event_data(row.text("type"), Json::parse(row.text("data")))},
    });
}

}  // namespace

io::Task<std::optional<Principal>> find_portal_link(Services& portal, std::string token) {
    std::optional<Principal> link =
        co_await find_principal(portal.db, portal.secrets, std::move(token));
    if (link && link->kind != Kind::portal) {
        link.reset();
    }
    co_return link;
}

io::Task<std::optional<ExchangedSession>> open_portal_link(Services& portal, Principal link,
                                                           std::string device,
                                                           std::optional<Uuid> challenge) {
    ExchangedSession session;
    session.token = portal.secrets.make_token(Kind::portal);
    session.slug = link.workspace_slug;
    const TokenHash hash = portal.secrets.hash(session.token);
    Parameters parameters(link.workspace_id.text(), link.token_id.text(), Uuid::random().text(),
                          hash.secret_id, hex(hash.digest), device);
    parameters.add(text_of(challenge));
    io::Rows rows = co_await portal.db.query(open_statement, std::move(parameters));
    if (rows.empty()) {
        co_return std::nullopt;  // it ended in between, or is a session's
    }
    session.expires_in = rows.front().integer("expires_in");
    co_return session;
}

io::Task<void> end_portal_visit(Services& portal, Principal caller) {
    Parameters parameters(caller.workspace_id.text(), caller.token_id.text());
    io::Rows ended = co_await portal.db.query(end_statement, std::move(parameters));
    if (ended.affected() > 0) {
        portal.configs.bump(caller.token_id);
    }
}

io::Task<PortalOffer> find_portal_offer(Services& portal, Principal caller) {
    CachedConfig cached = co_await find_client_portal_config(portal, caller.workspace_id);
    PortalOffer offer;
    offer.config = Json::parse(cached->body)["data"];
    const Json modules = offer.config["enabled_modules"];
    for (std::size_t index = 0; index < modules.size(); ++index) {
        offer.modules.emplace_back(modules[index].text());
    }
    offer.file_sharing = offer.config["allow_file_sharing"].boolean();
    offer.activity = offer.config["show_activity_feed"].boolean();
    co_return offer;
}

io::Task<Json> describe_portal_visit(Services& portal, Principal caller) {
    PortalOffer offer = co_await find_portal_offer(portal, caller);
    Parameters parameters(caller.workspace_id.text(), caller.token_id.text());
    io::Rows rows = co_await portal.db.query(describe_statement, std::move(parameters));
    if (rows.empty()) {
        throw http::unauthorized();
    }
    const io::Row row = rows.front();
    co_return Json::object({
        {"addressee", Json::object({
                          {"type", caller.addressee_is_company ? "company" : "contact"},
                          {"id", caller.addressee_id},
                          {"name", row.optional("name")},
                          {"email", row.optional("email")},
                      })},
        {"workspace", Json::object({
                          {"id", caller.workspace_id.text()},
                          {"name", row.text("workspace_name")},
                          {"slug", std::string_view(caller.workspace_slug)},
                      })},
        {"config", offer.config},
        {"expires_at", row.text("expires_at")},
    });
}

io::Task<Page> list_visited_items(Services& portal, Principal caller,
                                  std::vector<std::string> modules, PageRequest request) {
    return list_addressee_items(portal.db, caller.workspace_id.text(), caller.addressee_is_company,
                                caller.addressee_id, std::move(modules), std::move(request));
}

io::Task<Page> list_portal_activity(Services& portal, Principal caller,
                                    std::vector<std::string> modules, PageRequest request) {
    const std::string audience =
        addressee_audience(caller.addressee_is_company, caller.addressee_id);
    Parameters parameters(request.per_page(), request.offset(), caller.workspace_id.text(),
                          audience, modules);
    io::Rows rows = co_await portal.db.query(activity_statement, std::move(parameters));
    co_return page_of(rows, request, event_json);
}

}  // namespace portal
