// Billing addresses: {country, line1, line2, postal_code, city, state}.
#pragma once

#include "http/json.h"
#include "portal/checks.h"

namespace portal {

// Checks what was sent and answers what is stored: all six members, the country in upper case, the state of a US or
// CA address as ISO 3166-2 ("NY" is "US-NY"). Absent or null: an absent Json.
http::Json check_billing_address(Checks& checks, const http::Json& sent);

}  // namespace portal
