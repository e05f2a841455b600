// View: one page as the template writes it (page.html): what is said, and the one form there may be. The script, where
// there is one, draws its own in its place.
#pragma once

#include <kainjow/mustache.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/json.h"
#include "page/house.h"
#include "page/texts.h"

namespace portal::page {

enum class Part { portal, client_portal };

struct Form {
    enum class Field { none, email, code };
    struct Choice {
        std::string name, value, text;   // a button of this name and value
    };
    std::string action;                                        // an address below the base URL's path
    std::vector<std::pair<std::string, std::string>> hidden;   // name, value
    Field field = Field::none;
    std::string label, value;
    std::string button;
    std::vector<Choice> choices;
};

struct View {
    int status = 200;
    Part part = Part::portal;
    std::string_view language = languages[0];
    std::optional<House> house;
    bool session = false;         // a cookie of a session of this house came along
    std::string email;            // of ?email=
    std::string return_to;        // a path of the site's, where to go once signed in; "": stays here
    std::string here;             // below the base URL's path: what the links to other languages lead to; "": the same
                                  // path without its query
    bool script = true;
    std::string heading, lead, notice;
    std::optional<Form> form;
    std::vector<std::pair<std::string, std::string>> ways;   // address, text: what else one can do
    std::vector<std::pair<std::string_view, std::string>> headers;
};

// "Mike Smith" is MS, "acme" A.
std::string initials_of(std::string_view name);

}  // namespace portal::page
