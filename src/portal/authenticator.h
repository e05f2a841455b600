// Authenticator: from an Authorization header to a Principal.
//
// Forged tokens of our own form are refused by their check bytes; known ones are found in the zone; the rest is read
// from PostgreSQL, once for however many requests of this worker ask for the same token at the same time. Every bad
// token costs its address one of the bad-token class; beyond that, tokens the zone does not know are not looked up.
// A row found under an old secret is moved to the one that signs, after the answer.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/loop.h"
#include "io/postgres.h"
#include "io/task.h"
#include "portal/credential.h"
#include "portal/limiter.h"
#include "portal/principal.h"
#include "portal/secrets.h"
#include "portal/zone.h"

namespace portal {

struct Authentication {
    enum class State {
        none,      // no bearer sent
        known,
        invalid,   // unknown, expired, revoked, malformed: 401 invalid_token
        limited,   // too many of those from this address, or it could not be told: 429, 503
    };
    State state = State::none;
    Principal principal;
    Verdict verdict;   // of the bad-token class: invalid and limited
};

// The token of "Bearer <token>" (RFC 6750 section 2.1, scheme in any case); nullopt for other schemes and none.
std::optional<std::string_view> bearer_token(std::optional<std::string_view> authorization);

class Authenticator {
  public:
    Authenticator(io::Loop& loop, io::Postgres& db, Zone& zone, const Secrets& secrets, Limiter& limiter);
    ~Authenticator();

    // Throws io::PostgresUnavailable when it cannot be told and nothing stale may be used.
    io::Task<Authentication> authenticate(std::string_view token, std::string_view client_address);
    // The same when the zone knows the answer, to be tried first: no coroutine.
    bool authenticate_now(std::string_view token, Principal& principal);

  private:
    struct Flight;
    class Landing;

    Zone::CredentialKey key_of(std::string_view token) const noexcept;
    io::Task<Authentication> refuse(std::string_view client_address);
    io::Task<void> read(Flight& flight);
    io::Task<void> write_last_used(std::vector<Uuid> ids);
    void touch(const Principal& principal);
    io::Task<void> write_rehashes(std::vector<Rehash> rehashes);
    void rehash(const Rehash& rehash);

    io::Loop& loop_;
    io::Postgres& db_;
    Zone& zone_;
    const Secrets& secrets_;
    Limiter& limiter_;
    std::map<Digest, std::unique_ptr<Flight>> flights_;
    std::vector<Uuid> touched_;
    std::unique_ptr<io::Timer> touch_timer_;
    io::Task<void> touching_;
    std::vector<Rehash> rehashes_;   // rows found under an old secret, written a second later
    std::unique_ptr<io::Timer> rehash_timer_;
    io::Task<void> rehashing_;
};

}  // namespace portal
