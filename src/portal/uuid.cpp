#include "portal/uuid.h"

#include "portal/secrets.h"

namespace portal {
namespace {

int hex_value(char digit) {
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    char lower = char(digit | 0x20);
    if (lower >= 'a' && lower <= 'f') {
        return lower - 'a' + 10;
    }
    return -1;
}

}  // namespace

std::optional<Uuid> Uuid::parse(std::string_view text) {
    const bool hyphens = text.size() == 36;
    if (!hyphens && text.size() != 32) {
        return std::nullopt;
    }
    Uuid uuid;
    std::size_t digits = 0;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (hyphens && (at == 8 || at == 13 || at == 18 || at == 23)) {
            if (text[at] != '-') {
                return std::nullopt;
            }
            continue;
        }
        int value = hex_value(text[at]);
        if (value < 0) {
            return std::nullopt;
        }
        std::uint8_t& byte = uuid.bytes[digits / 2];
        byte = std::uint8_t(byte << 4 | value);
        ++digits;
    }
    return uuid;
}

Uuid Uuid::random() {
    Uuid uuid;
    random_bytes(uuid.bytes.data(), uuid.bytes.size());
    uuid.bytes[6] = std::uint8_t((uuid.bytes[6] & 0x0f) | 0x40);
    uuid.bytes[8] = std::uint8_t((uuid.bytes[8] & 0x3f) | 0x80);
    return uuid;
}

std::string Uuid::text() const {
    static constexpr char digits[] = "0123456789abcdef";
    std::string text(36, '-');
    char* out = text.data();
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        if (at == 4 || at == 6 || at == 8 || at == 10) {
            ++out;
        }
        *out++ = digits[bytes[at] >> 4];
        *out++ = digits[bytes[at] & 0x0f];
    }
    return text;
}

}  // namespace portal
