// portalctl customer create|list|show|update|delete|export
#include "portal/customer.h"

#include <memory>

#include "ctl/output.h"
#include "ctl/verbs.h"

namespace portal::ctl {
namespace {

using http::Json;

const std::vector<Column> columns = {{"ID", "id"},
                                     {"EMAIL", "email"},
                                     {"NAME", "name"},
                                     {"TYPE", "type"},
                                     {"EXTERNAL ID", "external_id"},
                                     {"CREATED", "created_at"}};
const std::vector<Column> member_columns = {
    {"MEMBER", "id"}, {"EMAIL", "email"}, {"NAME", "name"}, {"ROLE", "role"}};

// {"key": "value"} of key=value arguments; absent when there is none.
Json metadata_of(const std::vector<std::string>& pairs) {
    if (pairs.empty()) {
        return {};
    }
    Json metadata = Json::object();
    for (const std::string& pair : pairs) {
        std::size_t equals = pair.find('=');
        if (equals == 0 || equals == std::string::npos) {
            throw UsageError("--metadata: is to be KEY=VALUE");
        }
        metadata.set(pair.substr(0, equals).c_str(), pair.substr(equals + 1));
    }
    return metadata;
}

void print(Session& session, const Json& customer) {
    if (session.json) {
        print_json(customer);
        return;
    }
    Json alone = Json::steal(json_copy(customer.get()));
    json_object_del(alone.get(), "members");
    print_record(alone);
    if (customer["members"].size() > 0) {
        print_line("");
        print_table(customer["members"], member_columns, "");
    }
}

void add_create(Verb family, Session& session) {
    Body body = make_body(), owner = make_body();
    Verb verb = family.verb(
        "create", "Make a customer, and under the member model its owner",
        "portalctl customer create -w acme --email mike@example.com --external-id cus_1");
    verb.workspace(session).required();
    verb.text("--email", body, "email", "Unique in the workspace").required().hint("ADDRESS");
    verb.text("--external-id", body, "external_id", "Your own id for it; unique, and settable once")
        .hint("ID");
    verb.text("--name", body, "name", "Name of the person or the team");
    verb.text("--type", body, "type", "individual (default) or team");
    auto set_address = [body](const std::string& text) {
        body->set("billing_address", parse_object("--billing-address", text));
    };
    verb.text("--billing-address", "JSON object of country, line1, line2, postal_code, city, state",
              set_address)
        .hint("JSON");
    auto set_metadata = [body](const std::vector<std::string>& pairs) {
        body->set("metadata", metadata_of(pairs));
    };
    verb.list("--metadata", "Anything of yours; repeatable", set_metadata).hint("KEY=VALUE");
    verb.text("--owner-email", owner, "email",
              "The owner member's address (default: the customer's)")
        .hint("ADDRESS");
    verb.text("--owner-name", owner, "name", "The owner member's name (default: the customer's)")
        .hint("NAME");
    verb.text("--owner-external-id", owner, "external_id", "Your own id for the owner member")
        .hint("ID");
    verb.run([=, &session] {
        body->set("owner", *owner);
        CustomerInput input = CustomerInput::parse(*body);
        print(session,
              session.run(create_customer(session.db(), session.workspace_id(), std::move(input))));
    });
}

void add_list(Verb family, Session& session) {
    auto request = std::make_shared<PageRequest>();
    auto filter = std::make_shared<CustomerFilter>();
    auto metadata = std::make_shared<std::vector<std::string>>();
    Verb verb = family.verb("list", "Show a workspace's customers",
                            "portalctl customer list -w acme --query mike --sort email");
    verb.workspace(session).required();
    verb.text("--email", filter->email, "Only the one with this address").hint("ADDRESS");
    verb.text("--query", filter->query, "Part of address, name or external id").hint("TEXT");
    verb.list("--metadata", *metadata, "Only those with this value; repeatable").hint("KEY=VALUE");
    verb.list("--sort", request->sorting,
              "email, name or created_at, '-' first for descending; repeatable", true)
        .hint("KEY")
        .one_of({"email", "-email", "name", "-name", "created_at", "-created_at"});
    verb.pages(*request);
    verb.run([=, &session] {
        filter->metadata = metadata_of(*metadata);
        Page page =
            session.run(list_customers(session.db(), session.workspace_id(), *filter, *request));
        session.json ? print_json(page.json()) : print_page(page, columns, "No customer.");
    });
}

void add_show(Verb family, Session& session) {
    auto which = std::make_shared<std::string>();
    Verb verb = family.verb("show", "Show one customer and its members",
                            "portalctl customer show -w acme cus_1");
    verb.workspace(session).required();
    verb.text("customer", *which, "Its id, external id or e-mail address")
        .required()
        .hint("CUSTOMER");
    verb.run([=, &session] {
        CustomerReference reference = CustomerReference::any(*which);
        print(session, session.run(find_customer(session.db(), session.workspace_id(), reference)));
    });
}

// The id of the customer a person named.
std::string id_of(Session& session, const std::string& which) {
    CustomerReference reference = CustomerReference::any(which);
    return std::string(
        session.run(find_customer(session.db(), session.workspace_id(), reference))["id"].text());
}

void add_update(Verb family, Session& session) {
    auto which = std::make_shared<std::string>();
    Body body = make_body();
    Verb verb =
        family.verb("update", "Change a customer; what is not named stays, '' removes",
                    "portalctl customer update -w acme cus_1 --name \"Mike Lee\" --type team");
    verb.workspace(session).required();
    verb.text("customer", *which, "Its id, external id or e-mail address")
        .required()
        .hint("CUSTOMER");
    verb.text("--email", body, "email", "Unique in the workspace").hint("ADDRESS");
    verb.text("--external-id", body, "external_id", "Your own id for it, if it has none yet")
        .hint("ID");
    verb.text("--name", body, "name", "Name of the person or the team");
    verb.text("--type", body, "type", "individual or team; a team stays one");
    auto set_address = [body](const std::string& text) {
        body->set("billing_address", parse_object("--billing-address", text));
    };
    verb.text("--billing-address", "JSON object of country, line1, line2, postal_code, city, state",
              set_address)
        .hint("JSON");
    auto set_metadata = [body](const std::vector<std::string>& pairs) {
        body->set("metadata", metadata_of(pairs));
    };
    Option metadata =
        verb.list("--metadata", "Anything of yours; repeatable, replaces all of it", set_metadata)
            .hint("KEY=VALUE");
    verb.flag("--no-metadata", "Remove all of it",
              [body] { body->set("metadata", Json::object()); })
        .excludes(metadata);
    verb.toggle("--blocked", "End its sessions and let it sign in no more",
                [body](bool on) { body->set("blocked", on); });
    verb.run([=, &session] {
        if (body->size() == 0) {
            throw UsageError("customer update: nothing to change; --help lists what can be");
        }
        CustomerChange change = CustomerChange::parse(*body, true);
        CustomerReference reference;
        reference.id = id_of(session, *which);
        print(session, session.run(change_customer(session.db(), session.workspace_id(), reference,
                                                   std::move(change))));
    });
}

void add_delete(Verb family, Session& session) {
    auto which = std::make_shared<std::string>();
    auto anonymize = std::make_shared<bool>(false);
    Verb verb = family.verb("delete", "Delete a customer: its members and sessions end with it",
                            "portalctl customer delete -w acme cus_1 --anonymize");
    verb.workspace(session).required();
    verb.text("customer", *which, "Its id, external id or e-mail address")
        .required()
        .hint("CUSTOMER");
    verb.flag("--anonymize", *anonymize,
              "Wipe its personal data wherever it went; takes the id of one deleted before, too");
    verb.run([=, &session] {
        CustomerReference reference;
        // one that was deleted is found by its id only
        reference.id = *anonymize && Uuid::parse(*which) ? *which : id_of(session, *which);
        Uuid id = session.run(
            delete_customer(session.db(), session.workspace_id(), reference, *anonymize));
        if (session.json) {
            print_json(
                Json::object({{"id", id.text()}, {"deleted", true}, {"anonymized", *anonymize}}));
        } else {
            print_line(*anonymize ? "Deleted, and its personal data wiped." : "Deleted.");
        }
    });
}

// One document, of however many answers.
Json whole_export(Session& session, const CustomerReference& reference) {
    Json whole;
    std::int64_t after = 0;
    do {
        Json part = Json::parse(
            session.run(export_customer(session.db(), session.workspace_id(), reference, after)));
        after = part["next"].integer();
        if (!whole.present()) {
            whole = part;
            continue;
        }
        const char* name = nullptr;
        json_t* value = nullptr;
        json_object_foreach(part.get(), name, value) {
            if (json_is_array(value)) {
                json_array_extend(whole[name].get(), value);
            }
        }
        whole.set("next", nullptr);
    } while (after != 0);
    return whole;
}

void add_export(Verb family, Session& session) {
    auto which = std::make_shared<std::string>();
    Verb verb = family.verb("export", "Everything held about a customer, as JSON",
                            "portalctl customer export -w acme cus_1 > cus_1.json");
    verb.workspace(session).required();
    verb.text("customer", *which, "Its id, external id or e-mail address")
        .required()
        .hint("CUSTOMER");
    verb.run([=, &session] {
        CustomerReference reference;
        reference.id = id_of(session, *which);
        print_json(whole_export(session, reference));
    });
}

}  // namespace

void add_customer_verbs(Verb app, Session& session) {
    Verb family = app.family("customer", "Customers: the people and teams that buy");
    add_create(family, session);
    add_list(family, session);
    add_show(family, session);
    add_update(family, session);
    add_delete(family, session);
    add_export(family, session);
}

}  // namespace portal::ctl
