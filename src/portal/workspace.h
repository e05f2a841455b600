// Workspace: one owner of data. Everything else belongs to exactly one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "http/json.h"
#include "io/postgres.h"
#include "io/task.h"
#include "portal/page.h"

namespace portal {

struct WorkspaceInput {
    std::string slug;
    std::string name;
    std::optional<std::string> avatar_url;
    bool member_model = false;

    // Throws every problem at once.
    void check() const;
};

// What is absent stays. An empty text removes what was there; return_hosts is replaced as a whole.
struct WorkspaceChange {
    std::optional<std::string> name, avatar_url, mail_from_name, mail_reply_to, share_url;
    std::optional<std::vector<std::string>> return_hosts;
    std::optional<bool> member_model, blocked;

    void check();
    bool empty() const;
    http::Json json() const;   // as the statement reads it
};

// The table's columns.
http::Json workspace_json(const io::Row& row);

io::Task<http::Json> create_workspace(io::Postgres& db, WorkspaceInput input);
io::Task<Page> list_workspaces(io::Postgres& db, PageRequest request);
// By id or slug (in any case). Throws 404 "Workspace not found".
io::Task<http::Json> find_workspace(io::Postgres& db, std::string id_or_slug);
io::Task<http::Json> change_workspace(io::Postgres& db, std::string id, WorkspaceChange change);

}  // namespace portal
