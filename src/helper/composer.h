// Composer: from an outbox row to the mail of its kind.
#pragma once

#include <string>

#include "helper/invitation_mail.h"
#include "helper/member_mail.h"

// The kinds it knows, for SQL: a row of another is left to a helper that does.
#define PORTAL_MAIL_KINDS "'portal_invitation', 'member_invitation'"

namespace portal::helper {

class Composer {
  public:
    // `sender` is the configured From; `base_url` has no trailing slash. Reads the templates of
    // `directory`.
    Composer(io::Postgres& db, const Secrets& secrets, const std::string& directory,
             const std::string& base_url, const Mailbox& sender)
        : invitations_(db, secrets, directory, base_url, sender),
          members_(db, directory, base_url, sender) {}

    // Throws PostgresUnavailable or PostgresError.
    io::Task<Composed> compose(const std::string& kind, Uuid outbox_id, Uuid workspace_id) {
        if (kind == "member_invitation") {
            return members_.compose(outbox_id, workspace_id);
        }
        return invitations_.compose(outbox_id, workspace_id);
    }

  private:
    InvitationMail invitations_;
    MemberMail members_;
};

}  // namespace portal::helper
