// The zone's tables as they lie in memory: plain data, private to zone.cpp and zone_limits.cpp. A change of any of
// them changes Header::layout, so that a reload with another build of the module starts from an empty zone.
#pragma once

#include <atomic>
#include <cstring>
#include <type_traits>

#include "portal/zone.h"

namespace portal {

inline constexpr std::uint64_t zone_magic = 0x6c61747261706e67;   // "gnportal"
inline constexpr std::uint32_t zone_layout = 2;
inline constexpr std::uint32_t generation_count = 1u << 14;
inline constexpr std::uint32_t nobody_count = 1u << 12;

struct Zone::PrincipalEntry {
    Digest digest;
    std::uint64_t generation;
    std::int64_t read_at;
    std::int64_t touched_at;   // when its last_used_at was last handed to a worker
    std::int64_t used_at;      // the least recently used of a full bucket gives way
    Principal principal;
};

struct Zone::PrincipalBucket {
    static constexpr std::size_t ways = 8;
    std::uint32_t mark;
    std::uint32_t tags[ways];   // 0: free
    PrincipalEntry entries[ways];
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

// A limit's admissions, oldest first: (time, how many) in cells of nine, the first cell inside the entry, the others
// from a free list. Times are the low 32 bits of the clock: all are within one window of each other.
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
    struct Cell {
        static constexpr std::uint8_t capacity = 9;
        std::uint32_t next;   // index + 1 in the pool; 0: none
        std::uint8_t begin, end;
        Step steps[capacity];
    };
    struct Pool {
        std::uint64_t cells;   // offset
        std::uint32_t count;
        std::uint32_t free;    // index + 1
        std::uint32_t fresh;   // cells never used yet start here
    };

    std::uint32_t total;   // sum of the counts
    Cell first;

    Cell* last(Zone& zone) noexcept;
    void expire(Zone& zone, std::int64_t now, std::uint32_t window) noexcept;
    void clear(Zone& zone) noexcept;
    // false: the pool is empty.
    bool append(Zone& zone, std::int64_t time) noexcept;
    void remove(Zone& zone, std::int64_t time) noexcept;
    std::int64_t oldest(std::int64_t now) const noexcept;   // of a log that is not empty
    static Cell* cell(Zone& zone, std::uint32_t index) noexcept;
    static std::int64_t widen(std::uint32_t time, std::int64_t now) noexcept {
        return now + std::int32_t(time - std::uint32_t(now));
    }
};

struct Zone::LimitEntry {
    LimitKey key;
    std::int64_t newest;         // time of the last admission
    std::int64_t denied_until;   // Redis said no until then
    std::int64_t lease_until;    // what is left of the lease may be used until then
    std::int64_t lease_at;       // where Redis logged it
    std::int64_t asking_until;   // a lease is being asked for: others ask for one
    std::int64_t reset_at;       // as Redis last told
    std::uint32_t known_remaining;
    std::uint32_t window;
    std::uint16_t lease_left;
    std::uint16_t lease_size;    // how much the next ask wants
    Log log;
};

struct Zone::LimitBucket {
    static constexpr std::size_t ways = 8;
    std::uint32_t mark;
    std::uint32_t tags[ways];   // 0: free
    LimitEntry entries[ways];
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
    std::uint32_t principal_buckets, config_buckets, assertion_count, limit_buckets;
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

// Marks a bucket while it is being written, and clears what a killed writer left.
class Zone::Marked {
  public:
    template <class Bucket>
    static void recover(Bucket& bucket) noexcept {
        if (bucket.mark != 0) {
            std::memset(static_cast<void*>(&bucket), 0, sizeof bucket);
        }
    }
    template <class Bucket>
    explicit Marked(Bucket& bucket) noexcept : mark_(bucket.mark) {
        mark_ = 1;
        std::atomic_signal_fence(std::memory_order_seq_cst);
    }
    ~Marked() {
        std::atomic_signal_fence(std::memory_order_seq_cst);
        mark_ = 0;
    }
    Marked(const Marked&) = delete;

  private:
    std::uint32_t& mark_;
};

inline std::uint64_t first_word(const void* bytes) noexcept {
    std::uint64_t word;
    std::memcpy(&word, bytes, sizeof word);
    return word;
}
inline std::uint64_t second_word(const void* bytes) noexcept {
    return first_word(static_cast<const char*>(bytes) + 8);
}
inline std::uint32_t tag_of(std::uint64_t word) noexcept { return std::uint32_t(word >> 32) | 1; }

}  // namespace portal
