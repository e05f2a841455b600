// The frames between portal-helper and those who dial it (workers, portalctl): one per SEQPACKET datagram.
//
//   byte 0   version, 3
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
//   listen     dialler -> helper   u64 ticket, 16 bytes workspace, an audience's text: send me its events from now on
//   unlisten   dialler -> helper   16 bytes workspace, the audience's text
//   listening  helper -> dialler   u64 ticket: every event the helper reads from here on is sent
//   claim      dialler -> helper   u64 ticket, 16 bytes key, u32 limit
//   claimed    helper -> dialler   u64 ticket, u8 granted: 0 or 1
//   release    dialler -> helper   16 bytes key
//   evict      helper -> dialler   16 bytes key: somebody else claimed it for himself alone
//   event      helper -> dialler   16 bytes workspace, u64 number, u8 count, count x (u8 length, audience), the text
//   gap        helper -> dialler   16 bytes workspace, nil for all: events may have been missed, PostgreSQL has them
//   figures    helper -> dialler   count x u64: HelperReport, in the order of HelperFigure
//
// An audience is who sees an event, always together with a workspace, as event.h writes it. A dialler is sent an event
// once, with those of its audiences that the dialler listens to. A claim counts: all diallers of a helper together hold a
// key at most `limit` times, or, limit 0, once, taken from whoever held it before. Audiences and claims go with the
// dialler's connection.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "portal/helper_client.h"
#include "portal/metrics.h"
#include "portal/uuid.h"

namespace portal::link {

inline constexpr std::size_t max_frame = 64 * 1024;
inline constexpr std::int64_t beat_interval = 250;   // ms

enum class Type : std::uint8_t {
    hello = 1, send_now, welcome, beat, bump, bump_all, sent,
    listen, unlisten, listening, claim, claimed, release, evict, event, gap, figures,
};

// Which members count depends on the type. The views are into the datagram.
struct Frame {
    Type type = Type::hello;
    std::uint64_t ticket = 0;                  // send_now, sent, listen, listening, claim, claimed
    Uuid id;                                   // send_now, welcome, bump; a workspace or a claim's key
    std::int64_t time = 0;                     // beat
    SendOutcome outcome;                       // sent
    std::string_view audience;                 // listen, unlisten
    std::uint32_t limit = 0;                   // claim
    bool granted = false;                      // claimed
    std::int64_t number = 0;                   // event
    std::vector<std::string_view> audiences;   // event
    std::string_view text;                     // event
    HelperReport report;                       // figures
};

std::string hello();
std::string send_now(std::uint64_t ticket, const Uuid& outbox_id);
std::string welcome(const Uuid& helper);
std::string beat(std::int64_t time);
std::string bump(const Uuid& id);
std::string bump_all();
std::string sent(std::uint64_t ticket, const SendOutcome& outcome);
std::string listen(std::uint64_t ticket, const Uuid& workspace, std::string_view audience);
std::string unlisten(const Uuid& workspace, std::string_view audience);
std::string listening(std::uint64_t ticket);
std::string claim(std::uint64_t ticket, const Uuid& key, std::uint32_t limit);
std::string claimed(std::uint64_t ticket, bool granted);
std::string release(const Uuid& key);
std::string evict(const Uuid& key);
// What does not fit into a frame becomes a gap of its workspace.
std::string event(const Uuid& workspace, std::int64_t number, const std::vector<std::string_view>& audiences,
                  std::string_view text);
std::string gap(const Uuid& workspace);
std::string figures(const HelperReport& report);

// Of a frame made here.
inline Type type_of(std::string_view frame) {
    return Type(frame[1]);
}
// nullopt: another version, an unknown type, or a length that does not fit. The line is then to be closed.
std::optional<Frame> decode(std::string_view datagram);

}  // namespace portal::link
