// Mail limits: what a request that sends a mail is charged, besides its route's own class.
#pragma once

#include <string>
#include <vector>

#include "api/route.h"

namespace portal::api {

// Five mails an hour to an address, whatever they are about.
Limit mail_to(const Call& call, const std::string& email);
// Twenty invitations an hour by a customer's people.
Limit member_mail_of(const Call& call);

// Admits all or none; give back what it answers when no mail was made after all. Refused (429,
// 503): the request's own admission is given back, too. The answer's headers tell of the limit with
// the least remaining.
io::Task<std::vector<Limit>> charge_mail(Call& call, std::vector<Limit> limits);

}  // namespace portal::api
