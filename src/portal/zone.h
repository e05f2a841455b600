// Zone: what the workers of one node share, laid out once in a block of memory that all of them map.
//
// Fixed tables, no pointers, nothing that needs a destructor: principals by token digest, digests known to be nobody,
// rate-limit logs, rendered configs, and the generations that say whether a cached row still holds. One lock for all
// of it, held for well under a microsecond and never across a wait. What is being written carries a mark: when a worker
// is killed in the middle, the next one to lock finds the mark and clears it.
//
// Times are milliseconds of the monotonic clock, which the processes of one host share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "portal/config_cache.h"
#include "portal/limiter.h"
#include "portal/metrics.h"
#include "portal/principal.h"
#include "portal/secrets.h"

namespace portal {

// How long a cached row is trusted (contract/README.md, Credentials).
struct Freshness {
    std::int64_t own = 1000;        // ms without any heartbeat
    std::int64_t beat = 750;        // a heartbeat older than this counts as none
    std::int64_t with_beat = 300000;// ms while the heartbeat is heard
    std::int64_t stale = 30000;     // ms past the last time it was known good, with PostgreSQL gone
};

template <class Entry>
struct EntrySet;

class ZoneLock {
  public:
    virtual void lock() noexcept = 0;
    virtual void unlock() noexcept = 0;

  protected:
    ~ZoneLock() = default;
};

class Zone {
  public:
    static constexpr std::size_t minimum = 4u << 20;
    static constexpr std::size_t longest_config = 8192;

    // Lays out `size` zeroed bytes at `memory`.
    static void format(void* memory, std::size_t size) noexcept;
    // Whether `memory` was laid out by this version; `size` is not less than format() was given.
    static bool recognises(const void* memory, std::size_t size) noexcept;

    // `worker` is its number among its fellows.
    Zone(void* memory, ZoneLock& lock, Freshness freshness, unsigned worker = 0) noexcept;

    // ---- generations
    // Read before a query is sent; what the query brings is stored under it.
    std::uint64_t generation() const noexcept;
    void bump(const Uuid& id) noexcept;
    void bump_all() noexcept;
    void beat(std::int64_t now) noexcept;

    // ---- principals
    // A credential as the zone files it: where, and under what. The place is told from the text, long before the digest
    // is known, so that what lies there is fetched meanwhile: a table this large is in no cache.
    struct CredentialKey {
        std::uint64_t place = 0;
        Digest digest{};
    };
    static std::uint64_t place_of(std::string_view credential) noexcept;
    void expect_credential(std::uint64_t place) const noexcept;
    enum class Found { nothing, fresh, nobody, stale };
    struct Lookup {
        Found found = Found::nothing;   // stale: may be used if it cannot be read again
        bool touch = false;             // its last_used_at is due to be written
        Principal principal;
    };
    void find(const CredentialKey& key, std::int64_t now, std::int64_t unix_now, Lookup& out) noexcept;
    void store(const CredentialKey& key, const Principal& principal, std::uint64_t generation,
               std::int64_t now) noexcept;
    void store_nobody(const CredentialKey& key, std::uint64_t generation, std::int64_t now) noexcept;

    // ---- configs
    // Null: none. `kept` itself where the zone has the same.
    CachedConfig find_config(const Uuid& workspace, std::int64_t now, bool stale, CachedConfig kept = nullptr);
    void store_config(const Uuid& workspace, const RenderedConfig& config, std::uint64_t generation,
                      std::int64_t now) noexcept;

    // ---- assertions
    static constexpr std::size_t longest_assertion = 1024;
    // One not older than assertion_reuse.
    bool find_assertion(const Digest& key, std::int64_t now, std::string& out) noexcept;
    void store_assertion(const Digest& key, std::string_view text, std::int64_t now) noexcept;

    // ---- limits
    // A quota over this is logged in steps of window / 64, rounded up, and may be leased.
    static constexpr std::uint32_t exact_quota = 100;
    // How long a lease may be used, in ms. Where the quota is large a few seconds more or less to its window matter
    // little, and ten only while half of it is left; a token that asks a few times a second hardly uses shorter ones.
    static constexpr std::uint16_t lease_time(std::uint32_t quota, std::uint32_t window, std::uint32_t left) noexcept {
        if (quota < 10000 || window < 60000) {
            return 1000;
        }
        return left >= quota / 2 ? 10000 : 4000;
    }

    // One limit of a request, in and out.
    struct Admission {
        LimitKey key;
        std::uint32_t quota = 0;
        std::uint32_t window = 0;          // ms
        std::int64_t admitted_at = 0;      // out: when the zone admitted it
        std::int64_t logged_at = 0;        // out: where the zone logged it, rounded up
        std::uint32_t remaining = 0;       // out
        std::int64_t reset_in = 0;         // out: ms until the oldest counted one leaves
        bool leased = false;               // out: Redis has admitted it beforehand
        bool ask = false;                  // out: Redis has to be asked
        std::uint16_t want = 1;            // out: for how many ...
        std::uint16_t lease = 0;           // ... and how long in ms, if for more than one
        std::uint16_t give_back = 0;       // out: unused of an expired lease ...
        std::int64_t lease_at = 0;         // ... logged in Redis at this time

        // What Redis's log has: of the two, the fuller one is told of. After an outage that is the zone's.
        void tell(std::uint32_t left, std::int64_t until) noexcept {
            if (left <= remaining) {
                remaining = left;
                reset_in = until;
            }
        }
    };
    // Has the place of a key that will be asked for soon fetched. Limits of one row lie together, whatever their
    // policies: find() does the same for those of a principal's own id.
    void expect_limit(const LimitKey& key) const noexcept;
    enum class Outcome { admitted, denied, full };
    // All or none. `with_redis`: leases are looked at and asks filled in.
    Outcome admit(Admission* admissions, std::size_t count, bool with_redis, std::int64_t now,
                  std::size_t& deciding) noexcept;
    // Takes a logged admission out again; one that came from a lease goes back to it.
    void withdraw(const Admission& admission, std::int64_t now) noexcept;
    // Redis's answers.
    void granted(const Admission& admission, std::uint16_t grant, std::uint32_t remaining,
                 std::int64_t reset_in, std::int64_t redis_at, std::int64_t now) noexcept;
    // Takes the admission out of the zone's log; with `rescue`, a lease that came in meanwhile may cover it: then true.
    bool denied(Admission& admission, std::int64_t reset_in, std::int64_t now, bool rescue) noexcept;
    // A look: is there room (by the zone's own log and known denials)?
    bool exhausted(const LimitKey& key, std::uint32_t quota, std::uint32_t window, std::int64_t now) noexcept;

    // ---- metrics
    Metrics& metrics() noexcept { return metrics_; }
    void count(Counter counter) noexcept { metrics_.count(counter); }
    std::uint64_t counted(Counter counter) const noexcept { return metrics_.counted(counter); }

  private:
    // The tables themselves: zone_tables.h.
    struct Header;
    struct PrincipalEntry;
    struct Nobody;
    struct ConfigEntry;
    struct ConfigBucket;
    struct AssertionEntry;
    struct Log;
    struct LimitEntry;
    class Guard;
    template <class Written>
    class Marked;

    template <class T>
    T* at(std::uint64_t offset) const noexcept {
        return reinterpret_cast<T*>(static_cast<char*>(memory_) + offset);
    }
    Header& header() const noexcept { return *static_cast<Header*>(memory_); }
    std::uint64_t& generation_of(const Uuid& id) const noexcept;
    bool bumped_since(std::uint64_t generation, const Uuid& id) const noexcept;
    bool outdated(const PrincipalEntry& entry) const noexcept;
    Found judge(std::uint64_t generation, std::int64_t read_at, std::int64_t now) const noexcept;
    EntrySet<PrincipalEntry> principal_set(std::uint64_t place) const noexcept;
    PrincipalEntry* find_principal(const CredentialKey& key) const noexcept;
    PrincipalEntry& room_for_principal(std::uint64_t place) const noexcept;
    ConfigBucket& config_bucket(const Uuid& workspace) const noexcept;
    EntrySet<LimitEntry> limit_set(std::uint64_t place) const noexcept;
    LimitEntry* find_limit(const LimitKey& key) const noexcept;
    LimitEntry* make_limit(const LimitKey& key, std::int64_t now) noexcept;

    void* memory_;
    ZoneLock& lock_;
    Freshness freshness_;
    Metrics metrics_;
};

}  // namespace portal
