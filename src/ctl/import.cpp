// portalctl import FILE.jsonl|-: records of a system being replaced, one JSON object a line, whole
// or not at all.
#include <algorithm>
#include <memory>

#include "ctl/diagnosis.h"
#include "ctl/import_kind.h"
#include "ctl/line_reader.h"
#include "ctl/output.h"
#include "ctl/progress.h"
#include "ctl/verbs.h"
#include "http/failure.h"
#include "http/validation.h"

namespace portal::ctl {
namespace {

using http::Json;

constexpr std::size_t told_lines = 20;  // more that are wrong are not told
constexpr std::int64_t many_lines = 1000;
constexpr std::size_t copy_chunk = 1 << 16;

// In the order in which they are written.
std::vector<ImportKind> all_kinds() {
    std::vector<ImportKind> kinds;
    for (std::span<const ImportKind> some : {people_kinds(), client_portal_kinds(), file_sharing_kinds()}) {
        kinds.insert(kinds.end(), some.begin(), some.end());
    }
    return kinds;
}

struct ImportOptions {
    std::string path;
    bool announce = false, update = false, dry_run = false;
};

struct BadLine {
    std::int64_t line;
    std::string reason;
};

// The problems of a line, in one.
std::string reason_of(const http::Failure& failure) {
    std::string all;
    for (const std::string& sentence : sentences_of(failure)) {
        all += (all.empty() ? "" : "; ") + sentence;
    }
    return all;
}

// A value as COPY reads it.
void append_escaped(std::string& out, std::string_view text) {
    for (char c : text) {
        switch (c) {
            case '\\':
                out += "\\\\";
                break;
            case '\n':
                out += "\\n";
                break;
            case '\r':
                out += "\\r";
                break;
            case '\t':
                out += "\\t";
                break;
            default:
                out += c;
        }
    }
}

// The one transaction of an import. Destroyed before commit(), it leaves nothing.
class Import {
  public:
    Import(Session& session, const ImportOptions& options)
        : options_(options), kinds_(all_kinds()), connection_(connect(session.conninfo())) {
        const std::string workspace = session.workspace_id();
        execute(connection_.get(),
                "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL "
                "idle_in_transaction_session_timeout = 0; "
                "SET LOCAL client_min_messages = warning; "
                "CREATE TEMP TABLE incoming (line bigint, position bigint GENERATED ALWAYS AS "
                "IDENTITY, kind text, "
                "record jsonb) ON COMMIT DROP");
        execute(connection_.get(), "SELECT set_config('portal.actor', $1, true)", {Session::actor()});
        // a session's line tells how many downloads it had: theirs do not count again
        execute(connection_.get(), "SET LOCAL portal.count_downloads = 'off'");
        if (!options.announce) {
            execute(connection_.get(), "SET LOCAL portal.announce = 'off'");
        }
        execute(connection_.get(),
                "CREATE TEMP TABLE run (workspace_id uuid, member_model boolean, updating boolean) "
                "ON COMMIT DROP");
        execute(connection_.get(),
                "INSERT INTO run SELECT id, "
                "coalesce((feature_settings->>'member_model_enabled')::boolean, false), "
                "$2::boolean FROM portal.workspaces WHERE id = $1::uuid",
                {workspace, options.update ? "t" : "f"});
    }

    // Checks every line and sends what is right. Nothing more is sent after the first that is
    // wrong.
    void read() {
        LineReader reader(options_.path);
        execute(connection_.get(), "COPY incoming (line, kind, record) FROM STDIN");
        std::string line, chunk;
        while (bad_.size() < told_lines && reader.next(line)) {
            if (line.find_first_not_of(" \t\r") == std::string::npos) {
                continue;
            }
            try {
                if (reader.too_long()) {
                    throw http::Failure(422, "", "a line has at most 1 MiB");
                }
                add_line(line, reader.line(), chunk);
            } catch (const http::Failure& failure) {
                bad_.push_back({reader.line(), reason_of(failure)});
            }
            if (chunk.size() >= copy_chunk) {
                send(chunk);
            }
            progress_.show(reader.bytes(), reader.size(), reader.line());
        }
        send(chunk);
        if (PQputCopyEnd(connection_.get(), nullptr) != 1) {
            throw Unreachable(std::string("PostgreSQL went away: ") +
                              PQerrorMessage(connection_.get()));
        }
        Result copied(PQgetResult(connection_.get()), &PQclear);
        const bool whole = PQresultStatus(copied.get()) == PGRES_COMMAND_OK;
        copied.reset(PQgetResult(connection_.get()));
        if (!whole) {
            throw Refused(std::string("the database refused it: ") +
                          PQerrorMessage(connection_.get()));
        }
    }

    // Each kind in its turn, until one has records that are refused.
    void write() {
        execute(connection_.get(), "ANALYZE incoming; ANALYZE run");
        if (lines_ > many_lines) {
            // every join is by a key: the planner, who knows nothing yet of what this transaction
            // writes, is neither to go through a table once for each line nor to merge by the
            // workspace alone
            execute(connection_.get(),
                    "SET LOCAL enable_nestloop = off; SET LOCAL enable_mergejoin = off; "
                    "SET LOCAL work_mem = '64MB'");
        }
        for (const ImportKind& kind : kinds_) {
            if (!bad_.empty()) {
                return;
            }
            progress_.say(std::string("writing ") + kind.plural + " …");
            lay_out(kind);
            execute(connection_.get(), kind.stage);
            judge(kind);
            if (bad_.empty()) {
                write(kind);
            }
        }
        // what else is checked at the end of a transaction
        execute(connection_.get(), "SET CONSTRAINTS ALL IMMEDIATE");
    }

    void commit() { execute(connection_.get(), options_.dry_run ? "ROLLBACK" : "COMMIT"); }

    const std::vector<BadLine>& bad() const { return bad_; }
    void end_progress() { progress_.clear(); }

    Json summary() const {
        Json summary = Json::object({{"dry_run", options_.dry_run}, {"lines", lines_}});
        for (std::size_t at = 0; at < kinds_.size(); ++at) {
            summary.set(kinds_[at].plural, Json::object({{"created", counts_[at].first},
                                                         {"updated", counts_[at].second}}));
        }
        return summary;
    }

    void print_summary() const {
        Json rows = Json::array();
        for (std::size_t at = 0; at < kinds_.size(); ++at) {
            rows.push(Json::object({{"kind", kinds_[at].plural},
                                    {"created", counts_[at].first},
                                    {"updated", counts_[at].second}}));
        }
        print_table(rows, {{"KIND", "kind"}, {"CREATED", "created"}, {"UPDATED", "updated"}}, "");
        print_line(
            std::to_string(lines_) + " lines" +
            (options_.dry_run ? ", all of them right; nothing was written (--dry-run)." : "."));
    }

  private:
    void add_line(const std::string& text, std::int64_t number, std::string& chunk) {
        const Json line = http::parse_body(text, std::nullopt, http::Surface::rest);
        const Json name = line["kind"];
        auto kind = std::ranges::find_if(kinds_, [&](const ImportKind& each) {
            return name.is_string() && name.text() == each.name;
        });
        if (kind == kinds_.end()) {
            std::vector<std::string_view> names;
            for (const ImportKind& each : kinds_) {
                names.emplace_back(each.name);
            }
            throw http::validation_failed({http::enum_problem({"body", "kind"}, names, name)});
        }
        const std::vector<ImportRecord> records = kind->parse(line, number);
        ++lines_;
        for (const ImportRecord& record : records) {
            chunk += std::to_string(number) + "\t" + record.kind + "\t";
            append_escaped(chunk, record.record.dump());
            chunk += '\n';
        }
    }

    void send(std::string& chunk) {
        if (bad_.empty() && !chunk.empty() &&
            PQputCopyData(connection_.get(), chunk.data(), int(chunk.size())) != 1) {
            throw Unreachable(std::string("PostgreSQL went away: ") +
                              PQerrorMessage(connection_.get()));
        }
        chunk.clear();
    }

    // Its own table, so that the planner knows how many there are and what is in them.
    void lay_out(const ImportKind& kind) {
        const std::string table = std::string("read_") + kind.plural;
        const std::string query =
            "CREATE TEMP TABLE " + table +
            " ON COMMIT DROP AS SELECT l.line, l.position, l.record, r.* "
            "FROM incoming l CROSS JOIN LATERAL jsonb_populate_record(NULL::portal." +
            kind.plural + ", l.record) r WHERE l.kind = '" + kind.name + "'; ANALYZE " + table;
        execute(connection_.get(), query.c_str());
    }

    void judge(const ImportKind& kind) {
        const std::string query = std::string("SELECT DISTINCT line, reason FROM (") + kind.judge +
                                  ") AS judged ORDER BY line, reason LIMIT " +
                                  std::to_string(told_lines);
        Result found = execute(connection_.get(), query.c_str());
        for (int row = 0; row < PQntuples(found.get()); ++row) {
            bad_.push_back(
                {std::stoll(PQgetvalue(found.get(), row, 0)), PQgetvalue(found.get(), row, 1)});
        }
    }

    // Numbers for those that bring none, beyond those that others bring: one change of the counter
    // for all of them.
    void number(const ImportKind& kind) {
        const std::string incoming = std::string("incoming_") + kind.plural;
        const std::string noun = std::string("'") + kind.numbered + "'";
        const std::string counted =
            "INSERT INTO portal.id_counters AS counter (workspace_id, noun, last) "
            "SELECT workspace_id, " +
            noun + ", given FROM run, (SELECT max(id) AS given FROM " + incoming +
            " WHERE existing IS NULL AND id <= 4611686018427387904) AS highest WHERE given IS NOT "
            "NULL "
            "ON CONFLICT (workspace_id, noun) DO UPDATE SET last = greatest(counter.last, "
            "EXCLUDED.last)";
        const std::string drawn =
            "WITH wanting AS (SELECT ctid AS place, row_number() OVER (ORDER BY position) AS nth "
            "FROM " +
            incoming +
            " WHERE existing IS NULL AND id IS NULL), "
            "counter AS (INSERT INTO portal.id_counters AS counter (workspace_id, noun, last) "
            "SELECT workspace_id, " +
            noun +
            ", wanted FROM run, (SELECT count(*) AS wanted FROM wanting) AS w "
            "WHERE wanted > 0 "
            "ON CONFLICT (workspace_id, noun) DO UPDATE SET last = counter.last + EXCLUDED.last "
            "RETURNING last) "
            "UPDATE " +
            incoming +
            " i SET id = counter.last - (SELECT count(*) FROM wanting) + wanting.nth "
            "FROM wanting, counter WHERE i.ctid = wanting.place";
        execute(connection_.get(), counted.c_str());
        execute(connection_.get(), drawn.c_str());
    }

    void write(const ImportKind& kind) {
        if (kind.numbered != nullptr) {
            number(kind);
        }
        Result done = execute(connection_.get(), kind.write);
        const std::int64_t made = std::stoll(PQgetvalue(done.get(), 0, 0));
        const std::int64_t changed = std::stoll(PQgetvalue(done.get(), 0, 1));
        const std::string query = std::string("SELECT count(*) FROM incoming_") + kind.plural;
        Result wanted = execute(connection_.get(), query.c_str());
        if (made + changed != std::stoll(PQgetvalue(wanted.get(), 0, 0))) {
            throw Refused(std::string("somebody else wrote ") + kind.plural +
                          " at the same time; nothing was imported: try again");
        }
        counts_.emplace_back(made, changed);
    }

    const ImportOptions& options_;
    std::vector<ImportKind> kinds_;
    Connection connection_;
    Progress progress_;
    std::vector<BadLine> bad_;
    std::int64_t lines_ = 0;
    std::vector<std::pair<std::int64_t, std::int64_t>> counts_;  // made and changed, by kind
};

void run_import(Session& session, const ImportOptions& options) {
    Import import(session, options);
    import.read();
    if (import.bad().empty()) {
        import.write();
    }
    if (import.bad().empty()) {
        import.commit();
        import.end_progress();
        session.json ? print_json(import.summary()) : import.print_summary();
        return;
    }
    import.end_progress();
    for (const BadLine& bad : import.bad()) {
        std::fprintf(stderr, "portalctl: line %lld: %s\n", static_cast<long long>(bad.line),
                     bad.reason.c_str());
    }
    const char* more = import.bad().size() >= told_lines ? "; there may be more" : "";
    std::fprintf(stderr, "portalctl: nothing was imported%s\n", more);
    session.exit_code = refused_by_rule;
}

}  // namespace

Json kept_members(const Json& line, bool uuid, void (*parse)(const Json& line, Json& record)) {
    std::vector<http::Problem> problems;
    Json record = Json::object();
    http::Fields fields(line);
    std::optional<Uuid> id = uuid ? fields.uuid4("id", {.nullable = true}) : std::nullopt;
    std::optional<std::string> created_at = fields.time("created_at", {.nullable = true});
    try {
        fields.done();
    } catch (const http::Failure& failure) {
        problems = failure.problems;
    }
    try {
        parse(line, record);
    } catch (const http::Failure& failure) {
        problems.insert(problems.end(), failure.problems.begin(), failure.problems.end());
    }
    if (!problems.empty()) {
        throw http::validation_failed(std::move(problems));
    }
    if (id) {
        record.set("id", id->text());
    }
    if (created_at) {
        record.set("created_at", *created_at);
    }
    return record;
}

void add_import_verb(Verb app, Session& session) {
    auto options = std::make_shared<ImportOptions>();
    Verb verb =
        app.verb("import", "Import records, one JSON object a line; all of a file or nothing",
                 "portalctl import -w acme --dry-run customers.jsonl");
    verb.workspace(session).required();
    verb.text("file", options->path, "A file of lines {\"kind\": …}, or - for standard input")
        .required()
        .hint("FILE");
    verb.flag("--update", options->update, "Change what is there already, instead of refusing it");
    verb.flag("--announce", options->announce, "Tell webhooks and open portals of it");
    verb.flag("--dry-run", options->dry_run, "Check everything, write nothing");
    verb.run([options, &session] { run_import(session, *options); });
}

}  // namespace portal::ctl
