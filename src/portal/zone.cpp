#include "portal/zone.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <new>

#include "portal/assertion.h"
#include "portal/zone_tables.h"

namespace portal {
namespace {

constexpr std::int32_t touch_interval = 15000;
constexpr std::int32_t used_interval = 1000;   // what is only read stays in the processors' caches
constexpr std::int64_t nobody_time = 1000;

static_assert(std::is_trivially_copyable_v<Principal>);

std::uint64_t second_place(std::uint64_t place) noexcept { return place * golden; }

// Between low bits of times; the clocks of two workers may be a little apart.
std::int32_t passed(std::uint32_t since, std::uint32_t until) noexcept { return std::int32_t(until - since); }

}  // namespace

void Zone::format(void* memory, std::size_t size) noexcept {
    auto* header = new (memory) Header{};
    header->size = size;
    const auto whole_lines = [](std::uint64_t bytes) { return (bytes + cache_line - 1) / cache_line * cache_line; };
    std::uint64_t offset = whole_lines(sizeof(Header));
    auto take = [&](std::uint64_t bytes) {
        std::uint64_t here = offset;
        offset += whole_lines(bytes);
        return here;
    };
    header->metrics = take(Metrics::size());
    header->generations = take(generation_count * sizeof(std::uint64_t));
    header->nobodies = take(nobody_count * sizeof(Nobody));
    // of what is left: 36 % principals, 10 % configs, 5 % assertions, 24 % limits, 25 % the cells of longer logs
    const std::uint64_t rest = size - offset - 512;
    header->principal_sets = std::uint32_t(rest * 36 / 100 / sizeof(PrincipalEntry) / ways);
    header->principals = take(header->principal_sets * sizeof(PrincipalEntry) * ways);
    header->config_buckets = std::max(1u, std::uint32_t(rest / 10 / sizeof(ConfigBucket)));
    header->configs = take(header->config_buckets * sizeof(ConfigBucket));
    header->assertion_count = std::uint32_t(rest / 20 / sizeof(AssertionEntry));
    header->assertions = take(header->assertion_count * sizeof(AssertionEntry));
    header->limit_sets = std::uint32_t(rest * 24 / 100 / sizeof(LimitEntry) / ways);
    header->limits = take(header->limit_sets * sizeof(LimitEntry) * ways);
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

std::uint64_t Zone::place_of(std::string_view credential) noexcept {
    return std::hash<std::string_view>()(credential);
}

void Zone::expect_credential(std::uint64_t place) const noexcept { prefetch(principal_set(place)); }

EntrySet<Zone::PrincipalEntry> Zone::principal_set(std::uint64_t place) const noexcept {
    PrincipalEntry* entries = at<PrincipalEntry>(header().principals) + scaled(place, header().principal_sets) * ways;
    return {entries, place % ways};
}

Zone::PrincipalEntry* Zone::find_principal(const CredentialKey& key) const noexcept {
    const auto matches = [&](const PrincipalEntry& entry) {
        return std::memcmp(entry.digest.data(), key.digest.data(), entry.digest.size()) == 0 && !entry.free();
    };
    return find_entry(principal_set(key.place), principal_set(second_place(key.place)), matches);
}

// A free one, or the least recently used.
Zone::PrincipalEntry& Zone::room_for_principal(std::uint64_t place) const noexcept {
    const EntrySet<PrincipalEntry> set = principal_set(place);
    if (auto* entry = free_entry(set, principal_set(second_place(place)), std::mem_fn(&PrincipalEntry::free))) {
        return *entry;
    }
    const auto older = [](const PrincipalEntry& one, const PrincipalEntry& other) {
        return passed(one.used_at, other.used_at) > 0;
    };
    return *std::min_element(set.entries, set.entries + ways, older);
}

// Whether one of the rows it rests on has changed.
bool Zone::outdated(const PrincipalEntry& entry) const noexcept {
    const Principal& principal = entry.principal;
    const std::uint64_t since = entry.generation;
    return bumped_since(since, principal.token_id) || bumped_since(since, principal.workspace_id) ||
           bumped_since(since, principal.customer_id) || bumped_since(since, principal.member_id);
}

void Zone::find(const CredentialKey& key, std::int64_t now, std::int64_t unix_now, Lookup& out) noexcept {
    out.found = Found::nothing;
    out.touch = false;
    Guard guard(lock_);
    if (PrincipalEntry* entry = find_principal(key)) {
        const Principal& principal = entry->principal;
        const std::uint64_t generation = header().generation.load(std::memory_order_relaxed);
        if ((principal.expires_at != 0 && principal.expires_at <= unix_now) ||
            (entry->generation < generation && outdated(*entry))) {
            return;
        }
        out.found = judge(entry->generation, entry->read_at, now);
        if (out.found == Found::nothing) {
            return;
        }
        if (out.found == Found::fresh) {
            expect_limit({principal.token_id.bytes});
            entry->generation = generation;   // as good as if it had been read just now
        }
        out.principal = principal;
        if (passed(entry->used_at, std::uint32_t(now)) >= used_interval) {
            entry->used_at = std::uint32_t(now);
        }
        if (passed(entry->touched_at, std::uint32_t(now)) >= touch_interval) {
            entry->touched_at = std::uint32_t(now);
            out.touch = true;
        }
        return;
    }
    const Nobody& nobody = at<Nobody>(header().nobodies)[first_word(key.digest.data()) % nobody_count];
    if (now - nobody.read_at < nobody_time && nobody.read_at != 0 && nobody.generation >= header().floor &&
        std::memcmp(nobody.digest, key.digest.data(), sizeof nobody.digest) == 0) {
        out.found = Found::nobody;
    }
}

void Zone::store(const CredentialKey& key, const Principal& principal, std::uint64_t generation,
                 std::int64_t now) noexcept {
    const auto time = std::uint32_t(now);
    Guard guard(lock_);
    PrincipalEntry* entry = find_principal(key);
    const std::uint32_t touched_at = entry != nullptr ? entry->touched_at : time - touch_interval;
    if (entry == nullptr) {
        entry = &room_for_principal(key.place);
    }
    Marked writing(*entry);
    std::memcpy(entry->digest.data(), key.digest.data(), entry->digest.size());
    entry->generation = generation;
    entry->read_at = now;
    entry->touched_at = touched_at;
    entry->used_at = time;
    entry->principal = principal;
}

void Zone::store_nobody(const CredentialKey& key, std::uint64_t generation, std::int64_t now) noexcept {
    Guard guard(lock_);
    if (PrincipalEntry* entry = find_principal(key)) {
        entry->principal.kind = Kind::none;
    }
    Nobody& nobody = at<Nobody>(header().nobodies)[first_word(key.digest.data()) % nobody_count];
    std::memcpy(nobody.digest, key.digest.data(), sizeof nobody.digest);
    nobody.generation = generation;
    nobody.read_at = now;
}

// ---- configs

Zone::ConfigBucket& Zone::config_bucket(const Uuid& workspace) const noexcept {
    auto& bucket =
        at<ConfigBucket>(header().configs)[first_word(workspace.bytes.data()) % header().config_buckets];
    recover(bucket);
    return bucket;
}

CachedConfig Zone::find_config(const Uuid& workspace, std::int64_t now, bool stale, CachedConfig kept) {
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
                return nullptr;
            }
            entry.used_at = now;
            if (kept != nullptr && kept->etag == std::string_view(entry.etag, entry.etag_size)) {
                return kept;
            }
            body_size = entry.body_size;
            etag_size = entry.etag_size;
            std::memcpy(body, entry.body, body_size);
            std::memcpy(etag, entry.etag, etag_size);
            break;
        }
    }
    if (body_size == 0) {
        return nullptr;
    }
    return std::make_shared<RenderedConfig>(RenderedConfig{{body, body_size}, {etag, etag_size}});
}

void Zone::store_config(const Uuid& workspace, const RenderedConfig& config, std::uint64_t generation,
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
        recover(entry);
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
