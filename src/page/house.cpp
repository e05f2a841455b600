#include "page/house.h"

#include <vector>

#include "portal/email.h"
#include "portal/secrets.h"
#include "portal/slug.h"

namespace portal::page {
namespace {

using io::Lane;
using io::Parameters;
using io::Retry;
using io::Statement;

#define HOUSE_COLUMNS                                                                                        \
    "w.id, w.name, w.slug, w.avatar_url, w.share_url, cardinality(w.return_hosts) > 0 AS lists_hosts, "         \
    "coalesce(f.portal_name, 'Client Portal') AS portal_name, "                                              \
    "f.portal_logo, coalesce(f.primary_color, '#3B82F6') AS primary_color, "                                 \
    "coalesce(f.secondary_color, '#1E40AF') AS secondary_color"

constexpr Statement by_slug{"page_house_by_slug", R"(
SELECT )" HOUSE_COLUMNS R"(
  FROM portal.workspaces w
  LEFT JOIN portal.client_portal_configs f ON f.workspace_id = w.id
 WHERE w.slug = $1::text AND w.deleted_at IS NULL AND w.blocked_at IS NULL)",
                            Lane::main, Retry::read};

// living: as credential.cpp asks of a link that is used. A browser's session is no link.
constexpr Statement by_link{"page_house_by_link", R"(
SELECT )" HOUSE_COLUMNS R"(,
       t.revoked_at IS NULL AND t.expires_at > now() AND coalesce(p.id, o.id) IS NOT NULL
       AND c.blocked_at IS NULL AND c.deleted_at IS NULL AND coalesce(f.is_active, true) AS living
  FROM portal.client_portal_tokens t
  JOIN portal.workspaces w ON w.id = t.workspace_id AND w.deleted_at IS NULL AND w.blocked_at IS NULL
  LEFT JOIN portal.client_portal_configs f ON f.workspace_id = w.id
  LEFT JOIN portal.contacts p ON p.workspace_id = t.workspace_id AND p.id = t.contact_id AND p.deleted_at IS NULL
  LEFT JOIN portal.companies o ON o.workspace_id = t.workspace_id AND o.id = t.company_id AND o.deleted_at IS NULL
  LEFT JOIN portal.customers c ON c.workspace_id = t.workspace_id AND c.id = coalesce(p.customer_id, o.customer_id)
 WHERE t.token_hash = ANY ($1::text[]) AND t.parent_id IS NULL
 LIMIT 1)",
                            Lane::main, Retry::read};

House house_of(const io::Row& row) {
    House house;
    house.id = row.string("id");
    house.name = row.string("name");
    house.slug = row.string("slug");
    house.avatar_url = row.optional("avatar_url");
    house.share_url = row.optional("share_url");
    house.lists_hosts = row.boolean("lists_hosts");
    house.portal_name = row.string("portal_name");
    house.portal_logo = row.optional("portal_logo");
    house.primary_color = row.string("primary_color");
    house.secondary_color = row.string("secondary_color");
    return house;
}

}  // namespace

io::Task<std::optional<House>> find_house(Services& portal, std::string slug) {
    slug = ascii_lower(slug);
    if (!has_slug_characters(slug)) {
        co_return std::nullopt;
    }
    Parameters parameters(slug);
    io::Rows rows = co_await portal.db.query(by_slug, std::move(parameters));
    if (rows.empty()) {
        co_return std::nullopt;
    }
    co_return house_of(rows.front());
}

io::Task<std::optional<LinkedHouse>> find_linked_house(Services& portal, std::string token) {
    if (portal.secrets.inspect(token).forged) {
        co_return std::nullopt;
    }
    std::vector<std::string> hashes;
    for (const TokenHash& hash : portal.secrets.hashes(token)) {
        hashes.push_back(hex(hash.digest));
    }
    Parameters parameters(hashes);
    io::Rows rows = co_await portal.db.query(by_link, std::move(parameters));
    if (rows.empty()) {
        co_return std::nullopt;
    }
    co_return LinkedHouse{house_of(rows.front()), rows.front().boolean("living")};
}

}  // namespace portal::page
