// WebhookMail: tells a workspace's reply address that one of its webhook endpoints was disabled.
#pragma once

#include <string>

#include "helper/message.h"
#include "helper/templates.h"
#include "io/postgres.h"
#include "io/task.h"
#include "portal/uuid.h"

namespace portal::helper {

class WebhookMail {
  public:
    WebhookMail(io::Postgres& db, const std::string& directory, std::string base_url,
                Mailbox sender);

    // Throws PostgresUnavailable or PostgresError.
    io::Task<Composed> compose(Uuid outbox_id, Uuid workspace_id);

  private:
    Composed render(const io::Row& row);

    io::Postgres& db_;
    Templates templates_;
    std::string base_url_;
    Mailbox sender_;
};

}  // namespace portal::helper
