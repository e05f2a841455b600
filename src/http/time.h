// Times as RFC 3339 writes them.
#pragma once

#include <string>
#include <string_view>

namespace portal::http {

struct Time {
    std::string
        utc;  // 2026-11-25T16:40:04Z or …04.123456Z: what fell below a microsecond is dropped
    std::string
        trouble;  // why the text is none, as in "Input should be a valid datetime, <trouble>"
};

// An offset is needed: a time without one would be somebody's local time. Years 1 to 9999, in UTC
// too.
Time parse_time(std::string_view text);

}  // namespace portal::http
