#include "io/redis_reply.h"

namespace portal::io {
namespace {

constexpr int most_elements = 1 << 20;            // of one array; more is taken for a broken stream
constexpr std::size_t kept_text = 64 * 1024;

}  // namespace

// The parser takes a null pointer for "out of memory" and gives the connection up, which is right for all of these.

void RedisReply::attach(redisReader* reader) noexcept {
    static redisReplyObjectFunctions functions{make_string, make_array, make_integer, make_nil, [](void*) {}};
    reader->fn = &functions;
    reader->privdata = this;
}

void RedisReply::clear() noexcept {
    if (text_.capacity() > kept_text) {
        std::string().swap(text_);
    }
    value_ = RedisValue{};
}

// Where the parser's current value belongs: at the root, or into the array that its parent task made.
RedisValue& RedisReply::place(const redisReadTask* task) {
    if (!task->parent) {
        RedisReply& reply = of(task);
        reply.kind_ = Kind::value;
        return reply.value_;
    }
    RedisValue* parent = static_cast<RedisValue*>(task->parent->obj);
    return std::get<std::vector<RedisValue>>(parent->value)[std::size_t(task->idx)];
}

void* RedisReply::make_string(const redisReadTask* task, char* text, size_t size) noexcept try {
    if (!task->parent) {
        RedisReply& reply = of(task);
        reply.kind_ = task->type == REDIS_REPLY_ERROR ? Kind::error : Kind::text;
        reply.text_.assign(text, size);
        return &reply;
    }
    RedisValue& value = place(task);
    std::string& made = value.value.emplace<std::string>();
    if (task->type == REDIS_REPLY_ERROR) {
        made = '-';
    }
    made.append(text, size);
    return &value;
} catch (const std::exception&) {
    return nullptr;
}

void* RedisReply::make_array(const redisReadTask* task, int elements) noexcept try {
    if (elements < 0 || elements > most_elements) {
        return nullptr;
    }
    RedisValue& value = place(task);
    value.value.emplace<std::vector<RedisValue>>(std::size_t(elements));
    return &value;
} catch (const std::exception&) {
    return nullptr;
}

void* RedisReply::make_integer(const redisReadTask* task, long long number) noexcept {
    RedisValue& value = place(task);
    value.value = std::int64_t(number);
    return &value;
}

void* RedisReply::make_nil(const redisReadTask* task) noexcept {
    RedisValue& value = place(task);
    value.value = std::monostate();
    return &value;
}

}  // namespace portal::io
