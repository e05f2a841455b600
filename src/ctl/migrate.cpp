// portalctl migrate
#include <memory>

#include "ctl/diagnosis.h"
#include "ctl/migrations.h"
#include "ctl/output.h"
#include "ctl/verbs.h"

namespace portal::ctl {

void add_migrate_verb(Verb app, Session& session) {
    auto directory = std::make_shared<std::string>();
    Verb verb = app.verb("migrate", "Bring the database's schema up to date; safe to repeat",
                         "portalctl migrate --migrations conf/sql");
    verb.text("--migrations", *directory,
              "Directory of NNN_name.sql files (default: the configuration's)")
        .hint("DIR");
    verb.run([directory, &session] {
        std::vector<Migration> migrations =
            read_migrations(directory->empty() ? session.config().migrations : *directory);
        Connection connection = connect(session.conninfo());
        execute(connection.get(), "SELECT set_config('portal.actor', $1, false)",
                {Session::actor()});
        std::vector<Migration> applied = migrate(connection.get(), migrations);
        int version = migrations.back().version;
        if (session.json) {
            http::Json names = http::Json::array(), answer = http::Json::object();
            for (const Migration& migration : applied) {
                names.push(migration.name);
            }
            print_json(answer.set("version", version).set("applied", names));
            return;
        }
        for (const Migration& migration : applied) {
            print_line("applied " + migration.name);
        }
        print_line(applied.empty()
                       ? "Nothing to do: the schema is at version " + std::to_string(version) + "."
                       : "The schema is now at version " + std::to_string(version) + ".");
    });
}

}  // namespace portal::ctl
