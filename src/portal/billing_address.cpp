#include "portal/billing_address.h"

#include <algorithm>
#include <string>
#include <string_view>

namespace portal {
namespace {

using http::Json;

constexpr std::string_view countries =
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW "
    "BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI "
    "FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN "
    "IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME "
    "MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF "
    "PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV "
    "SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE "
    "YT ZA ZM ZW";
constexpr std::string_view us_states =
    "AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH "
    "OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY DC AS GU MP PR UM VI";
constexpr std::string_view ca_provinces = "AB BC MB NB NL NS NT NU ON PE QC SK YT";

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

http::Problem problem(const char* type, const char* member, std::string msg, Json input) {
    http::Problem made;
    made.type = type;
    made.loc = {"body", "billing_address", member};
    made.msg = std::move(msg);
    made.input = std::move(input);
    return made;
}

// "NY", "ny" and "US-NY" are US-NY; anything else is no state of that country.
Json state_of(http::Fields& fields, const std::string& country, const Json& sent) {
    if (country != "US" && country != "CA") {
        return sent;
    }
    bool us = country == "US";
    std::string code = sent.is_string() ? upper(sent.text()) : "";
    if (code.rfind(country + "-", 0) == 0) {
        code.erase(0, 3);
    }
    if (!listed(us ? us_states : ca_provinces, code)) {
        fields.add(problem("value_error", "state", us ? "Invalid US state" : "Invalid CA province", sent));
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
        http::Problem found;
        found.type = "model_attributes_type";
        found.loc = {"body", "billing_address"};
        found.msg = "Input should be a valid dictionary or object to extract fields from";
        found.input = sent;
        fields.add(std::move(found));
        return {};
    }
    Json address = Json::object();
    for (const char* member : {"country", "line1", "line2", "postal_code", "city", "state"}) {
        Json value = sent[member];
        if (!value.present()) {
            value = nullptr;
        }
        if (!value.is_null() && !value.is_string()) {
            fields.add(problem("string_type", member, "Input should be a valid string", value));
        } else if (http::character_count(value.text()) > max_line) {
            fields.add(problem("string_too_long", member, "String should have at most 256 characters", value));
        }
        address.set(member, value);
    }
    if (!sent["country"].present()) {
        fields.add(problem("missing", "country", "Field required", sent));
        return address;
    }
    std::string country = upper(address["country"].text());
    if (!listed(countries, country)) {
        fields.add(problem("value_error", "country", "Invalid country, an ISO 3166-1 alpha-2 code is expected",
                           address["country"]));
        return address;
    }
    address.set("country", country);
    address.set("state", state_of(fields, country, address["state"]));
    return address;
}

}  // namespace portal
