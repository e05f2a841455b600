#include "helper/webhook_mail.h"

#include "helper/outbox_mail.h"

namespace portal::helper {

namespace mustache = kainjow::mustache;

namespace {

// Everything the mail shows. `dead` tells why it must not be sent any more.
constexpr io::Statement find{"helper_webhook_disabled", R"(
    SELECT outbox.message_id,
           workspace.name AS workspace_name,
           workspace.mail_reply_to AS email,
           NULL AS mail_reply_to,
           endpoint.id AS endpoint_id,
           endpoint.url,
           portal.time_text(endpoint.failing_since) AS failing_since,
           coalesce(last.error, 'status ' || last.status) AS last,
           CASE
               WHEN workspace.blocked_at IS NOT NULL OR workspace.deleted_at IS NOT NULL
                   THEN 'the workspace is blocked or deleted'
               WHEN workspace.mail_reply_to IS NULL THEN 'the workspace has no reply address any more'
               WHEN endpoint.id IS NULL OR endpoint.deleted_at IS NOT NULL THEN 'the endpoint was deleted'
               WHEN endpoint.enabled THEN 'the endpoint was enabled again'
           END AS dead
    FROM portal.outbox
    JOIN portal.workspaces AS workspace ON workspace.id = outbox.workspace_id
    LEFT JOIN portal.webhook_endpoints AS endpoint
        ON endpoint.workspace_id = outbox.workspace_id AND endpoint.id = (outbox.payload ->> 'endpoint_id')::uuid
    LEFT JOIN LATERAL (
        SELECT attempt.status, attempt.error
        FROM portal.webhook_deliveries AS delivery
        JOIN portal.webhook_attempts AS attempt
            ON attempt.workspace_id = delivery.workspace_id AND attempt.delivery_id = delivery.id
        WHERE delivery.workspace_id = outbox.workspace_id AND delivery.endpoint_id = endpoint.id
        ORDER BY attempt.created_at DESC
        LIMIT 1) AS last ON true
    WHERE outbox.id = $1::uuid AND outbox.workspace_id = $2::uuid)",
                             io::Lane::main, io::Retry::read, 5000};

}  // namespace

WebhookMail::WebhookMail(io::Postgres& db, const std::string& directory, std::string base_url,
                         Mailbox sender)
    : db_(db),
      templates_(Templates::load(directory, "webhook_disabled")),
      base_url_(std::move(base_url)),
      sender_(std::move(sender)) {}

io::Task<Composed> WebhookMail::compose(Uuid outbox_id, Uuid workspace_id) {
    io::Parameters parameters(outbox_id.text(), workspace_id.text());
    io::Rows rows = co_await db_.query(find, std::move(parameters));
    if (rows.empty()) {
        co_return Unsendable{true, "the mail is gone"};
    }
    co_return render(rows.front());
}

Composed WebhookMail::render(const io::Row& row) {
    if (std::optional<Unsendable> reason = unsendable(row)) {
        return *reason;
    }
    const std::string workspace = one_line(row.text("workspace_name"));
    mustache::data values;
    values.set("workspace_name", workspace);
    values.set("url", one_line(row.text("url")));
    values.set("endpoint_id", row.string("endpoint_id"));
    values.set("failing_since", row.string("failing_since"));
    values.set("last", row.string("last"));

    Message message = outbox_message(row, templates_.render(values), base_url_);
    message.from = sender_;
    message.to.name = workspace;
    return message;
}

}  // namespace portal::helper
