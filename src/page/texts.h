// Texts: what the page says, in each of its languages, from the message files its script has too (src/web/messages).
#pragma once

#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "http/request.h"

namespace portal::page {

inline constexpr std::string_view languages[] = {"en", "de"};   // the first is for everybody else
inline constexpr std::string_view language_cookie = "portal_language";

class Texts {
  public:
    // DIRECTORY/messages/LANGUAGE.json; what OVERRIDES/messages/LANGUAGE.json has takes the place of ours. Throws
    // std::invalid_argument naming the file.
    static Texts load(const std::string& directory, const std::string& overrides);

    using Values = std::initializer_list<std::pair<std::string_view, std::string_view>>;
    // The text with its {name} placeholders filled; the key itself where there is none.
    std::string say(std::string_view language, std::string_view key, Values values = {}) const;

  private:
    std::map<std::string, std::map<std::string, std::string, std::less<>>, std::less<>> texts_;
};

// The language asked for by ?lang=, else by the cookie, else by Accept-Language (RFC 9110, 12.5.4).
std::string_view choose_language(const http::Request& request);
// That of ?lang= when it is one of ours, else "".
std::string_view asked_language(const http::Request& request);

}  // namespace portal::page
