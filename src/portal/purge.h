// Purge: what is over and old enough goes, a bounded batch at a time. Any number of helpers may do
// it at once: rows another one is at are passed over. Rows deleted softly (customers, members,
// contacts, companies) are kept.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/postgres.h"
#include "io/task.h"
#include "portal/config_file.h"

namespace portal {

// One kind of rows, and after how many days they go.
struct PurgeRule {
    const char* what;  // for the log: "customer sessions"
    const io::Statement* statement;
    std::int64_t days;
};

std::vector<PurgeRule> purge_rules(const HousekeepingConfig& config);

// One batch; how many went. Fewer than `batch`: there are no more for now.
io::Task<std::int64_t> purge_batch(io::Postgres& db, PurgeRule rule, std::int64_t batch);

// Events go in order of their age, from where the last batch ended; a new EventPurge begins with
// the oldest. Of each audience the newest `history` stay, whatever their age.
class EventPurge {
  public:
    EventPurge(std::int64_t days, std::int64_t history) : days_(days), history_(history) {}
    bool done() const { return done_; }
    // One batch; how many went.
    io::Task<std::int64_t> batch(io::Postgres& db, std::int64_t size);

  private:
    std::int64_t days_, history_;
    std::string after_time_ = "-infinity", after_id_ = "00000000-0000-0000-0000-000000000000";
    bool done_ = false;
};

}  // namespace portal
