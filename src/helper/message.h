// Message: one mail, and how its parts are written so that nothing in them can become a header or a second mail.
#pragma once

#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace portal::helper {

struct Mailbox {
    std::string name;      // any UTF-8; may be empty
    std::string address;   // plain ASCII, checked by valid_address
};

struct Message {
    Mailbox from, to;
    std::string reply_to;      // an address, or ""
    std::string subject;       // any UTF-8
    std::string text, html;    // UTF-8
    std::string message_id;    // local@host, without the angle brackets
    std::time_t date = 0;

    // Header lines in order, folded, without the last CRLF; MIME's own are added with the parts.
    std::vector<std::string> headers() const;
};

// Why a mail cannot be made.
struct Unsendable {
    bool for_good = true;   // else it may be possible later
    std::string reason;     // for the outbox row and the caller; no token, no address
};

// What comes of an outbox row.
using Composed = std::variant<Message, Unsendable>;

// What can stand in an envelope and a header as it is: ASCII dot-atoms on both sides of one '@'. Addresses beyond
// ASCII would need SMTPUTF8 all the way to the mailbox, and count as invalid.
bool valid_address(std::string_view address);
// "Name <address>", "\"Name\" <address>" or the bare address. nullopt when the address is not valid.
std::optional<Mailbox> parse_mailbox(std::string_view text);

// Control characters and line ends become single spaces, ends are trimmed.
std::string one_line(std::string_view text);
// A server's reply for the record: one line of printable ASCII, at most 500 characters.
std::string clean_reply(std::string_view reply);
// Every line ends in CRLF, as mail wants it.
std::string crlf(std::string_view text);

std::string encode_header_text(std::string_view text);       // an unstructured value (Subject)
std::string encode_mailbox(const Mailbox& mailbox);          // name-addr (From, To)
std::string format_date(std::time_t time);                   // RFC 5322, UTC

}  // namespace portal::helper
