// The zone's rate-limit logs: who was admitted when, on this node, and what Redis said of it.
#include <algorithm>

#include "portal/zone_tables.h"

namespace portal {
namespace {

constexpr std::uint16_t largest_lease = 64;
constexpr std::int64_t ask_time = 300;   // an ask older than this was lost

}  // namespace

// ---- Log

Zone::Log::Cell* Zone::Log::cell(Zone& zone, std::uint32_t index) noexcept {
    return zone.at<Cell>(zone.header().pool.cells) + (index - 1);
}

Zone::Log::Cell* Zone::Log::last(Zone& zone) noexcept {
    Cell* at = &first;
    while (at->next != 0) {
        at = cell(zone, at->next);
    }
    return at;
}

std::int64_t Zone::Log::oldest(std::int64_t now) const noexcept {
    return widen(first.steps[first.begin].time(), now);
}

void Zone::Log::expire(Zone& zone, std::int64_t now, std::uint32_t window) noexcept {
    while (total != 0) {
        if (first.begin < first.end) {
            Step& step = first.steps[first.begin];
            if (step.count != 0 && widen(step.time(), now) + std::int64_t(window) > now) {
                return;
            }
            total -= step.count;
            ++first.begin;
        }
        if (first.begin == first.end && first.next != 0) {
            // the next cell becomes the first, and its place is free again
            const std::uint32_t index = first.next;
            Cell* next = cell(zone, index);
            first = *next;
            Pool& pool = zone.header().pool;
            next->next = pool.free;
            pool.free = index;
        } else if (first.begin == first.end) {
            break;   // a process that was killed left more in the total than in the steps
        }
    }
    clear(zone);
}

void Zone::Log::clear(Zone& zone) noexcept {
    Pool& pool = zone.header().pool;
    while (first.next != 0) {
        const std::uint32_t index = first.next;
        Cell* next = cell(zone, index);
        first.next = next->next;
        next->next = pool.free;
        pool.free = index;
    }
    first.begin = first.end = 0;
    total = 0;
}

bool Zone::Log::append(Zone& zone, std::int64_t time) noexcept {
    Cell* end = last(zone);
    if (end->end > end->begin) {
        Step& step = end->steps[end->end - 1];
        // another worker's clock reading may be a little ahead: never go back
        if (std::int32_t(std::uint32_t(time) - step.time()) <= 0 && step.count < UINT16_MAX) {
            ++step.count;
            ++total;
            return true;
        }
    }
    if (end->end == Cell::capacity) {
        Pool& pool = zone.header().pool;
        std::uint32_t index = pool.free;
        Cell* fresh;
        if (index != 0) {
            fresh = cell(zone, index);
            pool.free = fresh->next;
        } else if (pool.fresh < pool.count) {
            index = ++pool.fresh;
            fresh = cell(zone, index);
        } else {
            return false;
        }
        fresh->next = 0;
        fresh->begin = fresh->end = 0;
        end->next = index;
        end = fresh;
    }
    end->steps[end->end].set(std::uint32_t(time), 1);
    ++end->end;
    ++total;
    return true;
}

// The step it was logged in, or the one it was merged into because that was later.
void Zone::Log::remove(Zone& zone, std::int64_t time) noexcept {
    for (Cell* at = &first; at != nullptr; at = at->next != 0 ? cell(zone, at->next) : nullptr) {
        for (std::uint8_t index = at->begin; index < at->end; ++index) {
            Step& step = at->steps[index];
            if (step.count != 0 && std::int32_t(step.time() - std::uint32_t(time)) >= 0) {
                --step.count;   // an empty step stays until it expires
                --total;
                return;
            }
        }
    }
}

// ---- the table: each key may lie in either of two buckets

std::size_t Zone::limit_place(const LimitKey& key, int choice) const noexcept {
    const std::uint64_t word = choice == 0 ? first_word(key.bytes.data())
                                           : (first_word(key.bytes.data()) * 0x9e3779b97f4a7c15) ^
                                                 second_word(key.bytes.data());
    return (word >> 7) % header().limit_buckets;
}

Zone::LimitBucket& Zone::limit_bucket(const LimitKey& key, int choice) const noexcept {
    auto& bucket = at<LimitBucket>(header().limits)[limit_place(key, choice)];
    Marked::recover(bucket);
    return bucket;
}

void Zone::expect(const LimitKey& key) const noexcept {
    for (int choice = 0; choice < 2; ++choice) {
        __builtin_prefetch(at<LimitBucket>(header().limits) + limit_place(key, choice));
    }
}

Zone::LimitEntry* Zone::find_limit(const LimitKey& key, LimitBucket** found) const noexcept {
    const std::uint32_t tag = tag_of(second_word(key.bytes.data()));
    for (int choice = 0; choice < 2; ++choice) {
        LimitBucket& bucket = limit_bucket(key, choice);
        for (std::size_t way = 0; way < LimitBucket::ways; ++way) {
            if (bucket.tags[way] == tag && bucket.entries[way].key.bytes == key.bytes) {
                *found = &bucket;
                return &bucket.entries[way];
            }
        }
    }
    return nullptr;
}

Zone::LimitEntry* Zone::make_limit(const LimitKey& key, std::int64_t now, LimitBucket** found) noexcept {
    LimitBucket* best = nullptr;
    std::size_t best_way = 0;
    std::size_t best_free = 0;
    for (int choice = 0; choice < 2; ++choice) {
        LimitBucket& bucket = limit_bucket(key, choice);
        std::size_t free = 0;
        std::size_t free_way = 0;
        for (std::size_t way = 0; way < LimitBucket::ways; ++way) {
            const LimitEntry& entry = bucket.entries[way];
            const bool dead = entry.newest + std::int64_t(entry.window) <= now && entry.denied_until <= now &&
                              entry.asking_until <= now;
            if (bucket.tags[way] == 0 || dead) {
                ++free;
                free_way = way;
            }
        }
        if (free > best_free) {
            best_free = free;
            best = &bucket;
            best_way = free_way;
        }
    }
    if (best == nullptr) {
        return nullptr;
    }
    LimitEntry& entry = best->entries[best_way];
    Marked writing(*best);
    if (best->tags[best_way] != 0) {
        entry.log.clear(*this);
    }
    std::memset(static_cast<void*>(&entry), 0, sizeof entry);
    entry.key = key;
    entry.newest = now;   // alive, though nothing is logged yet
    entry.window = 1;
    entry.lease_size = 1;
    best->tags[best_way] = tag_of(second_word(key.bytes.data()));
    *found = best;
    return &entry;
}

// ---- admissions

Zone::Outcome Zone::admit(Admission* admissions, std::size_t count, bool with_redis, std::int64_t now,
                          std::size_t& deciding) noexcept {
    constexpr std::size_t most = 4;
    LimitEntry* entries[most];
    LimitBucket* buckets[most];
    Guard guard(lock_);
    for (deciding = 0; deciding < std::min(count, most); ++deciding) {
        Admission& admission = admissions[deciding];
        LimitEntry* entry = find_limit(admission.key, &buckets[deciding]);
        if (entry == nullptr) {
            entry = make_limit(admission.key, now, &buckets[deciding]);
            if (entry == nullptr) {
                return Outcome::full;
            }
        }
        entries[deciding] = entry;
        Marked writing(*buckets[deciding]);
        entry->window = admission.window;
        entry->log.expire(*this, now, admission.window);
        std::int64_t opens = entry->denied_until;
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
        Marked writing(*buckets[index]);
        std::int64_t time = now;
        if (admission.quota > exact_quota) {
            const std::int64_t step = std::max<std::int64_t>(1, admission.window / 64);
            time = (now + step - 1) / step * step;
        }
        if (!entry.log.append(*this, time)) {
            for (std::size_t undo = 0; undo < index; ++undo) {
                Marked undoing(*buckets[undo]);
                entries[undo]->log.remove(*this, admissions[undo].logged_at);
            }
            deciding = index;
            return Outcome::full;
        }
        entry.newest = std::max(entry.newest, time);
        admission.admitted_at = now;
        admission.logged_at = time;
        admission.remaining = admission.quota - std::min(admission.quota, entry.log.total);
        admission.reset_in = entry.log.oldest(now) + std::int64_t(admission.window) - now;
        admission.ask = admission.leased = false;
        if (!with_redis) {
            continue;
        }
        if (entry.lease_left > 0 && now < entry.lease_until) {
            --entry.lease_left;
            admission.leased = true;
            admission.tell(entry.known_remaining + entry.lease_left, std::max<std::int64_t>(entry.reset_at - now, 1));
            continue;
        }
        admission.ask = true;
        admission.want = 1;
        admission.give_back = entry.lease_left;
        admission.lease_at = entry.lease_at;
        if (admission.quota > exact_quota && entry.asking_until <= now) {
            // used up in time: twice as much; three quarters left over: half as much; a sixteenth of the room at most
            if (entry.lease_left == 0 && now < entry.lease_until) {
                entry.lease_size = std::uint16_t(std::min<int>(entry.lease_size * 2, largest_lease));
            } else if (entry.lease_left * 4 >= entry.lease_size * 3) {
                entry.lease_size = std::uint16_t(std::max(entry.lease_size / 2, 1));
            } else if (entry.lease_until == 0) {
                entry.lease_size = 2;
            }
            const std::uint32_t cap = std::max(1u, admission.remaining / 16);
            admission.want = std::uint16_t(std::min<std::uint32_t>(entry.lease_size, cap));
            if (admission.want > 1) {
                entry.asking_until = now + ask_time;
            }
        }
        entry.lease_left = 0;
    }
    return Outcome::admitted;
}

void Zone::withdraw(const Admission& admission, std::int64_t now) noexcept {
    Guard guard(lock_);
    LimitBucket* bucket = nullptr;
    if (LimitEntry* entry = find_limit(admission.key, &bucket)) {
        Marked writing(*bucket);
        entry->log.remove(*this, admission.logged_at);
        if (admission.leased && now < entry->lease_until) {
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
    LimitBucket* bucket = nullptr;
    LimitEntry* entry = find_limit(admission.key, &bucket);
    if (entry == nullptr) {
        return;
    }
    Marked writing(*bucket);
    entry->known_remaining = remaining;
    entry->reset_at = now + reset_in;
    if (admission.want > 1) {
        entry->asking_until = 0;
        entry->lease_left = std::uint16_t(grant - 1);
        entry->lease_at = redis_at;
        // counted in Redis at its own time plus lease_time, which is later than this
        entry->lease_until = admission.admitted_at + lease_time(admission.quota, admission.window);
    }
}

bool Zone::denied(Admission& admission, std::int64_t reset_in, std::int64_t now, bool rescue) noexcept {
    Guard guard(lock_);
    LimitBucket* bucket = nullptr;
    LimitEntry* entry = find_limit(admission.key, &bucket);
    if (entry == nullptr) {
        return false;
    }
    Marked writing(*bucket);
    const bool lease = entry->lease_left > 0 && now < entry->lease_until;
    if (lease && rescue) {
        --entry->lease_left;
        admission.remaining = entry->known_remaining + entry->lease_left;
        return true;
    }
    if (admission.want > 1) {
        entry->asking_until = 0;
    }
    // final, and worth remembering, only while nobody on this node may still be admitted
    if (!lease) {
        entry->denied_until = std::max(entry->denied_until, now + reset_in);
    }
    entry->log.remove(*this, admission.logged_at);
    return false;
}

bool Zone::exhausted(const LimitKey& key, std::uint32_t quota, std::uint32_t window, std::int64_t now) noexcept {
    Guard guard(lock_);
    LimitBucket* bucket = nullptr;
    LimitEntry* entry = find_limit(key, &bucket);
    if (entry == nullptr) {
        return false;
    }
    Marked writing(*bucket);
    entry->log.expire(*this, now, window);
    return entry->denied_until > now || entry->log.total >= quota;
}

}  // namespace portal
