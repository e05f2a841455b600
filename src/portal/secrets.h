// Secrets: the server secret(s) and everything derived from them.
//
// The secret file (portal_secret_file, mode 0600 or 0640) has one line per key: "ID STATE BASE64" with STATE sign,
// verify, limiter or retired; blank lines and '#' comments are skipped. Exactly one sign key makes new hashes, checks and
// ciphertexts; sign and verify keys are all accepted. A verify key above the sign key is an old one, whose rows move
// to the sign key; one below it has yet to be promoted. Of a retired one only the key of its tokens' check bytes is left:
// tokens keep their text for life, and so their check. The one limiter key never rotates. Keys are 32 bytes or more.
// secret_file.h changes the file.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "portal/principal.h"

namespace portal {

using Digest = std::array<std::uint8_t, 32>;
std::string hex(const Digest& digest);

struct TokenHash {
    std::string secret_id;
    Digest digest;
};

class Secrets {
  public:
    // Throws std::invalid_argument with a reason that quotes no key material.
    static Secrets parse(std::string_view file, std::string token_prefix = "portal_");
    // The text of a fresh file, for portalctl secret new.
    static std::string generate_file();
    // 32 random bytes as the file has them.
    static std::string generate_key();
    // What is left of a key as the file has it, once it is retired.
    static std::string retired_key(std::string_view key);

    Secrets(Secrets&&) noexcept;
    Secrets& operator=(Secrets&&) noexcept;
    ~Secrets();

    // A new token: prefix, "oat_" / "cst_" / "mst_" / "cpt_", base64url of 32 random bytes and 4 check bytes.
    std::string make_token(Kind kind) const;
    // The same as a token of another kind, where a statement will choose one of the two.
    std::string as_kind(const std::string& made, Kind kind) const;
    // The kind a string's form claims; none for foreign forms (imported tokens). forged: our form, wrong check bytes.
    struct Form {
        Kind kind = Kind::none;
        bool forged = false;
    };
    Form inspect(std::string_view token) const noexcept;
    // HMAC-SHA256 of the token under the sign key: what new rows store as token_hash (hex) with secret_id.
    TokenHash hash(std::string_view token) const;
    // Under every accepted key, sign first: what look-ups compare with.
    std::vector<TokenHash> hashes(std::string_view token) const;
    Digest sign_digest(std::string_view token) const noexcept;   // hash() without the copy

    // AES-256-GCM, bound to `context` (the row's id) as additional data. Ciphertexts name their secret.
    std::string encrypt(std::string_view plaintext, std::string_view context) const;
    // nullopt when it was altered, moved to another row, or its secret is gone.
    std::optional<std::string> decrypt(std::string_view ciphertext, std::string_view context) const;

    // The id of the sign key, and of the old ones.
    const std::string& sign_id() const noexcept;
    const std::vector<std::string>& old_ids() const noexcept;
    bool is_old(std::string_view secret_id) const noexcept;

    // HMAC under the limiter key: keys of addresses and e-mails in Redis.
    Digest limiter_digest(std::string_view what) const noexcept;
    // HMAC under the sign key for a purpose of its own ("otp", "cookie" ...): never collides with token hashes.
    Digest derive(std::string_view purpose, std::string_view what) const;
    // The same under every accepted key, sign first: what was made under an old one still verifies.
    std::vector<Digest> derive_all(std::string_view purpose, std::string_view what) const;

  private:
    struct Keys;
    explicit Secrets(std::unique_ptr<Keys> keys);
    std::unique_ptr<Keys> keys_;
};

// Random bytes from a per-thread buffer of the system's generator.
void random_bytes(void* out, std::size_t size);
// After a fork: the buffer is the parent's too.
void random_discard() noexcept;
std::string base64url(const void* data, std::size_t size);

}  // namespace portal
