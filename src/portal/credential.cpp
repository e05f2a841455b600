#include "portal/credential.h"

#include <algorithm>
#include <cstring>
#include <string>

namespace portal {
namespace {

using io::Lane;
using io::Retry;
using io::Statement;

// One row per valid token, in the columns that principal_of() reads; what follows says which of them.
constexpr const char* workspace_sql = R"(
SELECT 'workspace' AS kind, t.id AS token_id, w.id AS workspace_id, w.slug,
       coalesce((w.feature_settings ->> 'member_model_enabled')::boolean, false) AS member_model,
       array_to_string(t.scopes, ' ') AS scopes,
       NULL::uuid AS customer_id, NULL::uuid AS member_id, NULL::text AS role,
       false AS is_company, NULL::bigint AS addressee_id, false AS code_wanted,
       floor(extract(epoch FROM t.expires_at))::bigint AS expires_at, t.secret_id
  FROM portal.workspace_access_tokens t
  JOIN portal.workspaces w ON w.id = t.workspace_id AND w.blocked_at IS NULL AND w.deleted_at IS NULL
 WHERE t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > now())
)";

constexpr const char* customer_sql = R"(
SELECT 'customer' AS kind, s.id AS token_id, w.id AS workspace_id, w.slug,
       coalesce((w.feature_settings ->> 'member_model_enabled')::boolean, false) AS member_model,
       'customer_portal:write' AS scopes,
       c.id AS customer_id, NULL::uuid AS member_id, NULL::text AS role,
       false AS is_company, NULL::bigint AS addressee_id, false AS code_wanted,
       floor(extract(epoch FROM s.expires_at))::bigint AS expires_at, s.secret_id
  FROM portal.customer_sessions s
  JOIN portal.workspaces w ON w.id = s.workspace_id AND w.blocked_at IS NULL AND w.deleted_at IS NULL
  JOIN portal.customers c ON c.workspace_id = s.workspace_id AND c.id = s.customer_id
                         AND c.blocked_at IS NULL AND c.deleted_at IS NULL
 WHERE s.revoked_at IS NULL AND s.expires_at > now()
)";

constexpr const char* member_sql = R"(
SELECT 'member' AS kind, s.id AS token_id, w.id AS workspace_id, w.slug,
       coalesce((w.feature_settings ->> 'member_model_enabled')::boolean, false) AS member_model,
       'customer_portal:write' AS scopes,
       c.id AS customer_id, m.id AS member_id, m.role,
       false AS is_company, NULL::bigint AS addressee_id, false AS code_wanted,
       floor(extract(epoch FROM s.expires_at))::bigint AS expires_at, s.secret_id
  FROM portal.member_sessions s
  JOIN portal.workspaces w ON w.id = s.workspace_id AND w.blocked_at IS NULL AND w.deleted_at IS NULL
  JOIN portal.customers c ON c.workspace_id = s.workspace_id AND c.id = s.customer_id
                         AND c.blocked_at IS NULL AND c.deleted_at IS NULL
  JOIN portal.members m ON m.workspace_id = s.workspace_id AND m.customer_id = s.customer_id AND m.id = s.member_id
                       AND m.deleted_at IS NULL
 WHERE s.revoked_at IS NULL AND s.expires_at > now()
)";

// A link's own token, where the workspace asks for a code on a new device (contract/client-portal.md).
#define CODE_WANTED                                                                                                  \
    "(t.parent_id IS NULL AND w.feature_settings @> '{\"require_code\": true}')"

// A contact linked to a customer falls with it. Without a configuration row the portal is active.
constexpr const char* portal_sql = R"(
SELECT 'portal' AS kind, t.id AS token_id, w.id AS workspace_id, w.slug,
       coalesce((w.feature_settings ->> 'member_model_enabled')::boolean, false) AS member_model,
       '' AS scopes,
       c.id AS customer_id, NULL::uuid AS member_id, NULL::text AS role,
       t.company_id IS NOT NULL AS is_company, coalesce(t.contact_id, t.company_id) AS addressee_id,
       )" CODE_WANTED R"( AS code_wanted,
       floor(extract(epoch FROM t.expires_at))::bigint AS expires_at, t.secret_id
  FROM portal.client_portal_tokens t
  JOIN portal.workspaces w ON w.id = t.workspace_id AND w.blocked_at IS NULL AND w.deleted_at IS NULL
  LEFT JOIN portal.client_portal_configs f ON f.workspace_id = t.workspace_id
  LEFT JOIN portal.contacts p ON p.workspace_id = t.workspace_id AND p.id = t.contact_id AND p.deleted_at IS NULL
  LEFT JOIN portal.companies o ON o.workspace_id = t.workspace_id AND o.id = t.company_id AND o.deleted_at IS NULL
  LEFT JOIN portal.customers c ON c.workspace_id = t.workspace_id AND c.id = coalesce(p.customer_id, o.customer_id)
 WHERE t.revoked_at IS NULL AND t.expires_at > now()
   AND coalesce(p.id, o.id) IS NOT NULL
   AND c.blocked_at IS NULL AND c.deleted_at IS NULL
   AND coalesce(f.is_active, true)
)";


// by the accepted hashes
const std::string workspace_by_hash = std::string(workspace_sql) + "AND t.token_hash = ANY ($1::text[])\n";
const std::string customer_by_hash = std::string(customer_sql) + "AND s.token_hash = ANY ($1::text[])\n";
const std::string member_by_hash = std::string(member_sql) + "AND s.token_hash = ANY ($1::text[])\n";
const std::string portal_by_hash = std::string(portal_sql) + "AND t.token_hash = ANY ($1::text[])\n";
const std::string any_by_hash = workspace_by_hash + "UNION ALL" + customer_by_hash + "UNION ALL" + member_by_hash +
                                "UNION ALL" + portal_by_hash + "LIMIT 1";
const Statement find_workspace_token{"credential_workspace", workspace_by_hash.c_str(), Lane::lookup, Retry::read};
const Statement find_customer_session{"credential_customer", customer_by_hash.c_str(), Lane::lookup, Retry::read};
const Statement find_member_session{"credential_member", member_by_hash.c_str(), Lane::lookup, Retry::read};
const Statement find_portal_token{"credential_portal", portal_by_hash.c_str(), Lane::lookup, Retry::read};
const Statement find_any{"credential_any", any_by_hash.c_str(), Lane::lookup, Retry::read};

// by their rows' ids: whose streams may go on
const std::string customer_by_id = std::string(customer_sql) + "AND s.id = ANY ($1::uuid[])";
const std::string member_by_id = std::string(member_sql) + "AND s.id = ANY ($1::uuid[])";
const std::string portal_by_id = std::string(portal_sql) + "AND t.id = ANY ($1::uuid[]) AND NOT " CODE_WANTED;
const Statement living_customer_sessions{"credential_customer_by_id", customer_by_id.c_str(), Lane::lookup, Retry::read};
const Statement living_member_sessions{"credential_member_by_id", member_by_id.c_str(), Lane::lookup, Retry::read};
const Statement living_portal_tokens{"credential_portal_by_id", portal_by_id.c_str(), Lane::lookup, Retry::read};

// Rows another worker is noting at this moment are skipped: they are being noted.
#define TOUCH(table)                                                                                  \
    "UPDATE portal." table " SET last_used_at = now() WHERE id IN (SELECT id FROM portal." table      \
    " WHERE id = ANY ($1::uuid[]) AND (last_used_at IS NULL OR last_used_at < now() - interval '15 s')" \
    " FOR NO KEY UPDATE SKIP LOCKED)"
constexpr Statement touch_statement{
    "credential_touch",
    "WITH customer AS (" TOUCH("customer_sessions") "), member AS (" TOUCH("member_sessions")
    "), portal AS (" TOUCH("client_portal_tokens") ") " TOUCH("workspace_access_tokens"),
    Lane::main, Retry::never, 5000};
#undef TOUCH

// Rows under an old secret only: a node whose file is behind does not undo what others did. Rows another worker is at
// are skipped: it is doing this.
#define REHASH(table)                                                                                          \
    "UPDATE portal." table " AS t SET token_hash = f.token_hash, secret_id = $3::text FROM fresh f "            \
    "WHERE t.id = f.id AND t.id IN (SELECT r.id FROM portal." table " r JOIN fresh ON fresh.id = r.id "        \
    "WHERE r.secret_id = ANY ($4::text[]) FOR UPDATE OF r SKIP LOCKED)"
constexpr Statement rehash_statement{
    "credential_rehash",
    "WITH fresh AS MATERIALIZED (SELECT * FROM unnest($1::uuid[], $2::text[]) AS f (id, token_hash)), "
    "customer AS (" REHASH("customer_sessions") "), member AS (" REHASH("member_sessions")
    "), portal AS (" REHASH("client_portal_tokens") ") " REHASH("workspace_access_tokens"),
    Lane::main, Retry::never, 5000};
#undef REHASH

const Statement& statement_for(Kind claimed) {
    switch (claimed) {
        case Kind::workspace: return find_workspace_token;
        case Kind::customer: return find_customer_session;
        case Kind::member: return find_member_session;
        case Kind::portal: return find_portal_token;
        case Kind::none: break;
    }
    return find_any;
}

Kind kind_of(std::string_view word) {
    return word == "workspace"  ? Kind::workspace
           : word == "customer" ? Kind::customer
           : word == "member"   ? Kind::member
                                : Kind::portal;
}

Role role_of(std::string_view word) {
    return word == "owner"             ? Role::owner
           : word == "billing_manager" ? Role::billing_manager
           : word == "member"          ? Role::member
                                       : Role::none;
}

// A write scope includes its read, where there is one.
std::uint32_t scope_bits(std::string_view names) {
    std::uint32_t bits = 0;
    while (!names.empty()) {
        std::size_t end = std::min(names.find(' '), names.size());
        std::string_view name = names.substr(0, end);
        names.remove_prefix(std::min(end + 1, names.size()));
        std::optional<Scope> scope = parse_scope(name);
        if (!scope) {
            continue;
        }
        bits |= std::uint32_t(*scope);
        if (name.ends_with(":write")) {
            std::optional<Scope> read = parse_scope(std::string(name.substr(0, name.size() - 5)) + "read");
            bits |= read ? std::uint32_t(*read) : 0;
        }
    }
    return bits;
}

Principal principal_of(const io::Row& row) {
    Principal principal;
    principal.kind = kind_of(row.text("kind"));
    principal.role = role_of(row.text("role"));
    principal.member_model = row.boolean("member_model");
    principal.addressee_is_company = row.boolean("is_company");
    principal.code_wanted = row.boolean("code_wanted");
    principal.scopes = scope_bits(row.text("scopes"));
    principal.token_id = Uuid::parse(row.text("token_id")).value_or(Uuid{});
    principal.workspace_id = Uuid::parse(row.text("workspace_id")).value_or(Uuid{});
    principal.customer_id = Uuid::parse(row.text("customer_id")).value_or(Uuid{});
    principal.member_id = Uuid::parse(row.text("member_id")).value_or(Uuid{});
    principal.addressee_id = row.integer("addressee_id");
    principal.expires_at = row.integer("expires_at");
    std::string_view slug = row.text("slug");
    std::memcpy(principal.workspace_slug, slug.data(), std::min(slug.size(), sizeof principal.workspace_slug - 1));
    return principal;
}

}  // namespace

io::Task<std::optional<Principal>> find_principal(io::Postgres& db, const Secrets& secrets, std::string token) {
    const Secrets::Form form = secrets.inspect(token);
    if (form.forged) {
        co_return std::nullopt;
    }
    std::vector<TokenHash> hashes = secrets.hashes(token);
    std::optional<Credential> found = co_await find_credential(db, std::move(hashes), form.kind);
    if (!found) {
        co_return std::nullopt;
    }
    co_return found->principal;
}

io::Task<std::optional<Credential>> find_credential(io::Postgres& db, std::vector<TokenHash> hashes, Kind claimed) {
    std::vector<std::string> accepted;
    for (const TokenHash& hash : hashes) {
        accepted.push_back(hex(hash.digest));
    }
    io::Parameters parameters(accepted);
    io::Rows rows = co_await db.query(statement_for(claimed), std::move(parameters));
    if (rows.empty()) {
        co_return std::nullopt;
    }
    co_return Credential{principal_of(rows.front()), rows.front().string("secret_id")};
}

io::Task<std::vector<Principal>> living_credentials(io::Postgres& db, Kind kind, std::vector<Uuid> ids) {
    std::vector<std::string> texts;
    for (const Uuid& id : ids) {
        texts.push_back(id.text());
    }
    io::Parameters parameters(texts);
    const Statement& statement = kind == Kind::customer ? living_customer_sessions
                                 : kind == Kind::member ? living_member_sessions
                                                        : living_portal_tokens;
    io::Rows rows = co_await db.query(statement, std::move(parameters));
    std::vector<Principal> living;
    for (int i = 0; i < rows.size(); ++i) {
        living.push_back(principal_of(rows[i]));
    }
    co_return living;
}

io::Task<void> touch_last_used(io::Postgres& db, std::vector<Uuid> token_ids) {
    std::vector<std::string> ids;
    for (const Uuid& id : token_ids) {
        ids.push_back(id.text());
    }
    io::Parameters parameters(ids);
    co_await db.query(touch_statement, std::move(parameters));
}

io::Task<void> rehash_tokens(io::Postgres& db, const Secrets& secrets, std::vector<Rehash> rehashes) {
    std::vector<std::string> ids, hashes;
    for (const Rehash& rehash : rehashes) {
        ids.push_back(rehash.token_id.text());
        hashes.push_back(hex(rehash.digest));
    }
    io::Parameters parameters(ids, hashes, secrets.sign_id(), secrets.old_ids());
    co_await db.query(rehash_statement, std::move(parameters));
}

}  // namespace portal
