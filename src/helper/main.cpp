// portal-helper: sends the portal's mail and webhooks, and tells this host's nginx workers what changed in the database.
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>

#include "helper/root_task.h"
#include "helper/service.h"

namespace {

void write_log(portal::io::LogLevel level, const char* line) {
    switch (level) {
        case portal::io::LogLevel::error: spdlog::error("{}", line); break;
        case portal::io::LogLevel::warning: spdlog::warn("{}", line); break;
        case portal::io::LogLevel::notice:
        case portal::io::LogLevel::info: spdlog::info("{}", line); break;
        case portal::io::LogLevel::debug: spdlog::debug("{}", line); break;
    }
}

void start_log(bool verbose) {
    auto logger = std::make_shared<spdlog::logger>("portal-helper",
                                                   std::make_shared<spdlog::sinks::stderr_sink_st>());
    // journald has its own clock
    logger->set_pattern(std::getenv("JOURNAL_STREAM") ? "%l %v" : "%Y-%m-%dT%H:%M:%S.%eZ %l %v",
                        spdlog::pattern_time_type::utc);
    logger->set_level(verbose ? spdlog::level::debug : spdlog::level::info);
    logger->flush_on(spdlog::level::trace);
    spdlog::set_default_logger(logger);
}

}  // namespace

int main(int argc, char** argv) {
    std::string path = portal::ConfigFile::default_path();
    bool check = false;
    bool verbose = false;
    CLI::App app{"portal-helper: mail, webhooks and change notifications of the customer portal", "portal-helper"};
    app.add_option("--config", path, "The configuration file; also $PORTAL_CONFIG")->capture_default_str();
    app.add_flag("--check", check, "Check the configuration, connect nowhere, and exit");
    app.add_flag("--verbose", verbose, "Log every step");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    start_log(verbose);
    ::signal(SIGPIPE, SIG_IGN);   // libcurl and OpenSSL write to sockets that may be gone
    try {
        portal::ConfigFile config = portal::ConfigFile::load(path);
        auto service = std::make_unique<portal::helper::Service>(config, write_log);
        if (check) {
            std::printf("%s: the configuration is fine\n", path.c_str());
            return 0;
        }
        if (!service->run()) {
            spdlog::warn("helper: a delivery would not end, leaving anyway");
            std::_Exit(portal::helper::RootTask::failed() ? 1 : 0);   // its thread still uses what would be freed
        }
        service.reset();
        spdlog::info("helper: stopped");
        return portal::helper::RootTask::failed() ? 1 : 0;
    } catch (const std::exception& error) {
        spdlog::error("helper: {}", error.what());
        return 1;
    }
}
