#include "portal/webhook_target.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <system_error>

#include "http/validation.h"

namespace portal {
namespace {

constexpr std::array<std::uint8_t, 12> v4_prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool is_v4(const IpAddress& address) {
    return std::equal(v4_prefix.begin(), v4_prefix.end(), address.bytes.begin());
}

IpAddress from_v4(const in_addr& v4) {
    IpAddress address;
    std::ranges::copy(v4_prefix, address.bytes.begin());
    std::memcpy(&address.bytes[12], &v4, sizeof v4);
    return address;
}

// What IANA's registry of IPv4 special-purpose addresses does not call globally reachable,
// multicast, and an address inside a public range at which a cloud answers its guests.
constexpr const char* refused_v4[] = {
    "0.0.0.0/8",      "10.0.0.0/8",     "100.64.0.0/10", "127.0.0.0/8",
    "169.254.0.0/16", "172.16.0.0/12",  "192.0.0.0/24",  "192.0.2.0/24",
    "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
    "203.0.113.0/24", "224.0.0.0/4",    "240.0.0.0/4",   "168.63.129.16/32",
};
// Of IPv6 only 2000::/3 is given out as global unicast; of that: protocol assignments with Teredo,
// ORCHID and benchmarking, documentation, 6to4, the former 6bone.
constexpr const char* global_v6 = "2000::/3";
constexpr const char* refused_v6[] = {"2001::/23", "2001:db8::/32", "2002::/16", "3ffe::/16",
                                      "3fff::/20"};

bool within(const std::vector<IpRange>& ranges, const IpAddress& address) {
    return std::ranges::any_of(ranges,
                               [&](const IpRange& range) { return range.contains(address); });
}

template <std::size_t count>
std::vector<IpRange> ranges_of(const char* const (&texts)[count]) {
    std::vector<IpRange> ranges;
    for (const char* text : texts) {
        ranges.push_back(IpRange::parse(text));
    }
    return ranges;
}

// A host as the resolver would read it without asking anybody: also 2130706433, 0x7f.1 and 127.1
// are 127.0.0.1.
std::optional<IpAddress> literal_address(std::string_view host) {
    if (host.starts_with('[')) {
        return IpAddress::parse(host.substr(1, host.find(']') - 1));
    }
    while (host.ends_with('.')) {
        host.remove_suffix(1);
    }
    in_addr v4{};
    if (inet_aton(std::string(host).c_str(), &v4) != 0) {
        return from_v4(v4);
    }
    return std::nullopt;
}

bool under(std::string_view host, std::string_view domain) {
    return host == domain || (host.size() > domain.size() && host.ends_with(domain) &&
                              host[host.size() - domain.size() - 1] == '.');
}

// A last label that is a number: an address to every resolver, but one that is no address.
bool ends_in_number(std::string_view host) {
    const std::string_view label = host.substr(host.rfind('.') + 1);
    return !label.empty() && label.find_first_not_of("0123456789") == std::string_view::npos;
}

struct AddressesDeleter {
    void operator()(ifaddrs* all) const noexcept { freeifaddrs(all); }
};

constexpr const char* not_public = "The address of the URL is not public.";

}  // namespace

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
    const std::string copy(text);
    in_addr v4{};
    if (inet_pton(AF_INET, copy.c_str(), &v4) == 1) {
        return from_v4(v4);
    }
    IpAddress address;
    if (inet_pton(AF_INET6, copy.c_str(), address.bytes.data()) == 1) {
        return address;
    }
    return std::nullopt;
}

std::optional<IpAddress> IpAddress::of(const sockaddr* address) {
    if (address->sa_family == AF_INET) {
        return from_v4(reinterpret_cast<const sockaddr_in*>(address)->sin_addr);
    }
    if (address->sa_family == AF_INET6) {
        IpAddress made;
        std::memcpy(made.bytes.data(), &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr,
                    made.bytes.size());
        return made;
    }
    return std::nullopt;
}

bool IpAddress::globally_reachable() const {
    static const std::vector<IpRange> v4 = ranges_of(refused_v4);
    static const std::vector<IpRange> v6 = ranges_of(refused_v6);
    static const IpRange global = IpRange::parse(global_v6);
    if (is_v4(*this)) {
        return !within(v4, *this);
    }
    return global.contains(*this) && !within(v6, *this);
}

IpRange IpRange::parse(std::string_view text) {
    const std::size_t slash = text.find('/');
    std::optional<IpAddress> first = IpAddress::parse(text.substr(0, slash));
    int prefix = 0;
    bool whole = first.has_value();
    if (whole) {
        const int bits = is_v4(*first) && text.find(':') == std::string_view::npos ? 32 : 128;
        prefix = bits;
        if (slash != std::string_view::npos) {
            const std::string_view number = text.substr(slash + 1);
            const char* end = number.data() + number.size();
            auto [stop, error] = std::from_chars(number.data(), end, prefix);
            whole = error == std::errc() && stop == end && prefix >= 0 && prefix <= bits;
        }
        prefix += 128 - bits;
    }
    if (!whole) {
        throw std::invalid_argument("\"" + std::string(text) +
                                    "\" is no range of addresses like 10.0.0.0/8 or fd00::/8");
    }
    return {*first, prefix};
}

bool IpRange::contains(const IpAddress& address) const {
    const int bytes = prefix / 8;
    if (!std::equal(first.bytes.begin(), first.bytes.begin() + bytes, address.bytes.begin())) {
        return false;
    }
    const int rest = prefix % 8;
    if (rest == 0) {
        return true;
    }
    const std::size_t at = std::size_t(bytes);
    return (first.bytes[at] ^ address.bytes[at]) >> (8 - rest) == 0;
}

bool WebhookTargets::listed(const IpAddress& address) const { return within(allow, address); }

bool WebhookTargets::may_connect(const IpAddress& address) const {
    return listed(address) ||
           (address.globally_reachable() && std::ranges::find(own, address) == own.end());
}

bool WebhookTargets::may_be_plain(std::string_view host) const {
    return std::ranges::find(http_hosts, host) != http_hosts.end();
}

std::string WebhookTargets::trouble(std::string_view text) const {
    const http::Url url = http::split_url(text);
    if (!url.trouble.empty()) {
        return "The URL cannot be used: " + url.trouble + ".";
    }
    if (url.scheme != "https" && !may_be_plain(url.host)) {
        return "The URL should begin with https://.";
    }
    if (std::optional<IpAddress> address = literal_address(url.host)) {
        return may_connect(*address) ? "" : not_public;
    }
    std::string_view host = url.host;
    while (host.ends_with('.')) {
        host.remove_suffix(1);
    }
    if (ends_in_number(host)) {
        return "The URL cannot be used: its host is no address.";
    }
    if (under(host, "localhost")) {
        return may_connect(*IpAddress::parse("127.0.0.1")) ? "" : not_public;
    }
    // names that no public resolver answers; with a list of addresses they may well be what it is
    // for
    const bool special = host.find('.') == std::string_view::npos || under(host, "local") ||
                         under(host, "internal") || under(host, "home.arpa") ||
                         under(host, "localdomain");
    return special && allow.empty() && !may_be_plain(url.host) ? not_public : "";
}

std::vector<IpAddress> own_addresses() {
    ifaddrs* all = nullptr;
    if (getifaddrs(&all) != 0) {
        throw std::system_error(errno, std::generic_category(), "getifaddrs");
    }
    const std::unique_ptr<ifaddrs, AddressesDeleter> freed(all);
    std::vector<IpAddress> own;
    for (const ifaddrs* one = all; one; one = one->ifa_next) {
        std::optional<IpAddress> address =
            one->ifa_addr ? IpAddress::of(one->ifa_addr) : std::nullopt;
        if (address) {
            own.push_back(*address);
        }
    }
    return own;
}

}  // namespace portal
