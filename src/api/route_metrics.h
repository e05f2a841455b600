// RouteMetrics: counts requests by route and status, and tells all of a node's metrics in Prometheus's text format
// 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/).
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "api/router.h"
#include "portal/metrics.h"

namespace portal::api {

class RouteMetrics {
  public:
    // Both must outlive this.
    RouteMetrics(Metrics& metrics, const Router& router);

    // `route` null: the path, or the method on it, is nobody's.
    void count(const Route* route, int status) noexcept;
    // `now` as Metrics knows it.
    std::string text(std::int64_t now) const;

  private:
    Metrics& metrics_;
    const Router& router_;
    std::size_t none_;
    std::unordered_map<const Route*, std::size_t> places_;
};

}  // namespace portal::api
