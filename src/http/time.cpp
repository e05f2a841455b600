#include "http/time.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace portal::http {
namespace {

// Reads from the front of a text; what does not fit is told once, by the first that fails.
class Reader {
  public:
    explicit Reader(std::string_view text) : rest_(text) {}

    int number(std::size_t digits, int least, int most, const char* what) {
        int value = 0;
        for (std::size_t at = 0; at < digits; ++at) {
            if (at >= rest_.size() || rest_[at] < '0' || rest_[at] > '9') {
                fail(std::string("invalid character in ") + what);
                return least;
            }
            value = value * 10 + (rest_[at] - '0');
        }
        rest_.remove_prefix(digits);
        if (value < least || value > most) {
            fail(std::string(what) + " value is outside expected range of " +
                 std::to_string(least) + "-" + std::to_string(most));
        }
        return value;
    }
    bool skip(std::string_view any_of) {
        if (rest_.empty() || any_of.find(rest_.front()) == std::string_view::npos) {
            return false;
        }
        rest_.remove_prefix(1);
        return true;
    }
    void expect(std::string_view any_of, const char* what) {
        if (!skip(any_of)) {
            fail(std::string("invalid ") + what);
        }
    }
    // The first six of a fraction's digits, and all of them gone.
    std::string fraction() {
        std::size_t digits = std::min(rest_.find_first_not_of("0123456789"), rest_.size());
        if (digits == 0) {
            fail("second fraction has no digits");
        }
        std::string kept(rest_.substr(0, std::min<std::size_t>(digits, 6)));
        rest_.remove_prefix(digits);
        kept.erase(kept.find_last_not_of('0') + 1);
        return kept;
    }
    bool at_end() const { return rest_.empty(); }
    void fail(std::string trouble) {
        if (trouble_.empty()) {
            trouble_ = std::move(trouble);
        }
    }
    const std::string& trouble() const { return trouble_; }

  private:
    std::string_view rest_;
    std::string trouble_;
};

}  // namespace

Time parse_time(std::string_view text) {
    using namespace std::chrono;
    Reader reader(text);
    const int years = reader.number(4, 1, 9999, "year");
    reader.expect("-", "date separator, expected `-`");
    const int months = reader.number(2, 1, 12, "month");
    reader.expect("-", "date separator, expected `-`");
    const int days_of_month = reader.number(2, 1, 31, "day");
    reader.expect("Tt ", "datetime separator, expected `T`");
    const int hour = reader.number(2, 0, 23, "hour");
    reader.expect(":", "time separator, expected `:`");
    const int minute = reader.number(2, 0, 59, "minute");
    reader.expect(":", "time separator, expected `:`");
    const int second = reader.number(2, 0, 59, "second");
    const std::string fraction = reader.skip(".") ? reader.fraction() : "";
    int offset = 0;  // minutes east of UTC
    if (!reader.skip("Zz")) {
        const bool east = reader.skip("+");
        if (!east && !reader.skip("-")) {
            reader.fail(reader.at_end() ? "a time zone is needed" : "invalid time zone");
        }
        const int hours = reader.number(2, 0, 23, "time zone hour");
        reader.expect(":", "time zone separator, expected `:`");
        offset = (hours * 60 + reader.number(2, 0, 59, "time zone minute")) * (east ? 1 : -1);
    }
    if (!reader.at_end()) {
        reader.fail("unexpected extra characters at the end of the input");
    }
    const year_month_day day{year(years), month(unsigned(months)),
                             std::chrono::day(unsigned(days_of_month))};
    if (reader.trouble().empty() && !day.ok()) {
        reader.fail("day value is outside expected range");
    }
    if (!reader.trouble().empty()) {
        return {"", reader.trouble()};
    }
    const auto moment = sys_days(day) + hours(hour) + minutes(minute - offset) + seconds(second);
    const auto date = floor<days>(moment);
    const year_month_day utc(date);
    if (int(utc.year()) < 1 || int(utc.year()) > 9999) {
        return {"", "year value is outside expected range of 1-9999"};
    }
    const hh_mm_ss<seconds> clock(floor<seconds>(moment - date));
    char whole[80];
    std::snprintf(whole, sizeof whole, "%04d-%02u-%02uT%02d:%02d:%02d", int(utc.year()),
                  unsigned(utc.month()), unsigned(utc.day()), int(clock.hours().count()),
                  int(clock.minutes().count()), int(clock.seconds().count()));
    return {whole + (fraction.empty() ? "" : "." + fraction) + "Z", ""};
}

}  // namespace portal::http
