#include "portal/link.h"

#include <algorithm>

namespace portal::link {

namespace {

constexpr char version = 3;
constexpr std::size_t header_size = 2;
constexpr std::size_t longest_audience = 255;
constexpr std::size_t most_audiences = 255;

std::string start(Type type) {
    return {version, char(type)};
}

void put(std::string& frame, std::uint64_t number) {
    for (int shift = 0; shift < 64; shift += 8) {
        frame.push_back(char(number >> shift & 0xff));
    }
}

void put(std::string& frame, std::uint32_t number) {
    for (int shift = 0; shift < 32; shift += 8) {
        frame.push_back(char(number >> shift & 0xff));
    }
}

void put(std::string& frame, const Uuid& id) {
    frame.append(reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size());
}

template <class Number = std::uint64_t>
Number number_at(std::string_view payload, std::size_t offset) {
    Number number = 0;
    for (std::size_t at = sizeof number; at-- > 0;) {
        number = number << 8 | std::uint8_t(payload[offset + at]);
    }
    return number;
}

Uuid uuid_at(std::string_view payload, std::size_t offset) {
    Uuid id;
    std::copy_n(payload.begin() + std::ptrdiff_t(offset), id.bytes.size(), id.bytes.begin());
    return id;
}

bool is_audience(std::string_view text) {
    return !text.empty() && text.size() <= longest_audience;
}

// Everything of an event. False: it does not fit.
bool read_event(std::string_view payload, Frame& frame) {
    if (payload.size() < 25) {
        return false;
    }
    frame.id = uuid_at(payload, 0);
    frame.number = std::int64_t(number_at(payload, 16));
    std::size_t count = std::uint8_t(payload[24]);
    std::size_t at = 25;
    for (; count > 0; --count) {
        std::size_t length = at < payload.size() ? std::uint8_t(payload[at]) : 0;
        if (length == 0 || payload.size() - at - 1 < length) {
            return false;
        }
        frame.audiences.push_back(payload.substr(at + 1, length));
        at += 1 + length;
    }
    frame.text = payload.substr(at);
    return true;
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

std::string listen(std::uint64_t ticket, const Uuid& workspace, std::string_view audience) {
    std::string frame = start(Type::listen);
    put(frame, ticket);
    put(frame, workspace);
    frame += audience;
    return frame;
}

std::string unlisten(const Uuid& workspace, std::string_view audience) {
    std::string frame = start(Type::unlisten);
    put(frame, workspace);
    frame += audience;
    return frame;
}

std::string listening(std::uint64_t ticket) {
    std::string frame = start(Type::listening);
    put(frame, ticket);
    return frame;
}

std::string claim(std::uint64_t ticket, const Uuid& key, std::uint32_t limit) {
    std::string frame = start(Type::claim);
    put(frame, ticket);
    put(frame, key);
    put(frame, limit);
    return frame;
}

std::string claimed(std::uint64_t ticket, bool granted) {
    std::string frame = start(Type::claimed);
    put(frame, ticket);
    frame.push_back(char(granted));
    return frame;
}

std::string release(const Uuid& key) {
    std::string frame = start(Type::release);
    put(frame, key);
    return frame;
}

std::string evict(const Uuid& key) {
    std::string frame = start(Type::evict);
    put(frame, key);
    return frame;
}

std::string event(const Uuid& workspace, std::int64_t number, const std::vector<std::string_view>& audiences,
                  std::string_view text) {
    std::string frame = start(Type::event);
    put(frame, workspace);
    put(frame, std::uint64_t(number));
    frame.push_back(char(audiences.size()));
    for (std::string_view audience : audiences) {
        if (!is_audience(audience)) {
            return gap(workspace);
        }
        frame.push_back(char(audience.size()));
        frame += audience;
    }
    frame += text;
    return audiences.size() <= most_audiences && frame.size() <= max_frame ? frame : gap(workspace);
}

std::string gap(const Uuid& workspace) {
    std::string frame = start(Type::gap);
    put(frame, workspace);
    return frame;
}

std::string figures(const HelperReport& report) {
    std::string frame = start(Type::figures);
    for (std::uint64_t value : report) {
        put(frame, value);
    }
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
        case Type::release:
        case Type::evict:
        case Type::gap:
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
        case Type::listen:
            if (payload.size() < 24 || !is_audience(payload.substr(24))) {
                return std::nullopt;
            }
            frame.ticket = number_at(payload, 0);
            frame.id = uuid_at(payload, 8);
            frame.audience = payload.substr(24);
            return frame;
        case Type::unlisten:
            if (payload.size() < 16 || !is_audience(payload.substr(16))) {
                return std::nullopt;
            }
            frame.id = uuid_at(payload, 0);
            frame.audience = payload.substr(16);
            return frame;
        case Type::listening:
            if (payload.size() != 8) {
                return std::nullopt;
            }
            frame.ticket = number_at(payload, 0);
            return frame;
        case Type::claim:
            if (payload.size() != 28) {
                return std::nullopt;
            }
            frame.ticket = number_at(payload, 0);
            frame.id = uuid_at(payload, 8);
            frame.limit = number_at<std::uint32_t>(payload, 24);
            return frame;
        case Type::claimed:
            if (payload.size() != 9 || std::uint8_t(payload[8]) > 1) {
                return std::nullopt;
            }
            frame.ticket = number_at(payload, 0);
            frame.granted = payload[8] == 1;
            return frame;
        case Type::figures:
            if (payload.size() != HelperReport::size() * 8) {
                return std::nullopt;
            }
            for (std::size_t at = 0; at < HelperReport::size(); ++at) {
                frame.report[HelperFigure(at)] = number_at(payload, at * 8);
            }
            return frame;
        case Type::event:
            if (!read_event(payload, frame)) {
                return std::nullopt;
            }
            return frame;
    }
    return std::nullopt;
}

}  // namespace portal::link
