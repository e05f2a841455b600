#include "ctl/demo_files.h"

#include <array>

#include "portal/file_sharing.h"
#include "portal/file_sharing_download.h"
#include "portal/file_sharing_list.h"
#include "portal/payment.h"

namespace portal::ctl {
namespace {

using http::Json;

// One shared file and what happened to it; `ends` is its status after that, "" the one it has come
// to.
struct DemoFile {
    const char* title;
    const char* file_name;
    int megabytes, max_downloads, price_cents;
    int ttl_seconds;
    int downloads;        // the last by the buyer
    const char* payment;  // the buyer's, by its status; "" for none
    const char* ends;
};

constexpr int month = 30 * 86400;
constexpr std::array<DemoFile, 6> files = {{
    {"Holiday photos", "holiday-photos.zip", 840, 0, 0, month, 0, "", ""},
    {"Floor plans", "floor-plans.pdf", 12, 5, 1500, month, 2, "completed", ""},
    {"Wedding film", "wedding-film.mp4", 3100, 2, 4900, month, 2, "completed", ""},
    {"Draft contract", "draft-contract.docx", 1, 3, 0, 1, 1, "", "expired"},
    {"Old backup", "old-backup.tar.gz", 5200, 0, 900, 0, 1, "refunded", "destroyed"},
    {"Song collection", "song-collection.zip", 230, 0, 300, month, 0, "failed", "reported"},
}};
constexpr DemoFile bought = {
    "Brand guidelines", "brand-guidelines.pdf", 7, 10, 2500, month, 1, "pending", ""};

class Shelf {
  public:
    Shelf(Session& session, std::string workspace_id)
        : session_(session), workspace_id_(std::move(workspace_id)) {}

    Json share(const DemoFile& file, const Json& seller, const Json& buyer) {
        FileShareFilter filter;
        filter.query = file.file_name;
        filter.customer_id = seller["id"].text();
        Json there =
            session_.run(list_file_share_sessions(session_.db(), workspace_id_, filter, {})).data;
        if (there.size() > 0) {
            return there[std::size_t(0)];
        }
        Json body = Json::object({{"customer_id", seller["id"]},
                                  {"title", file.title},
                                  {"file_name", file.file_name},
                                  {"file_size_bytes", file.megabytes * std::int64_t(1000000)},
                                  {"max_downloads", file.max_downloads},
                                  {"ttl_seconds", file.ttl_seconds}});
        if (file.price_cents > 0) {
            body.set("price_cents", file.price_cents);
        }
        std::string id(
            session_
                .run(create_file_share_session(session_.db(), workspace_id_,
                                               FileShareSessionInput::parse(body), {}))["id"]
                .text());
        pay(id, file, buyer);
        download(id, file, buyer);
        if (*file.ends != '\0') {
            auto change =
                FileShareSessionInput::parse_change(Json::object({{"status", file.ends}}));
            session_.run(change_file_share_session(session_.db(), workspace_id_, id, change));
        }
        return session_.run(find_file_share_session(session_.db(), workspace_id_, id));
    }

  private:
    void pay(const std::string& id, const DemoFile& file, const Json& buyer) {
        if (*file.payment == '\0') {
            return;
        }
        Json body = Json::object({{"amount_cents", file.price_cents},
                                  {"platform_fee_cents", file.price_cents / 10},
                                  {"status", file.payment},
                                  {"customer_id", buyer["id"]},
                                  {"buyer_name", buyer["name"]},
                                  {"buyer_email", buyer["email"]}});
        session_.run(
            create_payment(session_.db(), workspace_id_, id, PaymentInput::parse(body), {}));
    }
    void download(const std::string& id, const DemoFile& file, const Json& buyer) {
        for (int left = file.downloads; left > 0; --left) {
            Json body = Json::object();
            if (left == 1) {
                body.set("customer_id", buyer["id"]);
            }
            session_.run(create_file_share_download(session_.db(), workspace_id_, id,
                                                    FileShareDownloadInput::parse(body), {}));
        }
    }

    Session& session_;
    std::string workspace_id_;
};

}  // namespace

Json share_demo_files(Session& session, const std::string& workspace_id, const Json& seller,
                      const Json& buyer) {
    Shelf shelf(session, workspace_id);
    Json active;
    for (const DemoFile& file : files) {
        Json shared = shelf.share(file, seller, buyer);
        if (shared["status"].text() == "active") {
            active = shared;
        }
    }
    shelf.share(bought, buyer, seller);
    return active.present() ? active : Json(nullptr);
}

}  // namespace portal::ctl
