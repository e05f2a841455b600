// Login by e-mailed code (contract/customer-portal.md, Login).
//
// A request leaves a challenge and a mail in the outbox, whether or not anybody fits: an outsider
// cannot tell. Who fits is found anew when the mail is written and when the code comes back, by
// portal.login_fits().
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "http/json.h"
#include "io/task.h"
#include "portal/services.h"
#include "portal/uuid.h"

namespace portal {

struct LoginInput {
    std::string email;  // in the form addresses are compared in
    std::optional<Uuid> workspace_id, customer_id;
    std::optional<Uuid> challenge_id;  // to be sent again

    static LoginInput parse(std::string_view body, std::optional<std::string_view> content_type);
};

struct Challenge {
    Uuid id;
    std::int64_t expires_in = 0;  // seconds
};

// `mail`: the address may be mailed once more. `client_address` as the limiter knows it.
io::Task<Challenge> request_login_code(Services& portal, LoginInput input, bool mail,
                                       std::string client_address);

struct AuthenticateInput {
    std::optional<std::string> code, selection_token;  // one of them
    std::optional<Uuid> challenge_id, workspace_id, customer_id;

    static AuthenticateInput parse(std::string_view body,
                                   std::optional<std::string_view> content_type);
};

// The one open challenge of a client address, if there is exactly one.
io::Task<std::optional<Uuid>> find_challenge_by_address(Services& portal,
                                                        std::string client_address);
// Takes one of the challenge's five tries, before a code is compared: so that no more than five ever
// are, however many come at once. False: none is left, or there is no such open challenge.
io::Task<bool> take_try(Services& portal, Uuid challenge);
// Goes into the audit log.
io::Task<void> note_wrong_code(Services& portal, Uuid challenge);

struct Login {
    enum class State { refused, signed_in, choose_workspace, choose_customer };
    State state = State::refused;
    std::string token;  // of the session; of the choice that is left
    std::string slug;   // signed_in
    std::int64_t expires_in = 0;
    http::Json workspace;  // {id, name, slug} of the session
    http::Json choices;    // [{id, name, slug}] or [{id, name}]
};

// Consumes the challenge whose code was right, or the token of a choice, and makes the session: of
// any number of parallel calls one. `tried`: a try was taken for it, and is given back. `device` are
// words for the browser.
io::Task<Login> redeem_login_code(Services& portal, Uuid challenge, bool tried,
                                  AuthenticateInput input, std::string device);
io::Task<Login> redeem_selection(Services& portal, AuthenticateInput input, std::string device);

}  // namespace portal
