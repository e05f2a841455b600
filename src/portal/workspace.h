// Workspace: one owner of data. Everything else belongs to exactly one.
#pragma once

#include <optional>
#include <string>

#include "http/json.h"
#include "io/postgres.h"
#include "io/task.h"
#include "portal/page.h"

namespace portal {

struct WorkspaceInput {
    std::string slug;
    std::string name;
    std::optional<std::string> avatar_url;
    http::Json features;   // those given

    // {slug, name, avatar_url?, feature_settings?: {member_model_enabled, require_code}}. Throws every problem at once.
    static WorkspaceInput parse(http::Json body);
};

// What is absent stays; null removes what may be missing; lists are replaced as a whole.
struct WorkspaceChange {
    http::Json members;   // checked, by column

    // {name, avatar_url, mail_from_name, mail_reply_to, share_url, return_hosts, customer_portal_settings,
    // feature_settings: {member_model_enabled, require_code}}, and for operators `blocked`.
    static WorkspaceChange parse(http::Json body, bool by_operator);
};

// The table's columns.
http::Json workspace_json(const io::Row& row);

io::Task<http::Json> create_workspace(io::Postgres& db, WorkspaceInput input);
io::Task<Page> list_workspaces(io::Postgres& db, PageRequest request);
// By id or slug (in any case). Throws 404 "Workspace not found".
io::Task<http::Json> find_workspace(io::Postgres& db, std::string id_or_slug);
io::Task<http::Json> change_workspace(io::Postgres& db, std::string id, WorkspaceChange change);

}  // namespace portal
