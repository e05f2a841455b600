#include "portal/zone.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "portal/assertion.h"
#include "portal/zone_tables.h"

namespace portal {
namespace {

constexpr std::int64_t touch_interval = 15000;
constexpr std::int64_t nobody_time = 1000;

static_assert(std::is_trivially_copyable_v<Principal>);

}  // namespace

void Zone::format(void* memory, std::size_t size) noexcept {
    auto* header = new (memory) Header{};
    header->size = size;
    std::uint64_t offset = (sizeof(Header) + 63) & ~std::uint64_t(63);
    auto take = [&](std::uint64_t bytes) {
        std::uint64_t here = offset;
        offset += (bytes + 63) & ~std::uint64_t(63);
        return here;
    };
    header->metrics = take(Metrics::size());
    header->generations = take(generation_count * sizeof(std::uint64_t));
    header->nobodies = take(nobody_count * sizeof(Nobody));
    // of what is left: 40 % principals, 10 % configs, 5 % assertions, 25 % limits, 20 % the cells of longer logs
    const std::uint64_t rest = size - offset - 512;
    header->principal_buckets = std::uint32_t(rest * 2 / 5 / sizeof(PrincipalBucket));
    header->principals = take(header->principal_buckets * sizeof(PrincipalBucket));
    header->config_buckets = std::max(1u, std::uint32_t(rest / 10 / sizeof(ConfigBucket)));
    header->configs = take(header->config_buckets * sizeof(ConfigBucket));
    header->assertion_count = std::uint32_t(rest / 20 / sizeof(AssertionEntry));
    header->assertions = take(header->assertion_count * sizeof(AssertionEntry));
    header->limit_buckets = std::uint32_t(rest / 4 / sizeof(LimitBucket));
    header->limits = take(header->limit_buckets * sizeof(LimitBucket));
    header->pool.count = std::uint32_t((size - offset - 64) / sizeof(Log::Cell));
    header->pool.cells = take(header->pool.count * sizeof(Log::Cell));
    header->generation = 1;
    header->layout = zone_layout;
    header->magic = zone_magic;
}

bool Zone::recognises(const void* memory, std::size_t size) noexcept {
    const auto& header = *static_cast<const Header*>(memory);
    return header.magic == zone_magic && header.layout == zone_layout && header.size <= size;
}

Zone::Zone(void* memory, ZoneLock& lock, Freshness freshness, unsigned worker) noexcept
    : memory_(memory), lock_(lock), freshness_(freshness), metrics_(at<char>(header().metrics), worker) {}

// ---- generations

std::uint64_t Zone::generation() const noexcept { return header().generation.load(std::memory_order_acquire); }

// Ids share counters: a collision only costs a needless read.
std::uint64_t& Zone::generation_of(const Uuid& id) const noexcept {
    return at<std::uint64_t>(header().generations)[(first_word(id.bytes.data()) ^ second_word(id.bytes.data())) %
                                                   generation_count];
}

bool Zone::bumped_since(std::uint64_t generation, const Uuid& id) const noexcept {
    return !id.is_nil() && generation_of(id) > generation;
}

void Zone::bump(const Uuid& id) noexcept {
    Guard guard(lock_);
    generation_of(id) = header().generation.fetch_add(1, std::memory_order_acq_rel) + 1;
}

void Zone::bump_all() noexcept {
    Guard guard(lock_);
    header().floor = header().generation.fetch_add(1, std::memory_order_acq_rel) + 1;
}

void Zone::beat(std::int64_t now) noexcept {
    Guard guard(lock_);
    header().beat_at = now;
}

Zone::Found Zone::judge(std::uint64_t generation, std::int64_t read_at, std::int64_t now) const noexcept {
    const Header& shared = header();
    const std::int64_t age = now - read_at;
    const bool beating = now - shared.beat_at < freshness_.beat && shared.beat_at != 0;
    if (generation >= shared.floor &&
        (age < freshness_.own || (beating && age < freshness_.with_beat))) {
        return Found::fresh;
    }
    // known good until the last heartbeat that covered it
    std::int64_t good = generation >= shared.floor
                            ? std::max(read_at, std::min(shared.beat_at, read_at + freshness_.with_beat))
                            : read_at;
    return now - good < freshness_.stale ? Found::stale : Found::nothing;
}

// ---- principals

Zone::PrincipalBucket& Zone::principal_bucket(const Digest& digest) const noexcept {
    auto& bucket = at<PrincipalBucket>(header().principals)[first_word(digest.data()) % header().principal_buckets];
    Marked::recover(bucket);
    return bucket;
}

void Zone::find(const Digest& digest, std::int64_t now, std::int64_t unix_now, Lookup& out) noexcept {
    out.found = Found::nothing;
    out.touch = false;
    const std::uint32_t tag = tag_of(second_word(digest.data()));
    Guard guard(lock_);
    PrincipalBucket& bucket = principal_bucket(digest);
    for (std::size_t way = 0; way < PrincipalBucket::ways; ++way) {
        if (bucket.tags[way] != tag || bucket.entries[way].digest != digest) {
            continue;
        }
        PrincipalEntry& entry = bucket.entries[way];
        const Principal& principal = entry.principal;
        __builtin_prefetch(&generation_of(principal.token_id));
        __builtin_prefetch(&generation_of(principal.workspace_id));
        const std::uint64_t since = entry.generation;
        if ((principal.expires_at != 0 && principal.expires_at <= unix_now) ||
            bumped_since(since, principal.token_id) || bumped_since(since, principal.workspace_id) ||
            bumped_since(since, principal.customer_id) || bumped_since(since, principal.member_id)) {
            return;
        }
        out.found = judge(since, entry.read_at, now);
        if (out.found == Found::nothing) {
            return;
        }
        out.principal = principal;
        entry.used_at = now;
        if (now - entry.touched_at >= touch_interval) {
            entry.touched_at = now;
            out.touch = true;
        }
        return;
    }
    const Nobody& nobody = at<Nobody>(header().nobodies)[first_word(digest.data()) % nobody_count];
    if (now - nobody.read_at < nobody_time && nobody.read_at != 0 && nobody.generation >= header().floor &&
        std::memcmp(nobody.digest, digest.data(), sizeof nobody.digest) == 0) {
        out.found = Found::nobody;
    }
}

void Zone::store(const Digest& digest, const Principal& principal, std::uint64_t generation,
                 std::int64_t now) noexcept {
    const std::uint32_t tag = tag_of(second_word(digest.data()));
    Guard guard(lock_);
    PrincipalBucket& bucket = principal_bucket(digest);
    std::size_t way = 0;
    std::size_t victim = 0;
    for (; way < PrincipalBucket::ways; ++way) {
        if (bucket.tags[way] == tag && bucket.entries[way].digest == digest) {
            break;
        }
        const bool free = bucket.tags[way] == 0;
        if (bucket.tags[victim] != 0 && (free || bucket.entries[way].used_at < bucket.entries[victim].used_at)) {
            victim = way;
        }
    }
    const bool known = way < PrincipalBucket::ways;
    PrincipalEntry& entry = bucket.entries[known ? way : victim];
    const std::int64_t touched_at = known ? entry.touched_at : now - touch_interval;
    Marked writing(bucket);
    entry = {digest, generation, now, touched_at, now, principal};
    bucket.tags[known ? way : victim] = tag;
}

void Zone::store_nobody(const Digest& digest, std::uint64_t generation, std::int64_t now) noexcept {
    Guard guard(lock_);
    PrincipalBucket& bucket = principal_bucket(digest);
    const std::uint32_t tag = tag_of(second_word(digest.data()));
    for (std::size_t way = 0; way < PrincipalBucket::ways; ++way) {
        if (bucket.tags[way] == tag && bucket.entries[way].digest == digest) {
            bucket.tags[way] = 0;
        }
    }
    Nobody& nobody = at<Nobody>(header().nobodies)[first_word(digest.data()) % nobody_count];
    std::memcpy(nobody.digest, digest.data(), sizeof nobody.digest);
    nobody.generation = generation;
    nobody.read_at = now;
}

// ---- configs

Zone::ConfigBucket& Zone::config_bucket(const Uuid& workspace) const noexcept {
    auto& bucket =
        at<ConfigBucket>(header().configs)[first_word(workspace.bytes.data()) % header().config_buckets];
    Marked::recover(bucket);
    return bucket;
}

bool Zone::find_config(const Uuid& workspace, std::int64_t now, bool stale, CachedConfig& out) noexcept {
    // room first: nothing is allocated while the lock is held
    char body[longest_config];
    char etag[sizeof ConfigEntry::etag];
    std::size_t body_size = 0;
    std::size_t etag_size = 0;
    {
        Guard guard(lock_);
        for (ConfigEntry& entry : config_bucket(workspace).entries) {
            if (entry.body_size == 0 || entry.workspace != workspace || bumped_since(entry.generation, workspace)) {
                continue;
            }
            Found found = judge(entry.generation, entry.read_at, now);
            if (found != Found::fresh && !(stale && found == Found::stale)) {
                return false;
            }
            body_size = entry.body_size;
            etag_size = entry.etag_size;
            std::memcpy(body, entry.body, body_size);
            std::memcpy(etag, entry.etag, etag_size);
            entry.used_at = now;
            break;
        }
    }
    if (body_size == 0) {
        return false;
    }
    out.body.assign(body, body_size);
    out.etag.assign(etag, etag_size);
    return true;
}

void Zone::store_config(const Uuid& workspace, const CachedConfig& config, std::uint64_t generation,
                        std::int64_t now) noexcept {
    if (config.body.size() > longest_config || config.etag.size() > sizeof ConfigEntry::etag) {
        return;
    }
    Guard guard(lock_);
    ConfigBucket& bucket = config_bucket(workspace);
    ConfigEntry* target = nullptr;
    for (ConfigEntry& entry : bucket.entries) {
        if (entry.body_size != 0 && entry.workspace == workspace) {
            target = &entry;
            break;
        }
        const bool better = target == nullptr || (target->body_size != 0 &&
                                                  (entry.body_size == 0 || entry.used_at < target->used_at));
        if (better) {
            target = &entry;
        }
    }
    Marked writing(bucket);
    target->workspace = workspace;
    target->generation = generation;
    target->read_at = now;
    target->used_at = now;
    target->body_size = std::uint32_t(config.body.size());
    target->etag_size = std::uint32_t(config.etag.size());
    std::memcpy(target->body, config.body.data(), config.body.size());
    std::memcpy(target->etag, config.etag.data(), config.etag.size());
}

// ---- assertions

bool Zone::find_assertion(const Digest& key, std::int64_t now, std::string& out) noexcept {
    // room first: nothing is allocated while the lock is held
    char text[longest_assertion];
    std::size_t size = 0;
    {
        Guard guard(lock_);
        auto& entry = at<AssertionEntry>(header().assertions)[first_word(key.data()) % header().assertion_count];
        Marked::recover(entry);
        if (entry.size != 0 && entry.key == key && now - entry.made_at < assertion_reuse * 1000) {
            size = entry.size;
            std::memcpy(text, entry.text, size);
        }
    }
    out.assign(text, size);
    return size != 0;
}

void Zone::store_assertion(const Digest& key, std::string_view text, std::int64_t now) noexcept {
    if (text.size() > longest_assertion) {
        return;
    }
    Guard guard(lock_);
    auto& entry = at<AssertionEntry>(header().assertions)[first_word(key.data()) % header().assertion_count];
    Marked writing(entry);
    entry.key = key;
    entry.made_at = now;
    entry.size = std::uint32_t(text.size());
    std::memcpy(entry.text, text.data(), text.size());
}

}  // namespace portal
