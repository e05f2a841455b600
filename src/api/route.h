// Route: one row of a contract file. dispatch() goes through the contract's order of checks and then calls handle.
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "http/failure.h"
#include "http/request.h"
#include "http/response.h"
#include "portal/origin.h"
#include "portal/principal.h"
#include "portal/services.h"

namespace portal::api {

// The groups of portal_api: sessions, portal, client-portal, management. A route of `every` is served wherever any is.
enum class Group { sessions, portal, client_portal, management, every };

// Which groups a location serves: bits of 1 << Group.
using Groups = unsigned;
constexpr Groups group_bit(Group group) { return group == Group::every ? ~0u : 1u << unsigned(group); }

// What a handler gets. Lives as long as its request; what it writes is written in the caller's name.
struct Call {
    Call(http::Request& request_, const Services& services)
        : request(request_), db(services.db, origin), portal(services.with(db)) {}
    Call(const Call&) = delete;

    class CallOrigin final : public Origin {
      public:
        explicit CallOrigin(const Call& call) : call_(call) {}

      private:
        std::string actor() const override { return actor_name(call_.caller); }
        std::string_view address() const override { return call_.request.client_address; }
        std::string_view request_id() const override { return call_.request.request_id; }
        const Call& call_;
    };

    http::Request& request;
    CallOrigin origin{*this};
    io::Postgres db;
    Services portal;
    Principal caller{};                                // kind none on anonymous routes
    std::array<std::string_view, 2> parameters{};      // the pattern's {..} parts, in order
    std::string body{};                                // read and within the limit; "" when the route takes none
    Limits admitted{};                                 // what this request was charged so far
    http::RateLimit limit{};                           // told by whatever answer follows, failures too
    Groups groups = ~0u;                               // that the location serves
    Uuid ticket{};                                     // that opened an event stream, else nil
    const struct Route* route = nullptr;               // once it is found
};

enum class Body { none, json };
// code_send, code_try and restricted are counted by the client's address, whoever calls.
enum class LimitClass { standard, client_portal, restricted, code_send, code_try };

// Which principals a route takes, as bits of 1 << Kind.
constexpr unsigned only(Kind kind) { return 1u << unsigned(kind); }
inline constexpr unsigned anyone = 0;
inline constexpr unsigned workspace_token = only(Kind::workspace);
inline constexpr unsigned portal_session = only(Kind::customer) | only(Kind::member);
inline constexpr unsigned addressee = only(Kind::portal);
inline constexpr unsigned browser_session = portal_session | addressee;   // may come by the portal's cookie

struct Route {
    http::Method method;
    std::string_view pattern;     // "/api/v1/client-portal/contacts/{id}/invite", without a last slash
    Group group;
    http::Surface surface;
    unsigned kinds;
    Scope scope;                  // none: no scope asked
    LimitClass limit;
    Body body;
    io::Task<http::Response> (*handle)(Call& call);   // a coroutine, unless it has its answer at once
    bool stream = false;          // an event stream: a ticket may open it
};

// One table per surface file.
std::span<const Route> customer_session_routes();
std::span<const Route> client_portal_routes();
std::span<const Route> contact_routes();
std::span<const Route> company_routes();
std::span<const Route> portal_item_routes();
std::span<const Route> portal_me_routes();
std::span<const Route> portal_file_routes();
std::span<const Route> file_sharing_routes();
std::span<const Route> openapi_routes();
std::span<const Route> portal_profile_routes();
std::span<const Route> portal_member_routes();
std::span<const Route> member_routes();
std::span<const Route> customer_routes();
std::span<const Route> access_token_routes();
std::span<const Route> workspace_routes();
std::span<const Route> webhook_routes();
std::span<const Route> portal_login_routes();
std::span<const Route> event_stream_routes();

}  // namespace portal::api
