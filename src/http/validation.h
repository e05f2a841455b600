// Validation: reading a JSON body into fields. Every problem is noted in the contract's words (types, locs, messages
// and ctx as integrators already parse them), and done() throws them all at once.
//
//   http::Fields fields(http::parse_body(call.body, content_type, surface));
//   auto name = fields.string("name", {.max = 256, .required = true});
//   fields.done();
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/failure.h"
#include "http/json.h"
#include "portal/uuid.h"

namespace portal::http {

// The object a body holds. Throws what the surface answers to malformed JSON (duplicate names and too deep nesting
// included), to no body, to a body that is no object, and to a Content-Type that is not JSON (the body is then not
// parsed). NUL, lone surrogates and invalid UTF-8 in strings are problems on both surfaces.
Json parse_body(std::string_view body, std::optional<std::string_view> content_type, Surface surface);

// What a field must be. null counts as absent where `nullable`, else as a value of the wrong type.
struct Text {
    std::size_t min = 0, max = SIZE_MAX;   // characters, not bytes
    bool required = false, nullable = false;
};
struct Number {
    std::int64_t min = INT64_MIN, max = INT64_MAX;
    bool required = false, nullable = false;
};
struct Presence {
    bool required = false, nullable = false;
};

class Fields {
  public:
    explicit Fields(Json object) : object_(std::move(object)) {}

    // Each answers nullopt for what is absent, null, or a problem (which is noted).
    std::optional<std::string> string(const char* name, Text rule = {});
    std::optional<std::int64_t> integer(const char* name, Number rule = {});
    std::optional<bool> boolean(const char* name, Presence rule = {});
    std::optional<Uuid> uuid4(const char* name, Presence rule = {});
    std::optional<std::string> choice(const char* name, std::initializer_list<std::string_view> allowed,
                                      Presence rule = {}) {
        return choice(name, std::span(allowed.begin(), allowed.size()), rule);
    }
    std::optional<std::string> choice(const char* name, std::span<const std::string_view> allowed, Presence rule = {});
    // A list of distinct words, each one of `allowed`.
    std::optional<std::vector<std::string>> choices(const char* name,
                                                    std::initializer_list<std::string_view> allowed);
    // A time by RFC 3339, answered in UTC: 2026-11-25T16:40:04Z, with up to six fractional digits.
    std::optional<std::string> time(const char* name, Presence rule = {});
    // Absolute http(s) URL, 1 to 2083 characters, no userinfo, no control characters.
    std::optional<std::string> url(const char* name, Presence rule = {});

    bool given(const char* name) const { return object_[name].present(); }
    Json value(const char* name) const { return object_[name]; }
    const Json& all() const { return object_; }
    // A rule of business: value_error at the field.
    void refuse(const char* name, std::string sentence);
    void problem(const char* name, std::string type, std::string msg, Json ctx = {});
    void add(Problem problem) { problems_.push_back(std::move(problem)); }
    void done();   // throws validation_failed when there is any problem

  private:
    std::optional<Json> take(const char* name, bool required, bool nullable);
    Json object_;
    std::vector<Problem> problems_;
};

// "value_error" with ctx {"error":{}}, as a rule of business is reported.
Problem business_problem(std::vector<std::string> loc, std::string sentence, Json input);

// "enum": Input should be 'a', 'b' or 'c'.
Problem enum_problem(std::vector<std::string> loc, std::span<const std::string_view> allowed, Json input);

// A path or query parameter that must be a version 4 UUID; throws a 422 at `loc`.
Uuid require_uuid4(std::string_view text, std::vector<std::string> loc);
// nullopt, and the problem noted, when it is none.
std::optional<Uuid> check_uuid4(std::string_view text, std::vector<std::string> loc, std::vector<Problem>& problems);

// What the two make, one of a path and one of a body or a query: where either finds problems, one 422 lists both's.
// Any other failure is thrown at once.
template <class First, class Second>
auto read_both(First first, Second second) -> std::pair<decltype(first()), decltype(second())> {
    std::vector<Problem> problems;
    const auto attempt = [&](auto& read) {
        std::optional<decltype(read())> made;
        try {
            made = read();
        } catch (Failure& failure) {
            if (failure.problems.empty()) {
                throw;
            }
            std::ranges::move(failure.problems, std::back_inserter(problems));
        }
        return made;
    };
    auto one = attempt(first);
    auto other = attempt(second);
    if (!problems.empty()) {
        throw validation_failed(std::move(problems));
    }
    return {std::move(*one), std::move(*other)};
}

// A path or query parameter that must be a whole number of 64 bits, at least `min`; nullopt, and the problem noted,
// when it is none.
std::optional<std::int64_t> check_integer(std::string_view text, std::int64_t min, std::vector<std::string> loc,
                                          std::vector<Problem>& problems);
// The id of a contact, a company or an item in a path: from 1 on; throws a 422 at ["path", "id"].
std::int64_t require_number(std::string_view text);

// The parts of an absolute http(s) URL. trouble: why it is none, as in "Input should be a valid URL, <trouble>".
struct Url {
    std::string scheme, host, port;   // lower case; port "" when not given
    std::string trouble;
    bool other_scheme = false;        // well-formed, but neither http nor https
};
Url split_url(std::string_view text);

std::size_t character_count(std::string_view utf8);
// What [[:cntrl:]] finds in PostgreSQL: U+0000 to U+001F, U+007F to U+009F, U+2028 and U+2029.
bool has_control(std::string_view utf8);
bool valid_utf8(std::string_view text);

}  // namespace portal::http
