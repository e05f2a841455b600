// portalctl company create|list|show
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

void add_create(Verb family, Session& session) {
    Body body = make_body();
    Verb verb = family.verb(
        "create", "Make a company, or change the one with this external id",
        "portalctl company create -w acme --name \"Globex\" --email office@globex.example");
    verb.workspace(session).required();
    verb.text("--name", body, "name", "Its name").required();
    verb.text("--email", body, "email", "Where its portal link goes").hint("ADDRESS");
    verb.number("--id", body, "id", "Keep this number (default: the next)");
    verb.text("--customer-id", body, "customer_id", "The customer it is").hint("UUID");
    verb.text("--external-id", body, "external_id", "Your own id for it").hint("ID");
    verb.run([=, &session] {
        CompanyInput input = CompanyInput::parse(*body);
        print(session,
              session.run(save_company(session.db(), session.workspace_id(), std::move(input))));
    });
}

void add_list(Verb family, Session& session) {
    auto request = std::make_shared<PageRequest>();
    auto query = std::make_shared<std::optional<std::string>>();
    Verb verb = family.verb("list", "Show a workspace's companies",
                            "portalctl company list -w acme --query globex");
    verb.workspace(session).required();
    verb.text("--query", *query, "Part of name, address or external id").hint("TEXT");
    verb.pages(*request);
    verb.run([=, &session] {
        Page page =
            session.run(list_companies(session.db(), session.workspace_id(), *query, *request));
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

}  // namespace

void add_company_verbs(Verb app, Session& session) {
    Verb family = app.family("company", "Companies: addressees of the client portal");
    add_create(family, session);
    add_list(family, session);
    add_show(family, session);
}

}  // namespace portal::ctl
