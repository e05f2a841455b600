// Billing addresses: {country, line1, line2, postal_code, city, state}.
#pragma once

#include "http/json.h"
#include "http/validation.h"

namespace portal {

// Checks the body's member billing_address and answers what is stored: all six members, the country in upper case, the state of a US or
// CA address as ISO 3166-2 ("NY" is "US-NY"). Absent or null: an absent Json.
http::Json billing_address_field(http::Fields& fields);

}  // namespace portal
