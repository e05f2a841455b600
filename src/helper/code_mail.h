// CodeMail: the mail of a code, rendered at the moment it is sent: the code is made of the
// challenge's id. One signs in with it (portal/login.h), or proves that a client portal's link is
// one's own (portal/link_code.h).
#pragma once

#include <string>

#include "helper/message.h"
#include "helper/templates.h"
#include "io/postgres.h"
#include "io/task.h"
#include "portal/secrets.h"
#include "portal/uuid.h"

namespace portal::helper {

class CodeMail {
  public:
    CodeMail(io::Postgres& db, const Secrets& secrets, const std::string& directory,
              std::string base_url, Mailbox sender);

    // The message of an outbox row of this kind. Throws PostgresUnavailable or PostgresError.
    io::Task<Composed> compose(const std::string& kind, Uuid outbox_id);

  private:
    Composed render(const io::Row& row);

    io::Postgres& db_;
    const Secrets& secrets_;
    Templates templates_;
    std::string base_url_;
    Mailbox sender_;
};

}  // namespace portal::helper
