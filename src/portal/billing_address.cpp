#include "portal/billing_address.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "portal/iso3166.h"

namespace portal {
namespace {

using http::Json;

constexpr std::size_t max_line = 256;

bool listed(std::string_view list, std::string_view code) {
    return code.size() == 2 && code.find(' ') == std::string_view::npos &&
           list.find(code) != std::string_view::npos;
}

std::string upper(std::string_view text) {
    std::string raised(text);
    std::transform(raised.begin(), raised.end(), raised.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? char(c - 'a' + 'A') : c; });
    return raised;
}

std::vector<std::string> loc_of(const char* member) { return {"body", "billing_address", member}; }

http::Problem problem(const char* type, std::vector<std::string> loc, const char* msg, Json input,
                      Json ctx = {}) {
    http::Problem made;
    made.type = type;
    made.loc = std::move(loc);
    made.msg = msg;
    made.input = std::move(input);
    made.ctx = std::move(ctx);
    return made;
}

// A text of a line's length, or null.
bool is_line(http::Fields& fields, const char* member, const Json& value) {
    if (!value.is_null() && !value.is_string()) {
        fields.add(problem("string_type", loc_of(member), "Input should be a valid string", value));
        return false;
    }
    if (http::character_count(value.text()) > max_line) {
        fields.add(problem("string_too_long", loc_of(member),
                           "String should have at most 256 characters", value,
                           Json::object({{"max_length", std::int64_t(max_line)}})));
        return false;
    }
    return true;
}

// The code in upper case; "" and the problem noted when it is none.
std::string country_of(http::Fields& fields, const Json& address) {
    const Json sent = address["country"];
    if (!sent.present()) {
        fields.add(problem("missing", loc_of("country"), "Field required", address));
        return "";
    }
    if (!is_line(fields, "country", sent)) {
        return "";
    }
    std::string code = upper(sent.text());
    if (!listed(iso3166::countries, code)) {
        fields.add(http::business_problem(
            loc_of("country"), "Invalid country, an ISO 3166-1 alpha-2 code is expected", sent));
        return "";
    }
    return code;
}

// "NY", "ny" and "US-NY" are US-NY; anything else is no state of that country.
Json state_of(http::Fields& fields, const std::string& country, const Json& sent) {
    if (country != "US" && country != "CA") {
        return sent;
    }
    const bool us = country == "US";
    std::string code = upper(sent.text());
    if (code.starts_with(country + "-")) {
        code.erase(0, 3);
    }
    if (!listed(us ? iso3166::us_states : iso3166::ca_provinces, code)) {
        fields.add(http::business_problem(loc_of("state"),
                                          us ? "Invalid US state" : "Invalid CA province", sent));
        return sent;
    }
    return country + "-" + code;
}

}  // namespace

Json billing_address_field(http::Fields& fields) {
    Json sent = fields.value("billing_address");
    if (!sent.present() || sent.is_null()) {
        return {};
    }
    if (!sent.is_object()) {
        fields.add(problem("model_attributes_type", {"body", "billing_address"},
                           "Input should be a valid dictionary or object to extract fields from",
                           sent));
        return {};
    }
    const std::string country = country_of(fields, sent);
    Json address = Json::object({{"country", country}});
    for (const char* member : {"line1", "line2", "postal_code", "city", "state"}) {
        Json value = sent[member];
        if (!value.present()) {
            value = nullptr;
        }
        const bool is_state = std::string_view(member) == "state";
        if (is_line(fields, member, value) && is_state) {
            value = state_of(fields, country, value);
        }
        address.set(member, value);
    }
    return address;
}

}  // namespace portal
