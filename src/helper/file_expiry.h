// FileExpiry: file-sharing sessions past their end become `expired`, which the database announces.
// Looked for every two seconds. Any number of helpers may: rows another one is at are passed over.
#pragma once

#include "io/loop.h"
#include "io/postgres.h"
#include "io/task.h"

namespace portal::helper {

class FileExpiry {
  public:
    FileExpiry(io::Loop& loop, io::Postgres& db) : loop_(loop), db_(db), run_(run()) {}
    FileExpiry(const FileExpiry&) = delete;

    void start() { run_.start(); }

  private:
    io::Task<void> run();

    io::Loop& loop_;
    io::Postgres& db_;
    io::Task<void> run_;
};

}  // namespace portal::helper
