// Uuid: 16 bytes. Output is lower case with hyphens; input also upper case and hyphen-less (contract/README.md).
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace portal {

struct Uuid {
    std::array<std::uint8_t, 16> bytes{};

    static std::optional<Uuid> parse(std::string_view text);   // any version
    static Uuid random();                                      // version 4
    bool is_v4() const { return (bytes[6] >> 4) == 4 && (bytes[8] >> 6) == 2; }
    bool is_nil() const { return *this == Uuid{}; }
    std::string text() const;
    auto operator<=>(const Uuid&) const = default;
};

// As a statement's parameter: NULL for none.
inline std::optional<std::string> text_of(const std::optional<Uuid>& id) {
    return id ? std::optional<std::string>(id->text()) : std::nullopt;
}

}  // namespace portal
