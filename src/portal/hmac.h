// Hmac: HMAC-SHA256 (RFC 2104) under one key, from saved inner and outer states: two digest copies a call instead of
// setting the key up each time, which is what makes hashing a token on every request cheap.
#pragma once

#include <openssl/evp.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

namespace portal {

using Digest = std::array<std::uint8_t, 32>;

Digest sha256(std::string_view message) noexcept;

class Hmac {
  public:
    explicit Hmac(std::string_view key);
    // Not thread-safe: it works in a scratch context of its own.
    Digest operator()(std::string_view message) const noexcept;
    Digest operator()(std::string_view first, std::string_view second) const noexcept;

  private:
    struct Free {
        void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
    };
    using Context = std::unique_ptr<EVP_MD_CTX, Free>;

    Context inner_, outer_, scratch_;
};

}  // namespace portal
