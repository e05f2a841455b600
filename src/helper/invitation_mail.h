// InvitationMail: the mail of a portal invitation, rendered from its rows at the moment it is sent.
#pragma once

#include <string>
#include <string_view>

#include "helper/message.h"
#include "helper/templates.h"
#include "io/postgres.h"
#include "io/task.h"
#include "portal/secrets.h"
#include "portal/uuid.h"

namespace portal::helper {

class InvitationMail {
  public:
    // `sender` is the configured From; `base_url` has no trailing slash. Reads the templates of `directory`.
    InvitationMail(io::Postgres& db, const Secrets& secrets, const std::string& directory,
                   std::string base_url, Mailbox sender);

    // Throws PostgresUnavailable or PostgresError.
    io::Task<Composed> compose(Uuid outbox_id, Uuid workspace_id);

  private:
    Composed render(const io::Row& row);

    io::Postgres& db_;
    const Secrets& secrets_;
    Templates templates_;
    std::string base_url_;
    Mailbox sender_;
};

// "#FFFFFF" or "#000000": what can be read on `background` (#RRGGBB).
std::string text_colour_on(std::string_view background);

}  // namespace portal::helper
