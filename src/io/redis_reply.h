// RedisReply: what hiredis's parser builds instead of its own tree, so that the common replies cost no allocation.
#pragma once

#include <hiredis/hiredis.h>

#include <string>

#include "io/redis.h"

namespace portal::io {

class RedisReply {
  public:
    enum class Kind {
        value,   // an integer, nil or array: value()
        text,    // a bulk string or status: text()
        error,   // text()
    };

    // From now on `reader` builds its replies here, one at a time.
    void attach(redisReader* reader) noexcept;

    Kind kind() const noexcept { return kind_; }
    const std::string& text() const noexcept { return text_; }
    RedisValue take_value() noexcept { return std::move(value_); }
    // Keeps the text's memory for the next reply, unless that was a big one.
    void clear() noexcept;

  private:
    static RedisReply& of(const redisReadTask* task) { return *static_cast<RedisReply*>(task->privdata); }
    static RedisValue& place(const redisReadTask* task);
    static void* make_string(const redisReadTask* task, char* text, size_t size) noexcept;
    static void* make_array(const redisReadTask* task, int elements) noexcept;
    static void* make_integer(const redisReadTask* task, long long number) noexcept;
    static void* make_nil(const redisReadTask* task) noexcept;

    Kind kind_ = Kind::value;
    std::string text_;
    RedisValue value_;
};

}  // namespace portal::io
