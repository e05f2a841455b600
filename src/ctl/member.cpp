// portalctl member create|list|show|update|remove
#include "portal/member.h"

#include <memory>

#include "ctl/output.h"
#include "ctl/verbs.h"
#include "http/failure.h"
#include "portal/customer.h"

namespace portal::ctl {
namespace {

const std::vector<Column> columns = {
    {"ID", "id"},     {"EMAIL", "email"},          {"NAME", "name"},
    {"ROLE", "role"}, {"CUSTOMER", "customer_id"}, {"EXTERNAL ID", "external_id"}};

// The id of the customer a person named by id, external id or address.
std::string customer_id_of(Session& session, const std::string& which) {
    CustomerReference reference = CustomerReference::any(which);
    try {
        http::Json customer =
            session.run(find_customer(session.db(), session.workspace_id(), reference));
        return std::string(customer["id"].text());
    } catch (const http::Failure& failure) {
        if (failure.status == 404) {
            throw http::resource_not_found("Customer not found");
        }
        throw;
    }
}

void print(Session& session, const http::Json& member) {
    session.json ? print_json(member) : print_record(member);
}

void add_create(Verb family, Session& session) {
    Body body = make_body();
    auto customer = std::make_shared<std::string>();
    Verb verb =
        family.verb("create", "Add a person to a team; the first is its owner",
                    "portalctl member create -w acme --customer team_1 --email ann@example.com");
    verb.workspace(session).required();
    verb.text("--customer", *customer, "Id, external id or address of the customer")
        .required()
        .hint("CUSTOMER");
    verb.text("--email", body, "email", "Unique among the customer's members")
        .required()
        .hint("ADDRESS");
    verb.text("--name", body, "name", "The person's name");
    verb.text("--external-id", body, "external_id", "Your own id for the person").hint("ID");
    verb.text("--role", body, "role",
              "owner, billing_manager or member (default: member; owner for the first)");
    verb.run([=, &session] {
        body->set("customer_id", customer_id_of(session, *customer));
        MemberInput input = MemberInput::parse(*body);
        print(session,
              session.run(create_member(session.db(), session.workspace_id(), std::move(input))));
    });
}

void add_list(Verb family, Session& session) {
    auto request = std::make_shared<PageRequest>();
    auto filter = std::make_shared<MemberFilter>();
    auto customer = std::make_shared<std::string>();
    Verb verb = family.verb("list", "Show the members of one customer, or of all",
                            "portalctl member list -w acme --customer team_1");
    verb.workspace(session).required();
    verb.text("--customer", *customer, "Id, external id or address of the customer")
        .hint("CUSTOMER");
    verb.text("--email", filter->email, "Only those with this address").hint("ADDRESS");
    verb.text("--external-id", filter->external_id, "Only those with this id of yours").hint("ID");
    verb.text("--role", filter->role, "Only owners, billing managers or members")
        .one_of({"owner", "billing_manager", "member"});
    verb.pages(*request);
    verb.run([=, &session] {
        if (!customer->empty()) {
            filter->customer_id = customer_id_of(session, *customer);
        }
        Page page =
            session.run(list_members(session.db(), session.workspace_id(), *filter, *request));
        session.json ? print_json(page.json()) : print_page(page, columns, "No member.");
    });
}

void add_show(Verb family, Session& session) {
    auto id = std::make_shared<std::string>();
    Verb verb = family.verb("show", "Show one member",
                            "portalctl member show -w acme 0e5b4f0c-6d0c-4b83-9f0b-3f4d9f3a1c55");
    verb.workspace(session).required();
    verb.text("id", *id, "Its id, as member list shows it").required().hint("ID");
    verb.run([=, &session] {
        print(session, session.run(find_member(session.db(), session.workspace_id(), *id)));
    });
}

void add_update(Verb family, Session& session) {
    auto id = std::make_shared<std::string>();
    Body body = make_body();
    Verb verb = family.verb(
        "update", "Change a member; what is not named stays, '' removes",
        "portalctl member update -w acme 0e5b4f0c-6d0c-4b83-9f0b-3f4d9f3a1c55 --role billing_manager");
    verb.workspace(session).required();
    verb.text("id", *id, "Its id, as member list shows it").required().hint("ID");
    verb.text("--email", body, "email", "Unique among the customer's members").hint("ADDRESS");
    verb.text("--name", body, "name", "The person's name");
    verb.text("--external-id", body, "external_id", "Your own id for the person").hint("ID");
    verb.text("--role", body, "role",
              "billing_manager or member; an owner stays one, and hands over in the portal");
    verb.run([=, &session] {
        if (body->size() == 0) {
            throw UsageError("member update: nothing to change; --help lists what can be");
        }
        MemberChange change = MemberChange::parse(*body);
        print(session, session.run(change_member(session.db(), session.workspace_id(), *id,
                                                 std::move(change))));
    });
}

void add_remove(Verb family, Session& session) {
    auto id = std::make_shared<std::string>();
    Verb verb = family.verb("remove", "Remove a member and end their sessions; an owner goes last",
                            "portalctl member remove -w acme 0e5b4f0c-6d0c-4b83-9f0b-3f4d9f3a1c55");
    verb.workspace(session).required();
    verb.text("id", *id, "Its id, as member list shows it").required().hint("ID");
    verb.run([=, &session] {
        session.run(remove_member(session.db(), session.workspace_id(), *id));
        if (session.json) {
            print_json(http::Json::object({{"id", *id}, {"removed", true}}));
        } else {
            print_line("Removed.");
        }
    });
}

}  // namespace

void add_member_verbs(Verb app, Session& session) {
    Verb family = app.family("member", "Members: the people of a customer, under the member model");
    add_create(family, session);
    add_list(family, session);
    add_show(family, session);
    add_update(family, session);
    add_remove(family, session);
}

}  // namespace portal::ctl
