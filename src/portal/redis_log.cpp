#include "portal/redis_log.h"

#include <openssl/evp.h>

#include <algorithm>
#include <charconv>

#include "portal/limit_script.h"

namespace portal {
namespace {

constexpr std::size_t batch_limits = 64;   // bounds how long Redis is busy with one call
constexpr std::size_t answer_size = 17;
constexpr std::size_t field_size = sizeof LimitKey::bytes;

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
    std::string fields;                // of fixed size, one after the other
    std::string row;                   // of requests
    std::vector<std::uint8_t> groups;  // those the row speaks of, by their place in groups_
    std::size_t limits = 0;
    std::size_t run = std::string::npos;   // where `row` counts the run that may grow
    std::uint32_t run_quota = 0, run_window = 0;
    std::vector<Ask*> asks;            // nullptr: cancelled, or nobody waits
    std::vector<std::uint8_t> counts;  // limits of each ask
};

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
    batch.row += char(count_);
    for (std::size_t index = 0; index < count_; ++index) {
        const Zone::Admission& admission = *admissions_[index];
        log_.put(batch, admission.key, admission.quota, admission.window, admission.want, admission.lease,
                 admission.give_back, admission.lease_at);
    }
}

void RedisLog::give_back(const LimitKey& key, std::uint32_t quota, std::uint32_t window, std::int64_t logged_at,
                         std::uint16_t count) noexcept {
    Batch& batch = open_batch(1);
    batch.asks.push_back(nullptr);
    batch.counts.push_back(1);
    batch.run = std::string::npos;
    batch.row += char(1);
    put(batch, key, quota, window, 0, 0, count, logged_at);
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

// Which of the batch's groups holds logs of this form and window. There are as many groups as windows in use: few.
char RedisLog::group_of(Batch& batch, std::uint32_t quota, std::uint32_t window) {
    const bool exact = quota <= Zone::exact_quota;
    auto group = std::ranges::find_if(
        groups_, [&](const Group& each) { return each.exact == exact && each.window == window; });
    if (group == groups_.end()) {
        std::string name = "portal:{limits}:" + std::string(exact ? "exact:" : "steps:") + std::to_string(window);
        group = groups_.insert(groups_.end(), {exact, window, name, name + ":old"});
    }
    const auto index = std::uint8_t(group - groups_.begin());
    auto place = std::ranges::find(batch.groups, index);
    if (place == batch.groups.end()) {
        place = batch.groups.insert(place, index);
    }
    return char(place - batch.groups.begin());
}

void RedisLog::put_field(Batch& batch, const LimitKey& key) {
    batch.fields.append(reinterpret_cast<const char*>(key.bytes.data()), field_size);
    ++batch.limits;
}

// Requests of one exact limit each travel as a run: they differ in nothing but their keys.
void RedisLog::put_exact(Batch& batch, const Zone::Admission& admission) {
    if (batch.run != std::string::npos && batch.run_quota == admission.quota &&
        batch.run_window == admission.window) {
        ++batch.row[batch.run];
    } else {
        batch.row += '\0';
        batch.row += group_of(batch, admission.quota, admission.window);
        batch.run = batch.row.size();
        batch.run_quota = admission.quota;
        batch.run_window = admission.window;
        batch.row += char(1);
        append_number(batch.row, admission.quota, 4);
        append_number(batch.row, admission.window, 4);
    }
    put_field(batch, admission.key);
}

void RedisLog::put(Batch& batch, const LimitKey& key, std::uint32_t quota, std::uint32_t window,
                   std::uint16_t want, std::uint16_t lease, std::uint16_t back, std::int64_t back_at) {
    put_field(batch, key);
    batch.row += group_of(batch, quota, window);
    append_number(batch.row, quota, 4);
    append_number(batch.row, window, 4);
    append_number(batch.row, want, 2);
    append_number(batch.row, lease, 2);
    append_number(batch.row, back, 2);
    append_number(batch.row, std::uint64_t(back_at), 6);
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
    char number[8];
    auto end = std::to_chars(number, number + sizeof number, 2 * batch.groups.size()).ptr;
    arguments_.clear();
    arguments_.push_back(with_text ? "EVAL" : "EVALSHA");
    arguments_.push_back(with_text ? std::string_view(limit_script, sizeof limit_script - 1) : std::string_view(sha_));
    arguments_.push_back({number, std::size_t(end - number)});
    for (std::uint8_t index : batch.groups) {
        arguments_.push_back(groups_[index].young);
        arguments_.push_back(groups_[index].old);
    }
    arguments_.push_back(batch.row);
    for (std::size_t index = 0; index < batch.limits; ++index) {
        arguments_.push_back(std::string_view(batch.fields).substr(index * field_size, field_size));
    }
    return redis_.send(arguments_.data(), arguments_.size(), batch);
}

void RedisLog::recycle(Batch& batch) noexcept {
    batch.fields.clear();
    batch.row.clear();
    batch.groups.clear();
    batch.limits = 0;
    batch.run = std::string::npos;
    batch.asks.clear();
    batch.counts.clear();
    spare_.push_back(&batch);
}

}  // namespace portal
