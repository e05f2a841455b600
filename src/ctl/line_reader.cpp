#include "ctl/line_reader.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "ctl/session.h"

namespace portal::ctl {
namespace {

constexpr std::size_t longest_line = 1 << 20;

}  // namespace

LineReader::LineReader(const std::string& path)
    : file_(path == "-" ? stdin : std::fopen(path.c_str(), "re")), path_(path), buffer_(1 << 16) {
    struct stat status {};
    if (file_ == nullptr || fstat(fileno(file_), &status) != 0) {
        throw Refused("cannot read " + path + ": " + std::strerror(errno));
    }
    if (S_ISDIR(status.st_mode)) {
        std::fclose(file_);
        throw Refused("cannot read " + path + ": it is a directory");
    }
    size_ = S_ISREG(status.st_mode) ? status.st_size : 0;
}

LineReader::~LineReader() {
    if (file_ != stdin) {
        std::fclose(file_);
    }
}

bool LineReader::next(std::string& line) {
    line.clear();
    too_long_ = false;
    for (bool begun = false;; begun = true) {
        if (at_ == end_) {
            at_ = 0;
            end_ = std::fread(buffer_.data(), 1, buffer_.size(), file_);
            if (end_ == 0 && std::ferror(file_)) {
                throw Refused("cannot read " + path_ + ": " + std::strerror(errno));
            }
            if (end_ == 0) {
                line_ += begun ? 1 : 0;
                return begun;
            }
        }
        const char* start = buffer_.data() + at_;
        const void* found = std::memchr(start, '\n', end_ - at_);
        const std::size_t length =
            found != nullptr ? std::size_t(static_cast<const char*>(found) - start) : end_ - at_;
        const std::size_t room = longest_line - line.size();
        too_long_ = too_long_ || length > room;
        line.append(start, length > room ? room : length);
        at_ += length + (found != nullptr ? 1 : 0);
        bytes_ += std::int64_t(length + (found != nullptr ? 1 : 0));
        if (found != nullptr) {
            ++line_;
            return true;
        }
    }
}

}  // namespace portal::ctl
