// portalctl events tail
#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>

#include "ctl/output.h"
#include "ctl/verbs.h"
#include "io/sleep.h"
#include "portal/event_data.h"

namespace portal::ctl {
namespace {

using http::Json;

constexpr std::int64_t interval = 200;  // ms between two looks
constexpr int most = 500;               // events of one look

// Number of the last event shown, per workspace.
using Positions = std::map<std::string, std::int64_t>;

//   $1 a workspace's id, or NULL for all
constexpr io::Statement newest_statement{"ctl_events_newest", R"(
SELECT w.id, coalesce(c.numbered, 0) AS number
  FROM portal.workspaces w
  LEFT JOIN portal.event_counters c ON c.workspace_id = w.id
 WHERE $1::uuid IS NULL OR w.id = $1::uuid)"};

//   $1 likewise  $2, $3 positions; a workspace without one is new and begins with its first  $4 rows
constexpr io::Statement after_statement{"ctl_events_after", R"(
SELECT w.id AS workspace_id, w.slug, e.number, e.type, portal.time_text(e.timestamp) AS timestamp,
       array_to_string(ARRAY(SELECT portal.audiences_of(e.audience)), ' ') AS audiences, e.data
  FROM portal.event_counters c
  JOIN portal.workspaces w ON w.id = c.workspace_id
  LEFT JOIN unnest($2::uuid[], $3::bigint[]) AS seen (workspace_id, number) ON seen.workspace_id = c.workspace_id
  JOIN portal.events e ON e.workspace_id = c.workspace_id AND e.number > coalesce(seen.number, 0)
 WHERE ($1::uuid IS NULL OR c.workspace_id = $1::uuid) AND c.numbered > coalesce(seen.number, 0)
 ORDER BY e.workspace_id, e.number
 LIMIT $4::integer)", io::Lane::main, io::Retry::read, 5000};

struct Tail {
    std::optional<std::string> workspace;  // its id
    std::vector<std::string> types;        // empty: all
    std::optional<std::int64_t> since;
    bool json = false;
};

void print(const io::Row& row, bool json) {
    Json audiences = Json::array();
    std::string_view words = row.text("audiences");
    while (!words.empty()) {
        const std::string_view one = words.substr(0, words.find(' '));
        words.remove_prefix(std::min(one.size() + 1, words.size()));
        audiences.push(one);
    }
    const Json data = event_data(row.text("type"), Json::parse(row.text("data")));
    if (json) {
        const Json line = Json::object({{"workspace", row.text("slug")},
                                        {"id", row.integer("number")},
                                        {"type", row.text("type")},
                                        {"timestamp", row.text("timestamp")},
                                        {"audiences", audiences},
                                        {"data", data}});
        print_line(line.dump());
    } else {
        print_line(row.string("timestamp") + " " + row.string("slug") + " " + row.string("number") + " " +
                   row.string("type") + " " + cell(audiences) + " " + cell(data.dump()));
    }
}

// Ends when it is interrupted.
io::Task<void> follow(Session& session, Tail tail) {
    io::Postgres& db = session.db();
    Positions seen;
    io::Parameters of_workspace(tail.workspace);
    const io::Rows newest = co_await db.query(newest_statement, std::move(of_workspace));
    for (int i = 0; i < newest.size(); ++i) {
        seen[newest[i].string("id")] = tail.since.value_or(newest[i].integer("number"));
    }
    while (true) {
        std::vector<std::string> workspaces, numbers;
        for (const auto& [workspace, number] : seen) {
            workspaces.push_back(workspace);
            numbers.push_back(std::to_string(number));
        }
        io::Parameters parameters(tail.workspace, workspaces, numbers, most);
        const io::Rows rows = co_await db.query(after_statement, std::move(parameters));
        for (int i = 0; i < rows.size(); ++i) {
            const io::Row row = rows[i];
            seen[row.string("workspace_id")] = row.integer("number");
            if (tail.types.empty() ||
                std::find(tail.types.begin(), tail.types.end(), row.text("type")) != tail.types.end()) {
                print(row, tail.json);
            }
        }
        std::fflush(stdout);
        if (rows.size() < most) {
            co_await io::sleep(session.loop(), interval);
        }
    }
}

}  // namespace

void add_events_verbs(Verb app, Session& session) {
    Verb family = app.family("events", "What is told to open portals and webhooks");
    auto tail = std::make_shared<Tail>();
    Verb verb = family.verb("tail", "Follow events as they get their numbers, one a line, until interrupted",
                            "portalctl events tail -w acme --type customer.created --since 0");
    verb.workspace(session);
    verb.list("--type", tail->types, "Only these; repeat it or separate with commas", true).hint("TYPE");
    verb.number("--since", "Begin after this id instead of now; with --workspace",
                [tail](std::int64_t id) { tail->since = id; })
        .hint("ID");
    verb.run([=, &session] {
        if (!session.workspace_slug.empty()) {
            tail->workspace = session.workspace_id();
        } else if (tail->since) {
            throw UsageError("--since counts within one workspace: name it with --workspace");
        }
        if (tail->since && *tail->since < 0) {
            throw UsageError("--since is to be an event's id, or 0");
        }
        tail->json = session.json;
        session.run(follow(session, *tail));
    });
}

}  // namespace portal::ctl
