// What the mails of outbox rows have in common. A row has `dead` (why it must not be sent any more, or NULL),
// `email` (whom it goes to), `message_id` (its local part) and `mail_reply_to` (an address, or NULL).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "helper/message.h"
#include "helper/templates.h"
#include "io/postgres.h"

namespace portal::helper {

// Why there is no mail to be made of the row; nullopt: there is.
std::optional<Unsendable> unsendable(const io::Row& row);

// The row's mail of now, rendered; from whom and to whose name the caller says. `base_url` is the portal's.
Message outbox_message(const io::Row& row, Templates::Rendered rendered, std::string_view base_url);

// "portal.example.com" of "https://portal.example.com:8443/x": the host part of Message-IDs, and our name in EHLO.
std::string host_of(std::string_view url);

}  // namespace portal::helper
