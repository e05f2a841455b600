// Signatures of webhooks, by Standard Webhooks 1.0.0: HMAC-SHA256 over "id.timestamp.body", the
// exact bytes sent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace portal {

// "whsec_" and base64 of 32 random bytes.
std::string make_webhook_secret();
// The key in a secret's text: "whsec_" and base64 of 24 to 64 bytes; nullopt for anything else.
std::optional<std::string> webhook_key(std::string_view secret);

// "v1," and base64.  id: "evt_…"; timestamp: Unix seconds of this attempt.
std::string webhook_signature(std::string_view key, std::string_view id, std::int64_t timestamp,
                              std::string_view body);

// How far, in seconds, a timestamp may be from a receiver's clock.
inline constexpr std::int64_t webhook_tolerance = 300;

// What a receiver checks: why the headers do not prove this body, "" when one of the signatures
// does. `signatures` are the header's, separated by spaces; those of versions other than v1 are
// passed over.
std::string webhook_doubt(std::string_view key, std::string_view id, std::string_view timestamp,
                          std::string_view signatures, std::string_view body, std::int64_t now);

}  // namespace portal
