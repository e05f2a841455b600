// portalctl contact create|list|show|update|delete
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

// What a contact may be given, when made and later.
void add_members(Verb& verb, Body body) {
    verb.text("--email", body, "email", "Where its portal link goes").hint("ADDRESS");
    verb.number("--company-id", body, "company_id", "The company the person belongs to");
    verb.text("--customer-id", body, "customer_id", "The customer the person is").hint("UUID");
    verb.text("--external-id", body, "external_id", "Your own id for the person").hint("ID");
}

void add_create(Verb family, Session& session) {
    Body body = make_body();
    Verb verb = family.verb("create", "Make a contact, or change the one with this external id",
                            "portalctl contact create -w acme --name \"Ann\" --email "
                            "ann@globex.example --company-id 1");
    verb.workspace(session).required();
    verb.text("--name", body, "name", "The person's name").required();
    verb.number("--id", body, "id", "Keep this number (default: the next)");
    add_members(verb, body);
    verb.run([=, &session] {
        ContactInput input = ContactInput::parse(*body);
        print(
            session,
            session.run(save_contact(session.db(), session.workspace_id(), std::move(input))).row);
    });
}

void add_list(Verb family, Session& session) {
    auto request = std::make_shared<PageRequest>();
    auto filter = std::make_shared<ContactFilter>();
    Verb verb = family.verb("list", "Show a workspace's contacts",
                            "portalctl contact list -w acme --query ann");
    verb.workspace(session).required();
    verb.text("--query", filter->query, "Part of name, address or external id").hint("TEXT");
    verb.number("--company-id", "Only those of this company",
                [filter](std::int64_t id) { filter->company_id = id; });
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
            session.run(list_contacts(session.db(), session.workspace_id(), *filter, *request));
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

void add_update(Verb family, Session& session) {
    Body body = make_body();
    auto id = std::make_shared<std::int64_t>();
    Verb verb = family.verb("update", "Change a contact; what is not named stays, '' removes",
                            "portalctl contact update -w acme 1 --email new@globex.example");
    verb.workspace(session).required();
    verb.number("id", *id, "Its number").required();
    verb.text("--name", body, "name", "The person's name");
    add_members(verb, body);
    verb.run([=, &session] {
        if (body->size() == 0) {
            throw UsageError("contact update: nothing to change; --help lists what can be");
        }
        ContactInput change = ContactInput::parse_change(*body);
        print(session, session.run(change_contact(session.db(), session.workspace_id(), *id,
                                                  std::move(change))));
    });
}

void add_delete(Verb family, Session& session) {
    auto id = std::make_shared<std::int64_t>();
    Verb verb = family.verb("delete", "Delete a contact; its links end within a second",
                            "portalctl contact delete -w acme 1");
    verb.workspace(session).required();
    verb.number("id", *id, "Its number").required();
    verb.run([=, &session] {
        http::Json contact = session.run(find_contact(session.db(), session.workspace_id(), *id));
        session.run(delete_contact(session.db(), session.workspace_id(), *id));
        session.json ? print_json(contact)
                     : print_line("Deleted contact " + std::to_string(*id) + ".");
    });
}

}  // namespace

void add_contact_verbs(Verb app, Session& session) {
    Verb family = app.family("contact", "Contacts: people the client portal is for");
    add_create(family, session);
    add_list(family, session);
    add_show(family, session);
    add_update(family, session);
    add_delete(family, session);
}

}  // namespace portal::ctl
