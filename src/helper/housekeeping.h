// Housekeeping: what nobody waits for. Every few minutes what is over and old is purged; every
// twelfth time, the first included, events are, and ciphertexts under an old secret move to the new
// one.
#pragma once

#include <cstdint>

#include "helper/root_task.h"
#include "io/loop.h"
#include "io/postgres.h"
#include "io/task.h"
#include "portal/config_file.h"
#include "portal/purge.h"
#include "portal/reencryption.h"
#include "portal/secrets.h"

namespace portal::helper {

class Housekeeping {
  public:
    Housekeeping(io::Loop& loop, io::Postgres& db, const Secrets& secrets,
                 HousekeepingConfig config);
    Housekeeping(const Housekeeping&) = delete;

    void start() { run_.start(run()); }

  private:
    io::Task<void> run();
    io::Task<void> purge(PurgeRule rule);
    io::Task<void> purge_events();
    io::Task<void> reencrypt(Reencryption::Table table, const char* what);
    void tell(const char* did, std::int64_t count, const char* what);
    void complain(const char* what, const io::PostgresError& error);

    io::Loop& loop_;
    io::Postgres& db_;
    const Secrets& secrets_;
    HousekeepingConfig config_;
    RootTask run_;
};

}  // namespace portal::helper
