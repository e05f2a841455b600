// portalctl demo-data: two small tenants to try everything on. Safe to repeat: what is there is
// found again.
#include <memory>

#include "ctl/demo_files.h"
#include "ctl/operator_services.h"
#include "ctl/output.h"
#include "ctl/verbs.h"
#include "http/failure.h"
#include "portal/access_token.h"
#include "portal/client_portal_config.h"
#include "portal/company.h"
#include "portal/contact.h"
#include "portal/customer.h"
#include "portal/member.h"
#include "portal/workspace.h"

namespace portal::ctl {
namespace {

using http::Json;

constexpr const char* token_comment = "demo data";

struct NoHelper final : HelperClient {
    std::optional<Uuid> helper_id() const override { return std::nullopt; }
    io::Task<SendOutcome> send_now(Uuid, std::int64_t) override { co_return SendOutcome{}; }
};

std::string id_of(const Json& object) { return std::string(object["id"].text()); }

// One tenant being filled; each step answers what is there afterwards.
class Tenant {
  public:
    Tenant(Session& session, const char* slug, const char* name, bool member_model)
        : session_(session) {
        try {
            workspace_ = session.run(find_workspace(session.db(), slug));
        } catch (const http::Failure& failure) {
            if (failure.status != 404) {
                throw;
            }
            Json features = Json::object();
            features.set("member_model_enabled", member_model);
            Json body =
                Json::object({{"slug", slug}, {"name", name}, {"feature_settings", features}});
            workspace_ = session.run(create_workspace(session.db(), WorkspaceInput::parse(body)));
            fresh_ = true;
        }
    }

    const Json& workspace() const { return workspace_; }

    void configure_portal(Json config) {
        if (!fresh_) {
            return;  // what was changed since stays
        }
        NoHelper helper;
        OperatorServices services(session_, helper);
        auto input = ClientPortalConfigInput::parse(config.dump(), "application/json");
        session_.run(
            change_client_portal_config(services.get(), *Uuid::parse(id()), std::move(input)));
    }
    Json customer(Json body) {
        CustomerReference which;
        which.external_id = body["external_id"].text();
        try {
            return session_.run(find_customer(session_.db(), id(), which));
        } catch (const http::Failure& failure) {
            if (failure.status != 404) {
                throw;
            }
        }
        return session_.run(create_customer(session_.db(), id(), CustomerInput::parse(body)));
    }
    // The member with this external id; `customer` as customer() answered it.
    Json member(const Json& customer, Json body) {
        Json members = customer["members"];
        for (std::size_t at = 0; at < members.size(); ++at) {
            if (members[at]["external_id"].text() == body["external_id"].text()) {
                return members[at];
            }
        }
        body.set("customer_id", customer["id"]);
        return session_.run(create_member(session_.db(), id(), MemberInput::parse(body)));
    }
    Json company(Json body) {
        return session_.run(save_company(session_.db(), id(), CompanyInput::parse(body))).row;
    }
    Json contact(Json body) {
        return session_.run(save_contact(session_.db(), id(), ContactInput::parse(body))).row;
    }

    // Sold by one, bought by the other; the one that is active.
    Json file_session(const Json& seller, const Json& buyer) {
        return share_demo_files(session_, id(), seller, buyer);
    }

    // A token with every scope, or null when one was made before: it can be shown only then.
    Json token(bool another) {
        PageRequest first;
        first.limit = 100;
        Json living = session_.run(list_access_tokens(session_.db(), id(), false, first)).data;
        for (std::size_t at = 0; at < living.size() && !another; ++at) {
            if (living[at]["comment"].text() == token_comment) {
                return nullptr;
            }
        }
        AccessTokenInput input;
        input.comment = token_comment;
        for (Scope scope : all_scopes()) {
            input.scopes.emplace_back(scope_name(scope));
        }
        return session_
            .run(create_access_token(session_.db(), session_.secrets(), id(), std::move(input)))
            .token;
    }

  private:
    std::string id() const { return id_of(workspace_); }

    Session& session_;
    Json workspace_;
    bool fresh_ = false;
};

// What both tenants have: companies and contacts, with and without an e-mail address.
void fill_client_portal(Tenant& tenant, const Json& customer, Json& made) {
    Json globex = tenant.company(Json::object({{"external_id", "globex"},
                                               {"name", "Globex Corporation"},
                                               {"email", "office@globex.example.com"}}));
    Json initech = tenant.company(Json::object({{"external_id", "initech"}, {"name", "Initech"}}));
    Json hank = tenant.contact(Json::object({{"external_id", "hank"},
                                             {"name", "Hank Scorpio"},
                                             {"email", "hank@globex.example.com"},
                                             {"company_id", globex["id"]},
                                             {"customer_id", customer["id"]}}));
    Json milton = tenant.contact(Json::object(
        {{"external_id", "milton"}, {"name", "Milton Waddams"}, {"company_id", initech["id"]}}));
    made.set("contact", hank).set("contact_without_email", milton);
    made.set("company", globex).set("company_without_email", initech);
}

Json plain_tenant(Session& session, bool new_token) {
    Tenant tenant(session, "acme", "Acme Ltd", false);
    tenant.configure_portal(Json::object({{"portal_name", "Acme Client Portal"},
                                          {"welcome_message", "Welcome to your client portal!"}}));
    Json made = Json::object();
    made.set("workspace", tenant.workspace()).set("token", tenant.token(new_token));
    Json metadata = Json::object({{"plan", "pro"}});
    Json address = Json::object({{"country", "US"},
                                 {"line1", "742 Evergreen Terrace"},
                                 {"postal_code", "10001"},
                                 {"city", "New York"},
                                 {"state", "NY"}});
    Json customer = tenant.customer(Json::object({{"external_id", "cus_mike"},
                                                  {"email", "mike@example.com"},
                                                  {"name", "Mike Smith"},
                                                  {"type", "individual"},
                                                  {"metadata", metadata},
                                                  {"billing_address", address}}));
    Json team = tenant.customer(Json::object({{"external_id", "cus_umbrella"},
                                              {"email", "team@umbrella.example.com"},
                                              {"name", "Umbrella Ltd"},
                                              {"type", "team"}}));
    made.set("customer", customer).set("team", team);
    made.set("file_session", tenant.file_session(customer, team));
    fill_client_portal(tenant, customer, made);
    return made;
}

Json member_tenant(Session& session, bool new_token) {
    Tenant tenant(session, "hooli", "Hooli Inc", true);
    tenant.configure_portal(Json::object({{"portal_name", "Hooli Portal"},
                                          {"primary_color", "#0F766E"},
                                          {"secondary_color", "#134E4A"}}));
    Json made = Json::object();
    made.set("workspace", tenant.workspace()).set("token", tenant.token(new_token));
    Json customer = tenant.customer(Json::object({{"external_id", "cus_erlich"},
                                                  {"email", "erlich@example.com"},
                                                  {"name", "Erlich Bachman"},
                                                  {"type", "individual"}}));
    Json owner = Json::object({{"external_id", "mem_richard"},
                               {"email", "richard@piper.example.com"},
                               {"name", "Richard Hendricks"}});
    Json team = tenant.customer(Json::object({{"external_id", "cus_piper"},
                                              {"email", "billing@piper.example.com"},
                                              {"name", "Pied Piper"},
                                              {"type", "team"},
                                              {"owner", owner}}));
    Json biller = tenant.member(team, Json::object({{"external_id", "mem_jared"},
                                                    {"email", "jared@piper.example.com"},
                                                    {"name", "Jared Dunn"},
                                                    {"role", "billing_manager"}}));
    Json member = tenant.member(team, Json::object({{"external_id", "mem_dinesh"},
                                                    {"email", "dinesh@piper.example.com"},
                                                    {"name", "Dinesh Chugtai"},
                                                    {"role", "member"}}));
    made.set("customer", customer).set("team", team).set("owner", team["members"][std::size_t(0)]);
    made.set("billing_manager", biller).set("member", member);
    made.set("file_session", tenant.file_session(team, customer));
    fill_client_portal(tenant, customer, made);
    return made;
}

void print_tenant(const Json& made) {
    Json workspace = made["workspace"];
    print_line("Workspace " + cell(workspace["slug"]) + " (" + cell(workspace["name"]) + ")  " +
               id_of(workspace));
    bool shown = made["token"].is_string();
    print_line("  access token  " + (shown
                                         ? cell(made["token"])
                                         : std::string("made before; --new-token makes another")));
    for (const char* noun : {"customer", "team", "owner", "billing_manager", "member", "contact",
                             "contact_without_email", "company", "company_without_email"}) {
        Json one = made[noun];
        if (one.present()) {
            std::printf("  %-21s  %s  %s  %s\n", noun, cell(one["id"]).c_str(),
                        cell(one["external_id"]).c_str(), cell(one["name"]).c_str());
        }
    }
}

}  // namespace

void add_demo_data_verb(Verb app, Session& session) {
    auto new_token = std::make_shared<bool>(false);
    Verb verb = app.verb("demo-data", "Make two workspaces to try things on; safe to repeat",
                         "portalctl demo-data --json");
    verb.flag("--new-token", *new_token,
              "Make access tokens although there are some: old ones cannot be shown");
    verb.run([new_token, &session] {
        Json made = plain_tenant(session, *new_token);
        Json members = member_tenant(session, *new_token);
        if (session.json) {
            print_json(made.set("member_model", members));
            return;
        }
        print_tenant(made);
        print_line("");
        print_tenant(members);
    });
}

}  // namespace portal::ctl
