// PostgresListener: a connection that hears notifications and does nothing else.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "io/postgres_connection.h"

namespace portal::io {

class PostgresListener final : public PostgresConnection {
  public:
    using Notified = std::function<void(std::string_view channel, std::string_view payload)>;

    PostgresListener(Loop& loop, const PostgresTarget& target, std::int64_t connect_timeout, Observer& observer,
                     std::vector<std::string> channels, Notified notified, std::function<void()> connected);

  private:
    bool begin() noexcept override;
    void input() noexcept override;
    void gone(const std::string&) noexcept override { probe_->cancel(); }
    bool ask(const char* sql) noexcept;
    void probe() noexcept;

    std::vector<std::string> channels_;
    Notified notified_;
    std::function<void()> connected_;
    std::unique_ptr<Timer> probe_;
    bool asked_ = false;   // an answer is due
};

}  // namespace portal::io
