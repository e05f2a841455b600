// Origin: who changes something, from where and by which request. It is told ahead of each write, and what the triggers of
// conf/sql/021_audit.sql put into the audit log is taken from it.
#pragma once

#include <string>
#include <string_view>

#include "io/postgres.h"
#include "portal/principal.h"

namespace portal {

// As the audit log calls a caller: access_token:<id>, customer:<id>, member:<id>, contact:<n>, company:<n>, anonymous.
std::string actor_name(const Principal& caller);

class Origin : public io::Preamble {
  public:
    const io::Statement& statement() const final;
    io::Parameters parameters() const final;

  protected:
    ~Origin() = default;

  private:
    virtual std::string actor() const = 0;
    // "": where the connection to PostgreSQL comes from.
    virtual std::string_view address() const { return {}; }
    virtual std::string_view request_id() const { return {}; }
};

// A program that writes by itself, or for whoever runs it: helper, portalctl:<user>.
class Program final : public Origin {
  public:
    explicit Program(std::string name) : name_(std::move(name)) {}

  private:
    std::string actor() const override { return name_; }
    std::string name_;
};

}  // namespace portal
