// LoginCode: the six characters of a challenge. They are made of its id and the server secret, and
// stored nowhere.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "portal/secrets.h"
#include "portal/uuid.h"

namespace portal {

// The kinds of mail that carry one: urgent, and of no use once it has expired.
inline bool is_code_mail(std::string_view kind) {
    return kind == "login_code" || kind == "link_code";
}

// What is mailed: of A-Z and 0-9, each of the 36^6 as likely as any other.
std::string login_code(const Secrets& secrets, const Uuid& challenge);
// As a person typed it, case and spaces ignored; made under any accepted secret.
bool is_login_code(const Secrets& secrets, const Uuid& challenge, std::string_view typed);

// Six characters of a digest; "" for the one in ten billion words that would make some more likely.
std::string login_code_of(const Digest& digest);

}  // namespace portal
