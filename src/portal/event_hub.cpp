#include "portal/event_hub.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <ctime>

#include "portal/credential.h"
#include "portal/event.h"
#include "portal/event_hub_parts.h"

namespace portal {
namespace {

constexpr std::int64_t tick_interval = 250;      // ms
constexpr std::int64_t unheard = 750;            // ms: a heartbeat older than this counts as none (DESIGN, Freshness)
constexpr std::size_t chunk = 500;               // sessions a statement asks for

}  // namespace

// ---- opening

std::size_t EventHub::Hash::operator()(const Uuid& id) const noexcept {
    std::size_t high, low;   // ids are random, or end in a number
    std::memcpy(&high, id.bytes.data(), sizeof(high));
    std::memcpy(&low, id.bytes.data() + 8, sizeof(low));
    return high ^ (low * 0x9e3779b97f4a7c15u);
}

std::size_t EventHub::Hash::operator()(const AudienceKey& key) const noexcept {
    return (*this)(key.id) ^ std::size_t(key.kind);
}

namespace {

constexpr std::string_view customer_prefix = "customer:";
constexpr std::string_view payments_prefix = "payments:";
constexpr std::string_view contact_prefix = "contact:";
constexpr std::string_view company_prefix = "company:";

Uuid numbered(std::string_view digits) {
    std::uint64_t number = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), number);
    Uuid id;
    std::memcpy(id.bytes.data() + 8, &number, sizeof(number));
    return id;
}

std::int64_t number_of(const Uuid& id) {
    std::int64_t number;
    std::memcpy(&number, id.bytes.data() + 8, sizeof(number));
    return number;
}

}  // namespace

EventHub::AudienceKey EventHub::key_of(std::string_view audience) {
    if (audience.starts_with(customer_prefix)) {
        return {'u', Uuid::parse(audience.substr(customer_prefix.size())).value_or(Uuid{})};
    }
    if (audience.starts_with(payments_prefix)) {
        return {'p', Uuid::parse(audience.substr(payments_prefix.size())).value_or(Uuid{})};
    }
    if (audience.starts_with(contact_prefix)) {
        return {'c', numbered(audience.substr(contact_prefix.size()))};
    }
    if (audience.starts_with(company_prefix)) {
        return {'o', numbered(audience.substr(company_prefix.size()))};
    }
    return {audience == workspace_audience ? 'w' : '?', {}};
}

std::string EventHub::text_of(const AudienceKey& key) {
    switch (key.kind) {
        case 'u': return customer_audience(key.id);
        case 'p': return payments_audience(key.id);
        case 'c': return addressee_audience(false, number_of(key.id));
        case 'o': return addressee_audience(true, number_of(key.id));
        default: return std::string(workspace_audience);
    }
}

EventHub::EventHub(io::Loop& loop, io::Postgres& db, EventFeed* feed, EventStreamLimits limits)
    : loop_(loop), db_(db), feed_(feed), limits_(limits), heartbeat_(shared_text(":\n\n")),
      tick_(loop.timer([this] { tick(); }, io::Loop::Hold::nothing)) {
    if (feed_) {
        feed_->hear(this);
    }
}

EventHub::~EventHub() {
    if (feed_) {
        feed_->hear(nullptr);
    }
}

io::Task<std::unique_ptr<http::StreamBody>> EventHub::open(EventStreamRequest request) {
    if (limits_.worker != 0 && streams_.size() >= limits_.worker) {
        throw TooManyStreams();
    }
    const Uuid workspace = request.principal.workspace_id;
    const Principal& principal = request.principal;
    std::vector<std::string> audiences{std::string(workspace_audience)};
    audiences.push_back(principal.kind == Kind::portal
                            ? addressee_audience(principal.addressee_is_company, principal.addressee_id)
                            : customer_audience(principal.customer_id));
    if (principal.sees_payments()) {
        audiences.push_back(payments_audience(principal.customer_id));
    }
    auto stream = std::make_unique<Stream>(*this, request);
    std::unique_ptr<Workspace>& found = workspaces_[workspace];
    if (!found) {
        found = std::make_unique<Workspace>();
        found->id = workspace;
    }
    stream->workspace_ = found.get();
    for (std::size_t i = 0; i < audiences.size(); ++i) {
        auto [place, fresh] = found->audiences.try_emplace(key_of(audiences[i]));
        place->second.key = &place->first;
        stream->places_[i].stream = stream.get();
        stream->places_[i].audience = &place->second;
        place->second.head.insert(stream->places_[i]);
    }
    join(*stream);

    co_await count(*stream);
    co_await listen(*stream);
    EventPosition position = co_await event_position(db_, workspace, std::move(audiences), request.after);
    stream->last_ = position.newest;
    if (request.after >= 0) {
        stream->reset_ = position.reset;
        stream->last_ = position.reset ? position.newest : request.after;
        stream->missed_ = stream->missed_ || stream->last_ < position.newest;
    }
    co_return stream;
}

void EventHub::join(Stream& stream) {
    stream.index_ = std::uint32_t(streams_.size());
    streams_.push_back(&stream);
    changed_.insert(stream.session_);   // perhaps it did after it was authenticated, with nobody here to be told
    if (streams_.size() == 1) {
        tick_->set(tick_interval);
    }
}

void EventHub::leave(Stream& stream) noexcept {
    for (Place& place : stream.places_) {
        Audience* audience = place.audience;
        if (audience == nullptr) {
            continue;
        }
        place.unlink();
        if (audience->head.alone()) {
            const AudienceKey key = *audience->key;
            if (feed_ && audience->asked) {
                feed_->unlisten(stream.workspace_->id, text_of(key));
            }
            stream.workspace_->audiences.erase(key);
        }
    }
    if (stream.workspace_ && stream.workspace_->audiences.empty()) {
        const Uuid id = stream.workspace_->id;
        gaps_.erase(id);
        workspaces_.erase(id);
    }
    for (const auto claim : {Stream::session, Stream::address, Stream::ticket}) {
        if (feed_ && (stream.claims_ & claim)) {
            feed_->release(stream.key(claim));
        }
    }
    if (stream.queued_) {
        std::erase(behind_, &stream);
    }
    for (auto& reader : readers_) {
        reader->forget(stream);
    }
    if (stream.index_ < streams_.size() && streams_[stream.index_] == &stream) {
        streams_[stream.index_] = streams_.back();
        streams_[stream.index_]->index_ = stream.index_;
        streams_.pop_back();
    }
}

// Counts it for its session and its address, and takes its ticket from a stream that had it.
io::Task<void> EventHub::count(Stream& stream) {
    if (!stream.ticket_.is_nil()) {
        on_evict(stream.ticket_);
        co_await count(stream, Stream::ticket, 0);
    }
    const std::uint32_t streams = stream.kind_ == Kind::portal ? limits_.portal : limits_.session;
    if (streams != 0) {
        co_await count(stream, Stream::session, streams);
    }
    if (limits_.address != 0) {
        co_await count(stream, Stream::address, limits_.address);
    }
}

io::Task<void> EventHub::count(Stream& stream, std::uint8_t claim, std::uint32_t limit) {
    const auto which = Stream::Claimed(claim);
    const Uuid key = stream.key(which);
    auto claimed = EventFeed::Claim::unknown;
    if (feed_) {
        claimed = co_await feed_->claim(key, limit);
    }
    if (claimed == EventFeed::Claim::unknown && limit != 0) {
        // nobody counts for the host: this worker does
        const auto held = std::count_if(streams_.begin(), streams_.end(), [&](const Stream* other) {
            return (other->claims_ & claim) && other->key(which) == key;
        });
        claimed = held < std::int64_t(limit) ? EventFeed::Claim::granted : EventFeed::Claim::refused;
    }
    if (claimed == EventFeed::Claim::refused) {
        throw TooManyStreams();
    }
    stream.claims_ |= claim;
}

io::Task<void> EventHub::listen(Stream& stream) {
    const Uuid workspace = stream.workspace_->id;
    for (Place& place : stream.places_) {
        if (feed_ == nullptr || place.audience == nullptr || place.audience->listened) {
            continue;
        }
        std::string audience = text_of(*place.audience->key);
        place.audience->asked = true;
        const bool heard = co_await feed_->listen(workspace, std::move(audience));
        place.audience->listened = heard;
    }
}

// ---- what the feed tells

void EventHub::on_event(const Uuid& workspace, std::int64_t number, const std::vector<std::string_view>& audiences,
                        std::string_view text) {
    auto found = workspaces_.find(workspace);
    if (found == workspaces_.end()) {
        return;
    }
    std::vector<AudienceKey> keys;
    keys.reserve(audiences.size());
    for (std::string_view audience : audiences) {
        keys.push_back(key_of(audience));
    }
    Workspace& place = *found->second;
    http::SharedText once = shared_text(text);
    if (!place.looking) {
        deliver(place, number, keys, once);
    } else if (place.held.size() < most_held) {
        place.held.push_back({number, std::move(keys), std::move(once)});
    } else {
        place.overflow = true;   // PostgreSQL keeps them
    }
}

void EventHub::deliver(Workspace& workspace, std::int64_t number, const std::vector<AudienceKey>& audiences,
                       const http::SharedText& text) noexcept {
    for (const AudienceKey& key : audiences) {
        auto found = workspace.audiences.find(key);
        if (found == workspace.audiences.end()) {
            continue;
        }
        Place& head = found->second.head;
        for (Place* place = head.next; place != &head; place = place->next) {
            place->stream->offer(number, text);
        }
    }
}

void EventHub::on_gap(const Uuid& workspace) {
    for (auto& [id, place] : workspaces_) {
        if (workspace.is_nil() || workspace == id) {
            place->overflow = place->overflow || place->looking;
            place->looking = true;
            gaps_.insert(id);
        }
    }
    look();
}

void EventHub::on_evict(const Uuid& key) {
    for (std::size_t i = 0; i < streams_.size(); ++i) {
        Stream& stream = *streams_[i];
        if ((stream.claims_ & Stream::ticket) && stream.ticket_ == key) {
            stream.claims_ &= std::uint8_t(~Stream::ticket);
            stream.bye("replaced");
        }
    }
}

// The helper is another, or has forgotten: it is told all, and what it did not send meanwhile is looked for.
void EventHub::on_line() {
    claiming_.clear();
    for (const Stream* stream : streams_) {
        for (const auto claim : {Stream::session, Stream::address, Stream::ticket}) {
            if (stream->claims_ & claim) {
                claiming_.push_back(feed_->claim(stream->key(claim), UINT32_MAX));
                claiming_.back().start();   // asks at once, so that no release goes before it
            }
        }
    }
    listen_again_ = true;
    deaf_ = true;
    on_gap(Uuid{});
    if (!listening_.valid() || listening_.done()) {
        listening_ = listen_again();
        listening_.start();
    }
}

EventHub::Audience* EventHub::find(const Uuid& workspace, const AudienceKey& key) {
    auto place = workspaces_.find(workspace);
    if (place == workspaces_.end()) {
        return nullptr;
    }
    auto found = place->second->audiences.find(key);
    return found == place->second->audiences.end() ? nullptr : &found->second;
}

io::Task<void> EventHub::listen_again() {
    while (listen_again_) {
        listen_again_ = false;
        std::vector<std::pair<Uuid, AudienceKey>> audiences;
        for (auto& [id, workspace] : workspaces_) {
            for (auto& [key, audience] : workspace->audiences) {
                audience.listened = false;
                audiences.emplace_back(id, key);
            }
        }
        for (const auto& [id, key] : audiences) {
            Audience* place = find(id, key);
            if (place == nullptr) {
                continue;   // its last stream has gone meanwhile
            }
            place->asked = true;
            std::string audience = text_of(key);
            const bool heard = co_await feed_->listen(id, std::move(audience));
            place = find(id, key);
            if (place) {
                place->listened = heard;
            }
        }
    }
    deaf_ = false;
    look();
}

// ---- time

void EventHub::tick() noexcept {
    const std::int64_t now = loop_.now();
    const std::int64_t unix_now = std::time(nullptr);
    std::size_t beats = 64 + streams_.size() / 16;   // a tick's share, should many be due at once
    for (std::size_t i = 0; i < streams_.size(); ++i) {
        Stream& stream = *streams_[i];
        if (stream.expires_at_ != 0 && stream.expires_at_ <= unix_now) {
            stream.bye("expired");
        } else if (stream.stalled(now)) {
            stream.cut();
        } else if (stream.next_beat_ <= now && stream.sink_ && beats > 0) {
            --beats;
            stream.beat(now);
        }
    }
    if (now >= retry_at_) {
        look();
        if (!behind_.empty()) {
            Stream* first = behind_.front();
            behind_.pop_front();
            first->queued_ = false;
            catch_up(*first);
        }
    }
    check_some();
    std::erase_if(claiming_, [](const auto& asked) { return asked.done(); });
    if (!streams_.empty()) {
        tick_->set(tick_interval);
    }
}

void EventHub::bump(const Uuid& id) {
    if (!streams_.empty()) {
        changed_.insert(id);
    }
}

// Sessions of which something changed are asked for again: all of them while nobody would tell.
void EventHub::check_some() noexcept try {
    const std::int64_t now = loop_.now();
    const bool heard = feed_ && now - beaten_at_ <= unheard;
    const bool all = check_all_ || (!heard && now - checked_at_ >= unheard);
    if ((!all && changed_.empty()) || (checking_.valid() && !checking_.done())) {
        return;
    }
    std::array<Ids, 3> sessions;   // of customers, of members, portal tokens
    for (const Stream* stream : streams_) {
        if (all || changed_.contains(stream->session_) || changed_.contains(stream->workspace_->id) ||
            changed_.contains(stream->customer_) || changed_.contains(stream->member_)) {
            sessions[stream->kind_ == Kind::customer ? 0 : stream->kind_ == Kind::member ? 1 : 2].insert(
                stream->session_);
        }
    }
    check_all_ = false;
    changed_.clear();
    checked_at_ = now;
    std::array<std::vector<Uuid>, 3> lists;
    for (std::size_t i = 0; i < 3; ++i) {
        lists[i].assign(sessions[i].begin(), sessions[i].end());
    }
    checking_ = check(std::move(lists));
    checking_.start();
} catch (...) {
    check_all_ = true;
}

io::Task<void> EventHub::check(std::array<std::vector<Uuid>, 3> sessions) {
    constexpr Kind kinds[] = {Kind::customer, Kind::member, Kind::portal};
    for (std::size_t i = 0; i < 3; ++i) {
        for (std::size_t from = 0; from < sessions[i].size(); from += chunk) {
            const std::size_t to = std::min(from + chunk, sessions[i].size());
            std::vector<Uuid> asked(sessions[i].begin() + std::ptrdiff_t(from), sessions[i].begin() + std::ptrdiff_t(to));
            Ids dead(asked.begin(), asked.end());
            std::unordered_map<Uuid, bool, Hash> payments;   // whether a living one sees them
            bool answered = true;
            try {
                std::vector<Principal> living = co_await living_credentials(db_, kinds[i], std::move(asked));
                for (const Principal& principal : living) {
                    dead.erase(principal.token_id);
                    payments[principal.token_id] = principal.sees_payments();
                }
            } catch (const std::exception&) {
                answered = false;
            }
            if (!answered) {
                check_all_ = true;   // with PostgreSQL back
                co_return;
            }
            for (Stream* stream : streams_) {
                if (dead.contains(stream->session_)) {
                    stream->bye("revoked");
                    continue;
                }
                auto found = payments.find(stream->session_);
                if (found != payments.end() && found->second != stream->payments_) {
                    stream->shutdown();   // another role: it comes back for what that one sees
                }
            }
        }
    }
}

}  // namespace portal
