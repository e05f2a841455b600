// Verb: a subcommand of portalctl, its options and its work. A thin coat over CLI11, which only
// verb.cpp and main.cpp compile: its headers cost ten seconds a file.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "http/json.h"
#include "portal/page.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace portal::ctl {

class Session;

// The command line is wrong: said with the option's name, exit 2.
struct UsageError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class Option {
  public:
    explicit Option(CLI::Option* option) : option_(option) {}
    Option required();
    Option hint(const char* what);  // how --help calls the value
    Option one_of(std::vector<std::string> values);
    Option excludes(const Option& other);

  private:
    CLI::Option* option_;
};

// What a verb's options say, as the body of the REST call would say it; '' is null.
using Body = std::shared_ptr<http::Json>;
Body make_body();
// The JSON object an option holds; null of ''.
http::Json parse_object(const char* option, const std::string& text);

class Verb {
  public:
    explicit Verb(CLI::App& app) : app_(&app) {}

    // A noun with verbs below it, one of which is to be given.
    Verb family(const char* name, const char* description);
    // A verb with the example its --help ends with.
    Verb verb(const char* name, const char* description, const std::string& example);

    // Options are named "--name" or "-n,--name", positional arguments "name". What is not given is
    // not called.
    Option text(const char* name, const char* description,
                std::function<void(const std::string&)> take);
    Option number(const char* name, const char* description,
                  std::function<void(std::int64_t)> take);
    Option toggle(const char* name, const char* description,
                  std::function<void(bool)> take);  // on|off
    Option flag(const char* name, const char* description, std::function<void()> take);
    // Repeatable; with `commas` also a list with commas.
    Option list(const char* name, const char* description,
                std::function<void(std::vector<std::string>)> take, bool commas = false);
    // All further arguments.
    Option rest(const char* name, std::vector<std::string>& into, const char* description);

    // Into a variable, which the verb's work keeps alive.
    Option text(const char* name, std::string& into, const char* description);
    Option text(const char* name, std::optional<std::string>& into, const char* description);
    Option number(const char* name, std::int64_t& into, const char* description);
    Option flag(const char* name, bool& into, const char* description);
    Option list(const char* name, std::vector<std::string>& into, const char* description,
                bool commas = false);
    // Into a body's member.
    Option text(const char* name, Body body, const char* member, const char* description);
    Option number(const char* name, Body body, const char* member, const char* description);
    Option object(const char* name, Body body, const char* member,
                  const char* description);  // JSON
    Option workspace(Session& session);  // -w,--workspace SLUG
    void pages(PageRequest& request);    // --page, --limit

    void run(std::function<void()> work);

  private:
    CLI::App* app_;
};

}  // namespace portal::ctl
