// portalctl completion: a bash completion script made from the tree of verbs itself.
#include "ctl/output.h"
#include "ctl/verbs.h"

namespace portal::ctl {
namespace {

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
    cases += "        '" + path + "') echo '" + words + "--config --json --help' ;;\n";
}

}  // namespace

void add_completion_verb(CLI::App& app, Session&) {
    CLI::App* verb = add_verb(app, "completion", "Print a completion script for bash",
                              "portalctl completion > /etc/bash_completion.d/portalctl");
    verb->callback([&app] {
        std::string cases;
        add_cases(app, app.get_name(), cases);
        print_line("_portalctl_words() {\n"
                   "    case $1 in\n" + cases +
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

}  // namespace portal::ctl
