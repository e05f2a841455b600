#include "portal/customer.h"

#include <openssl/evp.h>

#include "portal/email.h"
#include "portal/secrets.h"

namespace portal {

using http::Json;

std::string avatar_url(std::string_view email) {
    std::string lowered = ascii_lower(email);
    Digest digest{};
    EVP_Digest(lowered.data(), lowered.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
    return "https://www.gravatar.com/avatar/" + hex(digest) + "?d=404";
}

Json billing_address_json(const io::Row& row, const char* column) {
    if (row.null(column)) {
        return nullptr;
    }
    Json stored = Json::parse(row.text(column));
    Json address = Json::object();
    for (const char* part : {"country", "line1", "line2", "postal_code", "city", "state"}) {
        Json value = stored[part];
        address.set(part, value.present() ? value : Json(nullptr));
    }
    return address;
}

Json customer_json(const io::Row& row) {
    return Json::object({
        {"id", row.text("customer_id")},
        {"created_at", row.text("customer_created_at")},
        {"modified_at", row.optional("customer_modified_at")},
        {"metadata", Json::parse(row.text("customer_metadata"))},
        {"external_id", row.optional("customer_external_id")},
        {"email", row.text("customer_email")},
        {"email_verified", row.boolean("customer_email_verified")},
        {"name", row.optional("customer_name")},
        {"billing_address", billing_address_json(row, "customer_billing_address")},
        {"workspace_id", row.text("customer_workspace_id")},
        {"deleted_at", row.optional("customer_deleted_at")},
        {"avatar_url", avatar_url(row.text("customer_email"))},
        {"type", row.optional("customer_type")},
    });
}

}  // namespace portal
