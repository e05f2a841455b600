#include "portal/origin.h"

namespace portal {
namespace {

// Sets all three, and sends nothing back: none of them is ever NULL.
//
//   $1 actor  $2 client address  $3 request id
constexpr io::Statement origin_statement{"origin", R"(
SELECT WHERE set_config('portal.actor', $1, true) IS NULL
          OR set_config('portal.address', $2, true) IS NULL
          OR set_config('portal.request_id', $3, true) IS NULL)"};

}  // namespace

std::string actor_name(const Principal& caller) {
    switch (caller.kind) {
        case Kind::workspace: return "access_token:" + caller.token_id.text();
        case Kind::customer: return "customer:" + caller.customer_id.text();
        case Kind::member: return "member:" + caller.member_id.text();
        case Kind::portal:
            return (caller.addressee_is_company ? "company:" : "contact:") + std::to_string(caller.addressee_id);
        case Kind::none: break;
    }
    return "anonymous";
}

const io::Statement& Origin::statement() const { return origin_statement; }

io::Parameters Origin::parameters() const { return io::Parameters(actor(), address(), request_id()); }

}  // namespace portal
