// Helpers for tests of asynchronous code: several root tasks at once on one UvLoop.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/uv_loop.h"

namespace portal::test {

// Root tasks that were started together. run() drives the loop until every one is done.
template <class T>
class Together {
  public:
    explicit Together(io::UvLoop& loop) : loop_(loop) {}

    // Starts it; its number is the index for result() and cancel().
    std::size_t start(io::Task<T> task) {
        entries_.push_back(std::make_unique<Entry>(*this, std::move(task)));
        ++left_;
        entries_.back()->task.start(entries_.back().get());
        return entries_.size() - 1;
    }
    void run() {
        if (left_ > 0) {
            running_ = true;
            loop_.run();
            running_ = false;
        }
    }
    bool done(std::size_t index) const { return entries_[index]->task.done(); }
    T result(std::size_t index) { return entries_[index]->task.result(); }
    void cancel(std::size_t index) {
        entries_[index]->task.reset();
        finished();
    }

  private:
    struct Entry final : io::Completion {
        Entry(Together& together_, io::Task<T> task_) : together(together_), task(std::move(task_)) {}
        void completed() noexcept override { together.finished(); }
        Together& together;
        io::Task<T> task;
    };

    void finished() noexcept {
        if (--left_ == 0 && running_) {
            loop_.stop();
        }
    }

    io::UvLoop& loop_;
    std::vector<std::unique_ptr<Entry>> entries_;
    std::size_t left_ = 0;
    bool running_ = false;
};

// Lines the clients logged.
struct LogLines {
    std::vector<std::string> lines;
    io::UvLoop::Log sink() {
        return [this](io::LogLevel level, const char* line) {
            if (level != io::LogLevel::debug) {
                lines.emplace_back(line);
            }
        };
    }
    std::size_t count(std::string_view part) const {
        std::size_t found = 0;
        for (const std::string& line : lines) {
            found += line.find(part) != std::string::npos ? 1 : 0;
        }
        return found;
    }
};

}  // namespace portal::test
