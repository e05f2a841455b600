// Where a browser may be sent back to: a path of this site, which no browser takes for an address of another one.
#pragma once

#include <string_view>

namespace portal::http {

inline constexpr std::size_t longest_site_path = 2000;

// "/account?page=2", in printable ASCII as a request line has it. "//evil.example" and "/\evil.example" name another
// host to a browser, which also passes over tabs and line ends: none of these, and no backslash anywhere.
bool is_site_path(std::string_view text);

}  // namespace portal::http
