// Mailer: hands messages to the mail server by SMTP.
//
// libcurl drives SMTP without blocking only up to the end of DATA: it waits inside the call for the server's last
// word on the mail, and for the answer to QUIT (its KNOWN_BUGS, "DONE"). A server that thinks for a second would stop
// the loop for a second, so each delivery runs as curl_easy_perform on libuv's thread pool; everything else stays on
// the loop's thread.
#pragma once

#include <string>

#include "helper/message.h"
#include "io/task.h"
#include "io/uv_loop.h"
#include "portal/config_file.h"
#include "portal/helper_client.h"

namespace portal::helper {

class Mailer {
  public:
    // `greeting`: the name told in EHLO. Reads the password file, and sizes the thread pool: make it before anything
    // uses that. Throws std::invalid_argument.
    Mailer(io::UvLoop& loop, const MailConfig& config, std::string greeting);
    Mailer(const Mailer&) = delete;

    // Never throws for the server's sake. sent: it said 250 to the whole mail. refused: it refused this mail for good
    // (5xx to MAIL, RCPT, DATA or the mail). deferred: everything else, AUTH and TLS failures included, since those
    // are for the operator to mend. `reply` is the server's last reply, or what went wrong, cleaned.
    // Destroying the waiting coroutine ends the connection within a second, on its own thread.
    io::Task<SendOutcome> send(const Message& message);

    int in_flight() const { return in_flight_; }

  private:
    struct Delivery;
    class Wait;

    io::UvLoop& loop_;
    MailConfig config_;
    std::string url_;
    std::string password_;
    int in_flight_ = 0;
};

}  // namespace portal::helper
