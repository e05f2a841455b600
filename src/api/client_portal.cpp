// contract/client-portal.md: what a tenant's backend asks with its access token.
#include <algorithm>
#include <charconv>

#include "api/mail_limit.h"
#include "api/route.h"
#include "http/etag.h"
#include "http/validation.h"
#include "portal/client_portal_config.h"
#include "portal/email.h"
#include "portal/invitation.h"
#include "portal/portal_token.h"

namespace portal::api {
namespace {

using http::Json;
using http::Response;

// ---- GET and PATCH /config

Response config_response(const Call& call, const CachedConfig& config) {
    return http::tagged_response(call.request, config->body, config->etag, config);
}

io::Task<Response> read_config(Call& call) {
    CachedConfig config = co_await find_client_portal_config(call.portal, call.caller.workspace_id);
    co_return config_response(call, config);
}

io::Task<Response> get_config(Call& call) {
    CachedConfig config = call.portal.configs.find(call.caller.workspace_id, false);
    if (config == nullptr) {
        return read_config(call);
    }
    return io::Task<Response>::ready(config_response(call, config));
}

io::Task<Response> change_config(Call& call) {
    auto input = ClientPortalConfigInput::parse(call.body, call.request.header("content-type"));
    Json body = co_await change_client_portal_config(call.portal, call.caller.workspace_id, std::move(input));
    co_return http::json_response(200, body.dump());
}

// ---- invitations

// Contacts and companies have positive 64-bit ids; anything else is nobody's.
Addressee addressee_of(std::string_view text, bool company) {
    Addressee addressee{company, 0};
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), addressee.id);
    if (error != std::errc() || end != text.data() + text.size() || addressee.id <= 0) {
        throw addressee.not_found();
    }
    return addressee;
}

// Prefer: respond-async, among other preferences.
bool prefers_async(const http::Request& request) {
    std::string list = ascii_lower(request.header("prefer").value_or(""));
    std::erase_if(list, [](char c) { return c == ' ' || c == '\t'; });
    std::replace(list.begin(), list.end(), ';', ',');
    return ("," + list + ",").find(",respond-async,") != std::string::npos;
}

Response invitation_response(const Call& call, const Invitation& invitation) {
    if (invitation.state == Invitation::State::refused) {
        // nothing failed: somebody changed his mind between our insert and the mail (helper/invitation_mail.cpp)
        if (invitation.reply == "the portal link was revoked") {
            throw http::Failure(409, "", "The portal link was revoked before it was sent");
        }
        if (invitation.reply == "the client portal is not active") {
            throw http::Failure(403, "", "The client portal is not active");
        }
        throw http::Failure(500, "", "Failed to send portal invitation: " + invitation.reply);
    }
    const bool sent = invitation.state == Invitation::State::sent;
    const char* message = sent ? "Portal invitation sent successfully" : "Portal invitation queued";
    Response response = http::json_response(
        sent ? 200 : 202, Json::object({{"message", message}, {"token", invitation.token}}).dump());
    if (!sent) {
        response.with("Location", call.portal.settings.base_url + "/api/v1/client-portal/invitations/" +
                                      invitation.id.text());
    }
    return response;
}

io::Task<Response> invite(Call& call, Addressee addressee, std::string path) {
    auto message = parse_invitation(call.body, call.request.header("content-type"));
    auto key = IdempotencyKey::read(call.request, call.portal.secrets, std::move(path), call.body);
    for (int attempt = 1; attempt <= 2; ++attempt) {
        if (key.given()) {
            std::optional<Invitation> earlier = co_await replay_invitation(call.portal, call.caller, key);
            if (earlier) {
                co_return invitation_response(call, *earlier);
            }
        }
        InvitationPlan plan = co_await plan_invitation(call.portal, call.caller, addressee);
        Limits wanted{mail_to(call, plan.email)};
        Limits charged = co_await charge_besides(call, std::move(wanted));
        std::optional<Invitation> invitation = co_await send_invitation(
            call.portal, call.caller, addressee, message, prefers_async(call.request), key);
        if (invitation) {
            co_return invitation_response(call, *invitation);
        }
        call.portal.limiter.give_back(charged);   // another request was faster with this key: no mail of ours
    }
    throw still_running();
}

io::Task<Response> invite_contact(Call& call) {
    const Addressee contact = addressee_of(call.parameters[0], false);
    std::string path = "/api/v1/client-portal/contacts/" + std::to_string(contact.id) + "/invite";
    Response response = co_await invite(call, contact, std::move(path));
    co_return response;
}

io::Task<Response> invite_company(Call& call) {
    const Addressee company = addressee_of(call.parameters[0], true);
    std::string path = "/api/v1/client-portal/companies/" + std::to_string(company.id) + "/invite";
    Response response = co_await invite(call, company, std::move(path));
    co_return response;
}

io::Task<Response> get_invitation(Call& call) {
    const std::optional<Uuid> id = Uuid::parse(call.parameters[0]);
    if (!id) {
        throw http::path_not_found();
    }
    Json invitation = co_await find_invitation(call.portal, call.caller, *id);
    co_return http::json_response(200, invitation.dump());
}

// ---- POST and DELETE /token

io::Task<Response> get_or_create_token(Call& call) {
    auto input = PortalTokenInput::parse(call.body, call.request.header("content-type"));
    auto key = IdempotencyKey::read(call.request, call.portal.secrets, "/api/v1/client-portal/token", call.body);
    PortalToken token = co_await get_or_create_portal_token(call.portal, call.caller, input, std::move(key));
    Json body = Json::object({
        {"token", token.token},
        {"url", portal_link(call.portal, token.token)},
        {"expires_at", token.expires_at},
    });
    co_return http::json_response(200, body.dump());
}

io::Task<Response> revoke_tokens(Call& call) {
    auto input = PortalTokenInput::parse(call.body, call.request.header("content-type"));
    co_await revoke_portal_tokens(call.portal, call.caller, input.addressee);
    co_return http::no_content();
}

using enum http::Method;
constexpr auto group = Group::client_portal;
constexpr auto surface = http::Surface::client_portal;
constexpr auto limit = LimitClass::client_portal;

constexpr Route routes[] = {
    {get, "/api/v1/client-portal/config", group, surface, workspace_token, Scope::client_portal_read, limit,
     Body::none, get_config},
    {patch, "/api/v1/client-portal/config", group, surface, workspace_token, Scope::client_portal_write, limit,
     Body::json, change_config},
    {post, "/api/v1/client-portal/contacts/{contactId}/invite", group, surface, workspace_token,
     Scope::client_portal_write, limit, Body::json, invite_contact},
    {post, "/api/v1/client-portal/companies/{companyId}/invite", group, surface, workspace_token,
     Scope::client_portal_write, limit, Body::json, invite_company},
    {get, "/api/v1/client-portal/invitations/{id}", group, surface, workspace_token, Scope::client_portal_read,
     limit, Body::none, get_invitation},
    {post, "/api/v1/client-portal/token", group, surface, workspace_token, Scope::client_portal_write, limit,
     Body::json, get_or_create_token},
    {del, "/api/v1/client-portal/token", group, surface, workspace_token, Scope::client_portal_write, limit,
     Body::json, revoke_tokens},
};

}  // namespace

std::span<const Route> client_portal_routes() { return routes; }

}  // namespace portal::api
