// portalctl check
#include "ctl/check.h"

#include <sys/stat.h>

#include <memory>

#include "ctl/output.h"
#include "ctl/verbs.h"
#include "portal/workspace.h"

namespace portal::ctl {
namespace {

using http::Json;

Finding check_secret(const ConfigFile& config) {
    Finding finding{"secret", Finding::Kind::fine, config.secret_file + " has a usable key", ""};
    try {
        Secrets secrets = config.load_secrets();
        struct stat about{};
        if (::stat(config.secret_file.c_str(), &about) == 0 && (about.st_mode & 0037) != 0) {
            throw std::invalid_argument(config.secret_file +
                                        " is open to more than its owner and group's readers");
        }
    } catch (const std::invalid_argument& error) {
        finding.kind = Finding::Kind::wrong;
        finding.detail = error.what();
        finding.mend =
            "chmod 0640 it, or where there is none: portalctl secret new " + config.secret_file;
    }
    return finding;
}

Finding check_mail_settings(const MailConfig& mail) {
    Finding finding{"mail settings", Finding::Kind::fine, "mail is from " + mail.from, ""};
    try {
        mail.check();
    } catch (const std::invalid_argument& error) {
        finding.kind = Finding::Kind::wrong;
        finding.detail = error.what();
        finding.mend = "mend the [mail] part of the configuration";
    }
    return finding;
}

std::vector<Finding> look_at_everything(const ConfigFile& config, const std::string& conninfo,
                                        const std::string& nginx_file) {
    std::vector<Finding> findings;
    findings.push_back(check_base_url(config.base_url));
    findings.push_back(check_secret(config));
    findings.push_back(check_database("database", config.postgres));
    if (!config.owner_postgres.empty()) {
        findings.push_back(check_database("database, as owner", config.owner_postgres));
    }
    findings.push_back(check_schema(conninfo, config.migrations));
    findings.push_back(check_redis(config.redis));
    findings.push_back(check_mail_settings(config.mail));
    if (findings.back().kind == Finding::Kind::fine) {  // else the password might go out in clear
        findings.push_back(check_mail_server(config.mail));
    }
    findings.push_back(check_helper(config.socket));
    findings.push_back(check_clock(conninfo));
    for (Finding& finding : check_nginx(config, nginx_file, conninfo)) {
        findings.push_back(std::move(finding));
    }
    return findings;
}

Json finding_json(const Finding& finding) {
    return Json::object({
        {"check", finding.what},
        {"ok", finding.kind == Finding::Kind::fine},
        {"detail", finding.detail},
        {"mend", finding.mend.empty() ? Json(nullptr) : Json(finding.mend)},
    });
}

void report(Session& session, const std::vector<Finding>& findings) {
    Json list = Json::array();
    for (const Finding& finding : findings) {
        list.push(finding_json(finding));
        bool fine = finding.kind == Finding::Kind::fine;
        if (!session.json) {
            std::printf("%-5s %-19s %s%s%s\n", fine ? "ok" : "FAIL", finding.what,
                        finding.detail.c_str(), finding.mend.empty() ? "" : " — ",
                        finding.mend.c_str());
        }
        if (finding.kind == Finding::Kind::unreachable) {
            session.exit_code = cannot_reach;
        } else if (!fine && session.exit_code == done) {
            session.exit_code = refused_by_rule;
        }
    }
    if (session.json) {
        Json answer = Json::object();
        print_json(answer.set("ok", session.exit_code == done).set("checks", list));
    }
}

}  // namespace

void add_check_verb(Verb app, Session& session) {
    Verb verb = app.verb("check", "Look at every part: what is wrong, and how to mend it",
                         "portalctl check --config /etc/portal/portal.toml");
    auto nginx_file = std::make_shared<std::string>("/etc/nginx/nginx.conf");
    verb.text("--nginx", *nginx_file, "nginx's configuration; by default /etc/nginx/nginx.conf, if it is there");
    verb.run([&session, nginx_file] {
        std::vector<Finding> findings;
        try {
            session.conninfo();
            findings = look_at_everything(session.config(), session.conninfo(), *nginx_file);
            findings.insert(findings.begin(),
                            {"configuration", Finding::Kind::fine, session.config_path, ""});
        } catch (const std::invalid_argument& error) {
            // nothing else can be looked at without it
            findings.push_back({"configuration", Finding::Kind::wrong, error.what(),
                                "mend it, or name another with --config or PORTAL_CONFIG"});
        }
        report(session, findings);
    });
}

}  // namespace portal::ctl
