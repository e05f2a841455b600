#include "helper/outbox.h"

#include <algorithm>
#include <array>
#include <string>
#include <variant>

#include "io/sleep.h"
#include "portal/login_code.h"

namespace portal::helper {

namespace {

constexpr std::int64_t poll_interval = 2000;         // ms, in case a notification was lost
constexpr std::int64_t waiter_patience = 60000;      // ms
// ms after an outage in which whoever sent a mail during it records that: no reconnect takes longer
constexpr std::int64_t outage_patience = 10000;
constexpr std::size_t longest_asked_queue = 10000;

// Due rows nobody is working on become ours; those for nobody go. What is not committed is not claimed; what is, runs
// out by itself. One row at least: how many were due, and perhaps nothing of ours. $4: what is in flight here, whatever
// became of its lease. $5: leases that have run out may be taken over.
constexpr io::Statement claim_due{"helper_claim_due", R"(
    WITH due AS (
        SELECT id, unsent
        FROM portal.outbox
        WHERE state = 'queued' AND next_attempt_at <= now() AND kind IN ()" PORTAL_MAIL_KINDS R"()
          AND (lease_until IS NULL OR (lease_until < now() AND $5::boolean)) AND id <> ALL ($4::uuid[])
        ORDER BY next_attempt_at
        LIMIT $3::integer
        FOR UPDATE SKIP LOCKED),
    dropped AS (
        DELETE FROM portal.outbox
        USING due
        WHERE outbox.id = due.id AND due.unsent),
    claimed AS (
        UPDATE portal.outbox
        SET lease_owner = $1::uuid,
            lease_until = now() + $2::bigint * interval '1 ms',
            attempts = attempts + 1
        FROM due
        WHERE outbox.id = due.id AND NOT due.unsent
        RETURNING outbox.id, outbox.workspace_id, outbox.kind, outbox.attempts)
    SELECT (SELECT count(*) FROM due) AS due, claimed.*
    FROM (SELECT 1) AS always
    LEFT JOIN claimed ON true)",
    io::Lane::main, io::Retry::never, 5000};

// The same for one row asked for, which may have been made leased to us so that no other helper takes it. Once
// attempted it is no longer "made for us": a second asking must not send it twice.
constexpr io::Statement claim_one{"helper_claim_one", R"(
    WITH claimed AS (
        UPDATE portal.outbox
        SET lease_owner = $2::uuid,
            lease_until = now() + $3::bigint * interval '1 ms',
            attempts = attempts + 1
        WHERE id = $1::uuid AND state = 'queued' AND kind IN ()" PORTAL_MAIL_KINDS R"() AND NOT unsent
          AND (lease_until IS NULL OR lease_until < now() OR (lease_owner = $2::uuid AND attempts = 0))
        RETURNING id, workspace_id, attempts)
    SELECT outbox.id, outbox.workspace_id, outbox.kind, claimed.attempts, outbox.state, outbox.reply
    FROM portal.outbox
    LEFT JOIN claimed ON claimed.id = outbox.id
    WHERE outbox.id = $1::uuid)",
    io::Lane::main, io::Retry::never, 5000};

// Whoever heard the 250 may say so, even after its lease: the mail is out.
constexpr io::Statement record_sent{"helper_record_sent", R"(
    WITH sent AS (
        UPDATE portal.outbox
        SET state = 'sent', sent_at = now(), reply = $3, lease_owner = NULL, lease_until = NULL
        WHERE id = $1::uuid AND workspace_id IS NOT DISTINCT FROM $2::uuid AND state = 'queued'
        RETURNING workspace_id, token_id)
    INSERT INTO portal.events (workspace_id, type, data)
    SELECT sent.workspace_id, 'client_portal.invitation_sent',
           portal.token_event_data(token) || jsonb_build_object('invitation_id', $1::uuid)
    FROM sent
    JOIN portal.client_portal_tokens AS token
        ON token.workspace_id = sent.workspace_id AND token.id = sent.token_id)",
    io::Lane::main, io::Retry::never, 5000};

// A claim is known by its owner and the attempt it counted: what is told of an earlier one must not end a later one.
// Refused for good: the link made for this invitation goes with it.
constexpr io::Statement record_failed{"helper_record_failed", R"(
    WITH failed AS (
        UPDATE portal.outbox
        SET state = 'failed', failed_at = now(), reply = $3, lease_owner = NULL, lease_until = NULL
        WHERE id = $1::uuid AND workspace_id IS NOT DISTINCT FROM $2::uuid AND state = 'queued'
          AND lease_owner = $4::uuid AND attempts = $5::integer
        RETURNING workspace_id, token_id),
    revoked AS (
        UPDATE portal.client_portal_tokens AS token
        SET revoked_at = now()
        FROM failed
        WHERE token.workspace_id = failed.workspace_id AND token.id = failed.token_id
          AND token.revoked_at IS NULL)
    INSERT INTO portal.events (workspace_id, type, data)
    SELECT failed.workspace_id, 'client_portal.invitation_failed',
           portal.token_event_data(token) || jsonb_build_object('invitation_id', $1::uuid)
    FROM failed
    JOIN portal.client_portal_tokens AS token
        ON token.workspace_id = failed.workspace_id AND token.id = failed.token_id)",
    io::Lane::main, io::Retry::never, 5000};

constexpr io::Statement record_deferred{"helper_record_deferred", R"(
    UPDATE portal.outbox
    SET next_attempt_at = now() + $6::bigint * interval '1 ms', reply = $3, lease_owner = NULL, lease_until = NULL
    WHERE id = $1::uuid AND workspace_id IS NOT DISTINCT FROM $2::uuid AND state = 'queued'
      AND lease_owner = $4::uuid AND attempts = $5::integer)",
    io::Lane::main, io::Retry::never, 5000};

// While the outcome cannot be recorded: no other helper is to send it meanwhile.
constexpr io::Statement renew_lease{"helper_renew_lease", R"(
    UPDATE portal.outbox
    SET lease_until = now() + $5::bigint * interval '1 ms'
    WHERE id = $1::uuid AND workspace_id IS NOT DISTINCT FROM $2::uuid AND state = 'queued'
      AND lease_owner = $3::uuid AND attempts = $4::integer)"};

// An attempt that was not finished does not count. $2: what may be out: others wait until its lease has run out.
constexpr io::Statement return_leases{"helper_return_leases", R"(
    UPDATE portal.outbox
    SET lease_owner = NULL, lease_until = NULL, attempts = greatest(attempts - 1, 0)
    WHERE lease_owner = $1::uuid AND state = 'queued' AND id <> ALL ($2::uuid[]))",
    io::Lane::main, io::Retry::never, 1500};

const char* word(SendOutcome::Result result) {
    switch (result) {
        case SendOutcome::Result::sent: return "sent";
        case SendOutcome::Result::refused: return "refused for good";
        default: return "put off";
    }
}

}  // namespace

std::int64_t retry_delay(std::string_view kind, std::int64_t attempts) {
    // in seconds; the last of them again and again
    constexpr std::array<std::int64_t, 6> patient{10, 30, 120, 600, 1800, 3600};
    constexpr std::array<std::int64_t, 6> urgent{5, 10, 20, 30, 30, 30};
    constexpr std::int64_t last_attempt = 29;   // an hour apart from the sixth on: a day in all
    const bool code = is_code_mail(kind);
    if (!code && attempts >= last_attempt) {
        return 0;
    }
    const std::size_t step = std::size_t(std::clamp<std::int64_t>(attempts, 1, patient.size())) - 1;
    return (code ? urgent : patient)[step] * 1000;
}

// One mail in flight, from its claim to its record.
struct Outbox::Job final : io::Completion {
    Job(Outbox& outbox_, const Uuid& id_) : outbox(outbox_), id(id_) {}
    void completed() noexcept override { outbox.loop_.post(outbox.reaper_); }

    Outbox& outbox;
    Uuid id;
    std::optional<Uuid> workspace_id;   // a login code has none
    std::string kind;
    std::int64_t attempts = 0;

    // Of a row that was claimed.
    void take(const io::Row& row) {
        workspace_id = Uuid::parse(row.text("workspace_id"));
        kind = row.string("kind");
        attempts = row.integer("attempts");
    }

    io::Task<void> task;
};

Outbox::Outbox(io::Loop& loop, io::Postgres& db, Composer& composer, Mailer& mailer, Options options)
    : loop_(loop), db_(db), composer_(composer), mailer_(mailer), options_(std::move(options)),
      alarm_(loop), run_(loop, "outbox") {}

Outbox::~Outbox() {
    run_.reset();
    jobs_.clear();
}

void Outbox::start() {
    run_.start(run());
}

// Takes as many rows as there are slots: what is leased is being sent, never waiting here.
io::Task<void> Outbox::run() {
    while (!stopping_) {
        bool more = false;
        int slots = free_slots();
        if (slots > 0) {
            claiming_ = true;
            more = co_await claim(slots);
            claiming_ = false;
        }
        forget_late_waiters();
        if (!more) {
            co_await alarm_.sleep(poll_interval);
        }
    }
    loop_.post(reaper_);
}

// True when there may be more to claim at once.
io::Task<bool> Outbox::claim(int most) {
    try {
        const std::vector<std::string> in_flight = ids_in_flight();
        const bool take_over = loop_.now() >= patient_until_;
        io::Parameters parameters(options_.helper.text(), options_.lease, most, in_flight, take_over);
        io::Rows rows = co_await db_.query(claim_due, std::move(parameters));
        for (int row = 0; row < rows.size(); ++row) {
            if (!rows[row].null("id")) {
                begin(rows[row]);
            }
        }
        backlog_ = rows.front().integer("due") == most;
        co_return backlog_ && free_slots() > 0;
    } catch (const io::PostgresUnavailable&) {   // the pool logs it
        patient_until_ = loop_.now() + outage_patience;
    } catch (const io::PostgresError& error) {
        std::string line = std::string("outbox: cannot claim: ") + error.what();
        loop_.log(io::LogLevel::error, line.c_str());
    }
    co_return false;
}

void Outbox::begin(const io::Row& row) {
    std::optional<Uuid> id = Uuid::parse(row.text("id"));
    Job& job = jobs_.emplace_back(*this, *id);
    job.take(row);
    job.task = deliver(job);
    job.task.start(&job);
}

void Outbox::send_now(const Uuid& id, Answer answer) {
    if (stopping_ || asked_.size() >= longest_asked_queue) {
        answer({});
        return;
    }
    waiters_.emplace(id, Waiter{loop_.now() + waiter_patience, std::move(answer)});
    if (!has(id)) {
        asked_.push_back(id);
        begin_asked();
    }
}

void Outbox::begin_asked() {
    while (!asked_.empty() && free_slots() > 0 && !stopping_) {
        const Uuid id = asked_.front();
        asked_.pop_front();
        if (has(id)) {
            continue;   // claimed meanwhile; that job will tell
        }
        Job& job = jobs_.emplace_back(*this, id);
        job.task = deliver_asked(job);
        job.task.start(&job);
    }
}

io::Task<void> Outbox::deliver_asked(Job& job) {
    bool claimed = false;
    try {
        io::Parameters parameters(job.id.text(), options_.helper.text(), options_.lease);
        io::Rows rows = co_await db_.query(claim_one, std::move(parameters));
        if (rows.empty()) {
            tell(job.id, {SendOutcome::Result::refused, "the invitation is gone"});
            co_return;
        }
        io::Row row = rows.front();
        claimed = !row.null("attempts");
        if (claimed) {
            job.take(row);
        } else if (row.text("state") == "sent") {
            tell(job.id, {SendOutcome::Result::sent, row.string("reply")});
        } else if (row.text("state") == "failed") {
            tell(job.id, {SendOutcome::Result::refused, row.string("reply")});
        }   // else somebody has it; if that is another job of ours, it will tell
    } catch (const io::PostgresUnavailable&) {
    } catch (const io::PostgresError& error) {
        std::string line = std::string("outbox: cannot claim: ") + error.what();
        loop_.log(io::LogLevel::error, line.c_str());
    }
    if (claimed) {
        co_await deliver(job);
    }
}

io::Task<void> Outbox::deliver(Job& job) {
    std::int64_t begun = loop_.now();
    std::optional<SendOutcome> ended = co_await attempt(job);
    if (!ended) {
        co_return;
    }
    SendOutcome outcome = std::move(*ended);
    std::int64_t delay = retry_delay(job.kind, job.attempts);
    if (outcome.result == SendOutcome::Result::deferred && delay == 0) {
        outcome.result = SendOutcome::Result::refused;
        outcome.reply = clean_reply("given up after a day; last: " + outcome.reply);
    }
    ++ended_[std::size_t(outcome.result)];
    co_await record(job, outcome);
    std::string line = "outbox: mail " + job.id.text() + " " + word(outcome.result) + " (attempt " +
                       std::to_string(job.attempts) + ", " + std::to_string(loop_.now() - begun) + " ms)";
    loop_.log(outcome.result == SendOutcome::Result::sent ? io::LogLevel::info : io::LogLevel::warning,
              line.c_str());
    tell(job.id, outcome);
}

// Renders and sends. Never throws but for lack of memory. Nothing: it was cancelled.
io::Task<std::optional<SendOutcome>> Outbox::attempt(Job& job) {
    try {
        std::variant<Message, Unsendable> made = co_await composer_.compose(job.kind, job.id, job.workspace_id);
        if (const Unsendable* unsendable = std::get_if<Unsendable>(&made)) {
            SendOutcome::Result result =
                unsendable->for_good ? SendOutcome::Result::refused : SendOutcome::Result::deferred;
            std::string line = "outbox: mail " + job.id.text() + " cannot be made: " + unsendable->reason;
            loop_.log(io::LogLevel::warning, line.c_str());
            co_return SendOutcome{result, unsendable->reason};
        }
        const Message& message = std::get<Message>(made);
        SendOutcome outcome = co_await mailer_.send(message);
        co_return outcome;
    } catch (const Mailer::Cancelled& cancelled) {
        if (cancelled.in_doubt) {
            in_doubt_.push_back(job.id.text());
        }
        co_return std::nullopt;
    } catch (const io::PostgresUnavailable&) {
        co_return SendOutcome{SendOutcome::Result::deferred, "the database was not there"};
    } catch (const std::exception& error) {
        std::string line = "outbox: mail " + job.id.text() + " cannot be made: " + error.what();
        loop_.log(io::LogLevel::error, line.c_str());
        co_return SendOutcome{SendOutcome::Result::deferred, "the mail could not be made"};
    }
}

// Until it is recorded, however long the database is away: every statement is harmless when repeated.
io::Task<void> Outbox::record(Job& job, const SendOutcome& outcome) {
    const io::Statement* statement = &record_deferred;
    std::optional<std::string> workspace;
    if (job.workspace_id) {
        workspace = job.workspace_id->text();
    }
    io::Parameters known(job.id.text(), workspace, outcome.reply);
    switch (outcome.result) {
        case SendOutcome::Result::sent:
            statement = &record_sent;
            break;
        case SendOutcome::Result::refused:
            statement = &record_failed;
            known.add(options_.helper.text()).add(job.attempts);
            break;
        case SendOutcome::Result::deferred:
            known.add(options_.helper.text()).add(job.attempts);
            known.add(retry_delay(job.kind, job.attempts));
            break;
    }
    std::int64_t wait = 100;
    while (true) {
        try {
            io::Parameters parameters = known;
            co_await db_.query(*statement, std::move(parameters));
            co_return;
        } catch (const io::PostgresUnavailable&) {
            wait = std::min<std::int64_t>(wait * 2, 500);
        } catch (const io::PostgresError& error) {
            std::string line = "outbox: cannot record mail " + job.id.text() + ": " + error.what();
            loop_.log(io::LogLevel::error, line.c_str());
            wait = std::min<std::int64_t>(wait * 2, 10000);
        }
        co_await renew(job);
        co_await io::sleep(loop_, wait);
    }
}

io::Task<void> Outbox::renew(Job& job) {
    try {
        std::optional<std::string> workspace;
        if (job.workspace_id) {
            workspace = job.workspace_id->text();
        }
        io::Parameters parameters(job.id.text(), workspace, options_.helper.text(), job.attempts, options_.lease);
        co_await db_.query(renew_lease, std::move(parameters));
    } catch (const io::PostgresUnavailable&) {
    } catch (const io::PostgresError&) {   // what is wrong, the record has told
    }
}

bool Outbox::has(const Uuid& id) const {
    return std::any_of(jobs_.begin(), jobs_.end(), [&](const Job& job) { return job.id == id && !job.task.done(); });
}

std::vector<std::string> Outbox::ids_in_flight() const {
    std::vector<std::string> ids;
    for (const Job& job : jobs_) {
        if (!job.task.done()) {
            ids.push_back(job.id.text());
        }
    }
    return ids;
}

void Outbox::tell(const Uuid& id, const SendOutcome& outcome) {
    auto [first, last] = waiters_.equal_range(id);
    std::vector<Answer> answers;
    for (auto waiter = first; waiter != last; ++waiter) {
        answers.push_back(std::move(waiter->second.answer));
    }
    waiters_.erase(first, last);
    for (const Answer& answer : answers) {
        answer(outcome);
    }
}

void Outbox::forget_late_waiters() {
    std::erase_if(waiters_, [now = loop_.now()](const auto& entry) { return entry.second.until < now; });
}

void Outbox::reap() noexcept {
    jobs_.remove_if([](const Job& job) { return job.task.done(); });
    begin_asked();
    if (backlog_) {
        alarm_.ring();
    }
    if (stopping_ && !claiming_ && jobs_.empty() && idle_) {
        std::exchange(idle_, nullptr)();
    }
}

void Outbox::stop(std::function<void()> idle) {
    stopping_ = true;
    idle_ = std::move(idle);
    while (!asked_.empty()) {
        Uuid id = asked_.front();
        asked_.pop_front();
        tell(id, {});
    }
    alarm_.ring();
    loop_.post(reaper_);
}

io::Task<void> Outbox::release() {
    run_.reset();
    std::vector<std::string> kept = ids_in_flight();
    kept.insert(kept.end(), in_doubt_.begin(), in_doubt_.end());
    jobs_.clear();
    while (!waiters_.empty()) {
        Uuid id = waiters_.begin()->first;
        tell(id, {});
    }
    try {
        io::Parameters parameters(options_.helper.text(), kept);
        co_await db_.query(return_leases, std::move(parameters));
    } catch (const std::exception&) {
        loop_.log(io::LogLevel::warning, "outbox: leases could not be returned; they run out by themselves");
    }
}

}  // namespace portal::helper
