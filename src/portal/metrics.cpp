#include "portal/metrics.h"

#include <algorithm>
#include <atomic>
#include <ctime>

namespace portal {
namespace {

using Number = std::atomic<std::uint64_t>;

constexpr std::size_t stripes = 4;
constexpr std::size_t most_workers = 64;
constexpr std::int64_t silence = 3000;          // ms after which a worker counts no more
constexpr std::int64_t report_silence = 30000;  // the same of a helper, which reports every ten seconds

void add(Number& number, std::uint64_t by = 1) noexcept { number.fetch_add(by, std::memory_order_relaxed); }
std::uint64_t read(const Number& number) noexcept { return number.load(std::memory_order_relaxed); }
void write(Number& number, std::uint64_t value) noexcept { number.store(value, std::memory_order_relaxed); }

std::size_t place_of_status(int status) noexcept {
    return std::size_t(std::find(Metrics::statuses.begin(), Metrics::statuses.end() - 1, status) -
                       Metrics::statuses.begin());
}

// FNV-1a; never 0, which marks a free place.
std::uint64_t key_of(std::string_view text) noexcept {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (char character : text) {
        hash = (hash ^ std::uint8_t(character)) * 0x100000001b3;
    }
    return hash | 1;
}

}  // namespace

struct alignas(64) Metrics::Stripe {
    struct Times {
        Number counts[bounds.size() + 1];
        Number sum;
    };
    Number counters[std::size_t(Counter::count_)];
    Times times[std::size_t(Timing::count_)];
    Number requests[most_routes][statuses.size()];
};

struct Metrics::Tables {
    struct Worker {
        std::atomic<std::uint32_t> pid;
        Number told_at;
        Number gauges[Gauges::size()];
    };
    Stripe stripes[portal::stripes];
    Number routes[most_routes];   // keys
    Number degraded_at;           // the last second counted
    Worker workers[most_workers];
    Number reported_at;
    Number report[HelperReport::size()];
};

std::size_t Metrics::size() noexcept { return sizeof(Tables); }

Metrics::Metrics(void* memory, unsigned worker) noexcept
    : tables_(*static_cast<Tables*>(memory)), stripe_(tables_.stripes[worker % stripes]) {}

void Metrics::count(Counter counter, std::uint64_t by) noexcept { add(stripe_.counters[std::size_t(counter)], by); }

std::size_t Metrics::place_of(std::string_view route) noexcept {
    const std::uint64_t key = key_of(route);
    constexpr std::size_t last = most_routes - 1;
    for (std::size_t tried = 0; tried < last; ++tried) {
        const std::size_t place = (key + tried) % last;
        std::uint64_t found = 0;
        if (tables_.routes[place].compare_exchange_strong(found, key, std::memory_order_relaxed) || found == key) {
            return place;
        }
    }
    return last;
}

void Metrics::request(std::size_t place, int status) noexcept {
    add(stripe_.requests[place][place_of_status(status)]);
}

void Metrics::took(Timing timing, std::int64_t microseconds) noexcept {
    Stripe::Times& times = stripe_.times[std::size_t(timing)];
    add(times.counts[std::lower_bound(bounds.begin(), bounds.end(), microseconds) - bounds.begin()]);
    add(times.sum, std::uint64_t(std::max<std::int64_t>(microseconds, 0)));
}

void Metrics::degraded(std::int64_t now) noexcept {
    const std::uint64_t second = std::uint64_t(now / 1000);
    if (tables_.degraded_at.exchange(second, std::memory_order_relaxed) != second) {
        count(Counter::degraded_seconds);
    }
}

void Metrics::tell(std::uint32_t pid, const Gauges& gauges, std::int64_t now) noexcept {
    Tables::Worker* mine = nullptr;
    for (Tables::Worker& worker : tables_.workers) {
        if (worker.pid.load(std::memory_order_relaxed) == pid) {
            mine = &worker;
            break;
        }
    }
    for (Tables::Worker* each = tables_.workers; mine == nullptr && each < tables_.workers + most_workers; ++each) {
        std::uint32_t owner = each->pid.load(std::memory_order_relaxed);
        const bool free = owner == 0 || now - std::int64_t(read(each->told_at)) > 10 * silence;
        if (free && each->pid.compare_exchange_strong(owner, pid, std::memory_order_relaxed)) {
            mine = each;
        }
    }
    if (mine == nullptr) {
        return;
    }
    for (std::size_t at = 0; at < Gauges::size(); ++at) {
        write(mine->gauges[at], gauges[Gauge(at)]);
    }
    write(mine->told_at, std::uint64_t(now));
}

void Metrics::leave(std::uint32_t pid) noexcept {
    for (Tables::Worker& worker : tables_.workers) {
        std::uint32_t owner = pid;
        worker.pid.compare_exchange_strong(owner, 0, std::memory_order_relaxed);
    }
}

void Metrics::report(const HelperReport& report, std::int64_t now) noexcept {
    for (std::size_t at = 0; at < HelperReport::size(); ++at) {
        write(tables_.report[at], report[HelperFigure(at)]);
    }
    write(tables_.reported_at, std::uint64_t(now));
}

std::uint64_t Metrics::counted(Counter counter) const noexcept {
    std::uint64_t sum = 0;
    for (const Stripe& stripe : tables_.stripes) {
        sum += read(stripe.counters[std::size_t(counter)]);
    }
    return sum;
}

std::array<std::uint64_t, Metrics::statuses.size()> Metrics::requests(std::size_t place) const noexcept {
    std::array<std::uint64_t, statuses.size()> sums{};
    for (const Stripe& stripe : tables_.stripes) {
        for (std::size_t status = 0; status < statuses.size(); ++status) {
            sums[status] += read(stripe.requests[place][status]);
        }
    }
    return sums;
}

Metrics::Histogram Metrics::timed(Timing timing) const noexcept {
    Histogram sums;
    for (const Stripe& stripe : tables_.stripes) {
        const Stripe::Times& times = stripe.times[std::size_t(timing)];
        for (std::size_t bucket = 0; bucket < sums.counts.size(); ++bucket) {
            sums.counts[bucket] += read(times.counts[bucket]);
        }
        sums.sum += read(times.sum);
    }
    return sums;
}

Metrics::Workers Metrics::workers(std::int64_t now) const noexcept {
    Workers workers;
    for (const Tables::Worker& worker : tables_.workers) {
        if (worker.pid.load(std::memory_order_relaxed) == 0 || now - std::int64_t(read(worker.told_at)) > silence) {
            continue;
        }
        ++workers.count;
        for (std::size_t at = 0; at < Gauges::size(); ++at) {
            workers.sum[Gauge(at)] += read(worker.gauges[at]);
        }
    }
    return workers;
}

std::optional<HelperReport> Metrics::helper(std::int64_t now) const noexcept {
    const std::uint64_t at = read(tables_.reported_at);
    if (at == 0 || now - std::int64_t(at) > report_silence) {
        return std::nullopt;
    }
    HelperReport report;
    for (std::size_t figure = 0; figure < HelperReport::size(); ++figure) {
        report[HelperFigure(figure)] = read(tables_.report[figure]);
    }
    return report;
}

std::int64_t monotonic_us() noexcept {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return std::int64_t(now.tv_sec) * 1000000 + now.tv_nsec / 1000;
}

}  // namespace portal
