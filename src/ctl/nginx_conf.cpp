#include "ctl/nginx_conf.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "ctl/session.h"

extern char** environ;

namespace portal::ctl {
namespace {

// One word of a configuration, its quotes taken off. `at` is behind it afterwards.
std::string read_word(std::string_view text, std::size_t& at) {
    std::string word;
    const char quote = text[at] == '"' || text[at] == '\'' ? text[at++] : '\0';
    for (; at < text.size(); ++at) {
        const char character = text[at];
        if (quote != '\0' && character == quote) {
            ++at;
            break;
        }
        if (quote == '\0' && std::strchr(" \t\r\n;{}", character) != nullptr && !word.ends_with('$')) {
            break;   // not the brace of ${name}
        }
        if (character == '\\' && at + 1 < text.size()) {
            ++at;
        }
        word += text[at];
    }
    return word;
}

struct Pipe {
    int ends[2]{-1, -1};
    Pipe() {
        if (::pipe2(ends, O_CLOEXEC) != 0) {
            throw Unreachable(std::strerror(errno));
        }
    }
    ~Pipe() {
        ::close(ends[0]);
        close_writer();
    }
    void close_writer() {
        if (ends[1] >= 0) {
            ::close(ends[1]);
            ends[1] = -1;
        }
    }
};

}  // namespace

bool NginxDirective::has(std::string_view argument) const {
    return std::find(arguments.begin(), arguments.end(), argument) != arguments.end();
}

NginxConf NginxConf::read(const std::string& file) {
    Pipe pipe;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipe.ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, pipe.ends[1], STDERR_FILENO);
    std::string name = "nginx", dump = "-T", conf = "-c", path = file;
    char* arguments[] = {name.data(), dump.data(), conf.data(), path.data(), nullptr};
    pid_t child = 0;
    const int failure = ::posix_spawnp(&child, "nginx", &actions, nullptr, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failure != 0) {
        throw Unreachable(std::string("nginx cannot be run: ") + std::strerror(failure));
    }
    pipe.close_writer();
    std::string output;
    char chunk[4096];
    ssize_t size;
    while ((size = ::read(pipe.ends[0], chunk, sizeof chunk)) > 0) {
        output.append(chunk, std::size_t(size));
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        const std::size_t at = output.find("[emerg] ");
        std::string_view words = at == std::string::npos ? std::string_view(output) : std::string_view(output).substr(at + 8);
        throw Refused(std::string(words.substr(0, words.find('\n'))));
    }
    return parse(output);
}

NginxConf NginxConf::parse(std::string_view text) {
    NginxConf conf;
    NginxDirective current;
    for (std::size_t at = 0; at < text.size();) {
        const char character = text[at];
        if (std::strchr(" \t\r\n", character) != nullptr) {
            ++at;
        } else if (character == '#') {
            at = std::min(text.find('\n', at), text.size());
        } else if (std::strchr(";{}", character) != nullptr) {
            if (!current.name.empty()) {
                conf.directives_.push_back(std::move(current));
            }
            current = {};
            ++at;
        } else if (current.name.empty()) {
            current.name = read_word(text, at);
        } else {
            current.arguments.push_back(read_word(text, at));
        }
    }
    return conf;
}

const NginxDirective* NginxConf::find(std::string_view name) const {
    auto found = std::find_if(directives_.begin(), directives_.end(), [&](auto& each) { return each.name == name; });
    return found == directives_.end() ? nullptr : &*found;
}

std::string NginxConf::value(std::string_view name) const {
    const NginxDirective* found = find(name);
    return found == nullptr || found->arguments.empty() ? std::string() : found->arguments.front();
}

}  // namespace portal::ctl
