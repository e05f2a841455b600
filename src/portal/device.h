// Device: words for the browser a session was made in, from its User-Agent.
#pragma once

#include <string>
#include <string_view>

namespace portal {

// "Firefox on Windows", "Safari on iPhone"; "Unknown device" for what is no browser's.
std::string device_words(std::string_view user_agent);

}  // namespace portal
