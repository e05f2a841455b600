#include "portal/redis_log.h"

#include <openssl/evp.h>

#include <charconv>

#include "portal/limit_script.h"

namespace portal {
namespace {

constexpr std::size_t batch_limits = 64;   // bounds how long Redis is busy with one call
constexpr std::size_t answer_size = 17;

std::string script_sha() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_Digest(limit_script, sizeof limit_script - 1, digest, &size, EVP_sha1(), nullptr);
    static constexpr char digits[] = "0123456789abcdef";
    std::string text;
    for (unsigned at = 0; at < size; ++at) {
        text += digits[digest[at] >> 4];
        text += digits[digest[at] & 15];
    }
    return text;
}

void append_number(std::string& out, std::uint64_t value, int bytes) {
    for (int at = 0; at < bytes; ++at) {
        out += char(value >> (8 * at));
    }
}

std::uint64_t read_number(const char*& from, int bytes) {
    std::uint64_t value = 0;
    for (int at = 0; at < bytes; ++at) {
        value |= std::uint64_t(std::uint8_t(*from++)) << (8 * at);
    }
    return value;
}

}  // namespace

struct RedisLog::Batch final : io::Redis::Receiver {
    explicit Batch(RedisLog& log_) : log(log_) {}

    void on_reply(io::RedisValue) noexcept override { finish(nullptr, 0); }
    void on_bulk(std::string_view text) noexcept override { finish(text.data(), text.size()); }
    void on_error(std::string message) noexcept override {
        // a restarted Redis has forgotten the script: send its text along
        if (message.starts_with("NOSCRIPT") && log.send(*this, true)) {
            return;
        }
        if (message != log.failure_) {
            log.loop_.log(io::LogLevel::error, ("redis: rate-limit script failed: " + message).c_str());
            log.failure_ = std::move(message);
        }
        finish(nullptr, 0);
    }
    void on_unavailable(std::string) noexcept override { finish(nullptr, 0); }

    void finish(const char* answer, std::size_t size) noexcept {
        const bool available = size == limits * answer_size;
        if (available) {
            log.failure_.clear();
        }
        for (std::size_t place = 0; place < asks.size(); ++place) {
            Ask* ask = asks[place];
            const char* from = answer;
            if (available) {
                answer += counts[place] * answer_size;
            }
            if (ask == nullptr) {
                continue;
            }
            ask->batch_ = nullptr;
            ask->answers_.available = available;
            for (std::size_t index = 0; available && index < ask->count_; ++index) {
                Answer& each = ask->answers_.of[index];
                each.state = Answer::State(read_number(from, 1));
                each.granted = std::uint16_t(read_number(from, 2));
                each.remaining = std::uint32_t(read_number(from, 4));
                each.reset_in = std::int64_t(read_number(from, 4));
                each.logged_at = std::int64_t(read_number(from, 6));
            }
            ask->waiting_.resume();
        }
        log.recycle(*this);
    }

    RedisLog& log;
    std::string keys;                  // fixed-size names, one after the other
    std::string arguments;
    std::size_t limits = 0;
    std::size_t run = std::string::npos;   // where `arguments` counts the run that may grow
    std::uint32_t run_quota = 0, run_window = 0;
    std::vector<Ask*> asks;            // nullptr: cancelled, or nobody waits
    std::vector<std::uint8_t> counts;  // limits of each ask
};

namespace {

// "portal:{" + base64url of 16 bytes + "}:x"
constexpr std::size_t key_size = 8 + 22 + 3;

}  // namespace

RedisLog::RedisLog(io::Loop& loop, io::Redis& redis) : loop_(loop), redis_(redis), sha_(script_sha()) {}

RedisLog::~RedisLog() {
    for (auto& batch : batches_) {
        redis_.forget(*batch);
        for (Ask* ask : batch->asks) {
            if (ask != nullptr) {
                ask->batch_ = nullptr;
            }
        }
    }
}

RedisLog::Ask::~Ask() {
    if (batch_ != nullptr) {
        batch_->asks[place_] = nullptr;
    }
}

void RedisLog::Ask::await_suspend(std::coroutine_handle<> waiting) {
    Batch& batch = log_.open_batch(count_);
    waiting_ = waiting;
    batch_ = &batch;
    place_ = batch.asks.size();
    batch.asks.push_back(this);
    batch.counts.push_back(std::uint8_t(count_));
    if (count_ == 1 && admissions_[0]->quota <= Zone::exact_quota) {
        log_.put_exact(batch, *admissions_[0]);
        return;
    }
    batch.run = std::string::npos;
    batch.arguments += char(count_);
    for (std::size_t index = 0; index < count_; ++index) {
        const Zone::Admission& admission = *admissions_[index];
        log_.put(batch, admission.key, admission.quota, admission.window, admission.want, admission.give_back,
                 admission.lease_at);
    }
}

void RedisLog::give_back(const LimitKey& key, std::uint32_t quota, std::uint32_t window, std::int64_t logged_at,
                         std::uint16_t count) noexcept {
    Batch& batch = open_batch(1);
    batch.asks.push_back(nullptr);
    batch.counts.push_back(1);
    batch.run = std::string::npos;
    batch.arguments += char(1);
    put(batch, key, quota, window, 0, count, logged_at);
}

RedisLog::Batch& RedisLog::open_batch(std::size_t limits) {
    if (open_.empty() || open_.back()->limits + limits > batch_limits) {
        if (spare_.empty()) {
            batches_.push_back(std::make_unique<Batch>(*this));
            spare_.push_back(batches_.back().get());
        }
        open_.push_back(spare_.back());
        spare_.pop_back();
        loop_.post(*this);
    }
    return *open_.back();
}

void RedisLog::put_key(Batch& batch, const LimitKey& key, std::uint32_t quota) {
    batch.keys += "portal:{";
    batch.keys += base64url(key.bytes.data(), key.bytes.size());
    batch.keys += quota <= Zone::exact_quota ? "}:x" : "}:s";
    ++batch.limits;
}

// Requests of one exact limit each travel as a run: they differ in nothing but their keys.
void RedisLog::put_exact(Batch& batch, const Zone::Admission& admission) {
    if (batch.run != std::string::npos && batch.run_quota == admission.quota &&
        batch.run_window == admission.window) {
        ++batch.arguments[batch.run];
    } else {
        batch.arguments += '\0';
        batch.run = batch.arguments.size();
        batch.run_quota = admission.quota;
        batch.run_window = admission.window;
        batch.arguments += char(1);
        append_number(batch.arguments, admission.quota, 4);
        append_number(batch.arguments, admission.window, 4);
    }
    put_key(batch, admission.key, admission.quota);
}

void RedisLog::put(Batch& batch, const LimitKey& key, std::uint32_t quota, std::uint32_t window,
                   std::uint16_t want, std::uint16_t back, std::int64_t back_at) {
    put_key(batch, key, quota);
    append_number(batch.arguments, quota, 4);
    append_number(batch.arguments, window, 4);
    append_number(batch.arguments, want, 2);
    append_number(batch.arguments, back, 2);
    append_number(batch.arguments, std::uint64_t(back_at), 6);
}

void RedisLog::run() noexcept {
    std::vector<Batch*> sending;
    sending.swap(open_);
    for (Batch* batch : sending) {
        if (!send(*batch, false)) {
            batch->finish(nullptr, 0);
        }
    }
}

bool RedisLog::send(Batch& batch, bool with_text) {
    std::array<std::string_view, 3 + batch_limits + 1> arguments;
    char number[8];
    auto end = std::to_chars(number, number + sizeof number, batch.limits).ptr;
    arguments[0] = with_text ? std::string_view("EVAL") : std::string_view("EVALSHA");
    arguments[1] = with_text ? std::string_view(limit_script, sizeof limit_script - 1) : std::string_view(sha_);
    arguments[2] = {number, std::size_t(end - number)};
    for (std::size_t index = 0; index < batch.limits; ++index) {
        arguments[3 + index] = std::string_view(batch.keys).substr(index * key_size, key_size);
    }
    arguments[3 + batch.limits] = batch.arguments;
    return redis_.send(arguments.data(), 4 + batch.limits, batch);
}

void RedisLog::recycle(Batch& batch) noexcept {
    batch.keys.clear();
    batch.arguments.clear();
    batch.limits = 0;
    batch.run = std::string::npos;
    batch.asks.clear();
    batch.counts.clear();
    spare_.push_back(&batch);
}

}  // namespace portal
