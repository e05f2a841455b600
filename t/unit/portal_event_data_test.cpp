// What an event tells is what the GET of that row answers, whoever stored the row.
#include "portal/client_portal_config.h"
#include "portal/customer.h"
#include "portal/event_data.h"
#include "portal/file_sharing.h"
#include "portal/file_sharing_download.h"
#include "portal/payment.h"
#include "portal/portal_item.h"
#include "portal_fixture.h"

namespace portal::test {
namespace {

using http::Json;

struct EventData : PortalFixture {
    Principal caller = workspace("acme");
    std::string ws = caller.workspace_id.text();

    // The stored data of the one event of this type, which is then gone.
    Json stored(const std::string& type) {
        EXPECT_EQ(sql("SELECT count(*) FROM portal.events WHERE type = '" + type + "'"), "1") << type;
        return Json::parse(sql("DELETE FROM portal.events WHERE type = '" + type + "' RETURNING data"));
    }
    std::string told(const std::string& type) { return event_data(type, stored(type)).dump(); }

    std::string customer_seen(const std::string& id) {
        Json customer = run(find_customer(*db, ws, {.id = id, .external_id = {}, .email = {}}));
        json_object_del(customer.get(), "members");
        return customer.dump();
    }
    std::string session_seen(const std::string& customer_id, const std::string& id) {
        return run(find_visible_file_share_session(*db, ws, customer_id, id)).dump();
    }
    std::string newest_payment(const std::string& customer_id) {
        return run(list_own_payments(*db, ws, customer_id, {})).data[std::size_t(0)].dump();
    }
    std::string made_session(const std::string& owner, const std::string& more) {
        Json body = Json::parse(R"({"customer_id":")" + owner + "\"" + more + "}");
        return std::string(
            run(create_file_share_session(*db, ws, FileShareSessionInput::parse(body), {}))["id"].text());
    }
};

TEST_F(EventData, OfCustomers) {
    Json body = Json::parse(R"({"email":"ann@example.com","name":"Änn","external_id":"x-1","type":"team",
        "billing_address":{"country":"us","state":"NY","city":"Albany"},
        "metadata":{"plan":"gold","seats":[1,2.50,1e400,9223372036854775807],"created_at":"2026-01-01T00:00:00+02:00"}})");
    Json made = run(create_customer(*db, ws, CustomerInput::parse(body)));
    const std::string id(made["id"].text());
    EXPECT_EQ(told("customer.created"), customer_seen(id));

    Json change = Json::parse(R"({"name":null,"billing_address":{"country":"DE"}})");
    run(change_customer(*db, ws, {.id = id, .external_id = {}, .email = {}}, CustomerChange::parse(change, false)));
    EXPECT_EQ(told("customer.updated"), customer_seen(id));

    // a site's own connection may be in any zone, and PostgreSQL writes no more of a fraction than it needs
    sql("BEGIN; SET LOCAL timezone = 'Asia/Kolkata';"
        "UPDATE portal.customers SET created_at = '2026-01-31T22:00:00.25Z'; COMMIT");
    EXPECT_EQ(told("customer.updated"), customer_seen(id));
    EXPECT_NE(customer_seen(id).find("2026-01-31T22:00:00.250000Z"), std::string::npos);

    run(delete_customer(*db, ws, {.id = id, .external_id = {}, .email = {}}, false));
    Json deleted = event_data("customer.deleted", stored("customer.deleted"));
    EXPECT_EQ(deleted["email"].text(), "ann@example.com");
    EXPECT_EQ(deleted["deleted_at"].text().back(), 'Z');
}

TEST_F(EventData, OfFileSharing) {
    const std::string owner = customer(caller, "owner@example.com"), buyer = customer(caller, "buyer@example.com");
    const std::string id = made_session(owner, R"(,"price_cents":500,"file_name":"a\"ü.pdf","ttl_seconds":60)");
    EXPECT_EQ(told("file_sharing_session.created"), session_seen(owner, id));

    Json change = Json::parse(R"({"title":"Plan","file_name":null,"max_downloads":5})");
    run(change_file_share_session(*db, ws, id, FileShareSessionInput::parse_change(change)));
    EXPECT_EQ(told("file_sharing_session.updated"), session_seen(owner, id));

    FileShareDownloadInput download;
    download.customer.id = buyer;
    run(create_file_share_download(*db, ws, id, download, {}));
    EXPECT_EQ(told("file_sharing_session.download_completed"), session_seen(buyer, id));

    Json sent = Json::parse(R"({"amount_cents":500,"buyer_email":"buyer@example.com","buyer_name":"B",
        "stripe_checkout_session_id":"cs_1","customer_id":")" + buyer + "\"}");
    Json payment = run(create_payment(*db, ws, id, PaymentInput::parse(sent), {}));
    const std::string received = told("file_sharing_session.payment_received");
    EXPECT_EQ(received, session_seen(owner, id));
    EXPECT_EQ(received, session_seen(buyer, id)) << "the same for both, and nothing of the payment";

    Json paid = Json::parse(R"({"status":"completed"})");
    run(change_payment(*db, ws, id, std::string(payment["id"].text()), PaymentInput::parse_change(paid)));
    EXPECT_EQ(told("payment.updated"), newest_payment(buyer));

    Json expired = Json::parse(R"({"status":"expired"})");
    run(change_file_share_session(*db, ws, id, FileShareSessionInput::parse_change(expired)));
    EXPECT_EQ(told("file_sharing_session.expired"), session_seen(owner, id));
}

TEST_F(EventData, OfPortalItems) {
    contact(caller, "ann@example.com");
    Json body = Json::parse(R"({"contact_id":1,"module":"invoices","external_id":"17","title":"Invoice","status":"open",
        "amount_cents":9007199254740993,"currency":"EUR","due_at":"2026-12-31T13:00:00.5+01:00",
        "data":{"lines":[1,"two",null],"due_at":"2026-12-31T13:00:00+01:00"}})");
    Saved saved = run(save_portal_item(*db, ws, PortalItemInput::parse(body)));
    EXPECT_EQ(told("portal_item.created"), saved.row.dump());
    EXPECT_EQ(saved.row.dump(), run(find_portal_item(*db, ws, 1)).dump());

    Json change = Json::parse(R"({"status":"paid","due_at":null,"data":null})");
    run(change_portal_item(*db, ws, 1, PortalItemInput::parse_change(change)));
    EXPECT_EQ(told("portal_item.updated"), run(find_portal_item(*db, ws, 1)).dump());

    run(delete_portal_item(*db, ws, 1));
    EXPECT_EQ(event_data("portal_item.deleted", stored("portal_item.deleted"))["title"].text(), "Invoice");
}

TEST_F(EventData, OfTheConfiguration) {
    for (const char* body : {R"({"portal_name":"Ours","enabled_modules":["tasks"]})", R"({"portal_logo":"a/b.png"})"}) {
        auto input = ClientPortalConfigInput::parse(body, "application/json");
        run(change_client_portal_config(*portal, caller.workspace_id, std::move(input)));
        const std::string config = run(find_client_portal_config(*portal, caller.workspace_id))->body;
        EXPECT_EQ("{\"data\":" + told("client_portal.config_updated") + "}", config);
    }
}

TEST(EventDataOf, AnythingElse) {
    const Json token = Json::parse(R"({"token_id":"t","type":"contact","id":1})");
    EXPECT_EQ(event_data("client_portal.token_created", token).dump(), token.dump());
    EXPECT_EQ(event_data("customers.created", token).dump(), token.dump()) << "no such type";
    EXPECT_EQ(event_data("customer.created", Json::parse(R"({"id":"c","secret":1})")).dump(), R"({"id":"c"})");
}

}  // namespace
}  // namespace portal::test
