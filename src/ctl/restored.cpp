// portalctl restored
#include "portal/restored.h"

#include "ctl/output.h"
#include "ctl/verbs.h"

namespace portal::ctl {

void add_restored_verb(Verb app, Session& session) {
    Verb verb = app.verb(
        "restored", "After restoring a backup: end all sessions and codes, of all workspaces",
        "portalctl restored");
    verb.run([&session] {
        Restored ended = session.run(end_after_restore(session.db()));
        if (session.json) {
            print_json(http::Json::object({{"sessions", ended.sessions}, {"codes", ended.codes}}));
            return;
        }
        print_line("Ended " + std::to_string(ended.sessions) + " sessions and " +
                   std::to_string(ended.codes) + " codes; every node reads everything anew.");
        print_line(
            "Access tokens and portal tokens revoked since the backup are valid again: look at");
        print_line("portalctl token list, and revoke them once more.");
    });
}

}  // namespace portal::ctl
