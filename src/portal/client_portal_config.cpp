#include "portal/client_portal_config.h"

#include <openssl/sha.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "http/failure.h"
#include "http/validation.h"
#include "portal/secrets.h"

namespace portal {
namespace {

using http::Json;
using io::Lane;
using io::Parameters;
using io::Retry;
using io::Statement;

// The ten members, in the order of GET /config. A workspace without a row has the defaults, which stand here and in
// the table's own.
constexpr Statement find_statement{"client_portal_config_find", R"(
SELECT coalesce(f.portal_name, 'Client Portal') AS portal_name, f.portal_logo,
       coalesce(f.primary_color, '#3B82F6') AS primary_color,
       coalesce(f.secondary_color, '#1E40AF') AS secondary_color,
       coalesce(f.welcome_message, 'Welcome to your client portal!') AS welcome_message,
       to_json(coalesce(f.enabled_modules, '{invoices,proposals,tasks}')) AS enabled_modules,
       coalesce(f.is_active, true) AS is_active,
       coalesce(f.allow_file_sharing, true) AS allow_file_sharing,
       coalesce(f.show_activity_feed, true) AS show_activity_feed,
       coalesce(f.token_expiration_days, 30) AS token_expiration_days
  FROM portal.workspaces w
  LEFT JOIN portal.client_portal_configs f ON f.workspace_id = w.id
 WHERE w.id = $1::uuid)", Lane::lookup, Retry::read};

// A row is made of the defaults and what is sent; one that exists keeps what is not sent. A change that changes
// nothing writes nothing new: no event tells of it.
//   $1 workspace  $2 … $11 the ten members, NULL for those to keep  $12 the logo is among what is sent
constexpr Statement change_statement{"client_portal_config_change", R"(
WITH changed AS (
    INSERT INTO portal.client_portal_configs AS f
           (workspace_id, portal_name, portal_logo, primary_color, secondary_color, welcome_message,
            enabled_modules, is_active, allow_file_sharing, show_activity_feed, token_expiration_days)
    VALUES ($1::uuid, coalesce($2::text, 'Client Portal'), $3::text, coalesce($4::text, '#3B82F6'),
            coalesce($5::text, '#1E40AF'), coalesce($6::text, 'Welcome to your client portal!'),
            coalesce($7::text[], '{invoices,proposals,tasks}'), coalesce($8::boolean, true),
            coalesce($9::boolean, true), coalesce($10::boolean, true), coalesce($11::integer, 30))
        ON CONFLICT (workspace_id) DO UPDATE
       SET portal_name = coalesce($2, f.portal_name),
           portal_logo = CASE WHEN $12::boolean THEN $3 ELSE f.portal_logo END,
           primary_color = coalesce($4, f.primary_color),
           secondary_color = coalesce($5, f.secondary_color),
           welcome_message = coalesce($6, f.welcome_message),
           enabled_modules = coalesce($7, f.enabled_modules),
           is_active = coalesce($8, f.is_active),
           allow_file_sharing = coalesce($9, f.allow_file_sharing),
           show_activity_feed = coalesce($10, f.show_activity_feed),
           token_expiration_days = coalesce($11, f.token_expiration_days)
    RETURNING *
)
SELECT portal_name, portal_logo, primary_color, secondary_color, welcome_message,
       to_json(enabled_modules) AS enabled_modules, is_active, allow_file_sharing, show_activity_feed,
       token_expiration_days
  FROM changed)"};

constexpr double readable = 3.0;   // WCAG 2.1, 1.4.11 and large text
constexpr std::int64_t longest_life = 3650;
constexpr const char* bad_logo = "The logo should be a path below the logo root or an https URL.";

// The same bytes have the same tag, on every node.
std::string etag_of(std::string_view body) {
    Digest digest{};
    SHA256(reinterpret_cast<const unsigned char*>(body.data()), body.size(), digest.data());
    return "\"" + hex(digest).substr(0, 32) + "\"";
}

bool is_color(std::string_view text) {
    return text.size() == 7 && text[0] == '#' &&
           text.find_first_not_of("0123456789abcdefABCDEF", 1) == std::string_view::npos;
}

bool is_logo(std::string_view text) {
    http::Url url = http::split_url(text);
    return (url.trouble.empty() && url.scheme == "https") || is_logo_path(text);
}

std::optional<std::string> read_color(http::Fields& fields, const char* name) {
    std::optional<std::string> color = fields.string(name);
    if (color && !is_color(*color)) {
        fields.problem(name, "string_pattern_mismatch", "String should match pattern '^#[0-9A-Fa-f]{6}$'",
                       Json::object({{"pattern", "^#[0-9A-Fa-f]{6}$"}}));
        return std::nullopt;
    }
    return color;
}

int hex_pair(std::string_view text) {
    auto value = [](char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; };
    return value(text[0]) * 16 + value(text[1]);
}

// sRGB to linear light
double linear(int channel) {
    double part = channel / 255.0;
    return part <= 0.04045 ? part / 12.92 : std::pow((part + 0.055) / 1.055, 2.4);
}

void warn(std::vector<std::string>& warnings, const char* member, const std::optional<std::string>& color) {
    double ratio = color ? contrast_with_white(*color) : 21;
    if (ratio >= readable) {
        return;
    }
    char sentence[160];
    std::snprintf(sentence, sizeof sentence,
                  "%s %s has a contrast of %.2f:1 against white; text on it needs at least 3:1.", member,
                  color->c_str(), std::floor(ratio * 100) / 100);
    warnings.push_back(sentence);
}

}  // namespace

bool is_logo_path(std::string_view path) {
    if (path.empty() || path.front() == '/' || path.back() == '/' || path.find(':') < path.find('/')) {
        return false;
    }
    if (http::has_control(path) || path.find('\\') != path.npos) {
        return false;
    }
    while (!path.empty()) {
        std::size_t slash = path.find('/');
        std::string_view part = path.substr(0, slash);
        if (part.empty() || part == "." || part == "..") {
            return false;
        }
        path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
    }
    return true;
}

Json client_portal_config_json(const io::Row& row) {
    return Json::object({
        {"portal_name", row.text("portal_name")},
        {"portal_logo", row.optional("portal_logo")},
        {"primary_color", row.text("primary_color")},
        {"secondary_color", row.text("secondary_color")},
        {"welcome_message", row.text("welcome_message")},
        {"enabled_modules", Json::parse(row.text("enabled_modules"))},
        {"is_active", row.boolean("is_active")},
        {"allow_file_sharing", row.boolean("allow_file_sharing")},
        {"show_activity_feed", row.boolean("show_activity_feed")},
        {"token_expiration_days", row.integer("token_expiration_days")},
    });
}

double contrast_with_white(std::string_view color) {
    double luminance = 0.2126 * linear(hex_pair(color.substr(1))) + 0.7152 * linear(hex_pair(color.substr(3))) +
                       0.0722 * linear(hex_pair(color.substr(5)));
    return 1.05 / (luminance + 0.05);
}

ClientPortalConfigInput ClientPortalConfigInput::parse(std::string_view body,
                                                       std::optional<std::string_view> content_type) {
    http::Fields fields(http::parse_body(body, content_type, http::Surface::client_portal));
    ClientPortalConfigInput input;
    input.portal_name = fields.string("portal_name", {.min = 1, .max = 256});
    input.sets_portal_logo = fields.given("portal_logo");
    input.portal_logo = fields.string("portal_logo", {.min = 1, .max = 2083, .nullable = true});
    if (input.portal_logo && !is_logo(*input.portal_logo)) {
        fields.refuse("portal_logo", bad_logo);
    }
    input.primary_color = read_color(fields, "primary_color");
    input.secondary_color = read_color(fields, "secondary_color");
    input.welcome_message = fields.string("welcome_message", {.max = 2000});
    input.enabled_modules = fields.choices("enabled_modules", {"invoices", "proposals", "contracts", "tasks",
                                                               "projects", "tickets", "files"});
    input.is_active = fields.boolean("is_active");
    input.allow_file_sharing = fields.boolean("allow_file_sharing");
    input.show_activity_feed = fields.boolean("show_activity_feed");
    input.token_expiration_days = fields.integer("token_expiration_days", {.min = 1, .max = longest_life});
    fields.done();
    return input;
}

std::vector<std::string> ClientPortalConfigInput::warnings() const {
    std::vector<std::string> list;
    warn(list, "primary_color", primary_color);
    warn(list, "secondary_color", secondary_color);
    return list;
}

io::Task<CachedConfig> find_client_portal_config(Services& portal, Uuid workspace) {
    CachedConfig config = portal.configs.find(workspace, false);
    if (config != nullptr) {
        co_return config;
    }
    const std::uint64_t generation = portal.configs.generation();
    Parameters parameters(workspace.text());
    io::Rows rows;
    try {
        rows = co_await portal.db.query(find_statement, std::move(parameters));
    } catch (const io::PostgresUnavailable&) {
        config = portal.configs.find(workspace, true);
        if (config == nullptr) {
            throw;
        }
    }
    if (config != nullptr) {
        co_return config;
    }
    if (rows.empty()) {
        throw http::invalid_token();   // the workspace went while its token was being looked at
    }
    std::string body = Json::object({{"data", client_portal_config_json(rows.front())}}).dump();
    std::string etag = etag_of(body);
    config = std::make_shared<RenderedConfig>(RenderedConfig{std::move(body), std::move(etag)});
    portal.configs.store(workspace, config, generation);
    co_return config;
}

io::Task<Json> change_client_portal_config(Services& portal, Uuid workspace, ClientPortalConfigInput input) {
    Parameters parameters(workspace.text(), input.portal_name, input.portal_logo, input.primary_color,
                          input.secondary_color, input.welcome_message, input.enabled_modules, input.is_active,
                          input.allow_file_sharing, input.show_activity_feed, input.token_expiration_days,
                          input.sets_portal_logo);
    io::Rows rows = co_await portal.db.query(change_statement, std::move(parameters));
    portal.configs.bump(workspace);
    Json body = Json::object({{"data", client_portal_config_json(rows.front())}});
    std::vector<std::string> warnings = input.warnings();
    if (!warnings.empty()) {
        Json list = Json::array();
        for (const std::string& warning : warnings) {
            list.push(warning);
        }
        body.set("warnings", list);
    }
    co_return body;
}

}  // namespace portal
