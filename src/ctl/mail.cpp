// portalctl mail queue|retry
#include <memory>

#include "ctl/output.h"
#include "ctl/verbs.h"
#include "portal/login_code.h"
#include "portal/uuid.h"

// clang-format off
// What a person may know of a mail: to whom by number, never the address, the text or the link.
#define MAIL_COLUMNS(alias)                                                                         \
    alias ".id AS mail_id, " alias ".slug AS mail_workspace, " alias ".kind AS mail_kind, "         \
    alias ".addressee AS mail_addressee, " alias ".state AS mail_state, "                           \
    alias ".attempts AS mail_attempts, portal.time_text(" alias ".created_at) AS mail_created_at, " \
    "portal.time_text(" alias ".next_attempt_at) AS mail_next_attempt_at, "                         \
    "portal.time_text(" alias ".sent_at) AS mail_sent_at, "                                         \
    "portal.time_text(" alias ".failed_at) AS mail_failed_at, " alias ".reply AS mail_reply"

#define MAIL_ROWS                                                                             \
    "SELECT o.*, w.slug, CASE WHEN t.contact_id IS NOT NULL THEN 'contact ' || t.contact_id " \
    "WHEN t.company_id IS NOT NULL THEN 'company ' || t.company_id "                          \
    "WHEN o.member_id IS NOT NULL THEN 'member ' || o.member_id END AS addressee "            \
    "FROM portal.outbox o LEFT JOIN portal.workspaces w ON w.id = o.workspace_id "            \
    "LEFT JOIN portal.client_portal_tokens t ON t.workspace_id = o.workspace_id AND t.id = o.token_id "
// clang-format on

namespace portal::ctl {
namespace {

using http::Json;
using io::Parameters;
using io::Statement;

constexpr Statement queue_statement{
    "ctl_mail_queue",
    PORTAL_PAGE(MAIL_ROWS
                "WHERE ($3::uuid IS NULL OR o.workspace_id = $3) AND o.state = ANY ($4::text[]) "
                "AND NOT o.unsent",
                "created_at DESC, id", MAIL_COLUMNS("r")),
    io::Lane::main, io::Retry::read, 5000};

// Makes what waits due now, but for what a helper has in hand, and wakes the helpers.
// clang-format off
constexpr Statement retry_statement{"ctl_mail_retry", "WITH chosen AS (" MAIL_ROWS R"(
     WHERE ($1::uuid IS NULL OR o.workspace_id = $1)
       AND ($2::uuid[] IS NULL AND o.state = 'queued' OR o.id = ANY ($2))
), moved AS (
    UPDATE portal.outbox o
       SET next_attempt_at = now()
      FROM chosen
     WHERE o.id = chosen.id AND o.state = 'queued'
       AND (o.lease_until IS NULL OR o.lease_until < now())
    RETURNING o.id, o.workspace_id
), audited AS (
    INSERT INTO portal.audit_log (workspace_id, action, target)
    SELECT workspace_id, 'mail.retried', 'mail:' || id FROM moved
), told AS (
    SELECT pg_notify('portal_outbox', '') FROM (SELECT 1 FROM moved LIMIT 1) one
)
SELECT c.id IN (SELECT id FROM moved) AS moved, (SELECT count(*) FROM told) AS told, )"
MAIL_COLUMNS("c") R"(
  FROM chosen c
 ORDER BY c.created_at, c.id)", io::Lane::main, io::Retry::never, 5000};
// clang-format on

const std::vector<Column> columns = {{"ID", "id"},
                                     {"WORKSPACE", "workspace"},
                                     {"KIND", "kind"},
                                     {"TO", "to"},
                                     {"STATE", "state"},
                                     {"TRIES", "attempts"},
                                     {"NEXT TRY", "next_attempt_at"},
                                     {"LAST REPLY", "reply"}};

Json mail_json(const io::Row& row) {
    bool queued = row.text("mail_state") == "queued";
    return Json::object({
        {"id", row.text("mail_id")},
        {"created_at", row.text("mail_created_at")},
        {"workspace", row.optional("mail_workspace")},
        {"kind", row.text("mail_kind")},
        {"to", row.optional("mail_addressee")},
        {"state", row.text("mail_state")},
        {"attempts", row.integer("mail_attempts")},
        {"next_attempt_at", queued ? Json(row.text("mail_next_attempt_at")) : Json(nullptr)},
        {"sent_at", row.optional("mail_sent_at")},
        {"failed_at", row.optional("mail_failed_at")},
        {"reply", row.optional("mail_reply")},
    });
}

std::optional<std::string> workspace_filter(Session& session) {
    if (session.workspace_slug.empty()) {
        return std::nullopt;
    }
    return session.workspace_id();
}

io::Task<Page> list_mail(io::Postgres& db, std::optional<std::string> workspace_id,
                         std::vector<std::string> states, PageRequest request) {
    Parameters parameters(request.per_page(), request.offset(), workspace_id, states);
    io::Rows rows = co_await db.query(queue_statement, std::move(parameters));
    co_return page_of(rows, request, mail_json);
}

void add_queue(Verb family, Session& session) {
    auto request = std::make_shared<PageRequest>();
    auto state = std::make_shared<std::string>("open");
    Verb verb = family.verb("queue", "Show mail that waits or has failed, newest first",
                            "portalctl mail queue -w acme --state failed");
    verb.workspace(session);
    verb.text("--state", *state,
              "queued, failed, sent, open (queued and failed, the default) or all")
        .one_of({"queued", "failed", "sent", "open", "all"});
    verb.pages(*request);
    verb.run([=, &session] {
        std::vector<std::string> states{*state};
        if (*state == "open") {
            states = {"queued", "failed"};
        } else if (*state == "all") {
            states = {"queued", "failed", "sent"};
        }
        Page page =
            session.run(list_mail(session.db(), workspace_filter(session), states, *request));
        session.json ? print_json(page.json()) : print_page(page, columns, "No mail waits.");
    });
}

// Why a mail that was named is not sent again; "" when it is.
std::string why_not(const io::Row& row) {
    if (row.boolean("moved")) {
        return {};
    }
    std::string_view state = row.text("mail_state");
    if (state == "queued") {
        return "is being sent at this moment";
    }
    if (state == "sent") {
        return "was sent";
    }
    if (is_code_mail(row.text("mail_kind"))) {
        return "ended with its code; a new one is asked for where one signs in";
    }
    std::string again = row.null("mail_addressee")
                            ? ""
                            : ": portalctl invite " + row.string("mail_addressee") + " -w " +
                                  row.string("mail_workspace");
    return "was refused for good and its link is revoked; send a new one" + again;
}

void add_retry(Verb family, Session& session) {
    auto ids = std::make_shared<std::vector<std::string>>();
    auto all = std::make_shared<bool>(false);
    Verb verb = family.verb("retry", "Send mail that waits now, not at its next try",
                            "portalctl mail retry --all");
    verb.workspace(session);
    Option named = verb.rest("id", *ids, "Which, as mail queue shows them").hint("ID...");
    verb.flag("--all", *all, "Everything that waits").excludes(named);
    verb.run([=, &session] {
        if (ids->empty() && !*all) {
            throw UsageError("mail retry: name a mail, or --all");
        }
        for (const std::string& id : *ids) {
            if (!Uuid::parse(id)) {
                throw UsageError("mail retry: " + id + " is no id of a mail");
            }
        }
        std::optional<std::vector<std::string>> chosen;
        if (!*all) {
            chosen = *ids;
        }
        Parameters parameters(workspace_filter(session), chosen);
        io::Rows rows = session.run(session.db().query(retry_statement, std::move(parameters)));
        Json retried = Json::array();
        for (int at = 0; at < rows.size(); ++at) {
            std::string reason = why_not(rows[at]);
            if (reason.empty()) {
                retried.push(rows[at].text("mail_id"));
            } else if (!*all) {
                std::fprintf(stderr, "portalctl: %s %s\n", rows[at].string("mail_id").c_str(),
                             reason.c_str());
                session.exit_code = refused_by_rule;
            }
        }
        if (!*all && rows.size() < int(ids->size())) {
            std::fprintf(stderr, "portalctl: %d of these ids are unknown\n",
                         int(ids->size()) - rows.size());
            session.exit_code = refused_by_rule;
        }
        Json answer = Json::object();
        answer.set("retried", retried);
        session.json ? print_json(answer)
                     : print_line(std::to_string(retried.size()) + " mails are due now.");
    });
}

}  // namespace

void add_mail_verbs(Verb app, Session& session) {
    Verb family = app.family("mail", "Mail on its way");
    add_queue(family, session);
    add_retry(family, session);
}

}  // namespace portal::ctl
