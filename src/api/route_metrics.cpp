#include "api/route_metrics.h"

#include <cstdio>

namespace portal::api {
namespace {

std::string_view method_of(const Route& route) {
    switch (route.method) {
        case http::Method::post: return "POST";
        case http::Method::put: return "PUT";
        case http::Method::patch: return "PATCH";
        case http::Method::del: return "DELETE";
        default: return "GET";
    }
}

std::string name_of(const Route& route) {
    return std::string(method_of(route)).append(" ").append(route.pattern);
}

// One family after the other, each with its help and type.
class Text {
  public:
    void family(std::string_view name, std::string_view type, std::string_view help) {
        name_ = name;
        out_.append("# HELP ").append(name).append(" ").append(help).append("\n# TYPE ").append(name);
        out_.append(" ").append(type).append("\n");
    }
    // `labels` as they stand between the braces; "" for none.
    void value(std::string_view labels, std::uint64_t number, std::string_view suffix = "") {
        sample(labels, std::to_string(number), suffix);
    }
    void single(std::string_view name, std::string_view type, std::string_view help, std::uint64_t number) {
        family(name, type, help);
        value("", number);
    }
    void histogram(const std::string& labels, const Metrics::Histogram& times) {
        std::uint64_t sum = 0;
        const std::string before = labels.empty() ? "" : labels + ",";
        for (std::size_t at = 0; at < Metrics::bounds.size(); ++at) {
            sum += times.counts[at];
            value(before + "le=\"" + seconds(std::uint64_t(Metrics::bounds[at])) + "\"", sum, "_bucket");
        }
        sum += times.counts.back();
        value(before + "le=\"+Inf\"", sum, "_bucket");
        sample(labels, seconds(times.sum), "_sum");
        value(labels, sum, "_count");
    }
    std::string take() { return std::move(out_); }

  private:
    static std::string seconds(std::uint64_t microseconds) {
        char text[40];
        std::snprintf(text, sizeof text, "%.6g", double(microseconds) / 1e6);
        return text;
    }
    void sample(std::string_view labels, const std::string& number, std::string_view suffix) {
        out_.append(name_).append(suffix);
        if (!labels.empty()) {
            out_.append("{").append(labels).append("}");
        }
        out_.append(" ").append(number).append("\n");
    }

    std::string name_;
    std::string out_;
};

void tell_requests(Text& text, const Metrics& metrics, std::size_t place, std::string_view method,
                   std::string_view route) {
    const auto counts = metrics.requests(place);
    for (std::size_t at = 0; at < counts.size(); ++at) {
        if (counts[at] == 0) {
            continue;
        }
        std::string labels = "method=\"";
        labels.append(method).append("\",route=\"").append(route).append("\",status=\"");
        labels += Metrics::statuses[at] == 0 ? std::string("other") : std::to_string(Metrics::statuses[at]);
        text.value(labels + "\"", counts[at]);
    }
}

struct Labelled {
    Counter counter;
    const char* labels;
};

template <std::size_t count>
void tell_counters(Text& text, const Metrics& metrics, const Labelled (&counters)[count]) {
    for (const Labelled& each : counters) {
        text.value(each.labels, metrics.counted(each.counter));
    }
}

void tell_decisions(Text& text, const Metrics& metrics) {
    text.family("portal_limit_decisions_total", "counter",
                "What rate limits decided; degraded: admitted by this node alone; unavailable and full: 503.");
    tell_counters(text, metrics, {
        {Counter::limiter_admitted, "decision=\"admitted\""},
        {Counter::limiter_degraded, "decision=\"degraded\""},
        {Counter::limiter_denied, "decision=\"denied\""},
        {Counter::limiter_unavailable, "decision=\"unavailable\""},
        {Counter::limiter_full, "decision=\"full\""},
    });
    text.family("portal_access_decisions_total", "counter",
                "What portal_auth and portal_rate_limit decided on the site's own locations; dry_run: let through, "
                "would have been refused.");
    tell_counters(text, metrics, {
        {Counter::access_passed, "decision=\"passed\""},
        {Counter::access_unauthorized, "decision=\"unauthorized\""},
        {Counter::access_forbidden, "decision=\"forbidden\""},
        {Counter::access_limited, "decision=\"limited\""},
        {Counter::access_unavailable, "decision=\"unavailable\""},
        {Counter::access_dry_run, "decision=\"dry_run\""},
    });
    text.family("portal_limit_questions_total", "counter", "Admissions by whether Redis had to be asked.");
    tell_counters(text, metrics, {
        {Counter::redis_asks, "asked=\"redis\""},
        {Counter::lease_hits, "asked=\"zone\""},
    });
    text.single("portal_degraded_seconds_total", "counter", "Seconds in which some worker had no Redis.",
                metrics.counted(Counter::degraded_seconds));
    text.family("portal_zone_lookups_total", "counter",
                "Look-ups in the shared zone; stale: served although PostgreSQL did not answer.");
    tell_counters(text, metrics, {
        {Counter::principal_hits, "table=\"principals\",result=\"hit\""},
        {Counter::principal_misses, "table=\"principals\",result=\"miss\""},
        {Counter::stale_served, "table=\"principals\",result=\"stale\""},
        {Counter::config_hits, "table=\"configs\",result=\"hit\""},
        {Counter::config_misses, "table=\"configs\",result=\"miss\""},
    });
}

void tell_workers(Text& text, const Metrics::Workers& workers) {
    const Gauges& sum = workers.sum;
    text.single("portal_workers", "gauge", "Workers that have told of themselves in the last seconds.", workers.count);
    text.single("portal_postgres_connections", "gauge", "Connections to PostgreSQL that are up.",
                sum[Gauge::postgres_connections]);
    text.family("portal_postgres_statements", "gauge", "Statements on their way.");
    text.value("state=\"in_flight\"", sum[Gauge::postgres_in_flight]);
    text.value("state=\"waiting\"", sum[Gauge::postgres_waiting]);
    text.single("portal_redis_connections", "gauge", "Workers that have Redis.", sum[Gauge::redis_up]);
    text.single("portal_redis_commands", "gauge", "Redis commands on their way.", sum[Gauge::redis_in_flight]);
    text.single("portal_helper_lines", "gauge", "Workers that have a line to the helper.", sum[Gauge::helper_up]);
    text.single("portal_streams", "gauge", "Open event streams.", sum[Gauge::streams]);
}

void tell_helper(Text& text, const std::optional<HelperReport>& report) {
    text.single("portal_helper_up", "gauge", "Whether the helper has reported lately.", report ? 1 : 0);
    if (!report) {
        return;
    }
    const HelperReport& told = *report;
    text.family("portal_queue_waiting", "gauge", "What waits to be delivered, in the whole installation.");
    text.value("queue=\"mail\"", told[HelperFigure::mails_waiting]);
    text.value("queue=\"webhooks\"", told[HelperFigure::webhooks_waiting]);
    text.value("queue=\"events\"", told[HelperFigure::events_waiting]);
    text.family("portal_queue_oldest_seconds", "gauge", "For how long the first of them has been due.");
    text.value("queue=\"mail\"", told[HelperFigure::mails_oldest]);
    text.value("queue=\"webhooks\"", told[HelperFigure::webhooks_oldest]);
    text.value("queue=\"events\"", told[HelperFigure::events_oldest]);
    text.family("portal_mail_attempts_total", "counter", "Mails this node's helper has tried to send.");
    text.value("result=\"sent\"", told[HelperFigure::mails_sent_total]);
    text.value("result=\"refused\"", told[HelperFigure::mails_refused_total]);
    text.value("result=\"deferred\"", told[HelperFigure::mails_deferred_total]);
    text.family("portal_webhook_attempts_total", "counter", "Webhooks this node's helper has tried to send.");
    text.value("result=\"succeeded\"", told[HelperFigure::webhooks_succeeded_total]);
    text.value("result=\"failed\"", told[HelperFigure::webhooks_failed_total]);
}

}  // namespace

RouteMetrics::RouteMetrics(Metrics& metrics, const Router& router)
    : metrics_(metrics), router_(router), none_(metrics.place_of("none")) {
    for (const Route* route : router.routes()) {
        places_.emplace(route, metrics.place_of(name_of(*route)));
    }
}

void RouteMetrics::count(const Route* route, int status) noexcept {
    const auto place = places_.find(route);
    metrics_.request(place == places_.end() ? none_ : place->second, status);
}

std::string RouteMetrics::text(std::int64_t now) const {
    Text text;
    text.family("portal_requests_total", "counter", "API requests; route none: no such path or method.");
    for (const Route* route : router_.routes()) {
        tell_requests(text, metrics_, places_.at(route), method_of(*route), route->pattern);
    }
    tell_requests(text, metrics_, none_, "any", "none");
    text.family("portal_request_duration_seconds", "histogram",
                "From a request's first byte to the beginning of its answer, to a millisecond.");
    text.histogram("", metrics_.timed(Timing::request));
    text.family("portal_backend_duration_seconds", "histogram",
                "PostgreSQL: a statement from enqueueing to its answer; Redis: a command.");
    text.histogram("backend=\"postgres_lookup\"", metrics_.timed(Timing::postgres_lookup));
    text.histogram("backend=\"postgres\"", metrics_.timed(Timing::postgres));
    text.histogram("backend=\"redis\"", metrics_.timed(Timing::redis));
    tell_decisions(text, metrics_);
    tell_workers(text, metrics_.workers(now));
    tell_helper(text, metrics_.helper(now));
    return text.take();
}

}  // namespace portal::api
