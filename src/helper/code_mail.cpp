#include "helper/code_mail.h"

#include "helper/outbox_mail.h"
#include "portal/login_code.h"

namespace portal::helper {

namespace mustache = kainjow::mustache;

namespace {

// Who fits is looked for anew: the code goes to the address that is stored, never to the one that
// was typed. Of several that differ in upper and lower case the oldest gets it. `dead` tells why it
// must not be sent any more.
constexpr io::Statement find_login{"helper_login_code", R"(
    SELECT outbox.message_id,
           challenge.id AS challenge_id,
           ceil(extract(epoch FROM challenge.expires_at - now()) / 60)::bigint AS minutes,
           fit.email,
           fit.name,
           workspace.name AS workspace_name,
           workspace.mail_from_name,
           workspace.mail_reply_to,
           CASE
               WHEN challenge.consumed_at IS NOT NULL THEN 'the code was used'
               WHEN challenge.expires_at <= now() THEN 'the code has expired'
               WHEN challenge.tries >= 5 THEN 'the code was tried too often'
               WHEN fit.email IS NULL THEN 'the address is nobody''s any more'
           END AS dead
    FROM portal.outbox
    JOIN portal.login_challenges AS challenge ON challenge.id = outbox.challenge_id
    LEFT JOIN LATERAL (
        SELECT fits.*, min(workspace_id::text) OVER () = max(workspace_id::text) OVER () AS one_workspace
        FROM portal.login_fits(challenge.email, challenge.workspace_id, challenge.customer_id) AS fits
        ORDER BY since, customer_id
        LIMIT 1) AS fit ON true
    LEFT JOIN portal.workspaces AS workspace ON workspace.id = fit.workspace_id AND fit.one_workspace
    WHERE outbox.id = $1::uuid)",
                                   io::Lane::main, io::Retry::read, 5000};

// To the addressee of a link.
constexpr io::Statement find_link{"helper_link_code", R"(
    SELECT outbox.message_id,
           challenge.id AS challenge_id,
           ceil(extract(epoch FROM challenge.expires_at - now()) / 60)::bigint AS minutes,
           coalesce(contact.email, company.email) AS email,
           coalesce(contact.name, company.name) AS name,
           workspace.name AS workspace_name,
           workspace.mail_from_name,
           workspace.mail_reply_to,
           CASE
               WHEN challenge.consumed_at IS NOT NULL THEN 'the code was used'
               WHEN challenge.expires_at <= now() THEN 'the code has expired'
               WHEN challenge.tries >= 5 THEN 'the code was tried too often'
               WHEN token.revoked_at IS NOT NULL OR token.expires_at <= now() THEN 'the link has ended'
               WHEN coalesce(contact.email, company.email) IS NULL THEN 'the addressee has no address'
           END AS dead
    FROM portal.outbox
    JOIN portal.link_challenges AS challenge
        ON challenge.workspace_id = outbox.workspace_id AND challenge.id = outbox.link_challenge_id
    JOIN portal.client_portal_tokens AS token
        ON token.workspace_id = challenge.workspace_id AND token.id = challenge.token_id
    JOIN portal.workspaces AS workspace ON workspace.id = outbox.workspace_id
    LEFT JOIN portal.contacts AS contact
        ON contact.workspace_id = token.workspace_id AND contact.id = token.contact_id
    LEFT JOIN portal.companies AS company
        ON company.workspace_id = token.workspace_id AND company.id = token.company_id
    WHERE outbox.id = $1::uuid)",
                                  io::Lane::main, io::Retry::read, 5000};

}  // namespace

CodeMail::CodeMail(io::Postgres& db, const Secrets& secrets, const std::string& directory,
                   std::string base_url, Mailbox sender)
    : db_(db),
      secrets_(secrets),
      templates_(Templates::load(directory, "login_code")),
      base_url_(std::move(base_url)),
      sender_(std::move(sender)) {}

io::Task<Composed> CodeMail::compose(const std::string& kind, Uuid outbox_id) {
    const io::Statement& find = kind == "link_code" ? find_link : find_login;
    io::Parameters parameters(outbox_id.text());
    io::Rows rows = co_await db_.query(find, std::move(parameters));
    if (rows.empty()) {
        co_return Unsendable{true, "the challenge is gone"};
    }
    co_return render(rows.front());
}

Composed CodeMail::render(const io::Row& row) {
    if (std::optional<Unsendable> reason = unsendable(row)) {
        return *reason;
    }
    const std::string workspace_name = one_line(row.text("workspace_name"));
    const std::int64_t minutes = row.integer("minutes");

    mustache::data values;
    values.set("code",
               login_code(secrets_, Uuid::parse(row.text("challenge_id")).value_or(Uuid{})));
    values.set("minutes", std::to_string(minutes) + (minutes == 1 ? " minute" : " minutes"));
    values.set("has_workspace", !workspace_name.empty());
    values.set("workspace_name", workspace_name);
    values.set("host", host_of(base_url_));

    Message message = outbox_message(row, templates_.render(values), base_url_);
    message.from = sender_;
    if (!workspace_name.empty()) {
        message.from.name =
            row.null("mail_from_name") ? workspace_name : row.string("mail_from_name");
    }
    message.to.name = row.string("name");
    return message;
}

}  // namespace portal::helper
