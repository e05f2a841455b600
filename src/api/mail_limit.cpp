#include "api/mail_limit.h"

#include "api/dispatch.h"
#include "portal/email.h"

namespace portal::api {
namespace {

// What the answer tells of limits is the one with the least remaining, and of the one that refused.
void tell_limit(Call& call, const Verdict& verdict) {
    if (!verdict.allowed || call.limit.policy.empty() || verdict.limit.remaining < call.limit.remaining) {
        call.limit = verdict.limit;
    }
}

Limit of_client(const Call& call, const Policy& policy) {
    return {&policy, call.portal.limiter.client_key(policy, call.request.client_address)};
}

Limit of_address(const Call& call, const Policy& policy, const Uuid& workspace,
                 const std::string& email) {
    const std::string address = workspace.text() + "\n" + ascii_lower(email);
    return {&policy, call.portal.limiter.text_key(policy, address)};
}

}  // namespace

Limit mail_to(const Call& call, const std::string& email) {
    return of_address(call, limits::invitation_mail, call.caller.workspace_id, email);
}

Limit member_mail_of(const Call& call) {
    const Policy& policy = limits::member_mail;
    return {&policy, call.portal.limiter.row_key(policy, call.caller.customer_id)};
}

Limits code_mail_to(const Call& call, const Uuid& workspace, const std::string& email) {
    return {of_client(call, limits::code_send),
            of_address(call, limits::code_mail, workspace, email)};
}

Limit code_try_of(const Call& call) { return of_client(call, limits::code_try); }

io::Task<Limits> charge_besides(Call& call, Limits limits) {
    Limiter& limiter = call.portal.limiter;
    Verdict verdict = co_await limiter.admit(std::move(limits));
    tell_limit(call, verdict);
    if (!verdict.allowed) {
        limiter.give_back(call.admitted);
        call.admitted.clear();
        throw over_limit(verdict);
    }
    co_return std::move(verdict.charged);
}

}  // namespace portal::api
