#include "portal/stream_ticket.h"

#include <openssl/crypto.h>

#include "portal/credential.h"

namespace portal {
namespace {

using io::Lane;
using io::Parameters;
using io::Retry;
using io::Statement;

//   $1 id  $2 workspace  $3 kind  $4 session  $5 its end in Unix seconds, 0: none
constexpr Statement insert_statement{"stream_ticket_insert", R"(
INSERT INTO portal.stream_tickets (id, workspace_id, kind, session_id, expires_at)
VALUES ($1::uuid, $2::uuid, $3::text, $4::uuid,
        CASE WHEN $5::bigint = 0 THEN now() + interval '1 day' ELSE to_timestamp($5::bigint) END)
)"};

constexpr Statement open_statement{"stream_ticket_open", R"(
UPDATE portal.stream_tickets SET opened_at = coalesce(opened_at, now())
 WHERE id = $1::uuid AND expires_at > now()
   AND (opened_at IS NOT NULL OR created_at > now() - make_interval(secs => $2::integer))
RETURNING kind, session_id
)"};

constexpr std::size_t id_digits = 32, mac_digits = 32;

// "<id><mac>", both in hexadecimal digits.
std::string ticket_text(const Uuid& id, const Digest& mac) {
    std::string text = id.text();
    std::erase(text, '-');
    return text + hex(mac).substr(0, mac_digits);
}

// The id in a ticket that some accepted secret has made.
std::optional<Uuid> verified(const Secrets& secrets, std::string_view text) {
    if (text.size() != id_digits + mac_digits) {
        return std::nullopt;
    }
    const std::optional<Uuid> id = Uuid::parse(text.substr(0, id_digits));
    if (!id) {
        return std::nullopt;
    }
    for (const Digest& mac : secrets.derive_all("stream-ticket", id->text())) {
        if (CRYPTO_memcmp(ticket_text(*id, mac).data(), text.data(), text.size()) == 0) {
            return id;
        }
    }
    return std::nullopt;
}

const char* word_of(Kind kind) {
    return kind == Kind::customer ? "customer" : kind == Kind::member ? "member" : "portal";
}

Kind kind_of(std::string_view word) {
    return word == "customer" ? Kind::customer : word == "member" ? Kind::member : Kind::portal;
}

}  // namespace

io::Task<StreamTicket> make_stream_ticket(Services& portal, const Principal& caller) {
    const Uuid id = Uuid::random();
    Parameters parameters(id.text(), caller.workspace_id.text(), word_of(caller.kind), caller.token_id.text(),
                          caller.expires_at);
    co_await portal.db.query(insert_statement, std::move(parameters));
    co_return StreamTicket{ticket_text(id, portal.secrets.derive("stream-ticket", id.text()))};
}

io::Task<std::optional<OpenedTicket>> open_stream_ticket(Services& portal, std::string_view text) {
    const std::optional<Uuid> id = verified(portal.secrets, text);
    if (!id) {
        co_return std::nullopt;
    }
    Parameters parameters(id->text(), StreamTicket::seconds);
    io::Rows rows = co_await portal.db.query(open_statement, std::move(parameters));
    if (rows.empty()) {
        co_return std::nullopt;
    }
    const Kind kind = kind_of(rows.front().text("kind"));
    std::vector<Uuid> sessions(1, Uuid::parse(rows.front().text("session_id")).value_or(Uuid{}));
    std::vector<Principal> living = co_await living_credentials(portal.db, kind, std::move(sessions));
    if (living.empty()) {
        co_return std::nullopt;
    }
    co_return OpenedTicket{*id, living.front()};
}

}  // namespace portal
