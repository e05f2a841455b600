// Assertion: who a request comes from, as a JWT (RFC 7519) that the site's backend can verify by itself: signed with
// EdDSA over Ed25519 (RFC 8037), for one host, valid for a minute.
//
// Each secret of the server has a signing key of its own: HKDF-Expand (RFC 5869) of the secret's key for purposes, with
// the info "assertion" and a NUL. Its id, `kid`, is the secret's. Keys of all accepted secrets are published, so that one
// that is about to sign is known before it does, and one that did is known until it is retired.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "portal/principal.h"
#include "portal/secrets.h"

namespace portal {

// Seconds; an assertion is handed out anew for the first half minute of its life.
inline constexpr std::int64_t assertion_life = 60;
inline constexpr std::int64_t assertion_reuse = 20;

// Who it is, over all sessions: "customer:UUID", "member:UUID", "workspace:UUID", "contact:ID", "company:ID"; "" for nobody.
std::string subject_of(const Principal& principal);

class Assertions {
  public:
    // `issuer` is the base URL. Throws std::runtime_error where OpenSSL has no Ed25519.
    Assertions(const Secrets& secrets, std::string issuer);
    ~Assertions();
    Assertions(const Assertions&) = delete;

    // `host` is the audience.
    std::string sign(const Principal& principal, std::string_view host, std::int64_t unix_now) const;
    // What the same assertion would be found under: the signing key, the principal and the host.
    Digest cache_key(const Principal& principal, std::string_view host) const;
    // The public keys as a JSON Web Key Set (RFC 7517).
    const std::string& key_set() const noexcept { return key_set_; }

  private:
    struct Key;

    const Secrets& secrets_;
    std::string issuer_;
    std::unique_ptr<Key> key_;
    std::string header_;   // encoded, with its dot
    std::string key_set_;
};

}  // namespace portal
