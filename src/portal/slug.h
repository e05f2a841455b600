// Slug: a name that stands in an address: 3 to 63 of [a-z0-9-], and no name that means something
// already.
#pragma once

#include <optional>
#include <string>

#include "http/validation.h"

namespace portal {

// A body's member that is a slug; its problem is noted.
std::optional<std::string> slug_field(http::Fields& fields, const char* name,
                                      http::Presence rule = {});

}  // namespace portal
