// A hub's stream: what its reader gets, and what waits while the reader is slow or PostgreSQL is read.
#include <algorithm>

#include "portal/event_hub_parts.h"
#include "portal/secrets.h"

namespace portal {
namespace {

constexpr std::size_t most_unsent = 256 * 1024;  // bytes owed to a slow reader

// Milliseconds until a browser dials again: spread, so that a reload is no stampede.
std::string retry_line(std::uint32_t least, std::uint32_t spread) {
    std::uint32_t random;
    random_bytes(&random, sizeof(random));
    return "retry: " + std::to_string(least + random % (spread + 1)) + "\n";
}

}  // namespace

void EventHub::Stream::start(http::StreamSink& sink) noexcept try {
    sink_ = &sink;
    if (ended()) {
        sink.end();   // it was told to while it opened
        return;
    }
    next_beat_ = hub_.loop_.now() + hub_.limits_.heartbeat;
    state_ = State::live;
    // an id at once: whoever comes back before the first event misses none either
    const std::string begin = std::to_string(last_);
    std::string prelude = retry_line(2000, 2000) + ": connected\nid: " + begin + "\n\n";
    if (reset_) {
        prelude += "id: " + begin + "\nevent: reset\ndata: {\"id\":" + begin + "}\n\n";
    }
    if (!give(last_, shared_text(prelude))) {
        missed_ = true;
        return;
    }
    if (!caught_up()) {
        hub_.catch_up(*this);
    }
} catch (...) {
    cut();
}

void EventHub::Stream::offer(std::int64_t number, const http::SharedText& text) noexcept {
    switch (state_) {
        case State::opening:
        case State::behind:
            wait(number, text);
            return;
        case State::live:
            if (number > last_) {
                give(number, text);
            }
            return;
        case State::blocked:
            missed_ = true;
            owed_ += std::uint32_t(text->plain().size());
            if (owed_ > most_unsent) {
                cut();
            }
            return;
        case State::ended:
            return;
    }
}

void EventHub::Stream::wait(std::int64_t number, const http::SharedText& text) noexcept try {
    if (waiting_.size() >= most_held) {
        missed_ = true;   // PostgreSQL keeps them
        return;
    }
    waiting_.push_back({number, text});
} catch (...) {
    missed_ = true;
}

bool EventHub::Stream::give(std::int64_t number, const http::SharedText& text) noexcept {
    last_ = number;
    if (sink_->send(text)) {
        return true;
    }
    state_ = State::blocked;
    missed_ = false;
    owed_ = std::uint32_t(text->plain().size());
    blocked_at_ = hub_.loop_.now();
    return false;
}

bool EventHub::Stream::caught_up() noexcept {
    if (missed_) {
        missed_ = false;
        waiting_.clear();
        return false;
    }
    state_ = State::live;
    std::vector<Waiting> waited = std::move(waiting_);
    waiting_ = {};
    for (const Waiting& one : waited) {
        if (one.number > last_) {
            offer(one.number, one.text);
        }
    }
    return true;
}

void EventHub::Stream::drained() noexcept {
    if (state_ != State::blocked) {
        return;
    }
    owed_ = 0;
    state_ = State::live;
    if (missed_) {
        hub_.catch_up(*this);
    }
}

void EventHub::Stream::beat(std::int64_t now) noexcept {
    next_beat_ = std::max(next_beat_ + hub_.limits_.heartbeat, now);
    if (state_ == State::live) {
        give(last_, hub_.heartbeat_);
    }
}

void EventHub::Stream::shutdown() noexcept try {
    if (state_ != State::blocked && state_ != State::ended && sink_) {
        sink_->send(shared_text(retry_line(0, 5000) + "\n"));
    }
    cut();
} catch (...) {
    cut();
}

void EventHub::Stream::bye(const char* reason) noexcept try {
    if (state_ != State::blocked && state_ != State::ended && sink_) {
        sink_->send(shared_text("event: bye\ndata: {\"reason\":\"" + std::string(reason) + "\"}\n\n"));
    }
    cut();
} catch (...) {
    cut();
}

void EventHub::Stream::cut() noexcept {
    if (state_ == State::ended) {
        return;
    }
    state_ = State::ended;
    waiting_.clear();
    if (sink_) {
        sink_->end();
    }
}

}  // namespace portal
