// What portalctl demo-data shares: sessions in every status, with downloads and payments.
#pragma once

#include <string>

#include "ctl/session.h"
#include "http/json.h"

namespace portal::ctl {

// Of `seller`, bought by `buyer`, and one the other way round; answers the one that is active.
// What is there is left as it is.
http::Json share_demo_files(Session& session, const std::string& workspace_id,
                            const http::Json& seller, const http::Json& buyer);

}  // namespace portal::ctl
