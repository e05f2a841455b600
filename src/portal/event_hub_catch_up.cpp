// How a hub's streams get what they may have missed: from PostgreSQL, while live events wait.
#include <algorithm>

#include "portal/event.h"
#include "portal/event_hub_parts.h"

namespace portal {
namespace {

constexpr std::int64_t retry_interval = 1000;   // ms, with PostgreSQL gone
constexpr std::int64_t batch = 100;             // events a reader takes at a time
constexpr std::size_t chunk = 500;              // audiences a statement asks for
constexpr std::size_t readers = 8;

}  // namespace

void EventHub::look() {
    if (!gaps_.empty() && !deaf_ && (!looking_.valid() || looking_.done())) {
        looking_ = look_for_missed();
        looking_.start();
    }
}

io::Task<void> EventHub::look_for_missed() {
    while (!gaps_.empty() && !deaf_) {
        const Uuid workspace = *gaps_.begin();
        bool asked = true;
        try {
            co_await look_for_missed(workspace);
        } catch (const std::exception&) {
            asked = false;
        }
        if (!asked) {
            retry_at_ = loop_.now() + retry_interval;   // tick() goes on
            co_return;
        }
        gaps_.erase(workspace);
        auto found = workspaces_.find(workspace);
        if (found == workspaces_.end()) {
            continue;
        }
        Workspace& place = *found->second;
        std::vector<Workspace::Held> held = std::move(place.held);
        place.held = {};
        if (place.overflow) {
            place.overflow = false;
            gaps_.insert(workspace);
            continue;
        }
        place.looking = false;
        for (const Workspace::Held& one : held) {
            deliver(place, one.number, one.audiences, one.text);
        }
    }
}

// Streams of an audience that has events beyond what they were sent are behind. The rest miss nothing.
io::Task<void> EventHub::look_for_missed(Uuid workspace) {
    std::vector<std::pair<AudienceKey, std::int64_t>> positions;
    auto found = workspaces_.find(workspace);
    if (found == workspaces_.end()) {
        co_return;
    }
    for (auto& [key, audience] : found->second->audiences) {
        std::int64_t least = -1;
        for (Place* place = audience.head.next; place != &audience.head; place = place->next) {
            if (place->stream->live()) {
                least = least < 0 ? place->stream->last_ : std::min(least, place->stream->last_);
            } else {
                place->stream->missed_ = true;   // it will read for itself
            }
        }
        if (least >= 0) {
            positions.emplace_back(key, least);
        }
    }
    for (std::size_t from = 0; from < positions.size(); from += chunk) {
        std::vector<std::string> audiences, numbers;
        for (std::size_t i = from; i < std::min(from + chunk, positions.size()); ++i) {
            audiences.push_back(text_of(positions[i].first));
            numbers.push_back(std::to_string(positions[i].second));
        }
        std::vector<std::size_t> behind =
            co_await audiences_behind(db_, workspace, std::move(audiences), std::move(numbers));
        found = workspaces_.find(workspace);
        if (found == workspaces_.end()) {
            co_return;
        }
        for (std::size_t place_of : behind) {
            auto audience = found->second->audiences.find(positions[from + place_of].first);
            if (audience == found->second->audiences.end()) {
                continue;
            }
            Place& head = audience->second.head;
            for (Place* place = head.next; place != &head; place = place->next) {
                if (place->stream->live()) {
                    catch_up(*place->stream);
                }
            }
        }
    }
}

// Has a reader bring it up to date; live events wait meanwhile.
void EventHub::catch_up(Stream& stream) {
    if (stream.ended()) {
        return;
    }
    stream.state_ = Stream::State::behind;
    stream.missed_ = false;
    if (stream.queued_) {
        return;
    }
    behind_.push_back(&stream);
    stream.queued_ = true;
    if (loop_.now() < retry_at_) {
        return;   // tick() goes on
    }
    for (auto& reader : readers_) {
        if (!reader->task.valid() || reader->task.done()) {
            reader->task = read(*reader);
            reader->task.start();
            return;
        }
    }
    if (readers_.size() < readers) {
        readers_.push_back(std::make_unique<Reader>());
        Reader& reader = *readers_.back();
        reader.task = read(reader);
        reader.task.start();
    }
}

io::Task<void> EventHub::read(Reader& reader) {
    while (!behind_.empty()) {
        reader.stream = behind_.front();
        behind_.pop_front();
        reader.stream->queued_ = false;
        bool asked = true;
        try {
            co_await read_missed(reader);
        } catch (const std::exception&) {
            asked = false;
        }
        if (!asked) {
            retry_at_ = loop_.now() + retry_interval;   // tick() goes on
            if (reader.stream && !reader.stream->queued_) {
                behind_.push_back(reader.stream);
                reader.stream->queued_ = true;
            }
            reader.stream = nullptr;
            co_return;
        }
        reader.stream = nullptr;
    }
}

io::Task<void> EventHub::read_missed(Reader& reader) {
    const Uuid workspace = reader.stream->workspace_->id;
    while (reader.stream && reader.stream->behind()) {
        std::vector<std::string> audiences;
        for (const Place& place : reader.stream->places_) {
            if (place.audience) {
                audiences.push_back(text_of(*place.audience->key));
            }
        }
        const std::int64_t after = reader.stream->last_;
        std::vector<Event> events = co_await events_after(db_, workspace, std::move(audiences), after, batch);
        if (reader.stream == nullptr || !reader.stream->behind()) {
            co_return;
        }
        for (const Event& event : events) {
            http::SharedText text = shared_text(event_frame(event));
            if (!reader.stream->give(event.number, text)) {
                reader.stream->missed_ = true;   // it comes back when it has drained
                co_return;
            }
        }
        if (std::int64_t(events.size()) < batch && reader.stream->caught_up()) {
            co_return;
        }
    }
}

}  // namespace portal
