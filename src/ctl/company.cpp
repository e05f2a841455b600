// portalctl company create|list|show|update|delete
#include "portal/company.h"

#include <memory>

#include "ctl/output.h"
#include "ctl/verbs.h"

namespace portal::ctl {
namespace {

const std::vector<Column> columns = {{"ID", "id"},
                                     {"NAME", "name"},
                                     {"EMAIL", "email"},
                                     {"CUSTOMER", "customer_id"},
                                     {"EXTERNAL ID", "external_id"}};

void print(Session& session, const http::Json& company) {
    session.json ? print_json(company) : print_record(company);
}

// What a company may be given, when made and later.
void add_members(Verb& verb, Body body) {
    verb.text("--email", body, "email", "Where its portal link goes").hint("ADDRESS");
    verb.text("--customer-id", body, "customer_id", "The customer it is").hint("UUID");
    verb.text("--external-id", body, "external_id", "Your own id for it").hint("ID");
}

void add_create(Verb family, Session& session) {
    Body body = make_body();
    Verb verb = family.verb(
        "create", "Make a company, or change the one with this external id",
        "portalctl company create -w acme --name \"Globex\" --email office@globex.example");
    verb.workspace(session).required();
    verb.text("--name", body, "name", "Its name").required();
    verb.number("--id", body, "id", "Keep this number (default: the next)");
    add_members(verb, body);
    verb.run([=, &session] {
        CompanyInput input = CompanyInput::parse(*body);
        print(
            session,
            session.run(save_company(session.db(), session.workspace_id(), std::move(input))).row);
    });
}

void add_list(Verb family, Session& session) {
    auto request = std::make_shared<PageRequest>();
    auto filter = std::make_shared<CompanyFilter>();
    Verb verb = family.verb("list", "Show a workspace's companies",
                            "portalctl company list -w acme --query globex");
    verb.workspace(session).required();
    verb.text("--query", filter->query, "Part of name, address or external id").hint("TEXT");
    verb.text("--email", filter->email, "Only those with this address").hint("ADDRESS");
    verb.text("--external-id", filter->external_id, "Only the one with this external id")
        .hint("ID");
    verb.list("--sort", request->sorting,
              "id, name, email or created_at, '-' first for descending; repeatable", true)
        .hint("KEY")
        .one_of({"id", "-id", "name", "-name", "email", "-email", "created_at", "-created_at"});
    verb.pages(*request);
    verb.run([=, &session] {
        Page page =
            session.run(list_companies(session.db(), session.workspace_id(), *filter, *request));
        session.json ? print_json(page.json()) : print_page(page, columns, "No company.");
    });
}

void add_show(Verb family, Session& session) {
    auto id = std::make_shared<std::int64_t>();
    Verb verb = family.verb("show", "Show one company", "portalctl company show -w acme 1");
    verb.workspace(session).required();
    verb.number("id", *id, "Its number").required();
    verb.run([=, &session] {
        print(session, session.run(find_company(session.db(), session.workspace_id(), *id)));
    });
}

void add_update(Verb family, Session& session) {
    Body body = make_body();
    auto id = std::make_shared<std::int64_t>();
    Verb verb = family.verb("update", "Change a company; what is not named stays, '' removes",
                            "portalctl company update -w acme 1 --email new@globex.example");
    verb.workspace(session).required();
    verb.number("id", *id, "Its number").required();
    verb.text("--name", body, "name", "Its name");
    add_members(verb, body);
    verb.run([=, &session] {
        if (body->size() == 0) {
            throw UsageError("company update: nothing to change; --help lists what can be");
        }
        CompanyInput change = CompanyInput::parse_change(*body);
        print(session, session.run(change_company(session.db(), session.workspace_id(), *id,
                                                  std::move(change))));
    });
}

void add_delete(Verb family, Session& session) {
    auto id = std::make_shared<std::int64_t>();
    Verb verb = family.verb("delete", "Delete a company; its links end within a second",
                            "portalctl company delete -w acme 1");
    verb.workspace(session).required();
    verb.number("id", *id, "Its number").required();
    verb.run([=, &session] {
        http::Json company = session.run(find_company(session.db(), session.workspace_id(), *id));
        session.run(delete_company(session.db(), session.workspace_id(), *id));
        session.json ? print_json(company)
                     : print_line("Deleted company " + std::to_string(*id) + ".");
    });
}

}  // namespace

void add_company_verbs(Verb app, Session& session) {
    Verb family = app.family("company", "Companies: addressees of the client portal");
    add_create(family, session);
    add_list(family, session);
    add_show(family, session);
    add_update(family, session);
    add_delete(family, session);
}

}  // namespace portal::ctl
