// portalctl invite contact|company ID: the same statement and the same helper a POST .../invite
// uses.
#include <memory>

#include "ctl/operator_services.h"
#include "ctl/output.h"
#include "ctl/verbs.h"
#include "http/failure.h"
#include "io/sleep.h"
#include "portal/helper_link.h"
#include "portal/invitation.h"

namespace portal::ctl {
namespace {

using http::Json;

constexpr std::int64_t line_wait = 1000;  // ms for the helper to welcome us

struct Request {
    Addressee addressee;
    std::optional<std::string> message;
    bool wait = false;
};

io::Task<Invitation> invite(Services& portal, Principal caller, Request request) {
    co_await plan_invitation(portal, caller, request.addressee);
    for (std::int64_t waited = 0; request.wait && !portal.helper.helper_id() && waited < line_wait;
         waited += 20) {
        io::Sleep pause = io::sleep(portal.loop, 20);
        co_await pause;
    }
    IdempotencyKey none;
    std::optional<Invitation> made = co_await send_invitation(
        portal, caller, request.addressee, std::move(request.message), !request.wait, none);
    co_return *std::move(made);
}

void print(Session& session, const Services& portal, const Invitation& invitation, bool wait) {
    bool sent = invitation.state == Invitation::State::sent;
    if (session.json) {
        Json answer = Json::object();
        answer.set("message",
                   sent ? "Portal invitation sent successfully" : "Portal invitation queued");
        print_json(answer.set("token", invitation.token));
        return;
    }
    if (sent) {
        print_line("Sent: the mail server has accepted it.");
    } else if (wait) {
        print_line(
            "Queued: the mail server has not accepted it yet; it is retried. Look at: portalctl "
            "mail queue");
    } else {
        print_line("Queued; portal-helper sends it. --wait tells what the mail server says.");
    }
    print_line("Invitation  " + invitation.id.text());
    print_line("Link        " + portal_link(portal, invitation.token));
}

void run_invite(Session& session, Request request) {
    if (session.config().base_url.empty()) {
        throw std::invalid_argument(session.config_path +
                                    " has no base_url: an invitation needs it for its link");
    }
    HelperLink helper(session.loop(), session.config().socket);
    OperatorServices services(session, helper);
    Principal caller;
    caller.kind = Kind::workspace;
    caller.workspace_id = *Uuid::parse(session.workspace_id());
    bool wait = request.wait;
    Invitation invitation = session.run(invite(services.get(), caller, std::move(request)));
    if (invitation.state == Invitation::State::refused) {
        throw Refused("Failed to send portal invitation: " + invitation.reply);
    }
    print(session, services.get(), invitation, wait);
}

void add_one(Verb family, Session& session, bool company, const char* name, const char* description,
             const char* example) {
    auto request = std::make_shared<Request>();
    request->addressee.company = company;
    Verb verb = family.verb(name, description, example);
    verb.workspace(session).required();
    verb.number("id", request->addressee.id, "Its number").required();
    verb.text("--message", request->message,
              "A few words of yours in the mail, at most 2000 characters")
        .hint("TEXT");
    verb.flag("--wait", request->wait, "Wait until the mail server has answered");
    verb.run([request, &session] {
        if (request->message) {
            Json body = Json::object();
            body.set("custom_message", *request->message);
            request->message = parse_invitation(body.dump(), "application/json");
        }
        run_invite(session, *request);
    });
}

}  // namespace

void add_invite_verbs(Verb app, Session& session) {
    Verb family = app.family("invite", "Mail a contact or company the link to its portal");
    add_one(family, session, false, "contact", "Invite a contact",
            "portalctl invite contact 7 -w acme --message \"See you there\" --wait");
    add_one(family, session, true, "company", "Invite a company",
            "portalctl invite company 1 -w acme --wait");
}

}  // namespace portal::ctl
