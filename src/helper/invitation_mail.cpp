#include "helper/invitation_mail.h"

#include <array>
#include <charconv>
#include <cmath>

#include "helper/outbox_mail.h"

namespace portal::helper {

namespace mustache = kainjow::mustache;

namespace {

// Everything the mail shows. `dead` tells why it must not be sent any more. A workspace without a configuration of
// its own has the table's defaults.
constexpr io::Statement find{"helper_invitation", R"(
    SELECT outbox.message_id,
           outbox.payload ->> 'custom_message' AS custom_message,
           token.id AS token_id,
           token.token_ciphertext,
           to_char(token.expires_at AT TIME ZONE 'UTC', 'FMDD FMMonth YYYY') AS expires_on,
           coalesce(contact.name, company.name) AS name,
           coalesce(contact.email, company.email) AS email,
           coalesce(config.portal_name, 'Client Portal') AS portal_name,
           config.portal_logo,
           coalesce(config.primary_color, '#3B82F6') AS primary_color,
           coalesce(config.secondary_color, '#1E40AF') AS secondary_color,
           coalesce(config.welcome_message, 'Welcome to your client portal!') AS welcome_message,
           workspace.mail_from_name,
           workspace.mail_reply_to,
           CASE
               WHEN workspace.blocked_at IS NOT NULL OR workspace.deleted_at IS NOT NULL
                   THEN 'the workspace is blocked or deleted'
               WHEN token.id IS NULL OR token.revoked_at IS NOT NULL THEN 'the portal link was revoked'
               WHEN token.expires_at <= now() THEN 'the portal link has expired'
               WHEN NOT coalesce(config.is_active, true) THEN 'the client portal is not active'
               WHEN coalesce(contact.deleted_at, company.deleted_at) IS NOT NULL THEN 'the addressee was deleted'
               WHEN coalesce(contact.email, company.email) IS NULL THEN 'the addressee has no email address'
           END AS dead
    FROM portal.outbox
    JOIN portal.workspaces AS workspace ON workspace.id = outbox.workspace_id
    LEFT JOIN portal.client_portal_configs AS config ON config.workspace_id = outbox.workspace_id
    LEFT JOIN portal.client_portal_tokens AS token
        ON token.workspace_id = outbox.workspace_id AND token.id = outbox.token_id
    LEFT JOIN portal.contacts AS contact
        ON contact.workspace_id = token.workspace_id AND contact.id = token.contact_id
    LEFT JOIN portal.companies AS company
        ON company.workspace_id = token.workspace_id AND company.id = token.company_id
    WHERE outbox.id = $1::uuid AND outbox.workspace_id = $2::uuid)",
    io::Lane::main, io::Retry::read, 5000};

bool is_colour(std::string_view text) {
    return text.size() == 7 && text[0] == '#' &&
           text.find_first_not_of("0123456789abcdefABCDEF", 1) == std::string_view::npos;
}

std::string colour(const io::Row& row, const char* column, const char* otherwise) {
    std::string text = row.string(column);
    return is_colour(text) ? text : otherwise;
}

}  // namespace

// White where that has WCAG's contrast of 3:1 for large text.
std::string text_colour_on(std::string_view background) {
    double luminance = 0;
    constexpr std::array weights{0.2126, 0.7152, 0.0722};
    for (std::size_t channel = 0; channel < 3; ++channel) {
        unsigned value = 0;
        const char* digits = background.data() + 1 + 2 * channel;
        std::from_chars(digits, digits + 2, value, 16);
        double level = value / 255.0;
        level = level <= 0.04045 ? level / 12.92 : std::pow((level + 0.055) / 1.055, 2.4);
        luminance += weights[channel] * level;
    }
    double contrast_of_white = 1.05 / (luminance + 0.05);
    return contrast_of_white >= 3 ? "#FFFFFF" : "#000000";
}

InvitationMail::InvitationMail(io::Postgres& db, const Secrets& secrets, const std::string& directory,
                               std::string base_url, Mailbox sender)
    : db_(db), secrets_(secrets), templates_(Templates::load(directory, "invitation")),
      base_url_(std::move(base_url)), sender_(std::move(sender)) {}

io::Task<Composed> InvitationMail::compose(Uuid outbox_id, Uuid workspace_id) {
    io::Parameters parameters(outbox_id.text(), workspace_id.text());
    io::Rows rows = co_await db_.query(find, std::move(parameters));
    if (rows.empty()) {
        co_return Unsendable{true, "the invitation is gone"};
    }
    co_return render(rows.front());
}

Composed InvitationMail::render(const io::Row& row) {
    if (std::optional<Unsendable> reason = unsendable(row)) {
        return *reason;
    }
    std::optional<std::string> token = secrets_.decrypt(row.text("token_ciphertext"), row.text("token_id"));
    if (!token) {
        // a secret that this helper has not been given yet
        return Unsendable{false, "the portal link cannot be decrypted with the secrets at hand"};
    }

    std::string portal_name = one_line(row.text("portal_name"));
    std::string custom = row.string("custom_message");
    std::string logo = row.string("portal_logo");
    std::string primary = colour(row, "primary_color", "#3B82F6");
    std::string secondary = colour(row, "secondary_color", "#1E40AF");

    mustache::data values;
    values.set("portal_name", portal_name);
    values.set("name", one_line(row.text("name")));
    values.set("welcome_message", row.string("welcome_message"));
    values.set("welcome_lines", lines_of(row.string("welcome_message")));
    values.set("has_message", !custom.empty());
    values.set("message", custom);
    values.set("message_lines", lines_of(custom));
    values.set("link", base_url_ + "/client-portal/" + *token);
    values.set("expires_on", row.string("expires_on"));
    values.set("primary_color", primary);
    values.set("on_primary", text_colour_on(primary));
    values.set("secondary_color", secondary);
    values.set("has_logo", logo.starts_with("https://"));
    values.set("logo", logo);

    Message message = outbox_message(row, templates_.render(values), base_url_);
    message.from = {row.null("mail_from_name") ? portal_name : row.string("mail_from_name"), sender_.address};
    message.to.name = row.string("name");
    return message;
}

}  // namespace portal::helper
