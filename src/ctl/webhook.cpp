// portalctl webhook list|add|update|delete|secret|test|deliveries|redeliver|listen
#include <memory>

#include "ctl/line_reader.h"
#include "ctl/output.h"
#include "ctl/verbs.h"
#include "ctl/webhook_listener.h"
#include "portal/webhook_delivery.h"
#include "portal/webhook_endpoint.h"

namespace portal::ctl {
namespace {

using http::Json;

const std::vector<Column> endpoint_columns = {{"ID", "id"},
                                              {"URL", "url"},
                                              {"EVENTS", "event_types"},
                                              {"ENABLED", "enabled"},
                                              {"DISABLED FOR", "disabled_reason"},
                                              {"FAILING SINCE", "failing_since"}};
const std::vector<Column> delivery_columns = {
    {"EVENT", "event_id"},  {"TYPE", "type"},      {"ENDPOINT", "endpoint_id"},
    {"STATE", "state"},     {"TRIES", "attempts"}, {"NEXT TRY", "next_attempt_at"},
    {"LAST ANSWER", "last"}};

// What came last, for the table.
Json with_last(const Json& delivery) {
    Json row = Json::steal(json_copy(delivery.get()));
    const Json last = delivery["log"][std::size_t(0)];
    if (!last.present()) {
        row.set("last", nullptr);
    } else if (last["status"].is_integer()) {
        row.set("last", std::to_string(last["status"].integer()));
    } else {
        row.set("last", last["error"]);
    }
    return row;
}

Json with_last_of_each(const Json& deliveries) {
    Json rows = Json::array();
    for (std::size_t at = 0; at < deliveries.size(); ++at) {
        rows.push(with_last(deliveries[at]));
    }
    return rows;
}

// The secret of an endpoint is shown below its record, where it can be copied.
void print_endpoint(Session& session, const Json& endpoint) {
    if (session.json) {
        print_json(endpoint);
        return;
    }
    if (!endpoint["secret"].present()) {
        print_record(endpoint);
        return;
    }
    Json record = Json::steal(json_copy(endpoint.get()));
    json_object_del(record.get(), "secret");
    print_record(record);
    print_line("");
    print_line("The secret, shown only now:");
    print_line(endpoint["secret"].text());
}

void add_events(Verb verb, Body body) {
    std::string known = "What it is told; repeatable, or a list with commas; all (the default) or:";
    for (std::string_view type : webhook_event_types()) {
        known += " " + std::string(type);
    }
    auto set_types = [body](const std::vector<std::string>& types) {
        Json list = Json::array();
        for (const std::string& type : types) {
            list.push(type);
        }
        body->set("event_types", types == std::vector<std::string>{"all"} ? Json(nullptr) : list);
    };
    verb.list("-e,--event", known.c_str(), set_types, true).hint("TYPE");
}

// Also from a file: every user of this host can read a command line.
void add_secret_options(Verb verb, const char* what, std::function<void(const std::string&)> take) {
    const Option secret = verb.text("--secret", what, take).hint("SECRET");
    auto read = [take](const std::string& path) {
        std::string line;
        LineReader(path).next(line);
        if (line.empty()) {
            throw Refused("there is no secret in the first line of " + path);
        }
        take(line);
    };
    verb.text("--secret-file", "The same, from the first line of a file; - is standard input", read)
        .hint("FILE")
        .excludes(secret);
}

void add_secret_options(Verb verb, const char* what, Body body) {
    add_secret_options(verb, what, [body](const std::string& secret) {
        body->set("secret", secret.empty() ? Json(nullptr) : Json(secret));
    });
}

void add_list(Verb family, Session& session) {
    auto request = std::make_shared<PageRequest>();
    Verb verb = family.verb("list", "Show a workspace's endpoints, newest first",
                            "portalctl webhook list -w acme");
    verb.workspace(session).required();
    verb.pages(*request);
    verb.run([=, &session] {
        Page page =
            session.run(list_webhook_endpoints(session.db(), session.workspace_id(), *request));
        session.json ? print_json(page.json()) : print_page(page, endpoint_columns, "No endpoint.");
    });
}

void add_add(Verb family, Session& session) {
    Body body = make_body();
    Verb verb = family.verb(
        "add", "Have events told to a URL; its secret is shown this once",
        "portalctl webhook add -w acme https://hooks.example.com/portal -e customer.created");
    verb.workspace(session).required();
    verb.text("url", body, "url",
              "Where to: https, at a public address or one that portal.toml lists")
        .required()
        .hint("URL");
    add_events(verb, body);
    add_secret_options(verb, "The secret of a system being replaced: whsec_ and base64", body);
    verb.run([=, &session] {
        auto input = WebhookEndpointInput::parse(*body, session.config().webhooks.targets);
        Json made = session.run(
            create_webhook_endpoint(session.db(), session.secrets(), session.workspace_id(),
                                    ReadableEvents::of_operator(), std::move(input)));
        print_endpoint(session, made);
    });
}

std::shared_ptr<std::string> add_id(Verb verb, Session& session) {
    auto id = std::make_shared<std::string>();
    verb.workspace(session).required();
    verb.text("id", *id, "The endpoint's id, as webhook list shows it").required().hint("ID");
    return id;
}

void add_update(Verb family, Session& session) {
    Body body = make_body();
    Verb verb = family.verb(
        "update", "Change an endpoint; what is not named stays",
        "portalctl webhook update -w acme 0e5b4f0c-6d0c-4b83-9f0b-3f4d9f3a1c55 --enabled on");
    auto id = add_id(verb, session);
    verb.text("--url", body, "url", "Where to").hint("URL");
    add_events(verb, body);
    verb.toggle("--enabled", "Whether it is told anything; on begins with a clean slate",
                [body](bool on) { body->set("enabled", on); });
    verb.run([=, &session] {
        if (body->size() == 0) {
            throw UsageError("webhook update: nothing to change; --help lists what can be");
        }
        auto input = WebhookEndpointInput::parse_change(*body, session.config().webhooks.targets);
        Json endpoint =
            session.run(change_webhook_endpoint(session.db(), session.workspace_id(), *id,
                                                ReadableEvents::of_operator(), std::move(input)));
        print_endpoint(session, endpoint);
    });
}

void add_delete(Verb family, Session& session) {
    Verb verb =
        family.verb("delete", "Delete an endpoint; what still waits for it is not sent",
                    "portalctl webhook delete -w acme 0e5b4f0c-6d0c-4b83-9f0b-3f4d9f3a1c55");
    auto id = add_id(verb, session);
    verb.run([=, &session] {
        session.run(delete_webhook_endpoint(session.db(), session.workspace_id(), *id));
        session.json ? print_json(Json::object({{"deleted", *id}})) : print_line("Deleted.");
    });
}

void add_secret(Verb family, Session& session) {
    Body body = make_body();
    Verb verb = family.verb(
        "secret",
        "Give an endpoint a new secret; the one before signs too for 24 hours, or until the next",
        "portalctl webhook secret -w acme 0e5b4f0c-6d0c-4b83-9f0b-3f4d9f3a1c55");
    auto id = add_id(verb, session);
    add_secret_options(verb, "One of your own: whsec_ and base64 of 24 to 64 bytes", body);
    verb.run([=, &session] {
        Json endpoint = session.run(rotate_webhook_secret(session.db(), session.secrets(),
                                                          session.workspace_id(), *id,
                                                          parse_webhook_secret(*body)));
        print_endpoint(session, endpoint);
    });
}

void add_test(Verb family, Session& session) {
    Verb verb = family.verb("test", "Send an endpoint the event webhook.test",
                            "portalctl webhook test -w acme 0e5b4f0c-6d0c-4b83-9f0b-3f4d9f3a1c55");
    auto id = add_id(verb, session);
    verb.run([=, &session] {
        Json delivery =
            session.run(test_webhook_endpoint(session.db(), session.workspace_id(), *id));
        session.json
            ? print_json(delivery)
            : print_line(std::string(delivery["event_id"].text()) +
                         " is on its way; what came of it: portalctl webhook deliveries -w " +
                         session.workspace_slug + " --event-id " +
                         std::string(delivery["event_id"].text()));
    });
}

void add_deliveries(Verb family, Session& session) {
    auto request = std::make_shared<PageRequest>();
    auto filter = std::make_shared<WebhookDeliveryFilter>();
    Verb verb = family.verb("deliveries", "Show what was sent, or is to be, newest first",
                            "portalctl webhook deliveries -w acme --state failed");
    verb.workspace(session).required();
    verb.text("--endpoint", filter->endpoint_id, "Of one endpoint").hint("ID");
    verb.text("--event-id", filter->event_id, "Of one event, evt_… or its UUID").hint("ID");
    verb.text("--type", filter->type, "Of one type of event").hint("TYPE");
    verb.text("--state", filter->state, "pending, succeeded or failed")
        .one_of({"pending", "succeeded", "failed"});
    verb.pages(*request);
    verb.run([=, &session] {
        if (filter->event_id) {
            filter->event_id = std::string(webhook_event_uuid(*filter->event_id));
        }
        for (const std::optional<std::string>& id : {filter->endpoint_id, filter->event_id}) {
            if (id && !Uuid::parse(*id)) {
                throw UsageError("webhook deliveries: " + *id + " is no id");
            }
        }
        Page page = session.run(
            list_webhook_deliveries(session.db(), session.workspace_id(), *filter, *request));
        if (session.json) {
            print_json(page.json());
            return;
        }
        page.data = with_last_of_each(page.data);
        print_page(page, delivery_columns, "No delivery.");
    });
}

void add_redeliver(Verb family, Session& session) {
    auto event = std::make_shared<std::string>();
    auto endpoint = std::make_shared<std::optional<std::string>>();
    Verb verb =
        family.verb("redeliver", "Send an event again to every endpoint that takes it, or to one",
                    "portalctl webhook redeliver -w acme evt_8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001");
    verb.workspace(session).required();
    verb.text("event", *event, "The event, as webhook deliveries shows it")
        .required()
        .hint("EVENT");
    verb.text("--endpoint", *endpoint, "To this endpoint alone").hint("ID");
    verb.run([=, &session] {
        Json answer = session.run(redeliver_webhook_event(session.db(), session.workspace_id(),
                                                          std::string(webhook_event_uuid(*event)),
                                                          *endpoint));
        session.json
            ? print_json(answer)
            : print_table(with_last_of_each(answer["deliveries"]), delivery_columns,
                          "No enabled endpoint takes it, or it is being sent at this moment.");
    });
}

void add_listen(Verb family, Session& session) {
    auto listener = std::make_shared<WebhookListener>();
    Verb verb = family.verb(
        "listen",
        "Print the webhooks that come to a port of this host, their signatures checked; for who "
        "writes a receiver",
        "portalctl webhook listen --secret-file webhook.secret --port 4000");
    add_secret_options(verb, "The endpoint's secret; else $WEBHOOK_SECRET",
                       [listener](const std::string& secret) { listener->secret = secret; });
    verb.number("--port", listener->port,
                "The port, at 127.0.0.1; 0: any that is free (default 4000)")
        .hint("PORT");
    verb.number("--count", listener->count, "End after so many (default: never)").hint("N");
    verb.run([=, &session] {
        session.exit_code = listener->run(session.json) ? done : refused_by_rule;
    });
}

}  // namespace

void add_webhook_verbs(Verb app, Session& session) {
    Verb family = app.family("webhook", "Webhooks: endpoints, and what was sent to them");
    add_list(family, session);
    add_add(family, session);
    add_update(family, session);
    add_delete(family, session);
    add_secret(family, session);
    add_test(family, session);
    add_deliveries(family, session);
    add_redeliver(family, session);
    add_listen(family, session);
}

}  // namespace portal::ctl
