// portalctl company create|list|show
#include "portal/company.h"

#include <memory>

#include "ctl/output.h"
#include "ctl/verbs.h"

namespace portal::ctl {
namespace {

const std::vector<Column> columns = {{"ID", "id"}, {"NAME", "name"}, {"EMAIL", "email"},
    {"CUSTOMER", "customer_id"}, {"EXTERNAL ID", "external_id"}};

void print(Session& session, const http::Json& company) {
    session.json ? print_json(company) : print_record(company);
}

void add_create(CLI::App& family, Session& session) {
    Body body = make_body();
    CLI::App* verb = add_verb(family, "create", "Make a company, or change the one with this external id",
                              "portalctl company create -w acme --name \"Globex\" --email office@globex.example");
    add_workspace_option(*verb, session)->required();
    add_text(*verb, body, "--name", "name", "Its name")->required();
    add_text(*verb, body, "--email", "email", "Where its portal link goes")->type_name("ADDRESS");
    add_number(*verb, body, "--id", "id", "Keep this number (default: the next)");
    add_text(*verb, body, "--customer-id", "customer_id", "The customer it is")->type_name("UUID");
    add_text(*verb, body, "--external-id", "external_id", "Your own id for it")->type_name("ID");
    verb->callback([=, &session] {
        CompanyInput input = CompanyInput::parse(*body);
        print(session, session.run(save_company(session.db(), session.workspace_id(), std::move(input))));
    });
}

void add_list(CLI::App& family, Session& session) {
    auto request = std::make_shared<PageRequest>();
    auto query = std::make_shared<std::optional<std::string>>();
    CLI::App* verb = add_verb(family, "list", "Show a workspace's companies",
                              "portalctl company list -w acme --query globex");
    add_workspace_option(*verb, session)->required();
    verb->add_option("--query", *query, "Part of name, address or external id")->type_name("TEXT");
    add_page_options(*verb, *request);
    verb->callback([=, &session] {
        Page page = session.run(list_companies(session.db(), session.workspace_id(), *query, *request));
        session.json ? print_json(page.json()) : print_page(page, columns, "No company.");
    });
}

void add_show(CLI::App& family, Session& session) {
    auto id = std::make_shared<std::int64_t>();
    CLI::App* verb = add_verb(family, "show", "Show one company", "portalctl company show -w acme 1");
    add_workspace_option(*verb, session)->required();
    verb->add_option("id", *id, "Its number")->required()->type_name("N");
    verb->callback([=, &session] {
        print(session, session.run(find_company(session.db(), session.workspace_id(), *id)));
    });
}

}  // namespace

void add_company_verbs(CLI::App& app, Session& session) {
    CLI::App* family = add_family(app, "company", "Companies: addressees of the client portal");
    add_create(*family, session);
    add_list(*family, session);
    add_show(*family, session);
}

}  // namespace portal::ctl
