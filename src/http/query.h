// Query: reading a query string into fields, as Fields reads a body. Every problem is noted at
// ["query", name], and done() throws them all at once. Unknown parameters are ignored; of a
// repeated one the first counts.
//
//   http::Query query(call.request.query);
//   PageRequest page = PageRequest::read(query, {"created_at", "status"});
//   auto status = query.choice("status", {"pending", "completed"});
//   query.done();
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/failure.h"
#include "portal/uuid.h"

namespace portal::http {

class Query {
  public:
    // `text` is what follows '?', as sent. Values that are no UTF-8 or hold a NUL are a problem
    // when they are asked for.
    explicit Query(std::string_view text);

    // Each answers nullopt for what is absent or a problem. An empty value is a value.
    std::optional<std::string> string(std::string_view name, std::size_t max = 256);
    std::optional<std::int64_t> integer(std::string_view name, std::int64_t min);
    std::optional<bool> boolean(std::string_view name);  // true, false, 1, 0
    std::optional<Uuid> uuid4(std::string_view name);
    std::optional<std::string> choice(std::string_view name,
                                      std::span<const std::string_view> allowed);
    // Every value of a repeatable parameter, each of which is one of `allowed`.
    std::vector<std::string> choices(std::string_view name,
                                     std::span<const std::string_view> allowed);
    // name[key]=value pairs, in order: metadata[plan]=pro.
    std::vector<std::pair<std::string, std::string>> map(std::string_view name);

    bool given(std::string_view name) const;
    void missing(std::string_view name);  // notes "Field required"
    void done();                          // throws validation_failed when there is any problem

  private:
    std::optional<std::string> take(std::string_view name);
    bool text_fits(const std::string& name, const std::string& value);
    void note(std::string type, std::string_view name, std::string msg, Json input, Json ctx = {});

    std::vector<std::pair<std::string, std::string>> pairs_;  // decoded
    std::vector<Problem> problems_;
};

}  // namespace portal::http
