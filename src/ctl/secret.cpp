// portalctl secret new [FILE]
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "ctl/output.h"
#include "ctl/verbs.h"

namespace portal::ctl {
namespace {

// Whole or not at all, readable by owner and group only, and never over an existing file: what it
// protects would be lost with it.
void write_new_file(const std::string& path, const std::string& text) {
    int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 && errno == EEXIST) {
        throw Refused(path +
                      " exists and is left as it is: every token stored so far depends on it. "
                      "Name another file, or move it away if nothing does");
    }
    if (fd < 0) {
        throw Refused("cannot create " + path + ": " + std::strerror(errno));
    }
    bool whole = ::write(fd, text.data(), text.size()) == ssize_t(text.size()) &&
                 ::fchmod(fd, 0640) == 0 && ::fsync(fd) == 0;
    int error = errno;
    if (::close(fd) != 0 || !whole) {
        ::unlink(path.c_str());
        throw Refused("cannot write " + path + ": " + std::strerror(error));
    }
}

}  // namespace

void add_secret_verbs(Verb app, Session& session) {
    Verb family =
        app.family("secret", "The server secret, under which tokens are hashed and encrypted");
    auto path = std::make_shared<std::string>();
    Verb verb =
        family.verb("new", "Write a new secret file (mode 0640); never overwrites one",
                    "portalctl secret new /etc/portal/secret && chgrp www-data /etc/portal/secret");
    verb.text("file", *path, "Where to (default: secret_file of the configuration)").hint("FILE");
    verb.run([path, &session] {
        std::string file = path->empty() ? session.config().secret_file : *path;
        write_new_file(file, Secrets::generate_file());
        if (session.json) {
            http::Json made = http::Json::object();
            print_json(made.set("secret_file", file));
            return;
        }
        print_line("Wrote " + file +
                   ". Give nginx's workers and portal-helper its group, and keep a copy safe:");
        print_line("without it no stored token can be checked.");
    });
}

}  // namespace portal::ctl
