#include "helper/message.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace portal::helper {

namespace {

constexpr std::size_t literal_limit = 60;       // longer values are folded by being encoded
constexpr std::size_t encoded_word_bytes = 39;  // 52 characters of base64: a word stays below 75 with its frame

bool is_control(char byte) {
    return (byte >= 0 && byte < ' ') || byte == 0x7f;
}

bool is_plain(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char byte) { return byte >= ' ' && byte < 0x7f; });
}

bool is_atom_character(char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
           (byte != 0 && std::string_view("!#$%&'*+-/=?^_`{|}~").find(byte) != std::string_view::npos);
}

bool is_dot_atom(std::string_view text) {
    bool expect_atom = true;
    for (char byte : text) {
        if (byte == '.' ? expect_atom : !is_atom_character(byte)) {
            return false;
        }
        expect_atom = byte == '.';
    }
    return !expect_atom;
}

std::string base64(std::string_view bytes) {
    static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        std::size_t count = std::min<std::size_t>(3, bytes.size() - at);
        unsigned group = 0;
        for (std::size_t one = 0; one < 3; ++one) {
            group = group << 8 | (one < count ? std::uint8_t(bytes[at + one]) : 0u);
        }
        for (std::size_t digit = 0; digit < 4; ++digit) {
            text.push_back(digit <= count ? digits[group >> (18 - 6 * digit) & 63] : '=');
        }
    }
    return text;
}

// RFC 2047 words on lines of their own, cut between characters.
std::string encoded_words(std::string_view text) {
    std::string words;
    while (!text.empty()) {
        std::size_t size = std::min(encoded_word_bytes, text.size());
        while (size < text.size() && size > encoded_word_bytes - 4 && (text[size] & 0xc0) == 0x80) {
            --size;
        }
        if (!words.empty()) {
            words += "\r\n ";
        }
        words += "=?UTF-8?B?" + base64(text.substr(0, size)) + "?=";
        text.remove_prefix(size);
    }
    return words;
}

}  // namespace

bool valid_address(std::string_view address) {
    std::size_t at = address.find('@');
    if (at == std::string_view::npos || address.size() > 254 || at > 64) {
        return false;
    }
    std::string_view domain = address.substr(at + 1);
    return is_dot_atom(address.substr(0, at)) && is_dot_atom(domain);
}

std::optional<Mailbox> parse_mailbox(std::string_view text) {
    Mailbox mailbox;
    std::size_t open = text.rfind('<');
    if (open == std::string_view::npos) {
        mailbox.address = one_line(text);
    } else {
        std::size_t close = text.find('>', open);
        if (close == std::string_view::npos || !one_line(text.substr(close + 1)).empty()) {
            return std::nullopt;
        }
        mailbox.address = text.substr(open + 1, close - open - 1);
        mailbox.name = one_line(text.substr(0, open));
        if (mailbox.name.size() >= 2 && mailbox.name.front() == '"' && mailbox.name.back() == '"') {
            mailbox.name = mailbox.name.substr(1, mailbox.name.size() - 2);
        }
    }
    if (!valid_address(mailbox.address)) {
        return std::nullopt;
    }
    return mailbox;
}

std::string one_line(std::string_view text) {
    std::string line;
    for (char byte : text) {
        char one = is_control(byte) ? ' ' : byte;
        if (one != ' ' || (!line.empty() && line.back() != ' ')) {
            line.push_back(one);
        }
    }
    while (line.ends_with(' ')) {
        line.pop_back();
    }
    return line;
}

std::string clean_reply(std::string_view reply) {
    std::string line = one_line(reply);
    for (char& byte : line) {
        if (byte < ' ' || byte >= 0x7f) {
            byte = '?';
        }
    }
    if (line.size() > 500) {
        line.resize(500);
    }
    return line;
}

std::string crlf(std::string_view text) {
    std::string lines;
    lines.reserve(text.size() + text.size() / 16);
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] == '\r') {
            lines += "\r\n";
            at += at + 1 < text.size() && text[at + 1] == '\n' ? 1 : 0;
        } else if (text[at] == '\n') {
            lines += "\r\n";
        } else {
            lines.push_back(text[at]);
        }
    }
    return lines;
}

std::string encode_header_text(std::string_view text) {
    std::string line = one_line(text);
    // "=?" would be read as the start of an encoded word
    if (is_plain(line) && line.size() <= literal_limit && line.find("=?") == std::string::npos) {
        return line;
    }
    return encoded_words(line);
}

std::string encode_mailbox(const Mailbox& mailbox) {
    std::string name = one_line(mailbox.name);
    if (name.empty()) {
        return "<" + mailbox.address + ">";
    }
    std::string phrase;
    if (is_plain(name) && name.size() <= literal_limit && name.find("=?") == std::string::npos) {
        phrase.push_back('"');
        for (char byte : name) {
            if (byte == '"' || byte == '\\') {
                phrase.push_back('\\');
            }
            phrase.push_back(byte);
        }
        phrase.push_back('"');
    } else {
        phrase = encoded_words(name);
    }
    // on a line of its own: an address may be 254 characters long
    return phrase + "\r\n <" + mailbox.address + ">";
}

std::string format_date(std::time_t time) {
    static constexpr std::array days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr std::array months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    std::tm utc{};
    gmtime_r(&time, &utc);
    char text[64];
    std::snprintf(text, sizeof(text), "%s, %02d %s %04d %02d:%02d:%02d +0000",
                  days[std::size_t(utc.tm_wday)], utc.tm_mday, months[std::size_t(utc.tm_mon)],
                  utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
    return text;
}

std::vector<std::string> Message::headers() const {
    std::vector<std::string> lines{
        "Date: " + format_date(date),
        "From: " + encode_mailbox(from),
        "To: " + encode_mailbox(to),
    };
    if (!reply_to.empty()) {
        lines.push_back("Reply-To: <" + reply_to + ">");
    }
    lines.push_back("Subject: " + encode_header_text(subject));
    lines.push_back("Message-ID: <" + message_id + ">");
    lines.push_back("Auto-Submitted: auto-generated");
    return lines;
}

}  // namespace portal::helper
