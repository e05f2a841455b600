// portalctl audit
#include <memory>

#include "ctl/output.h"
#include "ctl/verbs.h"
#include "http/time.h"

namespace portal::ctl {
namespace {

using http::Json;
using io::Parameters;
using io::Statement;

constexpr std::int64_t most = 100000;

struct Filter {
    std::optional<std::string> since, until, actor, action, target;
    std::int64_t limit = 50;
};

// An actor and a target also by their kind, an action by its noun; what belongs to a target, too.
//
//   $1 workspace  $2 since  $3 until  $4 actor  $5 action  $6 target  $7 rows
constexpr Statement list_statement{"ctl_audit", R"(
SELECT a.id, portal.time_text(a.created_at) AS created_at, a.workspace_id, w.slug, a.actor, a.action, a.target,
       a.subject, to_json(a.columns) AS columns, a.address, a.request_id
  FROM portal.audit_log a
  LEFT JOIN portal.workspaces w ON w.id = a.workspace_id
 WHERE ($1::uuid IS NULL OR a.workspace_id = $1)
   AND ($2::timestamptz IS NULL OR a.created_at >= $2) AND ($3::timestamptz IS NULL OR a.created_at < $3)
   AND ($4::text IS NULL OR a.actor = $4 OR starts_with(a.actor, $4 || ':'))
   AND ($5::text IS NULL OR a.action = $5 OR starts_with(a.action, $5 || '.'))
   AND ($6::text IS NULL OR a.target = $6 OR a.subject = $6 OR starts_with(a.target, $6 || ':'))
 ORDER BY a.id DESC
 LIMIT $7::bigint)",
                                   io::Lane::main, io::Retry::read, 30000};

const std::vector<Column> columns = {{"TIME", "created_at"},   {"WORKSPACE", "workspace"},
                                     {"ACTOR", "actor"},       {"ACTION", "action"},
                                     {"TARGET", "target"},     {"OF", "subject"},
                                     {"COLUMNS", "columns"},   {"FROM", "address"},
                                     {"REQUEST", "request_id"}};

Json row_json(const io::Row& row) {
    return Json::object({
        {"id", row.integer("id")},
        {"created_at", row.text("created_at")},
        {"workspace_id", row.optional("workspace_id")},
        {"workspace", row.optional("slug")},
        {"actor", row.text("actor")},
        {"action", row.text("action")},
        {"target", row.text("target")},
        {"subject", row.optional("subject")},
        {"columns", row.null("columns") ? Json(nullptr) : Json::parse(row.text("columns"))},
        {"address", row.optional("address")},
        {"request_id", row.optional("request_id")},
    });
}

// A day is its beginning in UTC.
std::function<void(const std::string&)> time_into(std::optional<std::string>& into, const char* name) {
    return [&into, name](const std::string& text) {
        http::Time time = http::parse_time(text.size() == 10 ? text + "T00:00:00Z" : text);
        if (!time.trouble.empty()) {
            throw UsageError(std::string("audit: ") + name +
                             " is to be a day or a time with its offset, as 2026-11-25 or 2026-11-25T16:40:04Z");
        }
        into = time.utc;
    };
}

}  // namespace

void add_audit_verb(Verb app, Session& session) {
    auto filter = std::make_shared<Filter>();
    Verb verb = app.verb("audit", "Show who changed what, when, from where and by which request, newest first",
                         "portalctl audit -w acme --action customer_session --since 2026-11-01");
    verb.workspace(session);
    verb.text("--since", "From this day or time on", time_into(filter->since, "--since")).hint("TIME");
    verb.text("--until", "Before this day or time", time_into(filter->until, "--until")).hint("TIME");
    verb.text("--actor", filter->actor, "By one, or by a kind: customer, access_token, portalctl, sql ...")
        .hint("ACTOR");
    verb.text("--action", filter->action, "One action, or all of a noun: member.deleted, member").hint("ACTION");
    verb.text("--target", filter->target, "To one row and what belongs to it, or to a kind: contact:12, contact")
        .hint("TARGET");
    verb.number("--limit", filter->limit, "How many at most (default 50)").hint("N");
    verb.run([=, &session] {
        if (filter->limit < 1 || filter->limit > most) {
            throw UsageError("audit: --limit is to be from 1 to " + std::to_string(most));
        }
        std::optional<std::string> workspace;
        if (!session.workspace_slug.empty()) {
            workspace = session.workspace_id();
        }
        Parameters parameters(workspace, filter->since, filter->until, filter->actor, filter->action,
                              filter->target, filter->limit);
        io::Rows rows = session.run(session.db().query(list_statement, std::move(parameters)));
        Json found = Json::array();
        for (int at = 0; at < rows.size(); ++at) {
            found.push(row_json(rows[at]));
        }
        session.json ? print_json(Json::object({{"data", found}}))
                     : print_table(found, columns, "Nothing was recorded.");
    });
}

}  // namespace portal::ctl
