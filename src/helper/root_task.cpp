#include "helper/root_task.h"

#include <csignal>
#include <exception>
#include <string>
#include <utility>

namespace portal::helper {

void RootTask::start(io::Task<void> task) {
    task_ = std::move(task);
    task_.start(this);
}

void RootTask::completed() noexcept {
    std::string line = std::string("helper: ") + what_ + " cannot go on: ";
    try {
        task_.result();
        return;
    } catch (const std::exception& error) {
        line += error.what();
    } catch (...) {
        line += "an unknown exception";
    }
    loop_.log(io::LogLevel::error, line.c_str());
    failed_ = true;
    std::raise(SIGTERM);
}

}  // namespace portal::helper
