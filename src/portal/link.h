// The frames between portal-helper and those who dial it (workers, portalctl): one per SEQPACKET datagram.
//
//   byte 0   version, 1
//   byte 1   type
//   then     the payload below; integers are little-endian
//
//   hello      dialler -> helper   nothing
//   send_now   dialler -> helper   u64 ticket, 16 bytes outbox id
//   welcome    helper -> dialler   16 bytes: the helper's instance id
//   beat       helper -> dialler   u64 ms (Loop::now) when the database last proved that no notification is missing
//   bump       helper -> dialler   16 bytes: the id of a row that changed
//   bump_all   helper -> dialler   nothing: notifications may have been missed, everything counts as changed
//   sent       helper -> dialler   u64 ticket, u8 SendOutcome::Result, the reply's text
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "portal/helper_client.h"
#include "portal/uuid.h"

namespace portal::link {

inline constexpr std::size_t max_frame = 64 * 1024;
inline constexpr std::int64_t beat_interval = 250;   // ms

enum class Type : std::uint8_t { hello = 1, send_now, welcome, beat, bump, bump_all, sent };

// Which members count depends on the type.
struct Frame {
    Type type = Type::hello;
    std::uint64_t ticket = 0;   // send_now, sent
    Uuid id;                    // send_now, welcome, bump
    std::int64_t time = 0;      // beat
    SendOutcome outcome;        // sent
};

std::string hello();
std::string send_now(std::uint64_t ticket, const Uuid& outbox_id);
std::string welcome(const Uuid& helper);
std::string beat(std::int64_t time);
std::string bump(const Uuid& id);
std::string bump_all();
std::string sent(std::uint64_t ticket, const SendOutcome& outcome);

// nullopt: another version, an unknown type, or a length that does not fit. The line is then to be closed.
std::optional<Frame> decode(std::string_view datagram);

}  // namespace portal::link
