// E-mail addresses as the product takes them: syntax only, no look-up. The domain is lower-cased, the local part kept;
// two addresses are the same when their ASCII-lower-cased forms are (never locale-aware: a look-alike letter would
// open somebody else's account).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/validation.h"

namespace portal {

// ASCII letters only; every other byte stays.
std::string ascii_lower(std::string_view text);

struct EmailCheck {
    std::string address;   // trimmed, domain lower-cased; empty when refused
    std::string problem;   // why it was refused, a sentence; empty when it is fine
    bool ok() const { return problem.empty(); }
    // "value is not a valid email address: <problem>", as a 422 says it.
    std::string message() const { return "value is not a valid email address: " + problem; }
};
EmailCheck check_email(std::string_view text);

// A body's member that is an address, in the form that is stored; its problem is noted.
std::optional<std::string> email_field(http::Fields& fields, const char* name, http::Text rule = {});

}  // namespace portal
