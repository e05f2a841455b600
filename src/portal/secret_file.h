// SecretFile: the text of a secret file, and how it changes when secrets rotate. Everything but the
// line concerned stays as it is, comments included.
//
// The life of a key: verify, below the sign key (rotate) -> sign (promote), the one that signed before staying above it
// as verify -> retired, when all that is left of it is what tells its tokens' check bytes (retire).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace portal {

struct SecretLine {
    std::string id, state;  // state: sign, verify, limiter or retired
};

class SecretFile {
  public:
    // Throws std::invalid_argument for whatever Secrets::parse refuses.
    explicit SecretFile(std::string_view text);

    // Its keys, in order.
    std::vector<SecretLine> keys() const;
    std::string text() const;

    // Each throws std::invalid_argument with a sentence when the rules forbid it, and changes
    // nothing then. A new key that verifies; its id is "k" and a number never used in this file.
    std::string rotate();
    // Makes a verify key the one that signs, below all others: the rest is old now. False: it signs
    // already.
    bool promote(std::string_view id);
    // May this key go? Not the one that signs, nor the limiter's, nor one that went.
    void require_retirable(std::string_view id) const;
    void retire(std::string_view id);

  private:
    std::size_t find(std::string_view id) const;

    std::vector<std::string> lines_;
};

// A secret file while it is being changed: nobody else does meanwhile. Both steps throw
// std::runtime_error with a sentence that names the file.
class LockedSecretFile {
  public:
    explicit LockedSecretFile(const std::string& path);
    ~LockedSecretFile();
    LockedSecretFile(const LockedSecretFile&) = delete;

    std::string read() const;
    // Whole or not at all; mode and owner are kept, and a link stays a link.
    void replace(std::string_view text) const;

  private:
    std::string path_;  // what links lead to
    int directory_ = -1;
};

}  // namespace portal
