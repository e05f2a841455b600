// Outbox: takes mails from portal.outbox, has them sent, and records what came of it.
//
// The life of a row: queued -> (claimed: leased to one helper, attempt counted, committed) -> sent | failed, or queued
// again with a later next_attempt_at. A row whose lease has run out is anybody's. A row is recorded as sent only after
// the mail server's 250, so a crash loses nothing, and only one between that 250 and our commit sends twice, with the
// same Message-ID. A row marked `unsent` is for nobody: it is deleted where it would be claimed.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <string>
#include <vector>

#include "helper/alarm.h"
#include "helper/composer.h"
#include "helper/mailer.h"
#include "helper/root_task.h"
#include "io/postgres.h"
#include "io/task.h"
#include "portal/helper_client.h"

namespace portal::helper {

class Outbox {
  public:
    struct Options {
        Uuid helper;                   // our instance id: owner of our leases
        int parallel = 8;              // mails at a time
        std::int64_t lease = 45000;    // ms: longer than a delivery can take
    };
    using Answer = std::function<void(const SendOutcome&)>;

    Outbox(io::Loop& loop, io::Postgres& db, Composer& composer, Mailer& mailer, Options options);
    ~Outbox();
    Outbox(const Outbox&) = delete;

    void start();
    // There may be something to claim.
    void wake() noexcept { alarm_.ring(); }
    // "Send this now and tell me": answered once the outcome is recorded. Not answered at all when another helper
    // has the row; whoever asks has a timer of its own.
    void send_now(const Uuid& id, Answer answer);

    // Claims nothing any more; `idle` is called once nothing is in flight (perhaps at once).
    void stop(std::function<void()> idle);
    // Gives up what is in flight, and returns our leases but for those of mails that may be out.
    io::Task<void> release();

    std::size_t in_flight() const { return jobs_.size(); }
    // How many attempts have ended so since the start.
    std::uint64_t ended(SendOutcome::Result result) const { return ended_[std::size_t(result)]; }

  private:
    struct Job;
    struct Reaper final : io::Posted {
        explicit Reaper(Outbox& outbox_) : outbox(outbox_) {}
        void run() noexcept override { outbox.reap(); }
        Outbox& outbox;
    };
    struct Waiter {
        std::int64_t until;
        Answer answer;
    };

    io::Task<void> run();
    io::Task<bool> claim(int most);
    void begin(const io::Row& row);
    void begin_asked();
    io::Task<void> deliver_asked(Job& job);
    io::Task<void> deliver(Job& job);
    io::Task<std::optional<SendOutcome>> attempt(Job& job);
    io::Task<void> record(Job& job, const SendOutcome& outcome);
    io::Task<void> renew(Job& job);
    void tell(const Uuid& id, const SendOutcome& outcome);
    void forget_late_waiters();
    bool has(const Uuid& id) const;
    std::vector<std::string> ids_in_flight() const;
    void reap() noexcept;
    int free_slots() const { return options_.parallel - int(jobs_.size()); }

    io::Loop& loop_;
    io::Postgres& db_;
    Composer& composer_;
    Mailer& mailer_;
    Options options_;
    Alarm alarm_;
    Reaper reaper_{*this};
    RootTask run_;
    std::list<Job> jobs_;
    std::vector<std::string> in_doubt_;           // ids of mails that may be out: we were told to stop before we knew
    std::array<std::uint64_t, 3> ended_{};        // by SendOutcome::Result
    std::deque<Uuid> asked_;                      // to be begun when a slot is free
    std::multimap<Uuid, Waiter> waiters_;
    std::int64_t patient_until_ = 0;              // leases that ran out in an outage are left alone so long
    bool claiming_ = false;                       // a claim is on its way
    bool backlog_ = false;                        // the last claim took all it asked for
    bool stopping_ = false;
    std::function<void()> idle_;
};

// Wait before attempt number `attempts` + 1, in ms; 0: no further attempt, about a day has passed. Somebody waits for a
// login code, which is dead when its time is over: it is tried again sooner, and as long as it lives.
std::int64_t retry_delay(std::string_view kind, std::int64_t attempts);

}  // namespace portal::helper
