// Reencryption: ciphertexts under an old secret move to the one that signs, a bounded batch at a
// time, so that the old one can be retired. A portal token is hashed anew with it: its ciphertext
// holds it in clear.
#pragma once

#include <cstdint>
#include <string>

#include "io/postgres.h"
#include "io/task.h"
#include "portal/secrets.h"

namespace portal {

// One pass over one table. Several helpers at once do no harm: a row is written only as it was
// read.
class Reencryption {
  public:
    enum class Table { portal_tokens, idempotency_keys, webhook_secrets };
    Reencryption(const Secrets& secrets, Table table) : secrets_(secrets), table_(table) {}

    bool done() const { return done_; }
    // One batch; how many ciphertexts moved.
    io::Task<std::int64_t> batch(io::Postgres& db, std::int64_t size);

  private:
    const Secrets& secrets_;
    Table table_;
    std::string after_;  // the last key seen
    bool done_ = false;
};

}  // namespace portal
