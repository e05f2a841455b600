// portalctl: the operator's command line. Verbs, their options and their examples live in one file
// per noun.
//
// Exit status: 0 done, 1 refused, 2 wrong usage or configuration, 3 something cannot be reached.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "ctl/diagnosis.h"
#include "ctl/output.h"
#include "ctl/verbs.h"
#include "http/failure.h"

namespace portal::ctl {
namespace {

void complain(const std::string& what) { std::fprintf(stderr, "portalctl: %s\n", what.c_str()); }

void complain(const http::Failure& failure) {
    for (const std::string& sentence : sentences_of(failure)) {
        complain(sentence);
    }
}

// One case per verb: "portalctl token create" offers its options and verbs.
void add_cases(const CLI::App& app, const std::string& path, std::string& cases) {
    std::string words;
    for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) {
        words += verb->get_name() + " ";
        add_cases(*verb, path + " " + verb->get_name(), cases);
    }
    for (const CLI::Option* option : app.get_options()) {
        for (const std::string& name : option->get_lnames()) {
            words += "--" + name + " ";
        }
    }
    cases += "        '" + path + "') echo '" + words + "--config --json' ;;\n";
}

// A bash completion script made from the tree itself.
void add_completion_verb(CLI::App& app) {
    Verb verb = Verb(app).verb("completion", "Print a completion script for bash",
                               "portalctl completion > /etc/bash_completion.d/portalctl");
    verb.run([&app] {
        std::string cases;
        add_cases(app, app.get_name(), cases);
        print_line(
            "_portalctl_words() {\n"
            "    case $1 in\n" +
            cases +
            "    esac\n"
            "}\n"
            "_portalctl() {\n"
            "    # the longest path of verbs that is one: what follows it are its arguments\n"
            "    local path=portalctl words word longer\n"
            "    words=$(_portalctl_words portalctl)\n"
            "    for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
            "        longer=$(_portalctl_words \"$path $word\")\n"
            "        [[ $longer ]] || continue\n"
            "        path+=\" $word\" words=$longer\n"
            "    done\n"
            "    COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
            "}\n"
            "complete -o default -F _portalctl portalctl");
    });
}

void build_tree(CLI::App& app, Session& session) {
    app.require_subcommand(1);
    app.fallthrough();  // --config and --json may also follow the verb
    app.add_option("--config", session.config_path, "Configuration shared with portal-helper")
        ->type_name("FILE")
        ->envname("PORTAL_CONFIG")
        ->capture_default_str()
        ->take_last();
    app.add_flag("--json", session.json, "Print JSON, as the REST answer would be");
    Verb verbs(app);
    add_check_verb(verbs, session);
    add_migrate_verb(verbs, session);
    add_secret_verbs(verbs, session);
    add_workspace_verbs(verbs, session);
    add_token_verbs(verbs, session);
    add_session_verbs(verbs, session);
    add_customer_verbs(verbs, session);
    add_member_verbs(verbs, session);
    add_contact_verbs(verbs, session);
    add_company_verbs(verbs, session);
    add_item_verbs(verbs, session);
    add_file_session_verbs(verbs, session);
    add_webhook_verbs(verbs, session);
    add_invite_verbs(verbs, session);
    add_mail_verbs(verbs, session);
    add_restored_verb(verbs, session);
    add_import_verb(verbs, session);
    add_events_verbs(verbs, session);
    add_audit_verb(verbs, session);
    add_demo_data_verb(verbs, session);
    add_completion_verb(app);
    app.footer(
        "Example:\n  portalctl workspace create acme --name \"Acme Ltd\"\n\n"
        "Exit status: 0 done, 1 refused, 2 wrong usage or configuration, 3 something cannot be "
        "reached.");
}

// Last word first, as CLI11 takes them. "--name=" is "--name ''": CLI11 would take the next word
// for the value.
std::vector<std::string> arguments(int argc, char** argv) {
    std::vector<std::string> words;
    for (int at = 1; at < argc; ++at) {
        std::string word = argv[at];
        bool empty_value =
            word.size() > 3 && word.starts_with("--") && word.find('=') == word.size() - 1;
        words.push_back(empty_value ? word.substr(0, word.size() - 1) : word);
        if (empty_value) {
            words.emplace_back();
        }
    }
    std::reverse(words.begin(), words.end());
    return words;
}

// A verb that does not exist is told as such, not as one that is missing.
int explain_usage(const CLI::App& app, const CLI::ParseError& error) {
    std::vector<std::string> left;
    const CLI::App* family = &app;
    while (family && left.empty()) {
        left = family->remaining();
        auto below = family->get_subcommands();
        family = below.empty() ? nullptr : below.front();
    }
    if (dynamic_cast<const CLI::RequiredError*>(&error) && !left.empty() &&
        !left.front().starts_with("-")) {
        complain("there is no verb " + left.front() + "; --help lists those there are");
        return wrong_usage;
    }
    return app.exit(error) == 0 ? done : wrong_usage;
}

int run(int argc, char** argv) {
    Session session;
    CLI::App app("Operate a customer portal: its schema, workspaces, people and mail", "portalctl");
    build_tree(app, session);
    try {
        app.parse(arguments(argc, argv));
        return session.exit_code;
    } catch (const CLI::ParseError& error) {
        return explain_usage(app, error);
    } catch (const UsageError& error) {
        complain(error.what());
        return wrong_usage;
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

// What was printed has to have arrived: it may be a secret that is shown only once.
int finish(int code) {
    if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) {
        return code;
    }
    complain("the output could not be written, at least not whole");
    return code == done ? refused_by_rule : code;
}

}  // namespace
}  // namespace portal::ctl

int main(int argc, char** argv) { return portal::ctl::finish(portal::ctl::run(argc, argv)); }
