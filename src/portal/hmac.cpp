// OpenSSL's own layer above these functions costs more than hashing a token does.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "portal/hmac.h"

#include <cstring>

namespace portal {
namespace {

constexpr std::size_t block_size = 64;

Digest finished(SHA256_CTX& context) noexcept {
    Digest digest;
    SHA256_Final(digest.data(), &context);
    return digest;
}

}  // namespace

Digest sha256(std::string_view message) noexcept {
    SHA256_CTX context;
    SHA256_Init(&context);
    SHA256_Update(&context, message.data(), message.size());
    return finished(context);
}

Hmac::Hmac(std::string_view key) noexcept {
    std::array<std::uint8_t, block_size> block{};
    if (key.size() > block.size()) {
        const Digest shorter = sha256(key);
        std::memcpy(block.data(), shorter.data(), shorter.size());
    } else {
        std::memcpy(block.data(), key.data(), key.size());
    }
    for (auto& byte : block) {
        byte ^= 0x36;
    }
    SHA256_Init(&inner_);
    SHA256_Update(&inner_, block.data(), block.size());
    for (auto& byte : block) {
        byte ^= 0x36 ^ 0x5c;
    }
    SHA256_Init(&outer_);
    SHA256_Update(&outer_, block.data(), block.size());
}

Digest Hmac::operator()(std::string_view message) const noexcept { return (*this)(message, {}); }

Digest Hmac::operator()(std::string_view first, std::string_view second) const noexcept {
    SHA256_CTX context = inner_;
    SHA256_Update(&context, first.data(), first.size());
    SHA256_Update(&context, second.data(), second.size());
    const Digest digest = finished(context);
    context = outer_;
    SHA256_Update(&context, digest.data(), digest.size());
    return finished(context);
}

}  // namespace portal
