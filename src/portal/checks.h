// Checks: the field rules of the contract, gathered so that a refusal lists every problem at once.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/failure.h"

namespace portal {

class Checks {
  public:
    // An absent text is fine. Characters are counted, not bytes. A NUL byte is a problem too: PostgreSQL could not store it.
    void length(const char* field, std::optional<std::string_view> text, std::size_t min, std::size_t max);
    // Replaces the address by the form that is stored.
    void email(const char* field, std::string& address);
    void email(const char* field, std::optional<std::string>& address);
    // Absolute http(s) URL of at most 2083 characters, without user information.
    void url(const char* field, const std::optional<std::string>& url);
    void one_of(const char* field, std::string_view text, std::initializer_list<std::string_view> allowed);
    void uuid(const char* field, const std::optional<std::string>& text);
    void positive(const char* field, std::optional<std::int64_t> number);
    // One of the contract's sentences, or one of ours.
    void refuse(const char* field, std::string sentence, http::Json input);
    void add(http::Problem problem) { problems_.push_back(std::move(problem)); }

    // Throws what was found, if anything was.
    void done() const;
    const std::vector<http::Problem>& problems() const { return problems_; }

  private:
    std::vector<http::Problem> problems_;
};

// A 422 with this one problem, at body.field.
http::Failure refused(const char* field, std::string sentence, http::Json input = nullptr);

}  // namespace portal
