// Real servers for tests: a private PostgreSQL cluster and a private Redis, each in a directory of its own that goes
// with it. They die with the test process, also when that crashes.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

namespace portal::test {

class TemporaryDirectory {
  public:
    TemporaryDirectory();
    ~TemporaryDirectory();
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

// A program and the processes it forked.
class ServerProcess {
  public:
    struct User {
        uid_t uid;
        gid_t gid;
    };

    ServerProcess() = default;
    ~ServerProcess() { kill(); }
    ServerProcess(const ServerProcess&) = delete;

    // Output goes to `log`. `last_signal` is sent to it should this process die first.
    void start(const std::vector<std::string>& command, const std::filesystem::path& log, User user, int last_signal);
    bool running();
    void stop(int signal);          // and waits for its end
    void kill();                    // -9, children too
    void pause() { signal_all(SIGSTOP); }
    void resume() { signal_all(SIGCONT); }

  private:
    void signal_all(int signal);
    std::vector<pid_t> children() const;

    pid_t pid_ = 0;
};

class PostgresServer {
  public:
    // Copies a cluster that is made once per build directory; started, trusting everybody. Its only database is
    // "postgres" (so CREATE DATABASE needs TEMPLATE postgres).
    explicit PostgresServer(std::vector<std::string> settings = {});

    void start();                   // returns when it answers
    void launch();                  // returns at once
    void stop() { process_.stop(SIGINT); }
    void kill() { process_.kill(); }
    void pause() { process_.pause(); }
    void resume() { process_.resume(); }
    std::string conninfo() const;   // of its superuser
    std::string host() const;       // its socket's directory
    // One statement (or several) as the superuser, over a connection of its own.
    void execute(const std::string& sql);
    std::string value(const std::string& sql);   // the first field of the first row

  private:
    TemporaryDirectory directory_;
    std::vector<std::string> settings_;
    ServerProcess process_;         // goes first
};

class RedisServer {
  public:
    explicit RedisServer(std::vector<std::string> settings = {});

    void start();                   // returns when it accepts
    void stop() { process_.stop(SIGTERM); }
    void kill() { process_.kill(); }
    void pause() { process_.pause(); }
    void resume() { process_.resume(); }
    std::string socket() const { return (directory_.path() / "redis.sock").string(); }
    std::string url() const { return "unix:" + socket(); }
    int port() const { return port_; }   // on 127.0.0.1

  private:
    TemporaryDirectory directory_;
    std::vector<std::string> settings_;
    int port_;
    ServerProcess process_;
};

// A TCP port of 127.0.0.1 that nobody listens on.
int free_port();

}  // namespace portal::test
