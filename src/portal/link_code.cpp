#include "portal/link_code.h"

namespace portal {
namespace {

using io::Lane;
using io::Parameters;
using io::Retry;
using io::Statement;

//   $1 workspace  $2 the link  $3 hashes of the browser's sessions
constexpr Statement known_statement{"link_code_known", R"(
SELECT FROM portal.client_portal_tokens link
  JOIN portal.client_portal_tokens s
    ON s.workspace_id = link.workspace_id AND s.parent_id IS NOT NULL
   AND (s.contact_id = link.contact_id OR s.company_id = link.company_id)
 WHERE link.workspace_id = $1::uuid AND link.id = $2::uuid AND s.token_hash = ANY ($3::text[])
   AND s.revoked_at IS NULL AND s.expires_at > now()
 LIMIT 1)",
                                    Lane::main, Retry::read};

//   $1 workspace  $2 the link
constexpr Statement address_statement{"link_code_address", R"(
SELECT coalesce(p.email, o.email) AS email
  FROM portal.client_portal_tokens t
  LEFT JOIN portal.contacts p ON p.workspace_id = t.workspace_id AND p.id = t.contact_id
  LEFT JOIN portal.companies o ON o.workspace_id = t.workspace_id AND o.id = t.company_id
 WHERE t.workspace_id = $1::uuid AND t.id = $2::uuid)",
                                      Lane::main, Retry::read};

//   $1 workspace  $2 the link  $3 challenge id  $4 challenge to send again  $5 outbox id
constexpr Statement send_statement{"link_code_send", R"(
WITH again AS (
    UPDATE portal.link_challenges
       SET resends = resends + 1
     WHERE workspace_id = $1::uuid AND token_id = $2::uuid AND id = $4::uuid
       AND consumed_at IS NULL AND tries < 5 AND resends < 3 AND expires_at > now()
    RETURNING id, expires_at
), made AS (
    INSERT INTO portal.link_challenges (id, workspace_id, token_id, expires_at)
    SELECT $3::uuid, $1, $2, now() + interval '10 minutes' WHERE NOT EXISTS (SELECT FROM again)
    RETURNING id, expires_at
), challenge AS (
    SELECT * FROM again UNION ALL SELECT * FROM made
), mail AS (
    -- it overtakes what has waited for less than an hour: a code is of no use later
    INSERT INTO portal.outbox (id, workspace_id, kind, link_challenge_id, next_attempt_at)
    SELECT $5::uuid, $1, 'link_code', id, now() - interval '1 hour' FROM challenge
)
SELECT id, ceil(extract(epoch FROM expires_at - now()))::bigint AS expires_in FROM challenge)"};

//   $1 workspace  $2 the link  $3 challenge
constexpr Statement try_statement{"link_code_try", R"(
UPDATE portal.link_challenges SET tries = tries + 1
 WHERE workspace_id = $1::uuid AND token_id = $2::uuid AND id = $3::uuid
   AND consumed_at IS NULL AND tries < 5 AND expires_at > now()
RETURNING id)"};

//   $1 workspace  $2 the link
constexpr Statement wrong_statement{"link_code_wrong", R"(
INSERT INTO portal.audit_log (workspace_id, action, target)
VALUES ($1::uuid, 'login.failed', 'portal_token:' || $2::uuid))"};

}  // namespace

io::Task<bool> is_known_device(Services& portal, const Principal& link,
                               const std::vector<std::string>& sessions) {
    std::vector<std::string> hashes;
    for (const std::string& session : sessions) {
        for (const TokenHash& hash : portal.secrets.hashes(session)) {
            hashes.push_back(hex(hash.digest));
        }
    }
    if (hashes.empty()) {
        co_return false;
    }
    Parameters parameters(link.workspace_id.text(), link.token_id.text(), hashes);
    io::Rows rows = co_await portal.db.query(known_statement, std::move(parameters));
    co_return !rows.empty();
}

io::Task<std::optional<std::string>> find_link_address(Services& portal, const Principal& link) {
    Parameters parameters(link.workspace_id.text(), link.token_id.text());
    io::Rows rows = co_await portal.db.query(address_statement, std::move(parameters));
    if (rows.empty() || rows.front().null("email")) {
        co_return std::nullopt;
    }
    co_return rows.front().string("email");
}

std::string masked_address(const std::string& email) {
    const std::size_t at = email.rfind('@');
    const bool ascii = !email.empty() && static_cast<unsigned char>(email[0]) < 0x80;
    return (ascii && at != 0 ? email.substr(0, 1) : "") + "***" +
           (at == email.npos ? "" : email.substr(at));
}

io::Task<LinkChallenge> send_link_code(Services& portal, const Principal& link,
                                       std::optional<Uuid> again) {
    Parameters parameters(link.workspace_id.text(), link.token_id.text(), Uuid::random().text());
    parameters.add(text_of(again)).add(Uuid::random().text());
    io::Rows rows = co_await portal.db.query(send_statement, std::move(parameters));
    LinkChallenge challenge;
    challenge.id = Uuid::parse(rows.front().text("id")).value_or(Uuid{});
    challenge.expires_in = rows.front().integer("expires_in");
    co_return challenge;
}

io::Task<bool> take_link_try(Services& portal, const Principal& link, const Uuid& challenge) {
    Parameters parameters(link.workspace_id.text(), link.token_id.text(), challenge.text());
    io::Rows rows = co_await portal.db.query(try_statement, std::move(parameters));
    co_return !rows.empty();
}

io::Task<void> note_wrong_link_code(Services& portal, const Principal& link) {
    Parameters parameters(link.workspace_id.text(), link.token_id.text());
    co_await portal.db.query(wrong_statement, std::move(parameters));
}

}  // namespace portal
