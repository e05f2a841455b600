#include "portal/secret_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>

#include "portal/config_file.h"
#include "portal/secrets.h"

namespace portal {
namespace {

// "ID STATE BASE64" of a line; empty for a blank one and a comment.
std::vector<std::string> words_of(std::string_view line) {
    std::vector<std::string> words;
    while (true) {
        const auto begin = line.find_first_not_of(" \t\r");
        if (begin == std::string_view::npos || (words.empty() && line[begin] == '#')) {
            return words;
        }
        line.remove_prefix(begin);
        const auto end = std::min(line.find_first_of(" \t\r"), line.size());
        words.emplace_back(line.substr(0, end));
        line.remove_prefix(end);
    }
}

// 7 of "k7"; 0 of anything else.
int number_of(std::string_view id) {
    int number = 0;
    if (!id.starts_with('k')) {
        return 0;
    }
    const auto [end, error] = std::from_chars(id.data() + 1, id.data() + id.size(), number);
    return error == std::errc() && end == id.data() + id.size() && number > 0 && number < INT_MAX
               ? number
               : 0;
}

// Only these rotate.
void require_rotating(std::string_view state) {
    if (state == "limiter") {
        throw std::invalid_argument("this is the key of the limits, which never rotates");
    }
    if (state == "retired") {
        throw std::invalid_argument("this secret is retired");
    }
}

[[noreturn]] void fail(const std::string& what) {
    throw std::runtime_error(what + ": " + std::strerror(errno));
}

}  // namespace

SecretFile::SecretFile(std::string_view text) {
    Secrets::parse(text);
    while (!text.empty()) {
        const auto end = std::min(text.find('\n'), text.size());
        lines_.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
}

std::vector<SecretLine> SecretFile::keys() const {
    std::vector<SecretLine> keys;
    for (const std::string& line : lines_) {
        const auto words = words_of(line);
        if (!words.empty()) {
            keys.push_back({words[0], words[1]});
        }
    }
    return keys;
}

std::string SecretFile::text() const {
    std::string text;
    for (const std::string& line : lines_) {
        text += line + "\n";
    }
    return text;
}

std::size_t SecretFile::find(std::string_view id) const {
    for (std::size_t at = 0; at < lines_.size(); ++at) {
        const auto words = words_of(lines_[at]);
        if (!words.empty() && words[0] == id) {
            return at;
        }
    }
    throw std::invalid_argument(
        "there is no secret of this id; portalctl secret status shows them");
}

std::string SecretFile::rotate() {
    int last = 0;
    for (const SecretLine& key : keys()) {
        last = std::max(last, number_of(key.id));
    }
    const std::string id = "k" + std::to_string(last + 1);
    lines_.push_back(id + " verify " + Secrets::generate_key());
    return id;
}

bool SecretFile::promote(std::string_view id) {
    const std::size_t at = find(id);
    auto words = words_of(lines_[at]);
    if (words[1] == "sign") {
        return false;
    }
    require_rotating(words[1]);
    for (std::string& line : lines_) {
        const auto other = words_of(line);
        if (!other.empty() && other[1] == "sign") {
            line = other[0] + " verify " + other[2];
        }
    }
    lines_.erase(lines_.begin() + std::ptrdiff_t(at));
    lines_.push_back(words[0] + " sign " + words[2]);
    return true;
}

void SecretFile::require_retirable(std::string_view id) const {
    const auto words = words_of(lines_[find(id)]);
    if (words[1] == "sign") {
        throw std::invalid_argument("this secret signs: promote another one first");
    }
    require_rotating(words[1]);
}

void SecretFile::retire(std::string_view id) {
    require_retirable(id);
    std::string& line = lines_[find(id)];
    const auto words = words_of(line);
    line = words[0] + " retired " + Secrets::retired_key(words[2]);
}

LockedSecretFile::LockedSecretFile(const std::string& path) {
    const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr),
                                                           &std::free);
    if (!real) {
        fail("cannot read " + path);
    }
    path_ = real.get();
    const std::string directory = path_.substr(0, std::max<std::size_t>(path_.rfind('/'), 1));
    directory_ = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory_ < 0) {
        fail("cannot read " + directory);
    }
    if (::flock(directory_, LOCK_EX) != 0) {
        const int error = errno;
        ::close(directory_);
        errno = error;
        fail("cannot lock " + directory);
    }
}

LockedSecretFile::~LockedSecretFile() { ::close(directory_); }

std::string LockedSecretFile::read() const { return read_file(path_, true); }

void LockedSecretFile::replace(std::string_view text) const {
    struct stat about {};
    if (::stat(path_.c_str(), &about) != 0) {
        fail("cannot read " + path_);
    }
    std::string fresh = path_ + ".XXXXXX";
    const int fd = ::mkostemp(fresh.data(), O_CLOEXEC);  // mode 0600
    if (fd < 0) {
        fail("cannot write beside " + path_);
    }
    const bool same_owner = about.st_uid == ::geteuid() && about.st_gid == ::getegid();
    const bool whole = ::write(fd, text.data(), text.size()) == ssize_t(text.size()) &&
                       (same_owner || ::fchown(fd, about.st_uid, about.st_gid) == 0) &&
                       ::fchmod(fd, about.st_mode & 07777) == 0 && ::fsync(fd) == 0;
    int error = errno;
    const bool closed = ::close(fd) == 0;
    if (!whole || !closed || ::rename(fresh.c_str(), path_.c_str()) != 0) {
        error = whole ? errno : error;
        ::unlink(fresh.c_str());
        errno = error;
        fail("cannot write " + path_ + " with its mode and owner");
    }
    ::fsync(directory_);
}

}  // namespace portal
