// Invitation: an e-mail with a contact's or company's portal link. Its id is its outbox row's.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/json.h"
#include "io/task.h"
#include "portal/idempotency.h"
#include "portal/portal_token.h"
#include "portal/principal.h"
#include "portal/services.h"

namespace portal {

// The message of an invite's body, which may be absent altogether.
std::optional<std::string> parse_invitation(std::string_view body, std::optional<std::string_view> content_type);

// What an invite looks up before it is charged for a mail.
struct InvitationPlan {
    std::string email;   // the addressee's: five mails an hour
};
// Throws 404, 403 (the portal is not active), 400 (no e-mail address).
io::Task<InvitationPlan> plan_invitation(Services& portal, const Principal& caller, Addressee addressee);

struct Invitation {
    enum class State { sent, refused, queued };
    Uuid id;
    State state = State::queued;
    std::string token;
    std::string reply;   // the mail server's, when refused
};

// The answer this key already had: nullopt when it is free. Throws 422 (other payload) and 409 (still running).
io::Task<std::optional<Invitation>> replay_invitation(Services& portal, const Principal& caller,
                                                      const IdempotencyKey& key);

// Makes a token and its mail in one statement and, unless `respond_async` or there is no helper, waits for the mail
// server. nullopt when another request was faster with this key.
io::Task<std::optional<Invitation>> send_invitation(Services& portal, const Principal& caller, Addressee addressee,
                                                    std::optional<std::string> message, bool respond_async,
                                                    const IdempotencyKey& key);

// The object of GET /invitations/{id}. Throws 404.
io::Task<http::Json> find_invitation(Services& portal, const Principal& caller, Uuid id);

}  // namespace portal
