// WebhookListener: a receiver for who writes one: takes webhooks at a port of this host, one at a
// time, checks each as a receiver should, and prints it.
#pragma once

#include <cstdint>
#include <string>

namespace portal::ctl {

struct WebhookListener {
    std::string secret;        // "": $WEBHOOK_SECRET
    std::int64_t port = 4000;  // at 127.0.0.1; 0: any that is free
    std::int64_t count = 0;    // ends after so many; 0: never

    // A good one is answered 204, any other 400 with the reason. True when all were good. With
    // `json` each is printed on a line of its own: {"id","timestamp","verified","doubt","body"}.
    // Throws UsageError or Unreachable.
    bool run(bool json);
};

}  // namespace portal::ctl
