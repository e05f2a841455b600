// Where a webhook may go: the addresses of its target and the form of its URL.
//
// A target's address must be globally reachable by IANA's special-purpose registries (IPv4 and
// IPv6); multicast, this host's own addresses, 6to4, Teredo, NAT64 and what clouds serve metadata
// at are refused with the rest, unless the operator lists them. A name says nothing about the
// address that is connected to: the sender asks here once more when a socket is opened.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace portal {

// 16 bytes in network order; IPv4 is ::ffff:0:0/96, so that a mapped address and the address are
// one.
struct IpAddress {
    std::array<std::uint8_t, 16> bytes{};

    // "192.0.2.1" or "2001:db8::1", without brackets; nullopt for anything else.
    static std::optional<IpAddress> parse(std::string_view text);
    // nullopt for another family.
    static std::optional<IpAddress> of(const sockaddr* address);
    bool operator==(const IpAddress&) const = default;

    bool globally_reachable() const;
};

// "10.0.0.0/8", "fd00::/8" or one address.
struct IpRange {
    IpAddress first;
    int prefix = 128;  // bits that count, of all 128

    // Throws std::invalid_argument.
    static IpRange parse(std::string_view text);
    bool contains(const IpAddress& address) const;
};

// What the operator allows beyond public addresses and https: [webhooks] in portal.toml,
// portal_webhook_allow and portal_webhook_http in nginx.
struct WebhookTargets {
    std::vector<IpRange> allow;
    std::vector<std::string>
        http_hosts;  // as a URL names them, lower case: may be called without TLS
    std::vector<IpAddress> own;  // this host's when it was configured

    bool listed(const IpAddress& address) const;
    bool may_connect(const IpAddress& address) const;
    bool may_be_plain(std::string_view host) const;

    // Why this URL is no target, as a sentence; "" when nothing speaks against it so far: a name's
    // addresses are seen only when it is connected to. `url` is one that http::split_url() has no
    // trouble with.
    std::string trouble(std::string_view url) const;
};

// The addresses of this host's interfaces, read anew: nothing for a worker's request, since the
// kernel may have to be waited for. Throws std::system_error.
std::vector<IpAddress> own_addresses();

}  // namespace portal
