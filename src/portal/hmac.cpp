#include "portal/hmac.h"

#include <cstring>
#include <new>

namespace portal {
namespace {

constexpr std::size_t block_size = 64;

// Fetched once: OpenSSL 3's implicit fetch costs more than the hash.
const EVP_MD* fetched() {
    static EVP_MD* digest = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    return digest;
}

}  // namespace

Digest sha256(std::string_view message) noexcept {
    Digest digest;
    EVP_Digest(message.data(), message.size(), digest.data(), nullptr, fetched(), nullptr);
    return digest;
}

Hmac::Hmac(std::string_view key)
    : inner_(EVP_MD_CTX_new()), outer_(EVP_MD_CTX_new()), scratch_(EVP_MD_CTX_new()) {
    if (!inner_ || !outer_ || !scratch_) {
        throw std::bad_alloc();
    }
    std::array<std::uint8_t, block_size> block{};
    if (key.size() > block.size()) {
        unsigned size = 0;
        EVP_Digest(key.data(), key.size(), block.data(), &size, fetched(), nullptr);
    } else {
        std::memcpy(block.data(), key.data(), key.size());
    }
    for (auto& byte : block) {
        byte ^= 0x36;
    }
    EVP_DigestInit_ex2(inner_.get(), fetched(), nullptr);
    EVP_DigestUpdate(inner_.get(), block.data(), block.size());
    for (auto& byte : block) {
        byte ^= 0x36 ^ 0x5c;
    }
    EVP_DigestInit_ex2(outer_.get(), fetched(), nullptr);
    EVP_DigestUpdate(outer_.get(), block.data(), block.size());
    EVP_DigestInit_ex2(scratch_.get(), fetched(), nullptr);
}

Digest Hmac::operator()(std::string_view message) const noexcept { return (*this)(message, {}); }

Digest Hmac::operator()(std::string_view first, std::string_view second) const noexcept {
    Digest digest;
    unsigned size = 0;
    EVP_MD_CTX_copy_ex(scratch_.get(), inner_.get());
    EVP_DigestUpdate(scratch_.get(), first.data(), first.size());
    EVP_DigestUpdate(scratch_.get(), second.data(), second.size());
    EVP_DigestFinal_ex(scratch_.get(), digest.data(), &size);
    EVP_MD_CTX_copy_ex(scratch_.get(), outer_.get());
    EVP_DigestUpdate(scratch_.get(), digest.data(), digest.size());
    EVP_DigestFinal_ex(scratch_.get(), digest.data(), &size);
    return digest;
}

}  // namespace portal
