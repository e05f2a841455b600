// portalctl contact create|list|show
#include "portal/contact.h"

#include <memory>

#include "ctl/output.h"
#include "ctl/verbs.h"

namespace portal::ctl {
namespace {

const std::vector<Column> columns = {{"ID", "id"}, {"NAME", "name"}, {"EMAIL", "email"},
    {"COMPANY", "company_id"}, {"CUSTOMER", "customer_id"}, {"EXTERNAL ID", "external_id"}};

void print(Session& session, const http::Json& contact) {
    session.json ? print_json(contact) : print_record(contact);
}

void add_create(CLI::App& family, Session& session) {
    Body body = make_body();
    CLI::App* verb = add_verb(family, "create", "Make a contact, or change the one with this external id",
                              "portalctl contact create -w acme --name \"Ann\" --email ann@globex.example --company-id 1");
    add_workspace_option(*verb, session)->required();
    add_text(*verb, body, "--name", "name", "The person's name")->required();
    add_text(*verb, body, "--email", "email", "Where its portal link goes")->type_name("ADDRESS");
    add_number(*verb, body, "--id", "id", "Keep this number (default: the next)");
    add_number(*verb, body, "--company-id", "company_id", "The company the person belongs to");
    add_text(*verb, body, "--customer-id", "customer_id", "The customer the person is")->type_name("UUID");
    add_text(*verb, body, "--external-id", "external_id", "Your own id for the person")->type_name("ID");
    verb->callback([=, &session] {
        ContactInput input = ContactInput::parse(*body);
        print(session, session.run(save_contact(session.db(), session.workspace_id(), std::move(input))));
    });
}

void add_list(CLI::App& family, Session& session) {
    auto request = std::make_shared<PageRequest>();
    auto query = std::make_shared<std::optional<std::string>>();
    CLI::App* verb = add_verb(family, "list", "Show a workspace's contacts",
                              "portalctl contact list -w acme --query ann");
    add_workspace_option(*verb, session)->required();
    verb->add_option("--query", *query, "Part of name, address or external id")->type_name("TEXT");
    add_page_options(*verb, *request);
    verb->callback([=, &session] {
        Page page = session.run(list_contacts(session.db(), session.workspace_id(), *query, *request));
        session.json ? print_json(page.json()) : print_page(page, columns, "No contact.");
    });
}

void add_show(CLI::App& family, Session& session) {
    auto id = std::make_shared<std::int64_t>();
    CLI::App* verb = add_verb(family, "show", "Show one contact", "portalctl contact show -w acme 1");
    add_workspace_option(*verb, session)->required();
    verb->add_option("id", *id, "Its number")->required()->type_name("N");
    verb->callback([=, &session] {
        print(session, session.run(find_contact(session.db(), session.workspace_id(), *id)));
    });
}

}  // namespace

void add_contact_verbs(CLI::App& app, Session& session) {
    CLI::App* family = add_family(app, "contact", "Contacts: people the client portal is for");
    add_create(*family, session);
    add_list(*family, session);
    add_show(*family, session);
}

}  // namespace portal::ctl
