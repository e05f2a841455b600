// Slug: a name that stands in an address: 3 to 63 of [a-z0-9-], and no name that means something
// already.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/validation.h"

namespace portal {

// Of an address, in lower case: all its bytes are ones a slug may have. Else, not being UTF-8 perhaps,
// it is not for the database to look up.
bool has_slug_characters(std::string_view text);

// A body's member that is a slug; its problem is noted.
std::optional<std::string> slug_field(http::Fields& fields, const char* name,
                                      http::Presence rule = {});

}  // namespace portal
