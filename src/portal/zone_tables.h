// The zone's tables as they lie in memory: plain data, private to zone.cpp and zone_limits.cpp. A change of any of
// them changes Header::layout, so that a reload with another build of the module starts from an empty zone.
#pragma once

#include <atomic>
#include <cstring>
#include <type_traits>

#include "portal/zone.h"

namespace portal {

inline constexpr std::uint64_t zone_magic = 0x6c61747261706e67;   // "gnportal"
inline constexpr std::uint32_t zone_layout = 3;
inline constexpr std::uint32_t generation_count = 1u << 14;
inline constexpr std::uint32_t nobody_count = 1u << 12;

inline constexpr std::size_t cache_line = 64;

// Credentials and limits lie in sets of eight entries, each in its first set or its second (free_entry() says which)
// and there in the way that its place names where that was free. So most are found at the first look, and can be
// fetched before it. Entries fill whole cache lines and carry a mark of their own.
inline constexpr std::size_t ways = 8;

struct alignas(cache_line) Zone::PrincipalEntry {
    std::array<std::uint8_t, 16> digest;   // half of it: as good as all
    std::uint64_t generation;
    std::int64_t read_at : 48;
    std::uint16_t mark;
    std::uint32_t touched_at;   // low bits of when its last_used_at was last handed to a worker
    std::uint32_t used_at;      // likewise, to a second; the least recently used of a full set gives way
    Principal principal;        // of no kind: free

    bool free() const noexcept { return mark != 0 || principal.kind == Kind::none; }
};

struct Zone::Nobody {
    std::uint8_t digest[16];
    std::uint64_t generation;
    std::int64_t read_at;
};

struct Zone::ConfigEntry {
    Uuid workspace;
    std::uint64_t generation;
    std::int64_t read_at;
    std::int64_t used_at;
    std::uint32_t body_size;   // 0: free
    std::uint32_t etag_size;
    char etag[72];
    char body[longest_config];
};

struct Zone::ConfigBucket {
    static constexpr std::size_t ways = 4;
    std::uint32_t mark;
    ConfigEntry entries[ways];
};

// One place for each key, so that whoever comes last has it.
struct Zone::AssertionEntry {
    std::uint32_t mark;
    std::uint32_t size;   // 0: free
    std::int64_t made_at;
    Digest key;
    char text[longest_assertion];
};

// A limit's admissions as steps (time, how many): the newest inside the entry, older ones in a list of cells, so that
// an admission touches no cell. Times are the low 32 bits of the clock: all are within one window of each other.
struct Zone::Log {
    struct Step {
        std::uint16_t low, high, count;   // 6 bytes, no padding
        std::uint32_t time() const noexcept { return std::uint32_t(high) << 16 | low; }
        void set(std::uint32_t time, std::uint16_t n) noexcept {
            low = std::uint16_t(time);
            high = std::uint16_t(time >> 16);
            count = n;
        }
    };
    template <std::size_t Capacity>
    struct Steps {
        static constexpr std::size_t capacity = Capacity;
        std::uint8_t begin, end;
        Step steps[Capacity];

        bool empty() const noexcept { return begin == end; }
        Step& oldest() noexcept { return steps[begin]; }
        Step& newest() noexcept { return steps[end - 1]; }
        // A step that counts nothing any more stays until it is the oldest.
        void skip_empty() noexcept;
        Step* at_or_after(std::uint32_t time) noexcept;   // the first such that counts; nullptr: none
    };
    struct alignas(cache_line) Cell {
        std::uint32_t next;   // newer; index + 1 in the pool; 0: none
        Steps<9> older;
    };
    struct Pool {
        std::uint64_t cells;   // offset
        std::uint32_t count;
        std::uint32_t free;    // index + 1
        std::uint32_t fresh;   // cells never used yet start here
    };

    std::uint32_t total;       // sum of the counts
    std::uint32_t oldest_at;   // the oldest step's time
    std::uint32_t head, tail;  // the oldest and the newest cell, index + 1; 0: none
    Steps<7> newer;

    void expire(Zone& zone, std::int64_t now, std::uint32_t window) noexcept;
    void clear(Zone& zone) noexcept;
    // false: the pool is empty.
    bool append(Zone& zone, std::int64_t time) noexcept;
    void remove(Zone& zone, std::int64_t time) noexcept;
    std::int64_t oldest(std::int64_t now) const noexcept { return widen(oldest_at, now); }   // of one not empty

  private:
    static Cell& cell(Zone& zone, std::uint32_t index) noexcept;
    static std::uint32_t take_cell(Zone& zone) noexcept;   // 0: none is left
    void free_oldest_cell(Zone& zone) noexcept;
    Step* oldest_step(Zone& zone) noexcept;
    bool spill(Zone& zone) noexcept;
    static std::int64_t widen(std::uint32_t time, std::int64_t now) noexcept {
        return now + std::int32_t(time - std::uint32_t(now));
    }
};

// Two cache lines: what is known of it, and the log.
struct alignas(cache_line) Zone::LimitEntry {
    LimitKey key;
    struct [[gnu::packed]] Times {
        std::int64_t newest : 48;         // time of the last admission
        std::int64_t denied_until : 48;   // Redis said no until then
        std::int64_t lease_until : 48;    // what is left of the lease may be used until then
        std::int64_t lease_at : 48;       // where Redis logged it
        std::int64_t asking_until : 48;   // a lease is being asked for: others ask for one
        std::int64_t reset_at : 48;       // as Redis last told
    } times;
    std::uint32_t known_remaining;
    std::uint32_t window;        // 0: free
    std::uint16_t lease_left;
    std::uint8_t lease_size;     // how much the next ask wants
    std::uint8_t mark;
    Log log;

    // So may be one whose time is over.
    bool free(std::int64_t now) const noexcept {
        return mark != 0 || window == 0 ||
               (times.newest + std::int64_t(window) <= now && times.denied_until <= now && times.asking_until <= now);
    }
};

struct Zone::Header {
    std::uint64_t magic;
    std::uint32_t layout;
    std::uint32_t reserved;
    std::uint64_t size;
    std::atomic<std::uint64_t> generation;
    std::uint64_t floor;      // what was read before this is to be read again
    std::int64_t beat_at;
    std::uint64_t metrics, generations, principals, nobodies, configs, assertions, limits;   // offsets
    std::uint32_t principal_sets, config_buckets, assertion_count, limit_sets;
    Log::Pool pool;
};

class Zone::Guard {
  public:
    explicit Guard(ZoneLock& lock) noexcept : lock_(lock) { lock_.lock(); }
    ~Guard() { lock_.unlock(); }
    Guard(const Guard&) = delete;

  private:
    ZoneLock& lock_;
};

// Marks what is being written: found marked, it is what a killed writer left.
template <class Written>
class Zone::Marked {
  public:
    explicit Marked(Written& written) noexcept : mark_(written.mark) {
        mark_ = 1;
        std::atomic_signal_fence(std::memory_order_seq_cst);
    }
    ~Marked() {
        std::atomic_signal_fence(std::memory_order_seq_cst);
        mark_ = 0;
    }
    Marked(const Marked&) = delete;

  private:
    decltype(Written::mark)& mark_;
};

template <class Written>
void recover(Written& written) noexcept {
    if (written.mark != 0) {
        std::memset(static_cast<void*>(&written), 0, sizeof written);
    }
}

inline std::uint64_t first_word(const void* bytes) noexcept {
    std::uint64_t word;
    std::memcpy(&word, bytes, sizeof word);
    return word;
}
inline std::uint64_t second_word(const void* bytes) noexcept {
    return first_word(static_cast<const char*>(bytes) + 8);
}
inline constexpr std::uint64_t golden = 0x9e3779b97f4a7c15;   // spreads what is multiplied by it over the high bits
// An evenly spread number, to one below `count`.
inline std::size_t scaled(std::uint64_t number, std::uint32_t count) noexcept {
    return std::size_t(std::uint64_t(std::uint32_t(number >> 32)) * count >> 32);
}

// One of a place's sets, from the way on that the place names.
template <class Entry>
struct EntrySet {
    Entry* entries;
    std::size_t first;
    Entry& operator[](std::size_t tried) const noexcept { return entries[(first + tried) % ways]; }
};

// Has it fetched, the first entry only.
template <class Entry>
void prefetch(const EntrySet<Entry>& set) noexcept {
    for (std::size_t at = 0; at < sizeof(Entry); at += cache_line) {
        __builtin_prefetch(reinterpret_cast<const char*>(&set[0]) + at);
    }
}

// The entry that is looked for; nullptr: it is in neither set.
template <class Entry, class Matches>
Entry* find_entry(const EntrySet<Entry>& one, const EntrySet<Entry>& other, Matches matches) noexcept {
    for (const EntrySet<Entry>* set : {&one, &other}) {
        for (std::size_t tried = 0; tried < ways; ++tried) {
            if (matches((*set)[tried])) {
                return &(*set)[tried];
            }
        }
    }
    return nullptr;
}

// Where a new entry goes: into its first set while more than half of that is free, else into the emptier of the two, so
// that none is full before most are. nullptr: both are.
template <class Entry, class IsFree>
Entry* free_entry(const EntrySet<Entry>& one, const EntrySet<Entry>& other, IsFree is_free) noexcept {
    struct Room {
        Entry* entry = nullptr;
        std::size_t count = 0;
    };
    const auto look = [&](const EntrySet<Entry>& set) {
        Room room;
        for (std::size_t tried = ways; tried-- > 0;) {
            if (is_free(set[tried])) {
                room = {&set[tried], room.count + 1};
            }
        }
        return room;
    };
    const Room first = look(one);
    if (first.count > ways / 2) {
        return first.entry;
    }
    const Room second = look(other);
    return second.count > first.count ? second.entry : first.entry;
}

}  // namespace portal
