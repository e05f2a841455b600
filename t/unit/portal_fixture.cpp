#include "portal_fixture.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace portal::test {
namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

std::string quoted_or_null(const std::string& text) { return text.empty() ? "NULL" : "'" + text + "'"; }

}  // namespace

PortalFixture::PortalFixture() {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(PORTAL_SOURCE_DIR "/conf/sql")) {
        files.push_back(entry.path());
    }
    std::ranges::sort(files);
    for (const fs::path& file : files) {
        postgres.execute(text_of(file));
    }
    postgres.execute("ALTER ROLE portal_web LOGIN");
    io::PostgresOptions options =
        io::PostgresOptions::resolve("host=" + postgres.host() + " dbname=postgres user=portal_web");
    options.main_connections = 4;
    options.connect_timeout = 10000;
    db = std::make_unique<io::Postgres>(loop, std::move(options));
    settings.base_url = "https://portal.example.com";
    portal = std::make_unique<Services>(Services{loop, *db, secrets, settings, limiter, configs, helper});
}

Principal PortalFixture::workspace(const std::string& slug, bool member_model) {
    const std::string settings_json = member_model ? "{\"member_model_enabled\":true}" : "{}";
    Principal caller;
    caller.kind = Kind::workspace;
    caller.workspace_id = *Uuid::parse(sql("INSERT INTO portal.workspaces (slug, name, feature_settings) VALUES ('" +
                                           slug + "', 'Name', '" + settings_json + "') RETURNING id"));
    const TokenHash hash = secrets.hash(slug);
    caller.token_id = *Uuid::parse(
        sql("INSERT INTO portal.workspace_access_tokens (workspace_id, token_hash, secret_id, scopes) VALUES ('" +
            caller.workspace_id.text() + "', '" + hex(hash.digest) + "', '" + hash.secret_id +
            "', '{customer_sessions:write,client_portal:write}') RETURNING id"));
    return caller;
}

std::string PortalFixture::customer(const Principal& caller, const std::string& email, const std::string& type,
                                    const std::string& external_id) {
    return sql("INSERT INTO portal.customers (workspace_id, email, name, type, external_id) VALUES ('" +
               caller.workspace_id.text() + "', '" + email + "', 'Name', " + quoted_or_null(type) + ", " +
               quoted_or_null(external_id) + ") RETURNING id");
}

std::string PortalFixture::member(const Principal& caller, const std::string& customer_id, const std::string& email,
                                  const std::string& role, const std::string& external_id) {
    return sql("INSERT INTO portal.members (workspace_id, customer_id, email, role, external_id) VALUES ('" +
               caller.workspace_id.text() + "', '" + customer_id + "', '" + email + "', '" + role + "', " +
               quoted_or_null(external_id) + ") RETURNING id");
}

std::int64_t PortalFixture::contact(const Principal& caller, const std::string& email) {
    return std::stoll(sql("INSERT INTO portal.contacts (workspace_id, name, email) VALUES ('" +
                          caller.workspace_id.text() + "', 'Name', " + quoted_or_null(email) + ") RETURNING id"));
}

std::int64_t PortalFixture::company(const Principal& caller, const std::string& email) {
    return std::stoll(sql("INSERT INTO portal.companies (workspace_id, name, email) VALUES ('" +
                          caller.workspace_id.text() + "', 'Name', " + quoted_or_null(email) + ") RETURNING id"));
}

IdempotencyKey PortalFixture::key(const std::string& text, const std::string& path, const std::string& payload) {
    FakeRequest request;
    request.headers["idempotency-key"] = text;
    return IdempotencyKey::read(request, secrets, path, payload);
}

std::string fields_of(const http::Failure& failure) {
    std::string fields;
    for (const http::Problem& problem : failure.problems) {
        fields += (fields.empty() ? "" : " ") + problem.loc.back();
    }
    return fields;
}

std::string messages_of(const http::Failure& failure) {
    std::string messages;
    for (const http::Problem& problem : failure.problems) {
        messages += (messages.empty() ? "" : " | ") + problem.msg;
    }
    return messages;
}

}  // namespace portal::test
