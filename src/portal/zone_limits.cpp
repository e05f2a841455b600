// The zone's rate-limit logs: who was admitted when, on this node, and what Redis said of it.
#include <algorithm>

#include "portal/zone_tables.h"

namespace portal {
namespace {

constexpr std::uint16_t largest_lease = 64;
constexpr std::int64_t ask_time = 300;   // an ask older than this was lost

}  // namespace

// ---- Log

template <std::size_t Capacity>
void Zone::Log::Steps<Capacity>::skip_empty() noexcept {
    while (begin < end && steps[begin].count == 0) {
        ++begin;
    }
}

template <std::size_t Capacity>
Zone::Log::Step* Zone::Log::Steps<Capacity>::at_or_after(std::uint32_t time) noexcept {
    Step* found = std::find_if(steps + begin, steps + end, [time](const Step& step) {
        return step.count != 0 && std::int32_t(step.time() - time) >= 0;
    });
    return found != steps + end ? found : nullptr;
}

Zone::Log::Cell& Zone::Log::cell(Zone& zone, std::uint32_t index) noexcept {
    return zone.at<Cell>(zone.header().pool.cells)[index - 1];
}

std::uint32_t Zone::Log::take_cell(Zone& zone) noexcept {
    Pool& pool = zone.header().pool;
    std::uint32_t index = pool.free;
    if (index != 0) {
        pool.free = cell(zone, index).next;
    } else if (pool.fresh < pool.count) {
        index = ++pool.fresh;
    }
    return index;
}

void Zone::Log::free_oldest_cell(Zone& zone) noexcept {
    Pool& pool = zone.header().pool;
    const std::uint32_t index = head;
    Cell& freed = cell(zone, index);
    head = freed.next;
    if (head == 0) {
        tail = 0;
    }
    freed.next = pool.free;
    pool.free = index;
}

// The oldest that counts; what is before it goes. nullptr: there is none.
Zone::Log::Step* Zone::Log::oldest_step(Zone& zone) noexcept {
    for (; head != 0; free_oldest_cell(zone)) {
        auto& older = cell(zone, head).older;
        older.skip_empty();
        if (!older.empty()) {
            return &older.oldest();
        }
    }
    newer.skip_empty();
    return newer.empty() ? nullptr : &newer.oldest();
}

void Zone::Log::expire(Zone& zone, std::int64_t now, std::uint32_t window) noexcept {
    while (total != 0 && oldest(now) + std::int64_t(window) <= now) {
        if (Step* step = oldest_step(zone)) {
            total -= step->count;
            step->count = 0;
        }
        if (const Step* step = oldest_step(zone)) {
            oldest_at = step->time();
        } else {
            total = 0;
        }
    }
    if (total == 0) {
        clear(zone);
    }
}

void Zone::Log::clear(Zone& zone) noexcept {
    while (head != 0) {
        free_oldest_cell(zone);
    }
    newer.begin = newer.end = 0;
    total = 0;
}

// Makes room in the entry: the front first, then by moving all into cells.
bool Zone::Log::spill(Zone& zone) noexcept {
    if (newer.begin > 0) {
        std::copy(newer.steps + newer.begin, newer.steps + newer.end, newer.steps);
        newer.end = std::uint8_t(newer.end - newer.begin);
        newer.begin = 0;
        return true;
    }
    Cell* last = tail != 0 ? &cell(zone, tail) : nullptr;
    const std::size_t room = last != nullptr ? last->older.capacity - last->older.end : 0;
    const std::uint32_t added = room < newer.capacity ? take_cell(zone) : 0;
    if (room < newer.capacity && added == 0) {
        return false;
    }
    if (added != 0) {
        cell(zone, added) = Cell{};
    }
    for (const Step& step : newer.steps) {
        if (last == nullptr || last->older.end == last->older.capacity) {
            (last != nullptr ? last->next : head) = added;
            tail = added;
            last = &cell(zone, added);
        }
        last->older.steps[last->older.end++] = step;
    }
    newer.end = 0;
    return true;
}

bool Zone::Log::append(Zone& zone, std::int64_t time) noexcept {
    if (total != 0 && !newer.empty()) {
        Step& step = newer.newest();
        // another worker's clock reading may be a little ahead: never go back
        if (std::int32_t(std::uint32_t(time) - step.time()) <= 0 && step.count < UINT16_MAX) {
            ++step.count;
            ++total;
            return true;
        }
    }
    if (newer.end == newer.capacity && !spill(zone)) {
        return false;
    }
    newer.steps[newer.end++].set(std::uint32_t(time), 1);
    if (total++ == 0) {
        oldest_at = std::uint32_t(time);
    }
    return true;
}

// The step it was logged in, or the one it was merged into because that was later.
void Zone::Log::remove(Zone& zone, std::int64_t time) noexcept {
    Step* step = nullptr;
    for (std::uint32_t index = head; index != 0 && step == nullptr; index = cell(zone, index).next) {
        step = cell(zone, index).older.at_or_after(std::uint32_t(time));
    }
    if (step == nullptr) {
        step = newer.at_or_after(std::uint32_t(time));
    }
    if (step != nullptr) {
        --step->count;
        --total;
        if (const Step* oldest = oldest_step(zone)) {
            oldest_at = oldest->time();
        }
    }
}

// ---- the table

namespace {

// Without the first half, which a row's policies tell apart: its limits lie together.
std::uint64_t first_place(const LimitKey& key) noexcept { return second_word(key.bytes.data()) * golden; }
std::uint64_t second_place(const LimitKey& key) noexcept {
    return (second_word(key.bytes.data()) ^ first_word(key.bytes.data())) * golden;
}

}  // namespace

EntrySet<Zone::LimitEntry> Zone::limit_set(std::uint64_t place) const noexcept {
    LimitEntry* entries = at<LimitEntry>(header().limits) + scaled(place, header().limit_sets) * ways;
    return {entries, (place >> 24) % ways};
}

void Zone::expect_limit(const LimitKey& key) const noexcept { prefetch(limit_set(first_place(key))); }

Zone::LimitEntry* Zone::find_limit(const LimitKey& key) const noexcept {
    return find_entry(limit_set(first_place(key)), limit_set(second_place(key)), [&](const LimitEntry& entry) {
        return entry.key.bytes == key.bytes && entry.mark == 0 && entry.window != 0;
    });
}

Zone::LimitEntry* Zone::make_limit(const LimitKey& key, std::int64_t now) noexcept {
    LimitEntry* entry = free_entry(limit_set(first_place(key)), limit_set(second_place(key)),
                                   [now](const LimitEntry& each) { return each.free(now); });
    if (entry == nullptr) {
        return nullptr;
    }
    recover(*entry);
    Marked writing(*entry);
    entry->log.clear(*this);
    LimitEntry fresh{};
    fresh.mark = entry->mark;
    fresh.key = key;
    fresh.times.newest = now;   // alive, though nothing is logged yet
    fresh.window = 1;
    fresh.lease_size = 1;
    *entry = fresh;
    return entry;
}

// ---- admissions

Zone::Outcome Zone::admit(Admission* admissions, std::size_t count, bool with_redis, std::int64_t now,
                          std::size_t& deciding) noexcept {
    constexpr std::size_t most = 4;
    LimitEntry* entries[most];
    Guard guard(lock_);
    for (deciding = 0; deciding < std::min(count, most); ++deciding) {
        Admission& admission = admissions[deciding];
        LimitEntry* entry = find_limit(admission.key);
        if (entry == nullptr) {
            entry = make_limit(admission.key, now);
            if (entry == nullptr) {
                return Outcome::full;
            }
        }
        entries[deciding] = entry;
        Marked writing(*entry);
        entry->window = admission.window;
        entry->log.expire(*this, now, admission.window);
        std::int64_t opens = entry->times.denied_until;
        if (entry->log.total >= admission.quota) {
            opens = std::max(opens, entry->log.oldest(now) + std::int64_t(admission.window));
        }
        if (opens > now) {
            admission.remaining = 0;
            admission.reset_in = opens - now;
            return Outcome::denied;
        }
    }
    for (std::size_t index = 0; index < count; ++index) {
        Admission& admission = admissions[index];
        LimitEntry& entry = *entries[index];
        Marked writing(entry);
        std::int64_t time = now;
        if (admission.quota > exact_quota) {
            const std::int64_t step = std::max<std::int64_t>(1, admission.window / 64);
            time = (now + step - 1) / step * step;
        }
        if (!entry.log.append(*this, time)) {
            for (std::size_t undo = 0; undo < index; ++undo) {
                Marked undoing(*entries[undo]);
                entries[undo]->log.remove(*this, admissions[undo].logged_at);
            }
            deciding = index;
            return Outcome::full;
        }
        entry.times.newest = std::max<std::int64_t>(entry.times.newest, time);
        admission.admitted_at = now;
        admission.logged_at = time;
        admission.remaining = admission.quota - std::min(admission.quota, entry.log.total);
        admission.reset_in = entry.log.oldest(now) + std::int64_t(admission.window) - now;
        admission.ask = admission.leased = false;
        if (!with_redis) {
            continue;
        }
        if (entry.lease_left > 0 && now < entry.times.lease_until) {
            --entry.lease_left;
            admission.leased = true;
            admission.tell(entry.known_remaining + entry.lease_left,
                           std::max<std::int64_t>(entry.times.reset_at - now, 1));
            continue;
        }
        admission.ask = true;
        admission.want = 1;
        admission.give_back = entry.lease_left;
        admission.lease_at = entry.times.lease_at;
        if (admission.quota > exact_quota && entry.times.asking_until <= now) {
            // used up in time: twice as much; three quarters left over: half as much; a sixteenth of the room at most
            if (entry.lease_left == 0 && now < entry.times.lease_until) {
                entry.lease_size = std::uint8_t(std::min<int>(entry.lease_size * 2, largest_lease));
            } else if (entry.lease_left * 4 >= entry.lease_size * 3) {
                entry.lease_size = std::uint8_t(std::max(entry.lease_size / 2, 1));
            } else if (entry.times.lease_until == 0) {
                entry.lease_size = 2;
            }
            std::uint32_t left = admission.remaining;
            if (entry.times.lease_until != 0) {
                left = std::min(left, entry.known_remaining);   // Redis's log may be the fuller one
            }
            const std::uint32_t cap = std::max(1u, left / 16);
            admission.lease = lease_time(admission.quota, admission.window, left);
            admission.want = std::uint16_t(std::min<std::uint32_t>(entry.lease_size, cap));
            if (admission.want > 1) {
                entry.times.asking_until = now + ask_time;
            }
        }
        entry.lease_left = 0;
    }
    return Outcome::admitted;
}

void Zone::withdraw(const Admission& admission, std::int64_t now) noexcept {
    Guard guard(lock_);
    if (LimitEntry* entry = find_limit(admission.key)) {
        Marked writing(*entry);
        entry->log.remove(*this, admission.logged_at);
        if (admission.leased && now < entry->times.lease_until) {
            ++entry->lease_left;
        }
    }
}

void Zone::granted(const Admission& admission, std::uint16_t grant, std::uint32_t remaining,
                   std::int64_t reset_in, std::int64_t redis_at, std::int64_t now) noexcept {
    if (admission.quota <= exact_quota) {
        return;
    }
    Guard guard(lock_);
    LimitEntry* entry = find_limit(admission.key);
    if (entry == nullptr) {
        return;
    }
    Marked writing(*entry);
    entry->known_remaining = remaining;
    entry->times.reset_at = now + reset_in;
    if (admission.want > 1) {
        entry->times.asking_until = 0;
        entry->lease_left = std::uint16_t(grant - 1);
        entry->times.lease_at = redis_at;
        // counted in Redis at its own time plus as much, which is later than this
        entry->times.lease_until = admission.admitted_at + admission.lease;
    }
}

bool Zone::denied(Admission& admission, std::int64_t reset_in, std::int64_t now, bool rescue) noexcept {
    Guard guard(lock_);
    LimitEntry* entry = find_limit(admission.key);
    if (entry == nullptr) {
        return false;
    }
    Marked writing(*entry);
    const bool lease = entry->lease_left > 0 && now < entry->times.lease_until;
    if (lease && rescue) {
        --entry->lease_left;
        admission.remaining = entry->known_remaining + entry->lease_left;
        return true;
    }
    if (admission.want > 1) {
        entry->times.asking_until = 0;
    }
    // final, and worth remembering, only while nobody on this node may still be admitted
    if (!lease) {
        entry->times.denied_until = std::max<std::int64_t>(entry->times.denied_until, now + reset_in);
    }
    entry->log.remove(*this, admission.logged_at);
    return false;
}

bool Zone::exhausted(const LimitKey& key, std::uint32_t quota, std::uint32_t window, std::int64_t now) noexcept {
    Guard guard(lock_);
    LimitEntry* entry = find_limit(key);
    if (entry == nullptr) {
        return false;
    }
    Marked writing(*entry);
    entry->log.expire(*this, now, window);
    return entry->times.denied_until > now || entry->log.total >= quota;
}

}  // namespace portal
