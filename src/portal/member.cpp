#include "portal/member.h"

namespace portal {

using http::Json;

Json member_json(const io::Row& row) {
    return Json::object({
        {"id", row.text("member_id")},
        {"created_at", row.text("member_created_at")},
        {"modified_at", row.optional("member_modified_at")},
        {"workspace_id", row.text("member_workspace_id")},
        {"customer_id", row.text("member_customer_id")},
        {"external_id", row.optional("member_external_id")},
        {"email", row.text("member_email")},
        {"name", row.optional("member_name")},
        {"role", row.text("member_role")},
    });
}

Json portal_member_json(const io::Row& row) {
    return Json::object({
        {"id", row.text("member_id")},
        {"created_at", row.text("member_created_at")},
        {"modified_at", row.optional("member_modified_at")},
        {"email", row.text("member_email")},
        {"name", row.optional("member_name")},
        {"role", row.text("member_role")},
    });
}

}  // namespace portal
