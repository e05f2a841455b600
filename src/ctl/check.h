// One look at a part of the installation: what it found, what is wrong, and how to mend it.
#pragma once

#include <string>
#include <vector>

#include "portal/config_file.h"

namespace portal::ctl {

struct Finding {
    enum class Kind { fine, wrong, unreachable };
    const char* what;  // "redis"
    Kind kind = Kind::fine;
    std::string detail;  // "127.0.0.1:6379 answers in 0.2 ms"
    std::string mend;    // "" when it is fine
};

Finding check_database(const char* what, const std::string& conninfo);
Finding check_schema(const std::string& conninfo, const std::string& migrations);
Finding check_redis(const std::string& url);
// Of settings that MailConfig::check() has passed.
Finding check_mail_server(const MailConfig& mail);
Finding check_helper(const std::string& socket);
// The database's clock beside this host's.
Finding check_clock(const std::string& conninfo);
// Whether the address links begin with leads here.
Finding check_base_url(const std::string& url);
// `file` is nginx's main configuration file.
std::vector<Finding> check_nginx(const ConfigFile& config, const std::string& file, const std::string& conninfo);

}  // namespace portal::ctl
