// LoginMail: the mail of a login code, rendered at the moment it is sent: the code is made of the
// challenge's id.
#pragma once

#include <string>

#include "helper/message.h"
#include "helper/templates.h"
#include "io/postgres.h"
#include "io/task.h"
#include "portal/secrets.h"
#include "portal/uuid.h"

namespace portal::helper {

class LoginMail {
  public:
    LoginMail(io::Postgres& db, const Secrets& secrets, const std::string& directory,
              std::string base_url, Mailbox sender);

    // The message of an outbox row. Throws PostgresUnavailable or PostgresError.
    io::Task<Composed> compose(Uuid outbox_id);

  private:
    Composed render(const io::Row& row);

    io::Postgres& db_;
    const Secrets& secrets_;
    Templates templates_;
    std::string base_url_;
    Mailbox sender_;
};

}  // namespace portal::helper
