// Hmac: HMAC-SHA256 (RFC 2104) under one key, from saved inner and outer states: two copies of a plain struct a call
// instead of setting the key up each time, which is what makes hashing a token on every request cheap.
#pragma once

#include <openssl/sha.h>

#include <array>
#include <cstdint>
#include <string_view>

namespace portal {

using Digest = std::array<std::uint8_t, 32>;

Digest sha256(std::string_view message) noexcept;

class Hmac {
  public:
    explicit Hmac(std::string_view key) noexcept;
    Digest operator()(std::string_view message) const noexcept;
    Digest operator()(std::string_view first, std::string_view second) const noexcept;

  private:
    SHA256_CTX inner_, outer_;
};

}  // namespace portal
