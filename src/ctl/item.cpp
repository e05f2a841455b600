// portalctl item create|list|show|update|delete
#include <memory>

#include "ctl/output.h"
#include "ctl/verbs.h"
#include "portal/portal_item.h"

namespace portal::ctl {
namespace {

const std::vector<Column> columns = {{"ID", "id"},
                                     {"MODULE", "module"},
                                     {"EXTERNAL ID", "external_id"},
                                     {"TITLE", "title"},
                                     {"STATUS", "status"},
                                     {"AMOUNT", "amount_cents"},
                                     {"", "currency"},
                                     {"DUE", "due_at"},
                                     {"CONTACT", "contact_id"},
                                     {"COMPANY", "company_id"}};

void print(Session& session, const http::Json& item) {
    session.json ? print_json(item) : print_record(item);
}

// What an item is made of; what has to be named when it is made is required then.
void add_members(Verb& verb, Body body, bool all) {
    verb.number("--contact-id", body, "contact_id", "The contact it is for");
    verb.number("--company-id", body, "company_id", "The company it is for");
    Option module = verb.text("--module", body, "module",
                              "invoices, proposals, contracts, tasks, projects, tickets or files");
    Option external =
        verb.text("--external-id", body, "external_id", "Your own id for it").hint("ID");
    Option title = verb.text("--title", body, "title", "What it is called");
    Option status = verb.text("--status", body, "status", "How it stands, in a word of yours");
    for (Option* option : {&module, &external, &title, &status}) {
        if (all) {
            option->required();
        }
    }
    verb.number("--amount-cents", body, "amount_cents", "What it costs, in cents");
    verb.text("--currency", body, "currency", "Three letters, as EUR");
    verb.text("--due-at", body, "due_at", "When it is due, as 2026-12-31T12:00:00Z").hint("TIME");
    verb.text("--url", body, "url", "Where it opens").hint("URL");
    verb.object("--data", body, "data", "Anything else of yours");
}

void add_create(Verb family, Session& session) {
    Body body = make_body();
    Verb verb = family.verb(
        "create", "Make an item, or change the one with this module and external id",
        "portalctl item create -w acme --contact-id 1 --module invoices --external-id 2026-17 "
        "--title \"Invoice 2026-17\" --status open --amount-cents 12000 --currency EUR");
    verb.workspace(session).required();
    verb.number("--id", body, "id", "Keep this number (default: the next)");
    add_members(verb, body, true);
    verb.run([=, &session] {
        PortalItemInput input = PortalItemInput::parse(*body);
        print(session,
              session.run(save_portal_item(session.db(), session.workspace_id(), std::move(input)))
                  .row);
    });
}

void add_list(Verb family, Session& session) {
    auto request = std::make_shared<PageRequest>();
    auto filter = std::make_shared<PortalItemFilter>();
    Verb verb = family.verb("list", "Show a workspace's items",
                            "portalctl item list -w acme --module invoices --sort -due_at");
    verb.workspace(session).required();
    verb.number("--contact-id", "Only this contact's",
                [filter](std::int64_t id) { filter->contact_id = id; });
    verb.number("--company-id", "Only this company's",
                [filter](std::int64_t id) { filter->company_id = id; });
    verb.text("--module", filter->module, "Only of this module")
        .one_of(std::vector<std::string>(std::begin(portal_modules), std::end(portal_modules)));
    verb.text("--status", filter->status, "Only those that stand so");
    verb.text("--external-id", filter->external_id, "Only those with this external id").hint("ID");
    verb.text("--query", filter->query, "Part of title or external id").hint("TEXT");
    verb.list("--sort", request->sorting,
              "id, created_at, due_at, title, status or amount_cents, '-' first for descending; "
              "repeatable",
              true)
        .hint("KEY")
        .one_of({"id", "-id", "created_at", "-created_at", "due_at", "-due_at", "title", "-title",
                 "status", "-status", "amount_cents", "-amount_cents"});
    verb.pages(*request);
    verb.run([=, &session] {
        Page page =
            session.run(list_portal_items(session.db(), session.workspace_id(), *filter, *request));
        session.json ? print_json(page.json()) : print_page(page, columns, "No item.");
    });
}

void add_show(Verb family, Session& session) {
    auto id = std::make_shared<std::int64_t>();
    Verb verb = family.verb("show", "Show one item", "portalctl item show -w acme 1");
    verb.workspace(session).required();
    verb.number("id", *id, "Its number").required();
    verb.run([=, &session] {
        print(session, session.run(find_portal_item(session.db(), session.workspace_id(), *id)));
    });
}

void add_update(Verb family, Session& session) {
    Body body = make_body();
    auto id = std::make_shared<std::int64_t>();
    Verb verb = family.verb("update", "Change an item; what is not named stays, '' removes",
                            "portalctl item update -w acme 1 --status paid --due-at ''");
    verb.workspace(session).required();
    verb.number("id", *id, "Its number").required();
    add_members(verb, body, false);
    verb.run([=, &session] {
        if (body->size() == 0) {
            throw UsageError("item update: nothing to change; --help lists what can be");
        }
        PortalItemInput change = PortalItemInput::parse_change(*body);
        print(session, session.run(change_portal_item(session.db(), session.workspace_id(), *id,
                                                      std::move(change))));
    });
}

void add_delete(Verb family, Session& session) {
    auto id = std::make_shared<std::int64_t>();
    Verb verb = family.verb("delete", "Delete an item", "portalctl item delete -w acme 1");
    verb.workspace(session).required();
    verb.number("id", *id, "Its number").required();
    verb.run([=, &session] {
        http::Json item = session.run(find_portal_item(session.db(), session.workspace_id(), *id));
        session.run(delete_portal_item(session.db(), session.workspace_id(), *id));
        session.json ? print_json(item) : print_line("Deleted item " + std::to_string(*id) + ".");
    });
}

}  // namespace

void add_item_verbs(Verb app, Session& session) {
    Verb family = app.family("item", "Items: what the client portal shows a contact or a company");
    add_create(family, session);
    add_list(family, session);
    add_show(family, session);
    add_update(family, session);
    add_delete(family, session);
}

}  // namespace portal::ctl
