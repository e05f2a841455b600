#include "servers.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace portal::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

void wait_for(const std::string& what, const fs::path& log, const std::function<bool()>& ready,
              const std::function<bool()>& alive) {
    auto until = std::chrono::steady_clock::now() + 30s;
    while (!ready()) {
        if (!alive() || std::chrono::steady_clock::now() > until) {
            std::ostringstream output;
            output << std::ifstream(log).rdbuf();
            throw std::runtime_error(what + " does not start:\n" + output.str());
        }
        std::this_thread::sleep_for(5ms);
    }
}

void run(const std::vector<std::string>& command, const fs::path& log, ServerProcess::User user) {
    ServerProcess process;
    process.start(command, log, user, SIGKILL);
    while (process.running()) {
        std::this_thread::sleep_for(2ms);
    }
}

// PostgreSQL refuses to run as root; its own account then does it.
ServerProcess::User postgres_user() {
    if (geteuid() != 0) {
        return {geteuid(), getegid()};
    }
    const passwd* entry = getpwnam("postgres");
    if (!entry) {
        throw std::runtime_error("there is no user \"postgres\" to run PostgreSQL as");
    }
    return {entry->pw_uid, entry->pw_gid};
}

std::string postgres_program(const std::string& name) {
    fs::path newest;
    for (const auto& version : fs::directory_iterator("/usr/lib/postgresql")) {
        fs::path program = version.path() / "bin" / name;
        if (fs::exists(program) && program > newest) {
            newest = program;
        }
    }
    if (newest.empty()) {
        throw std::runtime_error("there is no " + name + " below /usr/lib/postgresql");
    }
    return newest;
}

void own(const fs::path& path, ServerProcess::User user) {
    if (geteuid() == 0 && chown(path.c_str(), user.uid, user.gid) != 0) {
        throw std::runtime_error("cannot chown " + path.string());
    }
}

// initdb takes seconds, a copy of its work a fraction of one. One template per build directory and account; test
// processes run side by side, so it is made under a lock and appears complete, by renaming.
fs::path postgres_template() {
    ServerProcess::User user = postgres_user();
    fs::path build = fs::read_symlink("/proc/self/exe").parent_path();
    std::size_t key = std::hash<std::string>()(build.string() + postgres_program("initdb"));
    fs::path cache = fs::temp_directory_path() /
                     ("portal-unit-" + std::to_string(geteuid()) + "-" + std::to_string(key));
    mkdir(cache.c_str(), 0711);
    struct stat status;
    if (lstat(cache.c_str(), &status) != 0 || !S_ISDIR(status.st_mode) || status.st_uid != geteuid()) {
        throw std::runtime_error(cache.string() + " is not ours");
    }
    int lock = open((cache / "lock").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (lock < 0 || flock(lock, LOCK_EX) != 0) {
        throw std::runtime_error("cannot lock " + cache.string());
    }
    fs::path ready = cache / "cluster", making = cache / "making";
    if (!fs::exists(ready)) {
        fs::path inside = making / "cluster", log = cache / "initdb.log";
        fs::remove_all(making);
        fs::create_directory(making);
        own(making, user);
        run({postgres_program("initdb"), "--pgdata=" + inside.string(), "--username=postgres", "--auth=trust",
             "--encoding=UTF8", "--locale=C.UTF-8", "--wal-segsize=1", "--no-sync", "--no-instructions"},
            log, user);
        // two databases nobody uses are two thirds of what each test would copy
        run({"/bin/sh", "-c",
             "echo \"UPDATE pg_database SET datistemplate = false\nDROP DATABASE template0\nDROP DATABASE template1\" | " +
                 postgres_program("postgres") + " --single -F -D '" + inside.string() + "' postgres"},
            log, user);
        if (!fs::exists(inside / "global" / "pg_control")) {
            std::ostringstream output;
            output << std::ifstream(log).rdbuf();
            throw std::runtime_error("initdb failed:\n" + output.str());
        }
        fs::rename(inside, ready);
        fs::remove(making);
    }
    close(lock);
    return ready;
}

struct FinishConnection {
    void operator()(PGconn* connection) const { PQfinish(connection); }
};

}  // namespace

TemporaryDirectory::TemporaryDirectory() {
    std::string name = (fs::temp_directory_path() / "portal-XXXXXX").string();
    if (!mkdtemp(name.data())) {
        throw std::runtime_error("cannot make a directory below " + fs::temp_directory_path().string());
    }
    path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
}

void ServerProcess::start(const std::vector<std::string>& command, const fs::path& log, User user,
                          int last_signal) {
    if (running()) {
        throw std::logic_error(command.front() + " runs already");
    }
    std::vector<char*> arguments;
    for (const std::string& argument : command) {
        arguments.push_back(const_cast<char*>(argument.c_str()));
    }
    arguments.push_back(nullptr);
    int output = open(log.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0644);
    int input = open("/dev/null", O_RDONLY | O_CLOEXEC);
    pid_t parent = getpid();
    pid_ = fork();
    if (pid_ == 0) {
        dup2(input, 0);
        dup2(output, 1);
        dup2(output, 2);
        if (geteuid() == 0 && user.uid != 0 && (setgid(user.gid) != 0 || setuid(user.uid) != 0)) {
            _exit(126);
        }
        setpgid(0, 0);   // a ^C at the terminal is the test's, which then ends its servers
        prctl(PR_SET_PDEATHSIG, last_signal);
        if (getppid() != parent || chdir("/") != 0) {
            _exit(125);
        }
        unsetenv("LD_PRELOAD");
        execv(arguments.front(), arguments.data());
        _exit(127);
    }
    close(output);
    close(input);
    if (pid_ < 0) {
        pid_ = 0;
        throw std::runtime_error("cannot fork");
    }
}

bool ServerProcess::running() {
    if (pid_ != 0 && waitpid(pid_, nullptr, WNOHANG) == pid_) {
        pid_ = 0;
    }
    return pid_ != 0;
}

void ServerProcess::stop(int signal) {
    if (running()) {
        ::kill(pid_, signal);
        waitpid(pid_, nullptr, 0);
        pid_ = 0;
    }
}

void ServerProcess::kill() {
    if (!running()) {
        return;
    }
    std::vector<pid_t> orphans = children();
    signal_all(SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
    // while one of its processes lives, PostgreSQL's shared memory is in use and a new one would not start
    auto lives = [](pid_t child) {
        std::string link = "/proc/" + std::to_string(child) + "/exe";
        char target;
        return readlink(link.c_str(), &target, 1) == 1;
    };
    while (std::any_of(orphans.begin(), orphans.end(), lives)) {
        std::this_thread::sleep_for(1ms);
    }
}

std::vector<pid_t> ServerProcess::children() const {
    std::string self = std::to_string(pid_);
    std::vector<pid_t> found;
    std::ifstream list("/proc/" + self + "/task/" + self + "/children");
    for (pid_t child; list >> child;) {
        found.push_back(child);
    }
    return found;
}

void ServerProcess::signal_all(int signal) {
    std::vector<pid_t> forked = children();
    ::kill(pid_, signal);   // first, or it would notice and replace them
    for (pid_t child : forked) {
        ::kill(child, signal);
    }
}

PostgresServer::PostgresServer(std::vector<std::string> settings) : settings_(std::move(settings)) {
    fs::path cluster = postgres_template();
    chmod(directory_.path().c_str(), 0755);
    own(directory_.path(), postgres_user());
    run({"/bin/cp", "-a", "--reflink=auto", cluster.string(), (directory_.path() / "data").string()},
        directory_.path() / "log", postgres_user());
    start();
}

void PostgresServer::launch() {
    std::vector<std::string> command{postgres_program("postgres"), "-D", (directory_.path() / "data").string(),
                                     "-F", "-c", "listen_addresses=", "-c",
                                     "unix_socket_directories=" + host(), "-c", "shared_buffers=16MB", "-c",
                                     "max_wal_senders=0", "-c", "wal_level=minimal", "-c", "autovacuum=off"};
    for (const std::string& setting : settings_) {
        command.insert(command.end(), {"-c", setting});
    }
    process_.start(command, directory_.path() / "log", postgres_user(), SIGQUIT);
}

void PostgresServer::start() {
    launch();
    wait_for("PostgreSQL", directory_.path() / "log",
             [this] { return PQping(conninfo().c_str()) == PQPING_OK; }, [this] { return process_.running(); });
}

std::string PostgresServer::host() const { return directory_.path().string(); }

std::string PostgresServer::conninfo() const { return "host=" + host() + " dbname=postgres user=postgres"; }

std::string PostgresServer::value(const std::string& sql) {
    std::unique_ptr<PGconn, FinishConnection> connection(PQconnectdb(conninfo().c_str()));
    std::unique_ptr<PGresult, decltype(&PQclear)> result(PQexec(connection.get(), sql.c_str()), &PQclear);
    ExecStatusType status = PQresultStatus(result.get());
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        throw std::runtime_error(PQerrorMessage(connection.get()));
    }
    return PQntuples(result.get()) > 0 ? PQgetvalue(result.get(), 0, 0) : "";
}

void PostgresServer::execute(const std::string& sql) { value(sql); }

RedisServer::RedisServer(std::vector<std::string> settings) : settings_(std::move(settings)), port_(free_port()) {
    start();
}

void RedisServer::start() {
    fs::remove(socket());
    std::vector<std::string> command{"/usr/bin/redis-server", "--port", std::to_string(port_), "--bind", "127.0.0.1",
                                     "--unixsocket", socket(), "--save", "", "--appendonly", "no", "--dir",
                                     directory_.path().string()};
    command.insert(command.end(), settings_.begin(), settings_.end());
    process_.start(command, directory_.path() / "log", {geteuid(), getegid()}, SIGKILL);
    auto accepts = [this] {
        int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        socket().copy(address.sun_path, sizeof address.sun_path - 1);
        bool connected = connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
        close(fd);
        return connected;
    };
    wait_for("Redis", directory_.path() / "log", accepts, [this] { return process_.running(); });
}

int free_port() {
    int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    bind(fd, reinterpret_cast<sockaddr*>(&address), size);
    getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    close(fd);
    return ntohs(address.sin_port);
}

}  // namespace portal::test
