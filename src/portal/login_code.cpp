#include "portal/login_code.h"

#include <openssl/crypto.h>

#include <vector>

namespace portal {
namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
constexpr std::size_t length = 6;
constexpr std::uint64_t codes = 36ull * 36 * 36 * 36 * 36 * 36;
// The multiple of `codes` below which all words count.
constexpr std::uint64_t fair = UINT64_MAX / codes * codes;

// The digest of a challenge, or of its n-th further try where one has no fair word.
std::string what(const Uuid& challenge, int round) {
    return round == 0 ? challenge.text() : challenge.text() + "." + std::to_string(round);
}

}  // namespace

std::string login_code_of(const Digest& digest) {
    for (std::size_t at = 0; at + 8 <= digest.size(); at += 8) {
        std::uint64_t word = 0;
        for (std::size_t byte = 0; byte < 8; ++byte) {
            word = word << 8 | digest[at + byte];
        }
        if (word >= fair) {
            continue;
        }
        std::string code;
        for (std::size_t character = 0; character < length; ++character) {
            code += alphabet[word % alphabet.size()];
            word /= alphabet.size();
        }
        return code;
    }
    return {};
}

std::string login_code(const Secrets& secrets, const Uuid& challenge) {
    for (int round = 0;; ++round) {
        std::string code = login_code_of(secrets.derive("otp", what(challenge, round)));
        if (!code.empty()) {
            return code;
        }
    }
}

bool is_login_code(const Secrets& secrets, const Uuid& challenge, std::string_view typed) {
    std::string plain;
    for (char c : typed.substr(0, 64)) {
        if (c != ' ' && c != '\t' && c != '\r' && c != '\n') {
            plain += c >= 'a' && c <= 'z' ? char(c & ~0x20) : c;
        }
    }
    if (plain.size() != length || typed.size() > 64) {
        return false;
    }
    bool right = false;
    std::vector<Digest> digests = secrets.derive_all("otp", what(challenge, 0));
    for (std::size_t key = 0; key < digests.size(); ++key) {
        std::string code = login_code_of(digests[key]);
        for (int round = 1; code.empty(); ++round) {
            code = login_code_of(secrets.derive_all("otp", what(challenge, round))[key]);
        }
        right |= CRYPTO_memcmp(code.data(), plain.data(), length) == 0;
    }
    return right;
}

}  // namespace portal
