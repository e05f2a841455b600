#include "helper/outbox_mail.h"

#include <ctime>
#include <utility>

namespace portal::helper {

std::optional<Unsendable> unsendable(const io::Row& row) {
    if (!row.null("dead")) {
        return Unsendable{true, row.string("dead")};
    }
    if (!valid_address(row.text("email"))) {
        return Unsendable{true, "the email address cannot be used: it needs SMTPUTF8 or is malformed"};
    }
    return std::nullopt;
}

Message outbox_message(const io::Row& row, Templates::Rendered rendered, std::string_view base_url) {
    Message message;
    message.to.address = row.string("email");
    if (valid_address(row.text("mail_reply_to"))) {
        message.reply_to = row.string("mail_reply_to");
    }
    message.subject = std::move(rendered.subject);
    message.text = std::move(rendered.text);
    message.html = std::move(rendered.html);
    message.message_id = row.string("message_id") + "@" + host_of(base_url);
    message.date = std::time(nullptr);
    return message;
}

std::string host_of(std::string_view url) {
    std::size_t scheme = url.find("://");
    std::string_view rest = scheme == std::string_view::npos ? url : url.substr(scheme + 3);
    rest = rest.substr(0, rest.find('/'));
    if (rest.starts_with('[')) {
        return std::string(rest.substr(0, rest.find(']') + 1));
    }
    return std::string(rest.substr(0, rest.find(':')));
}

}  // namespace portal::helper
