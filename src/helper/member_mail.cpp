#include "helper/member_mail.h"

#include "helper/outbox_mail.h"
#include "http/request.h"

namespace portal::helper {

namespace mustache = kainjow::mustache;

namespace {

// Everything the mail shows. `dead` tells why it must not be sent any more.
constexpr io::Statement find{"helper_member_invitation", R"(
    SELECT outbox.message_id,
           member.email,
           member.name,
           customer.name AS customer_name,
           workspace.name AS workspace_name,
           workspace.slug,
           workspace.mail_from_name,
           workspace.mail_reply_to,
           CASE
               WHEN workspace.blocked_at IS NOT NULL OR workspace.deleted_at IS NOT NULL
                   THEN 'the workspace is blocked or deleted'
               WHEN NOT coalesce((workspace.feature_settings ->> 'member_model_enabled')::boolean, false)
                   THEN 'the workspace has no members any more'
               WHEN customer.blocked_at IS NOT NULL OR customer.deleted_at IS NOT NULL
                   THEN 'the customer is blocked or deleted'
               WHEN member.id IS NULL OR member.deleted_at IS NOT NULL THEN 'the member was removed'
           END AS dead
    FROM portal.outbox
    JOIN portal.workspaces AS workspace ON workspace.id = outbox.workspace_id
    LEFT JOIN portal.members AS member
        ON member.workspace_id = outbox.workspace_id AND member.id = outbox.member_id
    LEFT JOIN portal.customers AS customer
        ON customer.workspace_id = member.workspace_id AND customer.id = member.customer_id
    WHERE outbox.id = $1::uuid AND outbox.workspace_id = $2::uuid)",
                             io::Lane::main, io::Retry::read, 5000};

}  // namespace

MemberMail::MemberMail(io::Postgres& db, const std::string& directory, std::string base_url,
                       Mailbox sender)
    : db_(db),
      templates_(Templates::load(directory, "member_invitation")),
      base_url_(std::move(base_url)),
      sender_(std::move(sender)) {}

io::Task<Composed> MemberMail::compose(Uuid outbox_id, Uuid workspace_id) {
    io::Parameters parameters(outbox_id.text(), workspace_id.text());
    io::Rows rows = co_await db_.query(find, std::move(parameters));
    if (rows.empty()) {
        co_return Unsendable{true, "the invitation is gone"};
    }
    co_return render(rows.front());
}

Composed MemberMail::render(const io::Row& row) {
    if (std::optional<Unsendable> reason = unsendable(row)) {
        return *reason;
    }
    const std::string workspace = one_line(row.text("workspace_name"));
    const std::string name = one_line(row.text("name"));
    const std::string customer = one_line(row.text("customer_name"));

    mustache::data values;
    values.set("workspace_name", workspace);
    values.set("has_name", !name.empty());
    values.set("name", name);
    values.set("has_customer", !customer.empty());
    values.set("customer_name", customer);
    values.set("email", row.string("email"));
    values.set("link", base_url_ + "/" + row.string("slug") +
                           "/portal?email=" + http::percent_encode(row.text("email")));

    Message message = outbox_message(row, templates_.render(values), base_url_);
    message.from = {row.null("mail_from_name") ? workspace : row.string("mail_from_name"),
                    sender_.address};
    message.to.name = name;
    return message;
}

}  // namespace portal::helper
