#include "portal/secrets.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <stdexcept>

#include "portal/hmac.h"

namespace portal {
namespace {

constexpr std::size_t token_random = 32;
constexpr std::size_t token_check = 4;
constexpr std::size_t token_characters = 48;   // base64url of the 36 bytes above
constexpr std::size_t nonce_size = 12;
constexpr std::size_t tag_size = 16;

std::string_view bytes_of(const Digest& digest) {
    return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

Digest derive_key(std::string_view key, std::string_view purpose) {
    return Hmac(key)("portal/v1/", purpose);
}

std::string_view kind_word(Kind kind) {
    switch (kind) {
        case Kind::workspace: return "oat_";
        case Kind::customer: return "cst_";
        case Kind::member: return "mst_";
        case Kind::portal: return "cpt_";
        case Kind::none: break;
    }
    throw std::logic_error("no token form for this kind");
}

Kind kind_of(std::string_view word) {
    for (Kind kind : {Kind::workspace, Kind::customer, Kind::member, Kind::portal}) {
        if (word == kind_word(kind)) {
            return kind;
        }
    }
    return Kind::none;
}

int base64url_value(char character) {
    if (character >= 'A' && character <= 'Z') {
        return character - 'A';
    }
    if (character >= 'a' && character <= 'z') {
        return character - 'a' + 26;
    }
    if (character >= '0' && character <= '9') {
        return character - '0' + 52;
    }
    return character == '-' ? 62 : character == '_' ? 63 : -1;
}

bool decode_token(std::string_view text, std::uint8_t (&out)[token_random + token_check]) {
    std::uint32_t group = 0;
    std::size_t size = 0;
    for (std::size_t at = 0; at < text.size(); ++at) {
        int value = base64url_value(text[at]);
        if (value < 0) {
            return false;
        }
        group = group << 6 | std::uint32_t(value);
        if (at % 4 == 3) {
            out[size++] = std::uint8_t(group >> 16);
            out[size++] = std::uint8_t(group >> 8);
            out[size++] = std::uint8_t(group);
            group = 0;
        }
    }
    return true;
}

std::string base64_decode(std::string_view text) {
    std::string out(text.size() / 4 * 3 + 3, '\0');
    int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                               reinterpret_cast<const unsigned char*>(text.data()), int(text.size()));
    if (size < 0) {
        throw std::invalid_argument("is not base64");
    }
    for (std::size_t at = text.size(); at > 0 && text[at - 1] == '='; --at) {
        --size;
    }
    out.resize(std::size_t(size));
    return out;
}

std::string base64_encode(std::string_view data) {
    std::string out((data.size() + 2) / 3 * 4 + 1, '\0');
    int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                               reinterpret_cast<const unsigned char*>(data.data()), int(data.size()));
    out.resize(std::size_t(size));
    return out;
}

std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> words;
    while (true) {
        auto begin = line.find_first_not_of(" \t\r");
        if (begin == std::string_view::npos) {
            return words;
        }
        line.remove_prefix(begin);
        auto end = std::min(line.find_first_of(" \t\r"), line.size());
        words.push_back(line.substr(0, end));
        line.remove_prefix(end);
    }
}

struct CipherFree {
    void operator()(EVP_CIPHER_CTX* context) const noexcept { EVP_CIPHER_CTX_free(context); }
};
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, CipherFree>;

}  // namespace

struct Secrets::Keys {
    struct Key {
        Key(std::string id_, std::string_view raw)
            : id(std::move(id_)),
              tokens(bytes_of(derive_key(raw, "token"))),
              checks(bytes_of(derive_key(raw, "check"))),
              purposes(bytes_of(derive_key(raw, "purpose"))),
              cipher(derive_key(raw, "cipher")) {}
        std::string id;
        Hmac tokens, checks, purposes;
        Digest cipher;
    };

    std::string prefix;
    std::vector<Key> keys;   // the sign key first
    std::vector<Hmac> retired_checks;
    std::vector<std::string> old_ids;
    std::unique_ptr<Hmac> limiter;
};

Secrets::Secrets(std::unique_ptr<Keys> keys) : keys_(std::move(keys)) {}
Secrets::Secrets(Secrets&&) noexcept = default;
Secrets& Secrets::operator=(Secrets&&) noexcept = default;
Secrets::~Secrets() = default;

Secrets Secrets::parse(std::string_view file, std::string token_prefix) {
    auto keys = std::make_unique<Keys>();
    keys->prefix = std::move(token_prefix);
    bool signs = false;
    std::vector<std::string> ids;
    std::size_t line_number = 0;
    while (!file.empty()) {
        auto end = std::min(file.find('\n'), file.size());
        std::string_view line = file.substr(0, end);
        file.remove_prefix(std::min(end + 1, file.size()));
        ++line_number;
        auto words = words_of(line);
        if (words.empty() || words[0].starts_with('#')) {
            continue;
        }
        auto fail = [&](const char* reason) {
            throw std::invalid_argument("line " + std::to_string(line_number) + ": " + reason);
        };
        if (words.size() != 3) {
            fail("expected \"ID sign|verify|limiter|retired BASE64\"");
        }
        std::string id(words[0]);
        std::string raw;
        try {
            raw = base64_decode(words[2]);
        } catch (const std::invalid_argument&) {
            fail("the key is not base64");
        }
        if (raw.size() < 32) {
            fail("the key is shorter than 32 bytes");
        }
        if (std::find(ids.begin(), ids.end(), id) != ids.end()) {
            fail("this id is used twice");
        }
        ids.push_back(id);
        if (words[1] == "sign") {
            if (signs) {
                fail("there is a second sign key");
            }
            signs = true;
            for (const auto& key : keys->keys) {
                keys->old_ids.push_back(key.id);
            }
            keys->keys.emplace(keys->keys.begin(), std::move(id), raw);
        } else if (words[1] == "verify") {
            keys->keys.emplace_back(std::move(id), raw);
        } else if (words[1] == "retired") {
            keys->retired_checks.emplace_back(raw);
        } else if (words[1] == "limiter") {
            if (keys->limiter) {
                fail("there is a second limiter key");
            }
            keys->limiter = std::make_unique<Hmac>(bytes_of(derive_key(raw, "limiter")));
        } else {
            fail("the state must be sign, verify, limiter or retired");
        }
        OPENSSL_cleanse(raw.data(), raw.size());
    }
    if (!signs || !keys->limiter) {
        throw std::invalid_argument("one sign key and one limiter key are needed; portalctl secret new makes both");
    }
    return Secrets(std::move(keys));
}

std::string Secrets::generate_key() {
    std::string raw(32, '\0');
    random_bytes(raw.data(), raw.size());
    std::string text = base64_encode(raw);
    OPENSSL_cleanse(raw.data(), raw.size());
    return text;
}

std::string Secrets::retired_key(std::string_view key) {
    std::string raw = base64_decode(key);
    std::string text = base64_encode(bytes_of(derive_key(raw, "check")));
    OPENSSL_cleanse(raw.data(), raw.size());
    return text;
}

std::string Secrets::generate_file() {
    return "# Secrets of the portal: whoever reads this file can make tokens. Back it up; without it no token, code\n"
           "# or stored link is valid any more. One key a line: ID sign|verify|limiter BASE64\n"
           "k1 sign " + generate_key() + "\nlimits limiter " + generate_key() + "\n";
}

std::string Secrets::make_token(Kind kind) const {
    std::uint8_t bytes[token_random + token_check];
    random_bytes(bytes, token_random);
    Digest check = keys_->keys.front().checks({reinterpret_cast<const char*>(bytes), token_random});
    std::memcpy(bytes + token_random, check.data(), token_check);
    return keys_->prefix + std::string(kind_word(kind)) + base64url(bytes, sizeof bytes);
}

std::string Secrets::as_kind(const std::string& made, Kind kind) const {
    std::string token = made;
    return token.replace(keys_->prefix.size(), kind_word(kind).size(), kind_word(kind));
}

Secrets::Form Secrets::inspect(std::string_view token) const noexcept {
    const std::size_t word = keys_->prefix.size();
    if (token.size() != word + 4 + token_characters || !token.starts_with(keys_->prefix)) {
        return {};
    }
    Kind kind = kind_of(token.substr(word, 4));
    if (kind == Kind::none) {
        return {};
    }
    std::uint8_t bytes[token_random + token_check];
    if (!decode_token(token.substr(word + 4), bytes)) {
        return {kind, true};
    }
    auto made_with = [&bytes](const Hmac& checks) {
        Digest check = checks({reinterpret_cast<const char*>(bytes), token_random});
        return CRYPTO_memcmp(check.data(), bytes + token_random, token_check) == 0;
    };
    bool sound = std::any_of(keys_->keys.begin(), keys_->keys.end(), [&](auto& key) { return made_with(key.checks); }) ||
                 std::any_of(keys_->retired_checks.begin(), keys_->retired_checks.end(), made_with);
    return {kind, !sound};
}

TokenHash Secrets::hash(std::string_view token) const {
    const auto& key = keys_->keys.front();
    return {key.id, key.tokens(token)};
}

std::vector<TokenHash> Secrets::hashes(std::string_view token) const {
    std::vector<TokenHash> hashes;
    for (const auto& key : keys_->keys) {
        hashes.push_back({key.id, key.tokens(token)});
    }
    return hashes;
}

Digest Secrets::sign_digest(std::string_view token) const noexcept {
    return keys_->keys.front().tokens(token);
}

// "1.<secret id>." then nonce, ciphertext and tag, in base64url.
std::string Secrets::encrypt(std::string_view plaintext, std::string_view context) const {
    const auto& key = keys_->keys.front();
    std::string sealed(nonce_size + plaintext.size() + tag_size, '\0');
    auto* bytes = reinterpret_cast<unsigned char*>(sealed.data());
    random_bytes(bytes, nonce_size);
    CipherContext cipher(EVP_CIPHER_CTX_new());
    int size = 0;
    bool sound =
        cipher &&
        EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, key.cipher.data(), bytes) == 1 &&
        EVP_EncryptUpdate(cipher.get(), nullptr, &size, reinterpret_cast<const unsigned char*>(context.data()),
                          int(context.size())) == 1 &&
        EVP_EncryptUpdate(cipher.get(), bytes + nonce_size, &size,
                          reinterpret_cast<const unsigned char*>(plaintext.data()), int(plaintext.size())) == 1 &&
        EVP_EncryptFinal_ex(cipher.get(), bytes + nonce_size + size, &size) == 1 &&
        EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, tag_size,
                            bytes + nonce_size + plaintext.size()) == 1;
    if (!sound) {
        throw std::runtime_error("encryption failed");
    }
    return "1." + key.id + "." + base64url(sealed.data(), sealed.size());
}

std::optional<std::string> Secrets::decrypt(std::string_view ciphertext, std::string_view context) const {
    auto dot = ciphertext.rfind('.');
    if (!ciphertext.starts_with("1.") || dot == std::string_view::npos || dot < 2) {
        return std::nullopt;
    }
    std::string_view id = ciphertext.substr(2, dot - 2);
    auto key = std::find_if(keys_->keys.begin(), keys_->keys.end(), [&](auto& each) { return each.id == id; });
    if (key == keys_->keys.end()) {
        return std::nullopt;
    }
    std::string padded;
    for (char character : ciphertext.substr(dot + 1)) {
        padded += character == '-' ? '+' : character == '_' ? '/' : character;
    }
    padded.append((4 - padded.size() % 4) % 4, '=');
    std::string sealed;
    try {
        sealed = base64_decode(padded);
    } catch (const std::invalid_argument&) {
        return std::nullopt;
    }
    if (sealed.size() < nonce_size + tag_size) {
        return std::nullopt;
    }
    auto* bytes = reinterpret_cast<unsigned char*>(sealed.data());
    const std::size_t length = sealed.size() - nonce_size - tag_size;
    std::string plaintext(length + 1, '\0');
    auto* out = reinterpret_cast<unsigned char*>(plaintext.data());
    CipherContext cipher(EVP_CIPHER_CTX_new());
    int size = 0;
    bool sound =
        cipher &&
        EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, key->cipher.data(), bytes) == 1 &&
        EVP_DecryptUpdate(cipher.get(), nullptr, &size, reinterpret_cast<const unsigned char*>(context.data()),
                          int(context.size())) == 1 &&
        EVP_DecryptUpdate(cipher.get(), out, &size, bytes + nonce_size, int(length)) == 1 &&
        EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, tag_size, bytes + nonce_size + length) == 1 &&
        EVP_DecryptFinal_ex(cipher.get(), out + size, &size) == 1;
    if (!sound) {
        return std::nullopt;
    }
    plaintext.resize(length);
    return plaintext;
}

const std::string& Secrets::sign_id() const noexcept { return keys_->keys.front().id; }

const std::vector<std::string>& Secrets::old_ids() const noexcept { return keys_->old_ids; }

bool Secrets::is_old(std::string_view secret_id) const noexcept {
    return std::find(keys_->old_ids.begin(), keys_->old_ids.end(), secret_id) != keys_->old_ids.end();
}

Digest Secrets::limiter_digest(std::string_view what) const noexcept { return (*keys_->limiter)(what); }

Digest Secrets::derive(std::string_view purpose, std::string_view what) const {
    std::string tagged(purpose);
    tagged += '\0';
    return keys_->keys.front().purposes(tagged, what);
}

std::vector<Digest> Secrets::derive_all(std::string_view purpose, std::string_view what) const {
    std::string tagged(purpose);
    tagged += '\0';
    std::vector<Digest> digests;
    for (const auto& key : keys_->keys) {
        digests.push_back(key.purposes(tagged, what));
    }
    return digests;
}

std::string hex(const Digest& digest) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string text(digest.size() * 2, '\0');
    char* out = text.data();
    for (std::uint8_t byte : digest) {
        *out++ = digits[byte >> 4];
        *out++ = digits[byte & 0x0f];
    }
    return text;
}

namespace {

// A call into OpenSSL's generator costs about a microsecond whatever its size.
thread_local struct {
    std::uint8_t bytes[4096];
    std::size_t left = 0;
} pool;

}  // namespace

void random_discard() noexcept { pool.left = 0; }

void random_bytes(void* out, std::size_t size) {
    if (size > sizeof pool.bytes) {
        throw std::length_error("too many random bytes at once");
    }
    if (pool.left < size) {
        if (RAND_bytes(pool.bytes, sizeof pool.bytes) != 1) {
            throw std::runtime_error("the system's random generator failed");
        }
        pool.left = sizeof pool.bytes;
    }
    std::uint8_t* from = pool.bytes + sizeof pool.bytes - pool.left;
    std::memcpy(out, from, size);
    OPENSSL_cleanse(from, size);
    pool.left -= size;
}

std::string base64url(const void* data, std::size_t size) {
    static constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const auto* bytes = static_cast<const std::uint8_t*>(data);
    std::string text((size * 8 + 5) / 6, '\0');
    char* out = text.data();
    std::uint32_t bits = 0;
    int count = 0;
    for (std::size_t at = 0; at < size; ++at) {
        bits = bits << 8 | bytes[at];
        for (count += 8; count >= 6;) {
            count -= 6;
            *out++ = alphabet[bits >> count & 0x3f];
        }
    }
    if (count > 0) {
        *out = alphabet[bits << (6 - count) & 0x3f];
    }
    return text;
}

}  // namespace portal
