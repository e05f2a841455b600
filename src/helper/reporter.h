// Reporter: tells the workers, every ten seconds, what waits to be delivered and what came of deliveries.
#pragma once

#include <functional>

#include "helper/root_task.h"
#include "io/loop.h"
#include "io/postgres.h"
#include "io/task.h"
#include "portal/metrics.h"

namespace portal::helper {

class Reporter {
  public:
    // `complete` adds what the helper itself has counted, and sends the report.
    Reporter(io::Loop& loop, io::Postgres& db, std::function<void(HelperReport report)> complete);
    Reporter(const Reporter&) = delete;

    void start() { run_.start(run()); }

  private:
    io::Task<void> run();
    io::Task<HelperReport> look();

    io::Loop& loop_;
    io::Postgres& db_;
    std::function<void(HelperReport report)> complete_;
    RootTask run_;
};

}  // namespace portal::helper
