// Settings: what directives and the helper's file configure, for routes and rules.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "portal/webhook_target.h"

namespace portal {

struct Settings {
    std::string base_url;                       // no trailing slash
    std::size_t body_limit = 64 * 1024;
    std::int64_t invite_wait = 10000;           // ms a POST .../invite waits for the mail server
    std::vector<std::string> credential_origins;   // CORS with credentials
    std::string portal_logo_root;               // portal_logo paths lie below it
    std::vector<std::string> frame_ancestors;   // origins that may embed the portal
    WebhookTargets webhook_targets;             // beyond public addresses and https

    // The path of base_url: "" or "/prefix".
    std::string base_path() const {
        const std::size_t host = base_url.find("://");
        const std::size_t path = host == base_url.npos ? host : base_url.find('/', host + 3);
        return path == base_url.npos ? "" : base_url.substr(path);
    }
};

}  // namespace portal
