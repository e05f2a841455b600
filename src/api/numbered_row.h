// The handlers of what is numbered per workspace: contacts, companies, portal items. Each file has its own list, and a
// Noun that says what to call:
//   path      of the list, which an Idempotency-Key is good for
//   Input     with parse() and parse_change()
//   save, find, change, remove   of src/portal
//   linked    can it be linked to a customer?
#pragma once

#include "api/route.h"
#include "http/validation.h"
#include "portal/numbered_row.h"

namespace portal::api {

// Linking to a customer is changing what belongs to that customer; so is ending the link, but only the row tells whether
// there is one.
inline void require_customer_scope(const Call& call, const http::Json& body) {
    const http::Json customer = body["customer_id"];
    if (customer.present() && !customer.is_null() && !call.caller.has(Scope::customers_write)) {
        throw http::insufficient_scope(scope_name(Scope::customers_write));
    }
}

template <class Noun>
typename Noun::Input read_numbered(const Call& call,
                                   typename Noun::Input (*parse)(http::Json body)) {
    http::Json body =
        http::parse_body(call.body, call.request.header("content-type"), http::Surface::rest);
    if constexpr (Noun::linked) {
        require_customer_scope(call, body);
    }
    typename Noun::Input input = parse(std::move(body));
    if constexpr (Noun::linked) {
        input.members.set("may_unlink", call.caller.has(Scope::customers_write));
    }
    return input;
}

template <class Noun>
io::Task<http::Response> save_row(Call& call) {
    auto input = read_numbered<Noun>(call, Noun::Input::parse);
    KeyClaim claim(call.caller, IdempotencyKey::read(call.request, call.portal.secrets, Noun::path,
                                                     call.body));
    const std::string workspace = call.caller.workspace_id.text();
    Saved saved =
        co_await Noun::save(call.portal.db, workspace, std::move(input), std::move(claim));
    co_return http::json_response(saved.made ? 201 : 200, saved.row.dump());
}

template <class Noun>
io::Task<http::Response> show_row(Call& call) {
    const std::int64_t id = http::require_number(call.parameters[0]);
    const std::string workspace = call.caller.workspace_id.text();
    http::Json row = co_await Noun::find(call.portal.db, workspace, id);
    co_return http::json_response(200, row.dump());
}

template <class Noun>
io::Task<http::Response> change_row(Call& call) {
    auto [id, change] =
        http::read_both([&] { return http::require_number(call.parameters[0]); },
                        [&] { return read_numbered<Noun>(call, Noun::Input::parse_change); });
    const std::string workspace = call.caller.workspace_id.text();
    http::Json row = co_await Noun::change(call.portal.db, workspace, id, std::move(change));
    co_return http::json_response(200, row.dump());
}

template <class Noun>
io::Task<http::Response> remove_row(Call& call) {
    const std::int64_t id = http::require_number(call.parameters[0]);
    const std::string workspace = call.caller.workspace_id.text();
    co_await Noun::remove(call.portal.db, workspace, id);
    co_return http::no_content();
}

}  // namespace portal::api
