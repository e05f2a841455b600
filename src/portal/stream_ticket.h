// StreamTicket: what a bare EventSource opens its stream with, since it can send no header (contract/events.md).
// It opens that stream and nothing else: first within 60 s, then as long as the session it was made for lives.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "portal/principal.h"
#include "portal/services.h"

namespace portal {

struct StreamTicket {
    static constexpr int seconds = 60;   // to its first use

    std::string text;   // 64 hexadecimal digits: the row's id and a MAC of it, so that forged ones cost no look-up
};
io::Task<StreamTicket> make_stream_ticket(Services& portal, const Principal& caller);

struct OpenedTicket {
    Uuid id;
    Principal principal;
};
// nullopt: not one of ours, too late, or its session is over.
io::Task<std::optional<OpenedTicket>> open_stream_ticket(Services& portal, std::string_view text);

}  // namespace portal
