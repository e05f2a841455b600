// ClientPortalConfig: how a tenant's client portal looks and what it offers. A workspace without a row has the defaults.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/json.h"
#include "io/postgres.h"
#include "io/task.h"
#include "portal/config_cache.h"
#include "portal/services.h"
#include "portal/uuid.h"

namespace portal {

// Any subset of the ten members; absent ones stay as they are.
struct ClientPortalConfigInput {
    std::optional<std::string> portal_name, primary_color, secondary_color, welcome_message;
    bool sets_portal_logo = false;              // null is a value here
    std::optional<std::string> portal_logo;
    std::optional<std::vector<std::string>> enabled_modules;
    std::optional<bool> is_active, allow_file_sharing, show_activity_feed;
    std::optional<std::int64_t> token_expiration_days;

    static ClientPortalConfigInput parse(std::string_view body, std::optional<std::string_view> content_type);
    // Colours that white text cannot be read on: one sentence each.
    std::vector<std::string> warnings() const;
};

// `data` of GET /config: the ten members, from a row that has them as columns.
http::Json client_portal_config_json(const io::Row& row);
// The answer of GET /config, from memory where it is fresh.
io::Task<CachedConfig> find_client_portal_config(Services& portal, Uuid workspace);
// {"data":{...}[,"warnings":[...]]}
io::Task<http::Json> change_client_portal_config(Services& portal, Uuid workspace, ClientPortalConfigInput input);

// A path below portal_logo_root: relative, forward slashes only, and never upwards.
bool is_logo_path(std::string_view path);

// WCAG 2 contrast ratio of "#RRGGBB" against white, 1 to 21.
double contrast_with_white(std::string_view color);

}  // namespace portal
