// TokenImport: tokens of a system that is being replaced, hashed line by line and stored all or
// none.
//
// A line is the token itself, or a JSON object: token, and for an access token comment, scopes; for
// a portal token contact_id or company_id; for both kind (access_token or portal_token), id,
// created_at, expires_at or expires_in.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "http/json.h"
#include "http/validation.h"
#include "io/postgres.h"
#include "io/task.h"
#include "portal/secrets.h"

namespace portal {

// "line 7: the reason", which quotes nothing of the line.
struct ImportRefused : std::runtime_error {
    ImportRefused(std::int64_t line, const std::string& reason)
        : std::runtime_error("line " + std::to_string(line) + ": " + reason) {}
};

// What a line does not say itself.
struct TokenImportDefaults {
    std::vector<std::string> scopes;
    std::string comment;
    std::optional<std::int64_t> expires_in;  // seconds
};

class TokenImport {
  public:
    struct Stored {
        std::int64_t access_tokens = 0, portal_tokens = 0;
    };

    TokenImport(const Secrets& secrets, TokenImportDefaults defaults);

    // Throws ImportRefused. A blank line is none.
    void add_line(std::string_view text);
    // Whether events tell of the portal tokens is `announce`. Throws ImportRefused; nothing is
    // stored then.
    io::Task<Stored> store(io::Postgres& db, std::string workspace_id, bool announce);

  private:
    http::Json row_of(std::string_view text) const;
    void read_access_token(http::Fields& fields, http::Json& row) const;
    void read_portal_token(http::Fields& fields, http::Json& row) const;
    void take_token(std::string_view token, Kind kind, http::Json& row) const;
    void require_new(const char* what, std::string_view value);

    const Secrets& secrets_;
    TokenImportDefaults defaults_;
    std::int64_t line_ = 0;
    http::Json rows_ = http::Json::array();
    std::map<std::string, std::int64_t> seen_;  // hashes and ids, and the line they are on
};

}  // namespace portal
