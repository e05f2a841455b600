// portalctl: the operator's command line. Verbs, their options and their examples live in one file per noun.
//
// Exit status: 0 done, 1 refused, 2 wrong usage or configuration, 3 something cannot be reached.
#include <cstdio>
#include <string>

#include "ctl/diagnosis.h"
#include "ctl/verbs.h"
#include "http/failure.h"

namespace portal::ctl {
namespace {

void complain(const std::string& what) { std::fprintf(stderr, "portalctl: %s\n", what.c_str()); }

void complain(const http::Failure& failure) {
    if (failure.problems.empty()) {
        complain(failure.detail);
    }
    for (const http::Problem& problem : failure.problems) {
        std::string place;
        for (const std::string& part : problem.loc) {
            if (part != "body" && part != "query") {
                place += (place.empty() ? "" : ".") + part;
            }
        }
        complain(place.empty() ? problem.msg : place + ": " + problem.msg);
    }
}

void build_tree(CLI::App& app, Session& session) {
    app.require_subcommand(1);
    app.fallthrough();   // --config and --json may also follow the verb
    app.add_option("--config", session.config_path, "Configuration shared with portal-helper")
        ->type_name("FILE")->envname("PORTAL_CONFIG")->capture_default_str();
    app.add_flag("--json", session.json, "Print JSON, as the REST answer would be");
    add_check_verb(app, session);
    add_migrate_verb(app, session);
    add_secret_verbs(app, session);
    add_workspace_verbs(app, session);
    add_token_verbs(app, session);
    add_customer_verbs(app, session);
    add_member_verbs(app, session);
    add_contact_verbs(app, session);
    add_company_verbs(app, session);
    add_invite_verbs(app, session);
    add_mail_verbs(app, session);
    add_demo_data_verb(app, session);
    add_completion_verb(app, session);
    app.footer("Example:\n  portalctl workspace create acme --name \"Acme Ltd\"\n\n"
               "Exit status: 0 done, 1 refused, 2 wrong usage or configuration, 3 something cannot be reached.");
}

int run(int argc, char** argv) {
    Session session;
    CLI::App app("Operate a customer portal: its schema, workspaces, people and mail", "portalctl");
    build_tree(app, session);
    try {
        app.parse(argc, argv);
        return session.exit_code;
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? done : wrong_usage;
    } catch (const http::Failure& failure) {
        complain(failure);
        return failure.status == 503 ? cannot_reach : refused_by_rule;
    } catch (const io::PostgresUnavailable& error) {
        complain(why_postgres_is_unreachable(session.conninfo(), error.what()));
        return cannot_reach;
    } catch (const io::PostgresError& error) {
        complain(explain(error, session.conninfo()));
        return refused_by_rule;
    } catch (const Unreachable& error) {
        complain(error.what());
        return cannot_reach;
    } catch (const Refused& error) {
        complain(error.what());
        return refused_by_rule;
    } catch (const std::invalid_argument& error) {
        complain(error.what());
        return wrong_usage;
    } catch (const std::exception& error) {
        complain(std::string("unexpected: ") + error.what());
        return refused_by_rule;
    }
}

}  // namespace
}  // namespace portal::ctl

int main(int argc, char** argv) { return portal::ctl::run(argc, argv); }
