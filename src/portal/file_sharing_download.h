// FileShareDownload: a download of a shared file, which counts in its session. The database counts,
// whoever writes.
#pragma once

#include <optional>
#include <string>

#include "http/json.h"
#include "io/postgres.h"
#include "io/task.h"
#include "portal/file_sharing.h"

namespace portal {

struct FileShareDownloadInput {
    NamedCustomer customer;
    std::optional<std::int64_t> slot_number;  // absent: the download's number in its session

    static FileShareDownloadInput parse(http::Json body);
};

// Throws 404, 422 "Customer does not exist.", 403 "Download limit reached.".
io::Task<http::Json> create_file_share_download(io::Postgres& db, std::string workspace_id,
                                                std::string session_id,
                                                FileShareDownloadInput input, KeyClaim claim);
// The newest 10,000 of a session that is the customer's own, or of one it bought from its own;
// newest first.
io::Task<http::Json> list_visible_file_share_downloads(io::Postgres& db, std::string workspace_id,
                                                       std::string customer_id,
                                                       std::string session_id);

}  // namespace portal
