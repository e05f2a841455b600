#include "ctl/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace portal::ctl {
namespace {

constexpr std::int64_t width = 40;

}  // namespace

Progress::Progress() : terminal_(isatty(STDERR_FILENO) == 1) {}

void Progress::show(std::int64_t done, std::int64_t whole, std::int64_t lines) {
    const auto now = std::chrono::steady_clock::now();
    if (!terminal_ || now < next_) {
        return;
    }
    next_ = now + std::chrono::milliseconds(100);
    const std::string count = std::to_string(lines) + " lines";
    if (whole <= 0) {
        draw(count);
        return;
    }
    const std::int64_t percent = std::clamp<std::int64_t>(done * 100 / whole, 0, 100);
    const std::size_t filled = std::size_t(percent * width / 100);
    draw("[" + std::string(filled, '#') + std::string(std::size_t(width) - filled, '.') + "] " +
         std::to_string(percent) + " %  " + count);
}

void Progress::say(const std::string& what) {
    if (terminal_) {
        draw(what);
    }
}

void Progress::clear() {
    if (drawn_) {
        std::fputs("\r\033[K", stderr);
        std::fflush(stderr);
        drawn_ = false;
    }
}

void Progress::draw(const std::string& text) {
    std::fprintf(stderr, "\r\033[K%s", text.c_str());
    std::fflush(stderr);
    drawn_ = true;
}

}  // namespace portal::ctl
