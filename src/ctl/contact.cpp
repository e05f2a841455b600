// portalctl contact create|list|show
#include "portal/contact.h"

#include <memory>

#include "ctl/output.h"
#include "ctl/verbs.h"

namespace portal::ctl {
namespace {

const std::vector<Column> columns = {{"ID", "id"},
                                     {"NAME", "name"},
                                     {"EMAIL", "email"},
                                     {"COMPANY", "company_id"},
                                     {"CUSTOMER", "customer_id"},
                                     {"EXTERNAL ID", "external_id"}};

void print(Session& session, const http::Json& contact) {
    session.json ? print_json(contact) : print_record(contact);
}

void add_create(Verb family, Session& session) {
    Body body = make_body();
    Verb verb = family.verb("create", "Make a contact, or change the one with this external id",
                            "portalctl contact create -w acme --name \"Ann\" --email "
                            "ann@globex.example --company-id 1");
    verb.workspace(session).required();
    verb.text("--name", body, "name", "The person's name").required();
    verb.text("--email", body, "email", "Where its portal link goes").hint("ADDRESS");
    verb.number("--id", body, "id", "Keep this number (default: the next)");
    verb.number("--company-id", body, "company_id", "The company the person belongs to");
    verb.text("--customer-id", body, "customer_id", "The customer the person is").hint("UUID");
    verb.text("--external-id", body, "external_id", "Your own id for the person").hint("ID");
    verb.run([=, &session] {
        ContactInput input = ContactInput::parse(*body);
        print(session,
              session.run(save_contact(session.db(), session.workspace_id(), std::move(input))));
    });
}

void add_list(Verb family, Session& session) {
    auto request = std::make_shared<PageRequest>();
    auto query = std::make_shared<std::optional<std::string>>();
    Verb verb = family.verb("list", "Show a workspace's contacts",
                            "portalctl contact list -w acme --query ann");
    verb.workspace(session).required();
    verb.text("--query", *query, "Part of name, address or external id").hint("TEXT");
    verb.pages(*request);
    verb.run([=, &session] {
        Page page =
            session.run(list_contacts(session.db(), session.workspace_id(), *query, *request));
        session.json ? print_json(page.json()) : print_page(page, columns, "No contact.");
    });
}

void add_show(Verb family, Session& session) {
    auto id = std::make_shared<std::int64_t>();
    Verb verb = family.verb("show", "Show one contact", "portalctl contact show -w acme 1");
    verb.workspace(session).required();
    verb.number("id", *id, "Its number").required();
    verb.run([=, &session] {
        print(session, session.run(find_contact(session.db(), session.workspace_id(), *id)));
    });
}

}  // namespace

void add_contact_verbs(Verb app, Session& session) {
    Verb family = app.family("contact", "Contacts: people the client portal is for");
    add_create(family, session);
    add_list(family, session);
    add_show(family, session);
}

}  // namespace portal::ctl
