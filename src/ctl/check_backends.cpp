// What portalctl check asks of each backend, one blocking question each, with how long the answer
// took.
#include <curl/curl.h>
#include <hiredis/hiredis.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>

#include "ctl/check.h"
#include "ctl/diagnosis.h"
#include "ctl/migrations.h"
#include "ctl/session.h"
#include "io/redis.h"
#include "portal/link.h"

namespace portal::ctl {
namespace {

using Clock = std::chrono::steady_clock;
using Kind = Finding::Kind;

constexpr long patience = 5;  // seconds any of them may take

std::string since(Clock::time_point start) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f ms",
                  std::chrono::duration<double, std::milli>(Clock::now() - start).count());
    return text;
}

std::string clean(std::string_view text) {
    std::string line;
    for (char c : text) {
        line += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
    }
    return line;
}

using RedisReply = std::unique_ptr<redisReply, decltype(&freeReplyObject)>;

// Throws Refused with Redis's words.
void redis_command(redisContext* redis, std::initializer_list<std::string> words) {
    std::vector<const char*> arguments;
    std::vector<std::size_t> lengths;
    for (const std::string& word : words) {
        arguments.push_back(word.data());
        lengths.push_back(word.size());
    }
    RedisReply reply(static_cast<redisReply*>(redisCommandArgv(redis, int(words.size()),
                                                               arguments.data(), lengths.data())),
                     &freeReplyObject);
    if (!reply) {
        throw Unreachable(redis->errstr);
    }
    if (reply->type == REDIS_REPLY_ERROR) {
        throw Refused(std::string(reply->str, std::size_t(reply->len)));
    }
}

void ask_redis(const io::RedisOptions& options) {
    timeval wait{2, 0};
    std::unique_ptr<redisContext, decltype(&redisFree)> redis(
        options.unix_path.empty()
            ? redisConnectWithTimeout(options.host.c_str(), options.port, wait)
            : redisConnectUnixWithTimeout(options.unix_path.c_str(), wait),
        &redisFree);
    if (!redis || redis->err) {
        throw Unreachable(redis ? redis->errstr : "out of memory");
    }
    redisSetTimeout(redis.get(), wait);
    if (!options.password.empty() && options.username.empty()) {
        redis_command(redis.get(), {"AUTH", options.password});
    } else if (!options.password.empty()) {
        redis_command(redis.get(), {"AUTH", options.username, options.password});
    }
    if (options.database != 0) {
        redis_command(redis.get(), {"SELECT", std::to_string(options.database)});
    }
    redis_command(redis.get(), {"PING"});
}

struct Descriptor {
    int fd;
    ~Descriptor() { ::close(fd); }
};

// The helper's instance id. Throws Unreachable.
std::string greet_helper(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        throw Refused("the path is too long for a socket");
    }
    std::memcpy(address.sun_path, path.c_str(), path.size());
    Descriptor line{::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)};
    timeval wait{2, 0};
    ::setsockopt(line.fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    std::string hello = link::hello();
    if (::connect(line.fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::send(line.fd, hello.data(), hello.size(), MSG_NOSIGNAL) < 0) {
        throw Unreachable(std::strerror(errno));
    }
    char buffer[256];
    for (int frames = 0; frames < 8; ++frames) {
        ssize_t size = ::recv(line.fd, buffer, sizeof buffer, 0);
        if (size <= 0) {
            throw Unreachable(size == 0 ? "it hung up" : "it does not answer");
        }
        std::optional<link::Frame> frame = link::decode({buffer, std::size_t(size)});
        if (frame && frame->type == link::Type::welcome) {
            return frame->id.text();
        }
    }
    throw Unreachable("it does not welcome us");
}

std::size_t note_reply(char* data, std::size_t, std::size_t size, void* into) {
    static_cast<std::string*>(into)->assign(data, size);
    return size;
}

}  // namespace

Finding check_database(const char* what, const std::string& conninfo) {
    if (conninfo.empty()) {
        return {what, Kind::wrong, "no connection string",
                "add postgres = \"host=… dbname=…\" to the configuration"};
    }
    Clock::time_point start = Clock::now();
    try {
        Connection connection = connect(conninfo);
        execute(connection.get(), "SELECT 1");
        std::string detail = std::string("PostgreSQL ") +
                             PQparameterStatus(connection.get(), "server_version") + ", database " +
                             PQdb(connection.get()) + " as " + PQuser(connection.get()) +
                             ", answers in " + since(start);
        return {what, Kind::fine, detail, ""};
    } catch (const Unreachable& error) {
        return {what, Kind::unreachable, error.what(), ""};
    } catch (const Refused& error) {
        return {what, Kind::wrong, error.what(), "look at the server's log"};
    }
}

Finding check_schema(const std::string& conninfo, const std::string& migrations) {
    try {
        int newest = read_migrations(migrations).back().version;
        Connection connection = connect(conninfo);
        int version = schema_version(connection.get());
        std::string detail = "version " + std::to_string(version) + " of " + std::to_string(newest);
        if (version < newest) {
            return {"schema", Kind::wrong, detail, "run: portalctl migrate"};
        }
        if (version > newest) {
            return {"schema", Kind::wrong, detail,
                    "upgrade this installation: the database is newer"};
        }
        return {"schema", Kind::fine, detail, ""};
    } catch (const std::invalid_argument& error) {
        return {"schema", Kind::wrong, error.what(), ""};
    } catch (const Unreachable&) {
        return {"schema", Kind::unreachable, "cannot be looked at without the database", ""};
    } catch (const Refused& error) {
        return {"schema", Kind::wrong, error.what(),
                "give this role the rights, or set owner_postgres"};
    }
}

Finding check_redis(const std::string& url) {
    if (url.empty()) {
        return {"redis", Kind::fine, "not configured: rate limits hold for each node by itself",
                ""};
    }
    std::string where;
    try {
        io::RedisOptions options = io::RedisOptions::parse(url, true);
        where = options.unix_path.empty() ? options.host + ":" + std::to_string(options.port)
                                          : options.unix_path;
        Clock::time_point start = Clock::now();
        ask_redis(options);
        return {"redis", Kind::fine, where + " answers in " + since(start), ""};
    } catch (const std::invalid_argument& error) {
        return {"redis", Kind::wrong, error.what(), "mend redis in the configuration"};
    } catch (const Refused& error) {
        return {"redis", Kind::wrong, where + ": " + error.what(),
                "check user and password in its URL"};
    } catch (const Unreachable& error) {
        return {"redis", Kind::unreachable, where + ": " + error.what(),
                "is redis-server running there?"};
    }
}

Finding check_mail_server(const MailConfig& mail) {
    std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(), &curl_easy_cleanup);
    std::string reply;
    char error[CURL_ERROR_SIZE] = {};
    curl_easy_setopt(curl.get(), CURLOPT_URL, mail.url.c_str());
    curl_easy_setopt(curl.get(), CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(curl.get(), CURLOPT_PROXY, "");
    curl_easy_setopt(curl.get(), CURLOPT_SSLVERSION, long(CURL_SSLVERSION_TLSv1_2));  // as the helper
    curl_easy_setopt(curl.get(), CURLOPT_CONNECT_ONLY,
                     1L);  // greeting, EHLO, TLS and AUTH, no mail
    curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT, patience);
    curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl.get(), CURLOPT_ERRORBUFFER, error);
    curl_easy_setopt(curl.get(), CURLOPT_HEADERFUNCTION, &note_reply);
    curl_easy_setopt(curl.get(), CURLOPT_HEADERDATA, &reply);
    if (!mail.implicit_tls() && mail.starttls != MailConfig::StartTls::off) {
        bool required = mail.starttls == MailConfig::StartTls::required;
        curl_easy_setopt(curl.get(), CURLOPT_USE_SSL,
                         long(required ? CURLUSESSL_ALL : CURLUSESSL_TRY));
    }
    if (!mail.ca_file.empty()) {
        curl_easy_setopt(curl.get(), CURLOPT_CAINFO, mail.ca_file.c_str());
    }
    std::string password;
    if (!mail.username.empty()) {
        try {
            password = read_file(mail.password_file, true);
        } catch (const std::invalid_argument& failure) {
            return {"mail server", Kind::wrong, failure.what(), "mend mail.password_file"};
        }
        password.erase(password.find_last_not_of("\r\n") + 1);
        curl_easy_setopt(curl.get(), CURLOPT_USERNAME, mail.username.c_str());
        curl_easy_setopt(curl.get(), CURLOPT_PASSWORD, password.c_str());
    }
    Clock::time_point start = Clock::now();
    CURLcode code = curl_easy_perform(curl.get());
    if (code == CURLE_OK) {
        return {"mail server", Kind::fine, mail.url + " greets us in " + since(start), ""};
    }
    std::string why = mail.url + ": " + clean(error[0] ? error : curl_easy_strerror(code));
    if (code == CURLE_LOGIN_DENIED) {
        return {"mail server", Kind::wrong, why + " (" + clean(reply) + ")",
                "check mail.username and its password"};
    }
    if (code == CURLE_USE_SSL_FAILED) {
        return {"mail server", Kind::wrong, why,
                "it offers no TLS: use smtps://, or starttls = \"opportunistic\""};
    }
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
        code == CURLE_SSL_CONNECT_ERROR) {
        return {"mail server", Kind::wrong, why,
                "its certificate is not trusted: name the issuer with mail.ca_file"};
    }
    return {"mail server", Kind::unreachable, why, "is it running, and is mail.url right?"};
}

Finding check_helper(const std::string& socket) {
    try {
        Clock::time_point start = Clock::now();
        std::string id = greet_helper(socket);
        return {"helper", Kind::fine,
                socket + " answers in " + since(start) + " (instance " + id + ")", ""};
    } catch (const Refused& error) {
        return {"helper", Kind::wrong, socket + ": " + error.what(),
                "mend socket in the configuration"};
    } catch (const Unreachable& error) {
        return {"helper", Kind::unreachable, socket + ": " + error.what(),
                "start it: systemctl start portal-helper"};
    }
}

}  // namespace portal::ctl
