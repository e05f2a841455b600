// Lists of file-sharing sessions: a customer's own and those it bought from, and a workspace's.
#pragma once

#include <optional>
#include <string>

#include "http/query.h"
#include "portal/page.h"

namespace portal {

struct FileShareFilter {
    std::optional<std::string> status;
    std::optional<std::string> query;        // part of title or file name, in any case
    std::optional<std::string> customer_id;  // a workspace's list: this owner's

    // Query parameters status and query, and where `managed` customer_id.
    static FileShareFilter read(http::Query& query, bool managed);
    bool any() const { return status || query || customer_id; }
};

// Sorted by created_at, status, download_count (default -created_at).
PageRequest read_file_share_page(http::Query& query);

// What the customer owns and what it bought from, as find_visible_file_share_session() shows each.
io::Task<Page> list_visible_file_share_sessions(io::Postgres& db, std::string workspace_id,
                                                std::string customer_id, FileShareFilter filter,
                                                PageRequest request);
io::Task<Page> list_file_share_sessions(io::Postgres& db, std::string workspace_id,
                                        FileShareFilter filter, PageRequest request);

}  // namespace portal
