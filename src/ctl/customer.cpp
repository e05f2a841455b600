// portalctl customer create|list|show
#include "portal/customer.h"

#include <memory>

#include "ctl/output.h"
#include "ctl/verbs.h"

namespace portal::ctl {
namespace {

using http::Json;

const std::vector<Column> columns = {{"ID", "id"}, {"EMAIL", "email"}, {"NAME", "name"}, {"TYPE", "type"},
    {"EXTERNAL ID", "external_id"}, {"CREATED", "created_at"}};
const std::vector<Column> member_columns = {{"MEMBER", "id"}, {"EMAIL", "email"}, {"NAME", "name"}, {"ROLE", "role"}};

// {"key": "value"} of key=value arguments; absent when there is none.
Json metadata_of(const std::vector<std::string>& pairs) {
    if (pairs.empty()) {
        return {};
    }
    Json metadata = Json::object();
    for (const std::string& pair : pairs) {
        std::size_t equals = pair.find('=');
        if (equals == 0 || equals == std::string::npos) {
            throw CLI::ValidationError("--metadata", "is to be KEY=VALUE");
        }
        metadata.set(pair.substr(0, equals).c_str(), pair.substr(equals + 1));
    }
    return metadata;
}

Json parse_object(const char* option, const std::string& text) {
    try {
        return Json::parse(text);
    } catch (const std::runtime_error&) {
        throw CLI::ValidationError(option, "is to be a JSON object");
    }
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

void add_create(CLI::App& family, Session& session) {
    Body body = make_body(), owner = make_body();
    CLI::App* verb = add_verb(family, "create", "Make a customer, and under the member model its owner",
                              "portalctl customer create -w acme --email mike@example.com --external-id cus_1");
    add_workspace_option(*verb, session)->required();
    add_text(*verb, body, "--email", "email", "Unique in the workspace")->required()->type_name("ADDRESS");
    add_text(*verb, body, "--external-id", "external_id", "Your own id for it; unique, and settable once")
        ->type_name("ID");
    add_text(*verb, body, "--name", "name", "Name of the person or the team");
    add_text(*verb, body, "--type", "type", "individual (default) or team");
    auto set_address = [body](const std::string& text) {
        body->set("billing_address", parse_object("--billing-address", text));
    };
    verb->add_option_function<std::string>("--billing-address", set_address,
                                           "JSON object of country, line1, line2, postal_code, city, state")
        ->type_name("JSON");
    auto set_metadata = [body](const std::vector<std::string>& pairs) {
        body->set("metadata", metadata_of(pairs));
    };
    verb->add_option_function<std::vector<std::string>>("--metadata", set_metadata, "Anything of yours; repeatable")
        ->type_name("KEY=VALUE")->allow_extra_args(false);
    add_text(*verb, owner, "--owner-email", "email", "The owner member's address (default: the customer's)")
        ->type_name("ADDRESS");
    add_text(*verb, owner, "--owner-name", "name", "The owner member's name (default: the customer's)")
        ->type_name("NAME");
    add_text(*verb, owner, "--owner-external-id", "external_id", "Your own id for the owner member")
        ->type_name("ID");
    verb->callback([=, &session] {
        body->set("owner", *owner);
        CustomerInput input = CustomerInput::parse(*body);
        print(session, session.run(create_customer(session.db(), session.workspace_id(), std::move(input))));
    });
}

void add_list(CLI::App& family, Session& session) {
    auto request = std::make_shared<PageRequest>();
    auto filter = std::make_shared<CustomerFilter>();
    auto metadata = std::make_shared<std::vector<std::string>>();
    CLI::App* verb = add_verb(family, "list", "Show a workspace's customers",
                              "portalctl customer list -w acme --query mike --sort email");
    add_workspace_option(*verb, session)->required();
    verb->add_option("--email", filter->email, "Only the one with this address")->type_name("ADDRESS");
    verb->add_option("--query", filter->query, "Part of address, name or external id")->type_name("TEXT");
    verb->add_option("--metadata", *metadata, "Only those with this value; repeatable")
        ->type_name("KEY=VALUE")->allow_extra_args(false);
    verb->add_option("--sort", request->sorting, "email, name or created_at, '-' first for descending; repeatable")
        ->type_name("KEY")->allow_extra_args(false)->delimiter(',')
        ->check(CLI::IsMember({"email", "-email", "name", "-name", "created_at", "-created_at"}));
    add_page_options(*verb, *request);
    verb->callback([=, &session] {
        filter->metadata = metadata_of(*metadata);
        Page page = session.run(list_customers(session.db(), session.workspace_id(), *filter, *request));
        session.json ? print_json(page.json()) : print_page(page, columns, "No customer.");
    });
}

void add_show(CLI::App& family, Session& session) {
    auto which = std::make_shared<std::string>();
    CLI::App* verb = add_verb(family, "show", "Show one customer and its members",
                              "portalctl customer show -w acme cus_1");
    add_workspace_option(*verb, session)->required();
    verb->add_option("customer", *which, "Its id, external id or e-mail address")->required()->type_name("CUSTOMER");
    verb->callback([=, &session] {
        CustomerReference reference = CustomerReference::any(*which);
        print(session, session.run(find_customer(session.db(), session.workspace_id(), reference)));
    });
}

}  // namespace

void add_customer_verbs(CLI::App& app, Session& session) {
    CLI::App* family = add_family(app, "customer", "Customers: the people and teams that buy");
    add_create(*family, session);
    add_list(*family, session);
    add_show(*family, session);
}

}  // namespace portal::ctl
