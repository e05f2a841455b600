// portalctl secret new|rotate|promote|retire|status
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>

#include "ctl/output.h"
#include "ctl/verbs.h"
#include "portal/secret_file.h"
#include "portal/secret_usage.h"

namespace portal::ctl {
namespace {

using http::Json;

const std::vector<Column> columns = {{"ID", "id"},
                                     {"STATE", "state"},
                                     {"TOKENS", "workspace_access_tokens"},
                                     {"SESSIONS", "sessions"},
                                     {"LINKS", "client_portal_tokens"},
                                     {"CIPHERTEXTS", "ciphertexts"},
                                     {"IDEMPOTENCY", "idempotency_keys"},
                                     {"WEBHOOKS", "webhook_secrets"},
                                     {"MAY RETIRE", "retirable"}};

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

SecretFile parse_file(const std::string& path, const std::string& text) {
    try {
        return SecretFile(text);
    } catch (const std::invalid_argument& error) {
        throw Refused(path + ": " + error.what());
    }
}

// Under the lock: reads the configured file, has it changed, and writes it when `change` says so.
void change_file(const std::string& path, const std::function<bool(SecretFile&)>& change) {
    try {
        LockedSecretFile locked(path);
        SecretFile file = parse_file(path, locked.read());
        if (change(file)) {
            locked.replace(file.text());
        }
    } catch (const std::invalid_argument& error) {  // of read_file: it names the path
        throw Refused(error.what());
    } catch (const Refused&) {
        throw;
    } catch (const io::PostgresUnavailable&) {
        throw;
    } catch (const io::PostgresError&) {
        throw;
    } catch (const Unreachable&) {
        throw;
    } catch (const std::runtime_error& error) {
        throw Refused(error.what());
    }
}

void print_change(Session& session, const std::string& id, const char* state,
                  const std::string& sentence) {
    if (session.json) {
        print_json(Json::object(
            {{"secret_file", session.config().secret_file}, {"id", id}, {"state", state}}));
    } else {
        print_line(sentence);
    }
}

constexpr const char* reload_hint =
    "Copy the file to every node, then on each: nginx -s reload, and restart portal-helper.";

// "2 sessions, 1 link", for a refusal.
std::string sentence_of(const SecretUsage& usage) {
    std::string text;
    auto add = [&text](std::int64_t count, const char* one) {
        if (count > 0) {
            text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + one +
                    (count == 1 ? "" : "s");
        }
    };
    add(usage.workspace_access_tokens, "access token");
    add(usage.customer_sessions + usage.member_sessions, "session");
    add(usage.client_portal_tokens, "portal token");
    add(usage.ciphertexts, "ciphertext");
    add(usage.idempotency_keys, "idempotency row");
    add(usage.webhook_secrets, "webhook secret");
    return text;
}

void add_new(Verb family, Session& session) {
    auto path = std::make_shared<std::string>();
    Verb verb =
        family.verb("new", "Write a new secret file (mode 0640); never overwrites one",
                    "portalctl secret new /etc/portal/secret && chgrp www-data /etc/portal/secret");
    verb.text("file", *path, "Where to (default: secret_file of the configuration)").hint("FILE");
    verb.run([path, &session] {
        std::string file = path->empty() ? session.config().secret_file : *path;
        write_new_file(file, Secrets::generate_file());
        if (session.json) {
            Json made = Json::object();
            print_json(made.set("secret_file", file));
            return;
        }
        print_line("Wrote " + file +
                   ". Give nginx's workers and portal-helper its group, and keep a copy safe:");
        print_line("without it no stored token can be checked.");
    });
}

void add_rotate(Verb family, Session& session) {
    Verb verb =
        family.verb("rotate", "Add a secret to the file that verifies, but does not sign yet",
                    "portalctl secret rotate");
    verb.run([&session] {
        std::string id;
        change_file(session.config().secret_file, [&](SecretFile& file) {
            id = file.rotate();
            return true;
        });
        print_change(session, id, "verify", "Added " + id + ". " + reload_hint);
        if (!session.json) {
            print_line("When all of them have: portalctl secret promote " + id);
        }
    });
}

// The newest one that has yet to sign.
std::string next_to_sign(const SecretFile& file) {
    std::string id;
    for (const SecretLine& key : file.keys()) {
        id = key.state == "sign" ? "" : key.state == "verify" ? key.id : id;
    }
    if (id.empty()) {
        throw Refused("no secret waits to be promoted; portalctl secret rotate makes one");
    }
    return id;
}

std::string only_old_one(const SecretFile& file) {
    std::string id;
    for (const SecretLine& key : file.keys()) {
        if (key.state == "sign") {
            break;
        }
        if (key.state == "verify" && !id.empty()) {
            throw Refused("there are several old secrets: name one");
        }
        id = key.state == "verify" ? key.id : id;
    }
    if (id.empty()) {
        throw Refused("there is no old secret to retire");
    }
    return id;
}

void add_promote(Verb family, Session& session) {
    auto named = std::make_shared<std::string>();
    Verb verb = family.verb("promote", "Make a secret sign; the one before goes on verifying",
                            "portalctl secret promote k2");
    verb.text("id", *named, "Which (default: the one rotate added last)").hint("ID");
    verb.run([named, &session] {
        std::string id = *named;
        bool changed = false;
        change_file(session.config().secret_file, [&](SecretFile& file) {
            id = id.empty() ? next_to_sign(file) : id;
            try {
                return changed = file.promote(id);
            } catch (const std::invalid_argument& error) {
                throw Refused(id + ": " + error.what());
            }
        });
        print_change(session, id, "sign",
                     changed ? id + " signs now. " + reload_hint : id + " signs already.");
    });
}

void add_retire(Verb family, Session& session) {
    auto named = std::make_shared<std::string>();
    auto force = std::make_shared<bool>(false);
    Verb verb = family.verb(
        "retire",
        "Take an old secret out of the file, once it holds nothing; what tells its tokens "
        "from forged ones stays",
        "portalctl secret retire k1");
    verb.text("id", *named, "Which (default: the old one, if there is one only)").hint("ID");
    verb.flag("--force", *force, "Even if it holds something, which is lost then");
    verb.run([named, force, &session] {
        std::string id = *named;
        change_file(session.config().secret_file, [&](SecretFile& file) {
            id = id.empty() ? only_old_one(file) : id;
            try {
                file.require_retirable(id);
            } catch (const std::invalid_argument& error) {
                throw Refused(id + ": " + error.what());
            }
            if (!*force) {
                SecretUsage held = session.run(count_secret_usage(session.db()))[id];
                if (held.total() > 0) {
                    throw Refused(id + " still holds " + sentence_of(held) +
                                  "; what is used moves to the new secret, what is not has to "
                                  "expire or be revoked (--force gives it up)");
                }
            }
            file.retire(id);
            return true;
        });
        print_change(session, id, "retired", "Retired " + id + ". " + reload_hint);
    });
}

// The keys of the file, then what rows name and the file does not have.
Json status_rows(const SecretFile& file, std::map<std::string, SecretUsage> usage) {
    Json rows = Json::array();
    auto add = [&rows](const std::string& id, const std::string& state, const SecretUsage* held) {
        Json row = Json::object({{"id", id}, {"state", state}});
        row.set("holds", held ? held->json() : Json(nullptr));
        row.set("retirable", state == "verify" && held->total() == 0);
        rows.push(row);
    };
    for (const SecretLine& key : file.keys()) {
        const SecretUsage held = usage[key.id];
        bool counts = key.state != "limiter" && (key.state != "retired" || held.total() > 0);
        add(key.id, key.state, counts ? &held : nullptr);
        usage.erase(key.id);
    }
    for (const auto& [id, held] : usage) {
        add(id, "missing", &held);
    }
    return rows;
}

// The counts beside the id, as a table wants them.
Json flat(const Json& rows) {
    Json table = Json::array();
    for (std::size_t at = 0; at < rows.size(); ++at) {
        const Json row = rows[at], holds = row["holds"];
        Json line = Json::object({{"id", row["id"]}, {"state", row["state"]}});
        if (holds.is_object()) {
            json_object_update(line.get(), holds.get());
            line.set("sessions",
                     holds["customer_sessions"].integer() + holds["member_sessions"].integer());
            line.set("retirable", row["retirable"]);
        }
        table.push(line);
    }
    return table;
}

void add_status(Verb family, Session& session) {
    Verb verb =
        family.verb("status", "Count what is in use under each secret", "portalctl secret status");
    verb.run([&session] {
        const std::string& path = session.config().secret_file;
        SecretFile file = parse_file(path, read_file(path, true));
        Json rows = status_rows(file, session.run(count_secret_usage(session.db())));
        if (session.json) {
            print_json(Json::object({{"secret_file", path}, {"secrets", rows}}));
            return;
        }
        print_table(flat(rows), columns, "");
        for (std::size_t at = 0; at < rows.size(); ++at) {
            std::string_view state = rows[at]["state"].text();
            if (state == "missing" || (state == "retired" && rows[at]["holds"].is_object())) {
                print_line("Rows under a secret that is missing in " + path +
                           ", or retired there, can be used no more until it is back.");
                break;
            }
        }
    });
}

}  // namespace

void add_secret_verbs(Verb app, Session& session) {
    Verb family =
        app.family("secret", "The server secrets, under which tokens are hashed and encrypted");
    add_new(family, session);
    add_rotate(family, session);
    add_promote(family, session);
    add_retire(family, session);
    add_status(family, session);
}

}  // namespace portal::ctl
