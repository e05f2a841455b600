// FileSharePayment: what was paid for a shared file. customer_id is the buyer, where it is a
// customer.
#pragma once

#include <optional>
#include <string>

#include "http/json.h"
#include "io/postgres.h"
#include "io/task.h"
#include "portal/file_sharing.h"
#include "portal/page.h"

namespace portal {

// FileSharePayment, 12 members, with the columns of PAYMENT_COLUMNS (payment.cpp): what the buyer sees of its own.
http::Json payment_json(const io::Row& row);

struct PaymentInput {
    NamedCustomer customer;
    bool clears_customer = false;               // a change: customer_id was null
    http::Json columns = http::Json::object();  // as FileShareSessionInput's

    static PaymentInput parse(http::Json body);
    static PaymentInput parse_change(http::Json body);
};

// Throws 404, 422 "Customer does not exist.".
io::Task<http::Json> create_payment(io::Postgres& db, std::string workspace_id,
                                    std::string session_id, PaymentInput input, KeyClaim claim);
io::Task<http::Json> change_payment(io::Postgres& db, std::string workspace_id,
                                    std::string session_id, std::string id, PaymentInput input);

// The newest 10,000 of a session that is the customer's own, without who paid unless it is its own
// payment; of one it bought from its own payments. Newest first.
io::Task<http::Json> list_visible_session_payments(io::Postgres& db, std::string workspace_id,
                                                   std::string customer_id, std::string session_id);
// Every payment of the customer's own, newest first.
io::Task<Page> list_own_payments(io::Postgres& db, std::string workspace_id,
                                 std::string customer_id, PageRequest request);

}  // namespace portal
