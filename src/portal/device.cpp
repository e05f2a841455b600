#include "portal/device.h"

#include <array>

namespace portal {
namespace {

struct Sign {
    std::string_view token;
    std::string_view word;
};

// The first that occurs counts: most browsers claim to be Chrome or Safari, too.
constexpr std::array browsers{
    Sign{"Edg", "Edge"},
    Sign{"OPR/", "Opera"},
    Sign{"SamsungBrowser/", "Samsung Internet"},
    Sign{"FxiOS/", "Firefox"},
    Sign{"Firefox/", "Firefox"},
    Sign{"CriOS/", "Chrome"},
    Sign{"Chrome/", "Chrome"},
    Sign{"Safari/", "Safari"},
};
constexpr std::array systems{
    Sign{"iPhone", "iPhone"}, Sign{"iPad", "iPad"},       Sign{"Android", "Android"},
    Sign{"CrOS", "ChromeOS"}, Sign{"Windows", "Windows"}, Sign{"Mac OS X", "Mac"},
    Sign{"Linux", "Linux"},
};

template <std::size_t n>
std::string_view first_of(const std::array<Sign, n>& signs, std::string_view text) {
    for (const Sign& sign : signs) {
        if (text.find(sign.token) != std::string_view::npos) {
            return sign.word;
        }
    }
    return {};
}

}  // namespace

std::string device_words(std::string_view user_agent) {
    const std::string_view browser = first_of(browsers, user_agent);
    const std::string_view system = first_of(systems, user_agent);
    if (browser.empty() && system.empty()) {
        return "Unknown device";
    }
    if (system.empty() || browser.empty()) {
        return std::string(browser.empty() ? system : browser);
    }
    return std::string(browser) + " on " + std::string(system);
}

}  // namespace portal
