#include "portal/own_session.h"

#include "portal/credential.h"

namespace portal {
namespace {

using http::Json;
using io::Lane;
using io::Parameters;
using io::Retry;
using io::Statement;

// A customer's sessions and a member's lie in tables of their own; `owner` is the column that says
// whose.
struct Statements {
    Statement exchange, list, end, end_others;
};

// clang-format off
// The link's session is locked, so that ending it waits for this one and then ends it, too.
//   $1 workspace  $2 the link's session  $3 session id  $4 secret id  $5 hash  $6 device
#define EXCHANGE(table, columns)                                                                        \
    "WITH parent AS MATERIALIZED (SELECT * FROM portal." table                                          \
    " WHERE workspace_id = $1::uuid AND id = $2::uuid AND revoked_at IS NULL AND expires_at > now() "   \
    "FOR SHARE) INSERT INTO portal." table " (workspace_id, " columns ", return_url, expires_at, id, "  \
    "secret_id, token_hash, device, signed_in_by, parent_id) SELECT workspace_id, " columns             \
    ", return_url, expires_at, $3::uuid, $4::text, $5::text, $6::text, 'exchange', id FROM parent "     \
    "RETURNING ceil(extract(epoch FROM expires_at - now()))::bigint AS expires_in"

//   $3 workspace  $4 owner  $5 this session  $6 sorting
#define LIST(table, owner)                                                                                  \
    PORTAL_PAGE("SELECT * FROM portal." table " WHERE workspace_id = $3::uuid AND " owner " = $4::uuid "    \
                "AND revoked_at IS NULL AND expires_at > now()",                                            \
                "CASE WHEN $6::text = 'created_at' THEN created_at END, created_at DESC, id",               \
                "r.id, portal.time_text(r.created_at) AS created_at, "                                      \
                "portal.time_text(r.expires_at) AS expires_at, "                                            \
                "portal.time_text(r.last_used_at) AS last_seen_at, r.device, r.signed_in_by, "              \
                "r.id = $5::uuid AS current")

//   $1 workspace  $2 owner  $3 session
#define END(table, owner)                                                                              \
    "UPDATE portal." table " SET revoked_at = now() WHERE workspace_id = $1::uuid AND " owner          \
    " = $2::uuid AND id = $3::uuid AND revoked_at IS NULL AND expires_at > now() RETURNING id"

//   the same; what this one was exchanged for ends without it
#define END_OTHERS(table, owner)                                                                       \
    "WITH kept AS (UPDATE portal." table " SET parent_id = NULL WHERE workspace_id = $1::uuid AND "    \
    owner " = $2::uuid AND id = $3::uuid AND parent_id IS NOT NULL) UPDATE portal." table              \
    " SET revoked_at = now() WHERE workspace_id = $1 AND " owner " = $2 AND id <> $3 "                 \
    "AND revoked_at IS NULL AND expires_at > now() RETURNING id"
// clang-format on

constexpr Statements of_customer{
    {"own_session_exchange_customer", EXCHANGE("customer_sessions", "customer_id")},
    {"own_session_list_customer", LIST("customer_sessions", "customer_id"), Lane::main, Retry::read,
     5000},
    {"own_session_end_customer", END("customer_sessions", "customer_id")},
    {"own_session_end_others_customer", END_OTHERS("customer_sessions", "customer_id")},
};
constexpr Statements of_member{
    {"own_session_exchange_member", EXCHANGE("member_sessions", "customer_id, member_id")},
    {"own_session_list_member", LIST("member_sessions", "member_id"), Lane::main, Retry::read,
     5000},
    {"own_session_end_member", END("member_sessions", "member_id")},
    {"own_session_end_others_member", END_OTHERS("member_sessions", "member_id")},
};

const Statements& statements_of(const Principal& caller) {
    return caller.kind == Kind::member ? of_member : of_customer;
}

std::string owner_of(const Principal& caller) {
    return caller.kind == Kind::member ? caller.member_id.text() : caller.customer_id.text();
}

Json session_json(const io::Row& row) {
    return Json::object({
        {"id", row.text("id")},
        {"created_at", row.text("created_at")},
        {"expires_at", row.text("expires_at")},
        {"last_seen_at", row.optional("last_seen_at")},
        {"device", row.optional("device")},
        {"signed_in_by", row.text("signed_in_by")},
        {"current", row.boolean("current")},
    });
}

Parameters which(const Principal& caller, const Uuid& session) {
    return Parameters(caller.workspace_id.text(), owner_of(caller), session.text());
}

void forget(Services& portal, const io::Rows& ended) {
    for (int index = 0; index < ended.size(); ++index) {
        if (std::optional<Uuid> id = Uuid::parse(ended[index].text("id"))) {
            portal.configs.bump(*id);
        }
    }
}

}  // namespace

io::Task<std::optional<Principal>> find_session_link(Services& portal, std::string token) {
    std::optional<Principal> link =
        co_await find_principal(portal.db, portal.secrets, std::move(token));
    if (link && link->kind != Kind::customer && link->kind != Kind::member) {
        link.reset();
    }
    co_return link;
}

io::Task<std::optional<ExchangedSession>> exchange_session(Services& portal, Principal link,
                                                           std::string device) {
    ExchangedSession session;
    session.token = portal.secrets.make_token(link.kind);
    session.slug = link.workspace_slug;
    const TokenHash hash = portal.secrets.hash(session.token);
    Parameters parameters(link.workspace_id.text(), link.token_id.text(), Uuid::random().text(),
                          hash.secret_id, hex(hash.digest), device);
    const Statement& statement = statements_of(link).exchange;
    io::Rows rows = co_await portal.db.query(statement, std::move(parameters));
    if (rows.empty()) {
        co_return std::nullopt;
    }
    session.expires_in = rows.front().integer("expires_in");
    co_return session;
}

io::Task<Page> list_own_sessions(Services& portal, Principal caller, PageRequest request) {
    Parameters parameters(request.per_page(), request.offset(), caller.workspace_id.text(),
                          owner_of(caller), caller.token_id.text(), request.key(0));
    const Statement& statement = statements_of(caller).list;
    io::Rows rows = co_await portal.db.query(statement, std::move(parameters));
    co_return page_of(rows, request, session_json);
}

io::Task<bool> end_own_session(Services& portal, Principal caller, Uuid id) {
    const Statement& statement = statements_of(caller).end;
    Parameters parameters = which(caller, id);
    io::Rows rows = co_await portal.db.query(statement, std::move(parameters));
    forget(portal, rows);
    co_return !rows.empty();
}

io::Task<std::int64_t> end_other_sessions(Services& portal, Principal caller) {
    const Statement& statement = statements_of(caller).end_others;
    Parameters parameters = which(caller, caller.token_id);
    io::Rows rows = co_await portal.db.query(statement, std::move(parameters));
    forget(portal, rows);
    co_return rows.size();
}

}  // namespace portal
