#include "portal/authenticator.h"

#include <algorithm>
#include <ctime>

#include "portal/node_limiter.h"

namespace portal {
namespace {

constexpr std::size_t longest_token = 512;
constexpr std::int64_t touch_interval = 15000;
constexpr std::int64_t rehash_delay = 1000;
constexpr std::size_t most_rehashed = 1000;   // of one UPDATE; what is over is moved at its next look-up
constexpr std::size_t most_touched = 2000;   // of one UPDATE; what is over is due again at its next use

bool well_formed(std::string_view token) {
    return token.size() <= longest_token &&
           std::all_of(token.begin(), token.end(), [](char character) { return character > 0x20 && character < 0x7f; });
}

}  // namespace

std::optional<std::string_view> bearer_token(std::optional<std::string_view> authorization) {
    constexpr std::string_view scheme = "bearer ";
    if (!authorization || authorization->size() <= scheme.size()) {
        return std::nullopt;
    }
    for (std::size_t at = 0; at < scheme.size(); ++at) {
        const char character = (*authorization)[at];
        const char lower = character >= 'A' && character <= 'Z' ? char(character | 0x20) : character;
        if (lower != scheme[at]) {
            return std::nullopt;
        }
    }
    std::string_view token = authorization->substr(scheme.size());
    token.remove_prefix(std::min(token.find_first_not_of(' '), token.size()));
    if (token.empty()) {
        return std::nullopt;
    }
    return token;
}

// One read of a token from PostgreSQL, however many wait for it. It belongs to nobody's request, so a client that
// goes away takes nothing from the others.
struct Authenticator::Flight final : io::Completion, io::Posted {
    explicit Flight(Authenticator& owner_) : owner(owner_) {}
    ~Flight() override;

    void completed() noexcept override { owner.loop_.post(*this); }
    void run() noexcept override;

    Authenticator& owner;
    Zone::CredentialKey key;
    std::vector<TokenHash> hashes;
    Kind claimed = Kind::none;
    std::uint64_t generation = 0;
    std::int64_t began = 0;   // what it brings is as old as this
    std::optional<Principal> principal;
    bool unavailable = false;
    std::vector<Landing*> waiting;
    io::Task<void> task;   // last: it refers to the rest
};

class Authenticator::Landing {
  public:
    explicit Landing(Flight& flight) : flight_(&flight) {}
    Landing(const Landing&) = delete;
    ~Landing() {
        if (flight_ != nullptr) {
            std::replace(flight_->waiting.begin(), flight_->waiting.end(), this, static_cast<Landing*>(nullptr));
        }
    }
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiting) {
        handle_ = waiting;
        flight_->waiting.push_back(this);
    }
    std::optional<Principal> await_resume() const {
        if (unavailable_) {
            throw io::PostgresUnavailable("the token could not be looked up");
        }
        return principal_;
    }

  private:
    friend struct Flight;
    Flight* flight_;
    std::coroutine_handle<> handle_;
    std::optional<Principal> principal_;
    bool unavailable_ = false;
};

Authenticator::Flight::~Flight() {
    for (Landing* landing : waiting) {
        if (landing != nullptr) {
            landing->flight_ = nullptr;
        }
    }
}

void Authenticator::Flight::run() noexcept {
    auto self = owner.flights_.extract(key.digest);
    if (principal) {
        owner.zone_.store(key, *principal, generation, began);
    } else if (!unavailable) {
        owner.zone_.store_nobody(key, generation, began);
    }
    for (std::size_t index = 0; index < waiting.size(); ++index) {
        if (Landing* landing = std::exchange(waiting[index], nullptr)) {
            landing->flight_ = nullptr;
            landing->principal_ = principal;
            landing->unavailable_ = unavailable;
            landing->handle_.resume();
        }
    }
}

Authenticator::Authenticator(io::Loop& loop, io::Postgres& db, Zone& zone, const Secrets& secrets,
                             Limiter& limiter)
    : loop_(loop), db_(db), zone_(zone), secrets_(secrets), limiter_(limiter) {
    touch_timer_ = loop.timer(
        [this] {
            std::vector<Uuid> ids;
            ids.swap(touched_);
            touching_ = write_last_used(std::move(ids));
            touching_.start();
        },
        io::Loop::Hold::nothing);
    rehash_timer_ = loop.timer(
        [this] {
            std::vector<Rehash> rehashes;
            rehashes.swap(rehashes_);
            rehashing_ = write_rehashes(std::move(rehashes));
            rehashing_.start();
        },
        io::Loop::Hold::nothing);
}

Authenticator::~Authenticator() = default;

Zone::CredentialKey Authenticator::key_of(std::string_view token) const noexcept {
    Zone::CredentialKey key;
    key.place = Zone::place_of(token);
    zone_.expect_credential(key.place);
    key.digest = secrets_.sign_digest(token);
    return key;
}

bool Authenticator::authenticate_now(std::string_view token, Principal& principal) {
    // what lies in the zone has been checked: the check bytes are asked only of what does not
    if (!well_formed(token)) {
        return false;
    }
    Zone::Lookup lookup;
    zone_.find(key_of(token), loop_.now(), std::time(nullptr), lookup);
    if (lookup.found != Zone::Found::fresh) {
        return false;
    }
    zone_.count(Counter::principal_hits);
    principal = lookup.principal;
    if (lookup.touch) {
        touch(principal);
    }
    return true;
}

io::Task<Authentication> Authenticator::authenticate(std::string_view token, std::string_view client_address) {
    Authentication known;
    known.state = Authentication::State::known;
    const Secrets::Form form = secrets_.inspect(token);
    Zone::Lookup lookup;
    Zone::CredentialKey key;
    if (well_formed(token) && !form.forged) {
        key = key_of(token);
        zone_.find(key, loop_.now(), std::time(nullptr), lookup);
    } else {
        lookup.found = Zone::Found::nobody;
    }
    if (lookup.found == Zone::Found::fresh) {
        known.principal = lookup.principal;
        co_return known;
    }
    if (lookup.found == Zone::Found::nobody) {
        auto refused = co_await refuse(client_address);
        co_return refused;
    }
    if (lookup.found == Zone::Found::nothing) {
        const Limit limit{&limits::bad_token, limiter_.client_key(limits::bad_token, client_address)};
        if (limiter_.exhausted(limit)) {
            auto refused = co_await refuse(client_address);
            if (refused.state == Authentication::State::limited) {
                co_return refused;
            }
        }
    }
    zone_.count(Counter::principal_misses);
    auto& flight = flights_[key.digest];
    if (!flight) {
        flight = std::make_unique<Flight>(*this);
        flight->key = key;
        flight->hashes = secrets_.hashes(token);
        flight->claimed = form.kind;
        flight->generation = zone_.generation();
        flight->began = monotonic_ms();
        flight->task = read(*flight);
        flight->task.start(flight.get());
    }
    std::optional<Principal> principal;
    bool unavailable = false;
    try {
        principal = co_await Landing(*flight);
    } catch (const io::PostgresUnavailable&) {
        if (lookup.found != Zone::Found::stale) {
            throw;
        }
        unavailable = true;
    }
    if (unavailable) {
        zone_.count(Counter::stale_served);
        known.principal = lookup.principal;
        co_return known;
    }
    if (!principal) {
        auto refused = co_await refuse(client_address);
        co_return refused;
    }
    known.principal = *principal;
    touch(known.principal);
    co_return known;
}

io::Task<Authentication> Authenticator::refuse(std::string_view client_address) {
    Authentication refused;
    Limits limits{{&limits::bad_token, limiter_.client_key(limits::bad_token, client_address)}};
    refused.verdict = co_await limiter_.admit(std::move(limits));
    refused.state = refused.verdict.allowed ? Authentication::State::invalid : Authentication::State::limited;
    co_return refused;
}

io::Task<void> Authenticator::read(Flight& flight) {
    try {
        std::optional<Credential> found = co_await find_credential(db_, flight.hashes, flight.claimed);
        if (found) {
            flight.principal = found->principal;
            if (secrets_.is_old(found->secret_id)) {
                rehash({found->principal.token_id, flight.key.digest});
            }
        }
    } catch (const std::exception& error) {
        loop_.log(io::LogLevel::debug, error.what());
        flight.unavailable = true;
    }
}

void Authenticator::touch(const Principal& principal) {
    // a link's uses are counted where it is opened
    if (principal.kind == Kind::portal || touched_.size() >= most_touched) {
        return;
    }
    if (touched_.empty()) {
        touch_timer_->set(touch_interval);
    }
    touched_.push_back(principal.token_id);
}

void Authenticator::rehash(const Rehash& rehash) {
    if (rehashes_.size() >= most_rehashed) {
        return;
    }
    if (rehashes_.empty()) {
        rehash_timer_->set(rehash_delay);
    }
    rehashes_.push_back(rehash);
}

io::Task<void> Authenticator::write_rehashes(std::vector<Rehash> rehashes) {
    try {
        co_await rehash_tokens(db_, secrets_, std::move(rehashes));
    } catch (const std::exception& error) {
        // the old secret still verifies: the next look-up tries again
        loop_.log(io::LogLevel::debug, error.what());
    }
}

io::Task<void> Authenticator::write_last_used(std::vector<Uuid> ids) {
    try {
        co_await touch_last_used(db_, std::move(ids));
    } catch (const std::exception& error) {
        // nothing is lost but the time of a use
        loop_.log(io::LogLevel::debug, error.what());
    }
}

}  // namespace portal
