#include "portal/principal.h"

#include <algorithm>
#include <array>

namespace portal {
namespace {

struct Named {
    std::string_view name;
    Scope scope;
    bool grantable = true;   // to a workspace access token
};

// In the contract's order.
constexpr std::array scopes{
    Named{"customer_sessions:write", Scope::customer_sessions_write},
    Named{"member_sessions:write", Scope::member_sessions_write},
    Named{"customers:read", Scope::customers_read},
    Named{"customers:write", Scope::customers_write},
    Named{"members:read", Scope::members_read},
    Named{"members:write", Scope::members_write},
    Named{"client_portal:read", Scope::client_portal_read},
    Named{"client_portal:write", Scope::client_portal_write},
    Named{"file_sharing:read", Scope::file_sharing_read},
    Named{"file_sharing:write", Scope::file_sharing_write},
    Named{"payments:read", Scope::payments_read},
    Named{"payments:write", Scope::payments_write},
    Named{"webhooks:read", Scope::webhooks_read},
    Named{"webhooks:write", Scope::webhooks_write},
    Named{"workspaces:read", Scope::workspaces_read},
    Named{"workspaces:write", Scope::workspaces_write},
    Named{"workspace_access_tokens:read", Scope::workspace_access_tokens_read},
    Named{"workspace_access_tokens:write", Scope::workspace_access_tokens_write},
    Named{"customer_portal:write", Scope::customer_portal_write, false},
};

}  // namespace

std::optional<Scope> parse_scope(std::string_view name) {
    auto found = std::ranges::find(scopes, name, &Named::name);
    return found == scopes.end() ? std::nullopt : std::optional(found->scope);
}

std::string_view scope_name(Scope scope) {
    auto found = std::ranges::find(scopes, scope, &Named::scope);
    return found == scopes.end() ? std::string_view() : found->name;
}

const std::vector<Scope>& all_scopes() {
    static const std::vector<Scope> grantable = [] {
        std::vector<Scope> list;
        for (const Named& named : scopes) {
            if (named.grantable) {
                list.push_back(named.scope);
            }
        }
        return list;
    }();
    return grantable;
}

}  // namespace portal
