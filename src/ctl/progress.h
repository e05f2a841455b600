// Progress: how far a long verb is, on a terminal's standard error; elsewhere nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace portal::ctl {

class Progress {
  public:
    Progress();
    ~Progress() { clear(); }
    Progress(const Progress&) = delete;

    // A bar where `whole` is known, else the count alone. Drawn ten times a second at most.
    void show(std::int64_t done, std::int64_t whole, std::int64_t lines);
    void say(const std::string& what);  // at once
    void clear();

  private:
    void draw(const std::string& text);

    bool terminal_;
    bool drawn_ = false;
    std::chrono::steady_clock::time_point next_{};
};

}  // namespace portal::ctl
