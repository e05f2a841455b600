// What portalctl check asks about this host itself: its clock, and whether the portal's address leads somewhere.
#include <curl/curl.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "ctl/check.h"
#include "ctl/diagnosis.h"
#include "ctl/session.h"

namespace portal::ctl {
namespace {

using Kind = Finding::Kind;

constexpr double most_skew = 2;   // seconds; sessions and links end by either clock

double unix_seconds() {
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::size_t drop(char*, std::size_t, std::size_t size, void*) { return size; }

bool is_loopback(std::string_view url) {
    return url.starts_with("http://127.") || url.starts_with("http://localhost") || url.starts_with("http://[::1]");
}

}  // namespace

Finding check_clock(const std::string& conninfo) {
    try {
        Connection connection = connect(conninfo);
        const double before = unix_seconds();
        Result result = execute(connection.get(), "SELECT extract(epoch FROM clock_timestamp())");
        const double after = unix_seconds();
        const double skew = std::strtod(PQgetvalue(result.get(), 0, 0), nullptr) - (before + after) / 2;
        char text[96];
        std::snprintf(text, sizeof text, "PostgreSQL's is %+.3f s from this host's", skew);
        if (std::abs(skew) > most_skew) {
            return {"clock", Kind::wrong, text, "keep both by NTP: systemctl status systemd-timesyncd or chrony"};
        }
        return {"clock", Kind::fine, text, ""};
    } catch (const Unreachable&) {
        return {"clock", Kind::unreachable, "cannot be looked at without the database", ""};
    } catch (const Refused& error) {
        return {"clock", Kind::wrong, error.what(), "look at the server's log"};
    }
}

Finding check_base_url(const std::string& url) {
    if (url.empty()) {
        return {"base URL", Kind::wrong, "none is set", "add base_url = \"https://portal.example.com\""};
    }
    if (!url.starts_with("https://") && !is_loopback(url)) {
        return {"base URL", Kind::wrong, url + " is not https", "links carry credentials: make it https"};
    }
    std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(), &curl_easy_cleanup);
    char error[CURL_ERROR_SIZE] = {};
    curl_easy_setopt(curl.get(), CURLOPT_URL, (url + "/").c_str());
    curl_easy_setopt(curl.get(), CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl.get(), CURLOPT_NOBODY, 1L);
    curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT, 5L);
    curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl.get(), CURLOPT_ERRORBUFFER, error);
    curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, &drop);
    const CURLcode code = curl_easy_perform(curl.get());
    if (code != CURLE_OK) {
        return {"base URL", Kind::unreachable, url + ": " + (error[0] ? error : curl_easy_strerror(code)),
                "is nginx running, and do its name and certificate lead here?"};
    }
    double seconds = 0;
    curl_easy_getinfo(curl.get(), CURLINFO_TOTAL_TIME, &seconds);
    char took[32];
    std::snprintf(took, sizeof took, "%.1f ms", seconds * 1000);
    return {"base URL", Kind::fine, "links begin with " + url + ", which answers in " + took, ""};
}

}  // namespace portal::ctl
