// Composer: from an outbox row to the mail of its kind.
#pragma once

#include <optional>
#include <string>

#include "helper/code_mail.h"
#include "helper/invitation_mail.h"
#include "helper/member_mail.h"
#include "helper/webhook_mail.h"
#include "portal/login_code.h"

// The kinds it knows, for SQL: a row of another is left to a helper that does.
#define PORTAL_MAIL_KINDS \
    "'portal_invitation', 'member_invitation', 'login_code', 'link_code', 'webhook_disabled'"

namespace portal::helper {

class Composer {
  public:
    // `sender` is the configured From; `base_url` has no trailing slash. Reads the templates of
    // `directory`.
    Composer(io::Postgres& db, const Secrets& secrets, const std::string& directory,
             const std::string& base_url, const Mailbox& sender)
        : invitations_(db, secrets, directory, base_url, sender),
          members_(db, directory, base_url, sender),
          webhooks_(db, directory, base_url, sender),
          codes_(db, secrets, directory, base_url, sender) {}

    // A login code is of no workspace. Throws PostgresUnavailable or PostgresError.
    io::Task<Composed> compose(const std::string& kind, Uuid outbox_id,
                               std::optional<Uuid> workspace_id) {
        if (is_code_mail(kind)) {
            return codes_.compose(kind, outbox_id);
        }
        if (kind == "member_invitation") {
            return members_.compose(outbox_id, workspace_id.value_or(Uuid{}));
        }
        if (kind == "webhook_disabled") {
            return webhooks_.compose(outbox_id, workspace_id.value_or(Uuid{}));
        }
        return invitations_.compose(outbox_id, workspace_id.value_or(Uuid{}));
    }

  private:
    InvitationMail invitations_;
    MemberMail members_;
    WebhookMail webhooks_;
    CodeMail codes_;
};

}  // namespace portal::helper
