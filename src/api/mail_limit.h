// Mail limits: what a request that sends a mail, or enters what was mailed, is charged besides its
// route's own class (contract/README.md, Rate limits).
#pragma once

#include <string>

#include "api/route.h"

namespace portal::api {

// Five mails an hour to an address, whatever they are about.
Limit mail_to(const Call& call, const std::string& email);
// Twenty invitations an hour by a customer's people.
Limit member_mail_of(const Call& call);

// Of a link's code: ten in fifteen minutes for the client's address, five to the mail's.
Limits code_mail_to(const Call& call, const Uuid& workspace, const std::string& email);
// Ten tries in fifteen minutes of the client's address.
Limit code_try_of(const Call& call);

// Admits all or none; give back what it answers when it is not to count after all. Refused (429,
// 503): the request's own admission is given back, too. The answer's headers tell of the limit with
// the least remaining.
io::Task<Limits> charge_besides(Call& call, Limits limits);

}  // namespace portal::api
