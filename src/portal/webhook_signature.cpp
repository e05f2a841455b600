#include "portal/webhook_signature.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <array>
#include <charconv>

#include "portal/hmac.h"
#include "portal/secrets.h"

namespace portal {
namespace {

constexpr std::string_view secret_prefix = "whsec_";
constexpr std::size_t least_key = 24, longest_key = 64, fresh_key = 32;

std::string base64(std::string_view bytes) {
    std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
    const int length =
        EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                        reinterpret_cast<const unsigned char*>(bytes.data()), int(bytes.size()));
    text.resize(std::size_t(length));
    return text;
}

}  // namespace

std::string make_webhook_secret() {
    std::array<char, fresh_key> key;
    random_bytes(key.data(), key.size());
    return std::string(secret_prefix) + base64({key.data(), key.size()});
}

std::optional<std::string> webhook_key(std::string_view secret) {
    if (!secret.starts_with(secret_prefix)) {
        return std::nullopt;
    }
    std::string_view text = secret.substr(secret_prefix.size());
    if (text.empty() || text.size() % 4 != 0 || text.size() > (longest_key + 2) / 3 * 4) {
        return std::nullopt;
    }
    std::string key(text.size() / 4 * 3, '\0');
    const int length =
        EVP_DecodeBlock(reinterpret_cast<unsigned char*>(key.data()),
                        reinterpret_cast<const unsigned char*>(text.data()), int(text.size()));
    const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
    if (length < 0) {
        return std::nullopt;
    }
    key.resize(std::size_t(length) - padding);
    // one text for one key: EVP_DecodeBlock passes over blanks at the ends and bits that do not
    // count
    if (key.size() < least_key || key.size() > longest_key || base64(key) != text) {
        return std::nullopt;
    }
    return key;
}

std::string webhook_signature(std::string_view key, std::string_view id, std::int64_t timestamp,
                              std::string_view body) {
    const std::string head = std::string(id) + "." + std::to_string(timestamp) + ".";
    const Digest digest = Hmac(key)(head, body);
    return "v1," + base64({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

std::string webhook_doubt(std::string_view key, std::string_view id, std::string_view timestamp,
                          std::string_view signatures, std::string_view body, std::int64_t now) {
    std::int64_t moment = 0;
    const char* end = timestamp.data() + timestamp.size();
    auto [stop, error] = std::from_chars(timestamp.data(), end, moment);
    if (id.empty() || error != std::errc() || stop != end) {
        return "webhook-id or webhook-timestamp is missing or malformed";
    }
    if (moment < now - webhook_tolerance || moment > now + webhook_tolerance) {
        return "webhook-timestamp is too far from this clock";
    }
    const std::string wanted = webhook_signature(key, id, moment, body);
    while (!signatures.empty()) {
        const std::size_t blank = signatures.find(' ');
        const std::string_view one = signatures.substr(0, blank);
        if (one.size() == wanted.size() &&
            CRYPTO_memcmp(one.data(), wanted.data(), one.size()) == 0) {
            return "";
        }
        signatures.remove_prefix(blank == std::string_view::npos ? signatures.size() : blank + 1);
    }
    return "no signature fits: another secret, or the body was changed";
}

}  // namespace portal
