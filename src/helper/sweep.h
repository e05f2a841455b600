// Sweep: what falls due by time alone. A statement finds what is due and changes it, which the database announces; it is
// run at start and then every so often. Any number of helpers may: rows another one is at are passed over.
#pragma once

#include "helper/root_task.h"
#include "io/loop.h"
#include "io/postgres.h"
#include "io/task.h"

namespace portal::helper {

struct DueWork {
    const char* what;        // for log lines
    io::Statement change;    // of at most $1 rows
    std::int64_t interval;   // ms
};

// File-sharing sessions past their end become `expired`.
extern const DueWork file_expiry;
// Links that were used and end within three days are told of, each once.
extern const DueWork link_expiry;

class Sweep {
  public:
    // `work` outlives the sweep.
    Sweep(io::Loop& loop, io::Postgres& db, const DueWork& work)
        : loop_(loop), db_(db), work_(work), run_(loop, work.what) {}
    Sweep(const Sweep&) = delete;

    void start() { run_.start(run()); }

  private:
    io::Task<void> run();

    io::Loop& loop_;
    io::Postgres& db_;
    const DueWork& work_;
    RootTask run_;
};

}  // namespace portal::helper
