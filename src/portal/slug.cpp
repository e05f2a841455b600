#include "portal/slug.h"

#include <algorithm>
#include <array>

namespace portal {
namespace {

// First parts of paths that are, or may become, the product's own or the site's.
constexpr std::array<std::string_view, 19> reserved_slugs = {
    "api",      "client-portal", "portal",   "portal-assets", "dashboard",
    "settings", "login",         "signup",   "oauth2",        "admin",
    "docs",     "download",      "share",    "file-sharing",  ".well-known",
    "metrics",  "health",        "challenge", "language"};  // cookies have these names

}  // namespace

bool has_slug_characters(std::string_view text) {
    return text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == text.npos;
}

std::optional<std::string> slug_field(http::Fields& fields, const char* name, http::Presence rule) {
    std::optional<std::string> slug = fields.string(
        name, {.min = 3, .max = 63, .required = rule.required, .nullable = rule.nullable});
    if (!slug) {
        return std::nullopt;
    }
    if (!has_slug_characters(*slug)) {
        fields.refuse(name, "A slug has lower-case letters, digits and hyphens only.");
        return std::nullopt;
    }
    if (std::ranges::find(reserved_slugs, *slug) != reserved_slugs.end()) {
        fields.refuse(name, "This slug is reserved.");
        return std::nullopt;
    }
    return slug;
}

}  // namespace portal
