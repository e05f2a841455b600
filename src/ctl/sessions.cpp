// portalctl session list|revoke
#include <memory>

#include "ctl/output.h"
#include "ctl/verbs.h"
#include "http/failure.h"
#include "portal/customer.h"
#include "portal/session_list.h"

namespace portal::ctl {
namespace {

using http::Json;

const std::vector<Column> columns = {{"ID", "id"},
                                     {"TYPE", "type"},
                                     {"CUSTOMER", "customer_id"},
                                     {"MEMBER", "member_id"},
                                     {"CREATED", "created_at"},
                                     {"EXPIRES", "expires_at"},
                                     {"LAST USED", "last_used_at"},
                                     {"REVOKED", "revoked_at"}};

// The id of the customer a person named by id, external id or address.
std::string customer_id(Session& session, const std::string& which) {
    const std::string& workspace = session.workspace_id();
    try {
        Json customer =
            session.run(find_customer(session.db(), workspace, CustomerReference::any(which)));
        return std::string(customer["id"].text());
    } catch (const http::Failure& failure) {
        if (failure.status == 404) {
            throw http::resource_not_found("Customer not found");
        }
        throw;
    }
}

void add_list(Verb family, Session& session) {
    auto request = std::make_shared<PageRequest>();
    auto filter = std::make_shared<SessionFilter>();
    auto customer = std::make_shared<std::string>();
    Verb verb = family.verb("list", "Show a workspace's sessions, newest first",
                            "portalctl session list -w acme --customer cus_1");
    verb.workspace(session).required();
    verb.text("--customer", *customer,
              "Only this one's and its members': id, external id or address")
        .hint("CUSTOMER");
    verb.flag("--all", filter->with_dead, "Expired and revoked ones too");
    verb.pages(*request);
    verb.run([=, &session] {
        if (!customer->empty()) {
            filter->customer_id = customer_id(session, *customer);
        }
        Page page =
            session.run(list_sessions(session.db(), session.workspace_id(), *filter, *request));
        session.json ? print_json(page.json()) : print_page(page, columns, "No session.");
    });
}

void add_revoke(Verb family, Session& session) {
    auto id = std::make_shared<std::string>();
    auto customer = std::make_shared<std::string>();
    auto all = std::make_shared<bool>(false);
    Verb verb =
        family.verb("revoke", "End one session, a customer's, or all; every node within a second",
                    "portalctl session revoke -w acme --customer cus_1");
    verb.workspace(session).required();
    verb.text("id", *id, "One, by its id").hint("ID");
    verb.text("--customer", *customer,
              "All of this customer and its members: id, external id or address")
        .hint("CUSTOMER");
    verb.flag("--all", *all, "All of the workspace");
    verb.run([=, &session] {
        if (int(!id->empty()) + int(!customer->empty()) + int(*all) != 1) {
            throw UsageError("name either one session, or --customer, or --all");
        }
        SessionFilter filter;
        if (!id->empty()) {
            filter.id = *id;
        } else if (!customer->empty()) {
            filter.customer_id = customer_id(session, *customer);
        }
        std::int64_t count =
            session.run(revoke_sessions(session.db(), session.workspace_id(), filter));
        if (filter.id && count == 0) {
            throw Refused("there is no living session of this id in the workspace");
        }
        if (session.json) {
            print_json(Json::object({{"revoked", count}}));
        } else {
            print_line("Ended " + std::to_string(count) +
                       (count == 1 ? " session." : " sessions."));
        }
    });
}

}  // namespace

void add_session_verbs(Verb app, Session& session) {
    Verb family =
        app.family("session", "Customer and member sessions: browsers that are signed in");
    add_list(family, session);
    add_revoke(family, session);
}

}  // namespace portal::ctl
