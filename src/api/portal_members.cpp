// contract/customer-portal.md, Members: a team, managed by its owner and billing managers.
#include "api/mail_limit.h"
#include "api/route.h"
#include "http/validation.h"
#include "portal/portal_profile.h"
#include "portal/team.h"

namespace portal::api {
namespace {

using http::Json;
using http::Response;

// What the credential itself says; the statements look again.
void require_role(const Call& call) {
    if (call.caller.role == Role::member) {
        throw insufficient_role();
    }
}

io::Task<Response> list_members(Call& call) {
    require_role(call);
    Json members = co_await list_team(call.portal.db, call.caller);
    co_return http::json_response(200, members.dump());
}

// Charged for the mail before it is made: who is over a limit changes nothing.
io::Task<Response> add_member(Call& call) {
    require_role(call);
    auto input = TeamMemberInput::parse(call.body, call.request.header("content-type"));
    auto key = IdempotencyKey::read(call.request, call.portal.secrets,
                                    "/api/customer-portal/members", call.body);
    const KeyClaim claim(call.caller, std::move(key));
    for (int attempt = 1; attempt <= 3; ++attempt) {
        std::optional<Json> earlier = co_await replay_team_member(call.portal, call.caller, claim);
        if (earlier) {
            co_return http::json_response(201, earlier->dump());
        }
        const bool mails = co_await plan_team_member(call.portal.db, call.caller, input.email);
        Limits charged;
        if (mails) {
            Limits wanted{mail_to(call, input.email), member_mail_of(call)};
            charged = co_await charge_besides(call, std::move(wanted));
        }
        std::optional<TeamMember> added;
        try {
            added = co_await add_team_member(call.portal, call.caller, input, mails, claim);
        } catch (const http::Failure&) {
            call.portal.limiter.give_back(charged);
            throw;
        }
        if (!added || !added->mailed) {
            call.portal.limiter.give_back(charged);
        }
        if (added) {
            co_return http::json_response(201, added->member.dump());
        }
    }
    throw still_running();
}

io::Task<Response> change_member(Call& call) {
    require_role(call);
    auto change =
        TeamMemberChange::parse(call.parameters[0], call.body, call.request.header("content-type"));
    Json member = co_await change_team_member(call.portal, call.caller, std::move(change));
    co_return http::json_response(200, member.dump());
}

io::Task<Response> remove_member(Call& call) {
    require_role(call);
    const Uuid id = http::require_uuid4(call.parameters[0], {"path", "id"});
    co_await remove_team_member(call.portal, call.caller, id);
    co_return http::no_content();
}

using enum http::Method;
constexpr auto group = Group::portal;
constexpr auto surface = http::Surface::rest;
constexpr auto limit = LimitClass::standard;
constexpr unsigned member = only(Kind::member);

// clang-format off
constexpr Route routes[] = {
    {get, "/api/customer-portal/members", group, surface, member, Scope::none, limit, Body::none, list_members},
    {post, "/api/customer-portal/members", group, surface, member, Scope::none, limit, Body::json, add_member},
    {patch, "/api/customer-portal/members/{id}", group, surface, member, Scope::none, limit, Body::json,
     change_member},
    {del, "/api/customer-portal/members/{id}", group, surface, member, Scope::none, limit, Body::none,
     remove_member},
};
// clang-format on

}  // namespace

std::span<const Route> portal_member_routes() { return routes; }

}  // namespace portal::api
