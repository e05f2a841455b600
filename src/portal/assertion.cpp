#include "portal/assertion.h"

#include <openssl/evp.h>

#include <stdexcept>

#include "http/json.h"

namespace portal {
namespace {

using http::Json;

struct FreeKey {
    void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
};
struct FreeContext {
    void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
};
using PrivateKey = std::unique_ptr<EVP_PKEY, FreeKey>;

PrivateKey private_key(const Digest& seed) {
    PrivateKey key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size()));
    if (!key) {
        throw std::runtime_error("no Ed25519 key could be made");
    }
    return key;
}

Json public_key(EVP_PKEY* key, const std::string& id) {
    unsigned char bytes[32];
    std::size_t size = sizeof bytes;
    if (EVP_PKEY_get_raw_public_key(key, bytes, &size) != 1) {
        throw std::runtime_error("an Ed25519 key has no public part");
    }
    return Json::object({{"kty", "OKP"}, {"crv", "Ed25519"}, {"alg", "EdDSA"}, {"use", "sig"}, {"kid", id},
                         {"x", base64url(bytes, size)}});
}

std::string encoded(const Json& json) {
    const std::string text = json.dump();
    return base64url(text.data(), text.size());
}

const char* role_name(Role role) {
    switch (role) {
        case Role::owner: return "owner";
        case Role::billing_manager: return "billing_manager";
        case Role::member: return "member";
        case Role::none: break;
    }
    return "";
}

}  // namespace

struct Assertions::Key {
    PrivateKey key;
};

std::string subject_of(const Principal& principal) {
    switch (principal.kind) {
        case Kind::workspace: return "workspace:" + principal.workspace_id.text();
        case Kind::customer: return "customer:" + principal.customer_id.text();
        case Kind::member: return "member:" + principal.member_id.text();
        case Kind::portal:
            return (principal.addressee_is_company ? "company:" : "contact:") + std::to_string(principal.addressee_id);
        case Kind::none: break;
    }
    return {};
}

Assertions::Assertions(const Secrets& secrets, std::string issuer) : secrets_(secrets), issuer_(std::move(issuer)) {
    // both lists begin with the secret that signs and go on in the same order
    const std::vector<TokenHash> named = secrets.hashes("");
    const std::vector<Digest> seeds = secrets.derive_all("assertion", "\x01");
    Json keys = Json::array();
    for (std::size_t at = 0; at < seeds.size(); ++at) {
        PrivateKey key = private_key(seeds[at]);
        keys.push(public_key(key.get(), named[at].secret_id));
        if (at == 0) {
            key_ = std::make_unique<Key>(Key{std::move(key)});
        }
    }
    Json set = Json::object();
    key_set_ = set.set("keys", std::move(keys)).dump();
    header_ = encoded(Json::object({{"alg", "EdDSA"}, {"typ", "JWT"}, {"kid", secrets.sign_id()}})) + ".";
}

Assertions::~Assertions() = default;

Digest Assertions::cache_key(const Principal& principal, std::string_view host) const {
    std::string what = principal.token_id.text() + subject_of(principal) + role_name(principal.role);
    what.append(principal.customer_id.text()).append(principal.workspace_slug).append(" ").append(host);
    return secrets_.derive("assertion cache", what);
}

std::string Assertions::sign(const Principal& principal, std::string_view host, std::int64_t unix_now) const {
    Json claims = Json::object({
        {"iss", issuer_},
        {"sub", subject_of(principal)},
        {"aud", std::string(host)},
        {"iat", unix_now},
        {"exp", unix_now + assertion_life},
        {"workspace_id", principal.workspace_id.text()},
        {"workspace", std::string(principal.workspace_slug)},
    });
    if (!principal.customer_id.is_nil()) {
        claims.set("customer_id", principal.customer_id.text());
    }
    if (!principal.member_id.is_nil()) {
        claims.set("member_id", principal.member_id.text());
    }
    if (principal.role != Role::none) {
        claims.set("role", role_name(principal.role));
    }
    std::string token = header_ + encoded(claims);
    unsigned char signature[64];
    std::size_t size = sizeof signature;
    std::unique_ptr<EVP_MD_CTX, FreeContext> context(EVP_MD_CTX_new());
    if (!context || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_->key.get()) != 1 ||
        EVP_DigestSign(context.get(), signature, &size, reinterpret_cast<const unsigned char*>(token.data()),
                       token.size()) != 1) {
        throw std::runtime_error("an assertion could not be signed");
    }
    return token + "." + base64url(signature, size);
}

}  // namespace portal
