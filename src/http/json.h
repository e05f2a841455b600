// Json: a Jansson value, reference-counted by RAII. Objects keep insertion order and are printed compactly.
#pragma once

#include <jansson.h>

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace portal::http {

class Json {
  public:
    Json() noexcept = default;                                    // empty handle: "absent"
    Json(std::nullptr_t) noexcept : value_(json_null()) {}
    Json(bool value) noexcept : value_(json_boolean(value)) {}
    Json(int value) noexcept : value_(json_integer(value)) {}
    Json(std::int64_t value) noexcept : value_(json_integer(value)) {}
    Json(double value) noexcept : value_(json_real(value)) {}
    Json(std::string_view text);                                  // invalid UTF-8 becomes U+FFFD
    Json(const char* text) : Json(std::string_view(text)) {}
    Json(const std::string& text) : Json(std::string_view(text)) {}
    template <class T>
    Json(const std::optional<T>& value) : Json(value ? Json(*value) : Json(nullptr)) {}
    Json(const Json& other) noexcept : value_(json_incref(other.value_)) {}
    Json(Json&& other) noexcept : value_(std::exchange(other.value_, nullptr)) {}
    Json& operator=(Json other) noexcept {
        std::swap(value_, other.value_);
        return *this;
    }
    ~Json() { json_decref(value_); }

    static Json steal(json_t* value) noexcept { Json json; json.value_ = value; return json; }
    static Json borrow(json_t* value) noexcept { return steal(json_incref(value)); }
    static Json object() { return steal(json_object()); }
    static Json array() { return steal(json_array()); }
    static Json object(std::initializer_list<std::pair<const char*, Json>> members);
    // A value stored by us (a jsonb column): throws std::runtime_error when it is no JSON. A number beyond 64 bits
    // becomes the nearest there is.
    static Json parse(std::string_view text);

    Json& set(const char* name, Json value) {   // `name` is valid UTF-8
        json_object_set_new_nocheck(value_, name, std::exchange(value.value_, nullptr));
        return *this;
    }
    Json& push(Json value) {
        json_array_append_new(value_, std::exchange(value.value_, nullptr));
        return *this;
    }

    bool present() const noexcept { return value_ != nullptr; }
    bool is_null() const noexcept { return json_is_null(value_); }
    bool is_object() const noexcept { return json_is_object(value_); }
    bool is_array() const noexcept { return json_is_array(value_); }
    bool is_string() const noexcept { return json_is_string(value_); }
    bool is_integer() const noexcept { return json_is_integer(value_); }
    bool is_boolean() const noexcept { return json_is_boolean(value_); }
    std::string_view text() const { return {json_string_value(value_), json_string_length(value_)}; }
    std::int64_t integer() const { return json_integer_value(value_); }
    bool boolean() const { return json_is_true(value_); }
    Json operator[](const char* name) const { return borrow(json_object_get(value_, name)); }
    Json operator[](std::size_t index) const { return borrow(json_array_get(value_, index)); }
    std::size_t size() const { return json_is_array(value_) ? json_array_size(value_) : json_object_size(value_); }

    std::string dump() const;    // compact, UTF-8, slashes unescaped
    json_t* get() const noexcept { return value_; }

  private:
    json_t* value_ = nullptr;
};

// A JSON string at the end of `out`; invalid UTF-8 becomes U+FFFD.
void append_json(std::string& out, std::string_view text);

// An object that is only written: text from the start, where a Json would be a tree first. Names need no escapes.
class JsonText {
  public:
    JsonText() { text_.reserve(1000); }   // most answers' length: it does not grow step by step

    template <class Value>
    JsonText& set(std::string_view name, const Value& value) {
        begin(name);
        put(value);
        return *this;
    }
    // The members up to close() are those of an object called `name`.
    JsonText& open(std::string_view name);
    JsonText& close();

    std::string dump() && {
        text_ += text_.empty() ? "{}" : "}";
        return std::move(text_);
    }

  private:
    void begin(std::string_view name);
    void put(std::nullptr_t) { text_ += "null"; }
    void put(std::same_as<bool> auto value) { text_ += value ? "true" : "false"; }
    void put(std::string_view value) { append_json(text_, value); }
    void put(const std::string& value) { append_json(text_, value); }
    void put(const Json& value);
    template <class Value>
    void put(const std::optional<Value>& value) {
        if (value) {
            put(*value);
        } else {
            put(nullptr);
        }
    }

    std::string text_;
};

// What Jansson reads with its `flags`, NULL and `error` told where it cannot. A number beyond what it takes is JSON all
// the same: it is read as a real number, the nearest there is, which every field that wants an integer refuses.
json_t* load_json(std::string_view text, std::size_t flags, json_error_t& error);

}  // namespace portal::http
