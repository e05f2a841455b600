// Mailer: hands messages to the mail server by SMTP.
//
// libcurl drives SMTP without blocking only up to the end of DATA: it waits inside the call for the server's last
// word on the mail, and for the answer to QUIT (its KNOWN_BUGS, "DONE"). A server that thinks for a second would stop
// the loop for a second, so each delivery runs as curl_easy_perform on libuv's thread pool; everything else stays on
// the loop's thread.
#pragma once

#include <set>
#include <string>

#include "helper/message.h"
#include "io/task.h"
#include "io/uv_loop.h"
#include "portal/config_file.h"
#include "portal/helper_client.h"

namespace portal::helper {

class Mailer {
  public:
    // cancel() ended a delivery before the server's last word on the mail.
    struct Cancelled {
        bool in_doubt;   // it had the mail: perhaps it is out
    };

    // `greeting`: the name told in EHLO. Reads the password file, and sizes the thread pool: make it before anything
    // uses that. Throws std::invalid_argument.
    Mailer(io::UvLoop& loop, const MailConfig& config, std::string greeting);
    Mailer(const Mailer&) = delete;

    // Never throws for the server's sake. sent: it said 250 to the whole mail. refused: it refused this mail for good
    // (5xx to MAIL, RCPT, DATA or the mail). deferred: everything else, AUTH and TLS failures included, since those
    // are for the operator to mend. `reply` is the server's last reply, or what went wrong, cleaned.
    // Destroying the waiting coroutine ends the connection as cancel() does. Throws Cancelled.
    io::Task<SendOutcome> send(const Message& message);
    // Nothing is sent any more. What is under way ends within a second, on its own thread, or within three where the
    // server has the mail; what was heard by then counts.
    void cancel() noexcept;

    std::size_t in_flight() const { return running_.size(); }

  private:
    struct Delivery;
    class Wait;

    io::UvLoop& loop_;
    MailConfig config_;
    std::string url_;
    std::string password_;
    std::set<Delivery*> running_;
    bool cancelled_ = false;
};

}  // namespace portal::helper
