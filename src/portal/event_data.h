// What an event tells: the `data` of contract/events.md, the same for streams and webhooks.
#pragma once

#include <string_view>

#include "http/json.h"

namespace portal {

// `stored` is portal.events.data: the changed row as to_jsonb() has it, in the time zone of whoever
// wrote it. Answers what the matching GET answers for that row, by the GET's own function:
//   customer.*               GET /api/customers/{id}, without `members`, which are rows of their
//   own file_sharing_session.*   GET /api/customer-portal/file-sharing/sessions/{id}, so never who
//   paid payment.updated          GET /api/customer-portal/payments, as the buyer sees its own
//   portal_item.*            GET /api/portal-items/{id}
//   client_portal.config_updated  `data` of GET /api/v1/client-portal/config
// Any other type is told as it is stored. A row from before a migration, which lacks what the GET
// shows: its id.
http::Json event_data(std::string_view type, const http::Json& stored);

}  // namespace portal
