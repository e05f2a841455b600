#include "portal/link.h"

#include <algorithm>

namespace portal::link {

namespace {

constexpr char version = 1;
constexpr std::size_t header_size = 2;

std::string start(Type type) {
    return {version, char(type)};
}

void put(std::string& frame, std::uint64_t number) {
    for (int shift = 0; shift < 64; shift += 8) {
        frame.push_back(char(number >> shift & 0xff));
    }
}

void put(std::string& frame, const Uuid& id) {
    frame.append(reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size());
}

std::uint64_t number_at(std::string_view payload, std::size_t offset) {
    std::uint64_t number = 0;
    for (int at = 7; at >= 0; --at) {
        number = number << 8 | std::uint8_t(payload[offset + std::size_t(at)]);
    }
    return number;
}

Uuid uuid_at(std::string_view payload, std::size_t offset) {
    Uuid id;
    std::copy_n(payload.begin() + std::ptrdiff_t(offset), id.bytes.size(), id.bytes.begin());
    return id;
}

}  // namespace

std::string hello() {
    return start(Type::hello);
}

std::string send_now(std::uint64_t ticket, const Uuid& outbox_id) {
    std::string frame = start(Type::send_now);
    put(frame, ticket);
    put(frame, outbox_id);
    return frame;
}

std::string welcome(const Uuid& helper) {
    std::string frame = start(Type::welcome);
    put(frame, helper);
    return frame;
}

std::string beat(std::int64_t time) {
    std::string frame = start(Type::beat);
    put(frame, std::uint64_t(time));
    return frame;
}

std::string bump(const Uuid& id) {
    std::string frame = start(Type::bump);
    put(frame, id);
    return frame;
}

std::string bump_all() {
    return start(Type::bump_all);
}

std::string sent(std::uint64_t ticket, const SendOutcome& outcome) {
    std::string frame = start(Type::sent);
    put(frame, ticket);
    frame.push_back(char(outcome.result));
    frame.append(outcome.reply, 0, max_frame - frame.size());
    return frame;
}

std::optional<Frame> decode(std::string_view datagram) {
    if (datagram.size() < header_size || datagram.size() > max_frame || datagram[0] != version) {
        return std::nullopt;
    }
    Frame frame;
    frame.type = Type(datagram[1]);
    std::string_view payload = datagram.substr(header_size);
    switch (frame.type) {
        case Type::hello:
        case Type::bump_all:
            if (!payload.empty()) {
                return std::nullopt;
            }
            return frame;
        case Type::send_now:
            if (payload.size() != 24) {
                return std::nullopt;
            }
            frame.ticket = number_at(payload, 0);
            frame.id = uuid_at(payload, 8);
            return frame;
        case Type::welcome:
        case Type::bump:
            if (payload.size() != 16) {
                return std::nullopt;
            }
            frame.id = uuid_at(payload, 0);
            return frame;
        case Type::beat:
            if (payload.size() != 8) {
                return std::nullopt;
            }
            frame.time = std::int64_t(number_at(payload, 0));
            return frame;
        case Type::sent:
            if (payload.size() < 9 || std::uint8_t(payload[8]) > 2) {
                return std::nullopt;
            }
            frame.ticket = number_at(payload, 0);
            frame.outcome.result = SendOutcome::Result(payload[8]);
            frame.outcome.reply = payload.substr(9);
            return frame;
    }
    return std::nullopt;
}

}  // namespace portal::link
