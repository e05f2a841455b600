// portalctl file-session create|list|show|set|download|pay|payment
#include <memory>

#include "ctl/output.h"
#include "ctl/verbs.h"
#include "portal/file_sharing.h"
#include "portal/file_sharing_download.h"
#include "portal/file_sharing_list.h"
#include "portal/payment.h"
#include "portal/uuid.h"

namespace portal::ctl {
namespace {

using http::Json;

const std::vector<Column> columns = {{"ID", "id"},
                                     {"TITLE", "title"},
                                     {"FILE", "file_name"},
                                     {"STATUS", "status"},
                                     {"OF", "max_downloads"},
                                     {"DOWNLOADS", "download_count"},
                                     {"EXPIRES", "expires_at"},
                                     {"CREATED", "created_at"}};

void print(Session& session, const Json& made) {
    session.json ? print_json(made) : print_record(made);
}

// An id as it is stored; what is none is nobody's.
std::string id_of(const char* what, const std::string& text) {
    std::optional<Uuid> id = Uuid::parse(text);
    if (!id) {
        throw UsageError(std::string(what) + ": is to be a UUID");
    }
    return id->text();
}

void add_customer_options(Verb& verb, Body body) {
    verb.text("--customer-id", body, "customer_id", "The customer, by its id").hint("UUID");
    verb.text("--customer", body, "external_customer_id", "The customer, by your own id for it")
        .hint("ID");
}

void add_session_options(Verb& verb, Body body) {
    verb.text("--title", body, "title", "What it is called").hint("TEXT");
    verb.text("--file-name", body, "file_name", "Name of the file").hint("NAME");
    verb.number("--file-size", body, "file_size_bytes", "Its size in bytes");
    verb.text("--status", body, "status",
              "created (default), active, completed, expired, destroyed or reported");
    verb.number("--max-downloads", body, "max_downloads", "0: any number (default)");
    verb.number("--price-cents", body, "price_cents", "What a buyer pays");
    verb.text("--currency", body, "currency", "Three letters (default: usd)").hint("CODE");
    verb.number("--ttl", body, "ttl_seconds", "Seconds to live; 0: for ever (default)");
    verb.text("--expires-at", body, "expires_at", "When it ends, as 2026-12-31T23:59:59Z")
        .hint("TIME");
    verb.text("--short-slug", body, "short_slug", "Its short name in addresses (default: random)")
        .hint("SLUG");
    verb.text("--long-slug", body, "long_slug", "Its long name (default: random)").hint("SLUG");
    verb.text("--user-id", body, "user_id", "Whose it is in your own system").hint("UUID");
    verb.text("--share-id", body, "share_id", "The share it belongs to in your own system")
        .hint("UUID");
}

void add_create(Verb family, Session& session) {
    Body body = make_body();
    Verb verb = family.verb("create", "Make a file-sharing session of a customer's",
                            "portalctl file-session create -w acme --customer cus_1 --title "
                            "\"Drawings\" --file-name drawings.zip --max-downloads 3");
    verb.workspace(session).required();
    add_customer_options(verb, body);
    add_session_options(verb, body);
    verb.run([=, &session] {
        FileShareSessionInput input = FileShareSessionInput::parse(*body);
        print(session, session.run(create_file_share_session(session.db(), session.workspace_id(),
                                                             std::move(input), {})));
    });
}

void add_list(Verb family, Session& session) {
    auto request = std::make_shared<PageRequest>();
    auto filter = std::make_shared<FileShareFilter>();
    Verb verb = family.verb("list", "Show a workspace's file-sharing sessions",
                            "portalctl file-session list -w acme --status active --sort "
                            "-download_count");
    verb.workspace(session).required();
    verb.text("--customer-id", "Only this owner's",
              [filter](const std::string& text) {
                  filter->customer_id = id_of("--customer-id", text);
              })
        .hint("UUID");
    verb.text("--status", filter->status, "Only those that are so")
        .hint("STATUS")
        .one_of({"created", "active", "completed", "expired", "destroyed", "reported"});
    verb.text("--query", filter->query, "Part of title or file name").hint("TEXT");
    verb.list("--sort", request->sorting,
              "created_at, status or download_count, '-' first for descending; repeatable", true)
        .hint("KEY")
        .one_of({"created_at", "-created_at", "status", "-status", "download_count",
                 "-download_count"});
    verb.pages(*request);
    verb.run([=, &session] {
        Page page = session.run(
            list_file_share_sessions(session.db(), session.workspace_id(), *filter, *request));
        session.json ? print_json(page.json())
                     : print_page(page, columns, "No file-sharing session.");
    });
}

void add_show(Verb family, Session& session) {
    auto id = std::make_shared<std::string>();
    Verb verb = family.verb("show", "Show one",
                            "portalctl file-session show -w acme "
                            "761f724b-a3f6-4a02-a1b4-a2631a6c6677");
    verb.workspace(session).required();
    verb.text("session", *id, "Its id").required().hint("SESSION");
    verb.run([=, &session] {
        print(session, session.run(find_file_share_session(session.db(), session.workspace_id(),
                                                           id_of("session", *id))));
    });
}

void add_set(Verb family, Session& session) {
    Body body = make_body();
    auto id = std::make_shared<std::string>();
    Verb verb = family.verb("set", "Change what is named; '' removes",
                            "portalctl file-session set -w acme "
                            "761f724b-a3f6-4a02-a1b4-a2631a6c6677 --status destroyed");
    verb.workspace(session).required();
    verb.text("session", *id, "Its id").required().hint("SESSION");
    add_customer_options(verb, body);
    add_session_options(verb, body);
    verb.run([=, &session] {
        FileShareSessionInput input = FileShareSessionInput::parse_change(*body);
        print(session,
              session.run(change_file_share_session(session.db(), session.workspace_id(),
                                                    id_of("session", *id), std::move(input))));
    });
}

void add_download(Verb family, Session& session) {
    Body body = make_body();
    auto id = std::make_shared<std::string>();
    Verb verb = family.verb("download", "Record a download, which counts",
                            "portalctl file-session download -w acme "
                            "761f724b-a3f6-4a02-a1b4-a2631a6c6677 --customer cus_1");
    verb.workspace(session).required();
    verb.text("session", *id, "The session's id").required().hint("SESSION");
    add_customer_options(verb, body);
    verb.number("--slot", body, "slot_number", "Which download it is (default: the next)");
    verb.run([=, &session] {
        FileShareDownloadInput input = FileShareDownloadInput::parse(*body);
        print(session,
              session.run(create_file_share_download(session.db(), session.workspace_id(),
                                                     id_of("session", *id), std::move(input), {})));
    });
}

void add_payment_options(Verb& verb, Body body) {
    verb.text("--currency", body, "currency", "Three letters (default: the session's)")
        .hint("CODE");
    verb.text("--status", body, "status", "pending (default), completed, refunded or failed");
    add_customer_options(verb, body);
    verb.text("--buyer-email", body, "buyer_email", "Who paid").hint("ADDRESS");
    verb.text("--buyer-name", body, "buyer_name", "Who paid").hint("NAME");
    verb.text("--checkout-session", body, "stripe_checkout_session_id", "Stripe's id for it")
        .hint("ID");
    verb.text("--payment-intent", body, "stripe_payment_intent_id", "Stripe's id for it")
        .hint("ID");
    verb.number("--platform-fee", body, "platform_fee_cents", "What of it is the platform's");
}

void add_pay(Verb family, Session& session) {
    Body body = make_body();
    auto id = std::make_shared<std::string>();
    Verb verb = family.verb("pay", "Record a payment",
                            "portalctl file-session pay -w acme "
                            "761f724b-a3f6-4a02-a1b4-a2631a6c6677 --amount 1500 --status completed "
                            "--customer cus_1");
    verb.workspace(session).required();
    verb.text("session", *id, "The session's id").required().hint("SESSION");
    verb.number("--amount", body, "amount_cents", "In cents").required();
    add_payment_options(verb, body);
    verb.run([=, &session] {
        PaymentInput input = PaymentInput::parse(*body);
        print(session, session.run(create_payment(session.db(), session.workspace_id(),
                                                  id_of("session", *id), std::move(input), {})));
    });
}

void add_payment(Verb family, Session& session) {
    Body body = make_body();
    auto id = std::make_shared<std::string>();
    auto payment = std::make_shared<std::string>();
    Verb verb = family.verb("payment", "Change a payment; '' removes",
                            "portalctl file-session payment -w acme "
                            "761f724b-a3f6-4a02-a1b4-a2631a6c6677 "
                            "8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001 --status refunded");
    verb.workspace(session).required();
    verb.text("session", *id, "The session's id").required().hint("SESSION");
    verb.text("payment", *payment, "The payment's id").required().hint("PAYMENT");
    verb.number("--amount", body, "amount_cents", "In cents");
    add_payment_options(verb, body);
    verb.run([=, &session] {
        PaymentInput input = PaymentInput::parse_change(*body);
        print(session, session.run(change_payment(session.db(), session.workspace_id(),
                                                  id_of("session", *id), id_of("payment", *payment),
                                                  std::move(input))));
    });
}

}  // namespace

void add_file_session_verbs(Verb app, Session& session) {
    Verb family =
        app.family("file-session", "File sharing: sessions, their downloads and payments");
    add_create(family, session);
    add_list(family, session);
    add_show(family, session);
    add_set(family, session);
    add_download(family, session);
    add_pay(family, session);
    add_payment(family, session);
}

}  // namespace portal::ctl
