// Many readers of event streams in one process. Each comes back with its last id whenever its stream ends, as an
// EventSource does, and remembers the ids it was given. Driven by PortalStreams.pm: a command is a line on stdin, its
// fields separated by tabs, and is answered by a line:
//
//   open NAME TRANSPORT PORT PATH TOKEN   TRANSPORT: http, tls or h2 (without TLS); TOKEN may be empty
//   stall NAME MILLISECONDS               it reads nothing meanwhile
//   told                                  readers with an open stream, events, resets, byes, streams opened so far
//   statuses                              STATUS:COUNT … of what was not 200
//   times                                 events with "at" (Unix seconds) in their data; from then to their arrival in
//                                         ms: median, 99th percentile, last
//   forget                                the times
//   ids FILE                              writes a line per reader: NAME FIRST ID…, FIRST being where it began
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace {

constexpr int most_opening = 64;              // that wait for their answer
constexpr std::int64_t longest_retry = 250;   // ms; streams say more, tests do not want to wait
constexpr std::size_t frame_head = 9;         // bytes, HTTP/2

std::int64_t now() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}
double unix_now() {
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

int epoll_fd;
SSL_CTX* tls_context;

struct Reader {
    enum class Step { closed, connecting, head, body };

    std::string name, transport, path, token;
    std::uint16_t port = 0;
    int fd = -1;
    SSL* tls = nullptr;
    Step step = Step::closed;
    std::string input;            // bytes not yet understood
    std::string text;             // of the stream, up to a frame that is not whole
    bool chunked = false;
    bool over = false;            // it was told bye
    std::int64_t stalled_until = 0;
    std::string last;             // id
    std::int64_t first = -1;
    std::vector<std::int64_t> ids;
};

std::deque<std::unique_ptr<Reader>> readers;
std::unordered_map<std::string, Reader*> by_name;
std::deque<Reader*> waiting;                          // to be opened
std::multimap<std::int64_t, Reader*> later;           // to be opened, or read on, then
std::map<int, int> statuses;
std::vector<float> times;
float last_time = 0;
long opened = 0, opening = 0, events = 0, resets = 0, byes = 0, openings = 0;

void watch(Reader& reader, std::uint32_t what, int operation = EPOLL_CTL_MOD) {
    epoll_event event{};
    event.events = what;
    event.data.ptr = &reader;
    ::epoll_ctl(epoll_fd, operation, reader.fd, &event);
}

void close(Reader& reader) {
    if (reader.step == Reader::Step::closed) {
        return;
    }
    (reader.step == Reader::Step::body ? opened : opening)--;
    reader.step = Reader::Step::closed;
    if (reader.tls) {
        SSL_free(std::exchange(reader.tls, nullptr));
    }
    ::close(std::exchange(reader.fd, -1));
    reader.input.clear();
    reader.text.clear();
    if (!reader.over) {
        later.emplace(now() + longest_retry / 2 + std::rand() % (longest_retry / 2), &reader);
    }
}

void put(Reader& reader, std::string_view bytes) {
    if (reader.tls) {
        SSL_write(reader.tls, bytes.data(), int(bytes.size()));
    } else if (::send(reader.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) {
        close(reader);
    }
}

// ---- HTTP/2, as much as a GET needs

std::string frame(char type, char flags, char stream, std::string_view payload) {
    const char head[] = {char(payload.size() >> 16), char(payload.size() >> 8), char(payload.size()), type, flags,
                         0, 0, 0, stream};
    return std::string(head, sizeof(head)).append(payload);
}

// RFC 7541 section 5.2, without Huffman
std::string string_literal(std::string_view text) {
    std::string bytes;
    if (text.size() < 127) {
        bytes += char(text.size());
    } else {
        bytes += char(127);
        std::size_t rest = text.size() - 127;
        for (; rest >= 128; rest /= 128) {
            bytes += char(rest % 128 + 128);
        }
        bytes += char(rest);
    }
    return bytes.append(text);
}

std::string h2_request(const Reader& reader) {
    std::string headers = "\x82\x86\x04" + string_literal(reader.path) + "\x01" + string_literal("localhost");
    if (!reader.token.empty()) {
        headers += "\x0f\x08" + string_literal("Bearer " + reader.token);
    }
    if (!reader.last.empty()) {
        headers += std::string(1, '\0') + string_literal("last-event-id") + string_literal(reader.last);
    }
    return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, std::string_view("\0\x04\x7f\xff\xff\xff", 6)) +
           frame(8, 0, 0, std::string_view("\x7f\xfe\0\0", 4)) + frame(1, 5, 1, headers);
}

std::string request(const Reader& reader) {
    if (reader.transport == "h2") {
        return h2_request(reader);
    }
    std::string text = "GET " + reader.path + " HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n";
    if (!reader.token.empty()) {
        text += "Authorization: Bearer " + reader.token + "\r\n";
    }
    if (!reader.last.empty()) {
        text += "Last-Event-ID: " + reader.last + "\r\n";
    }
    return text + "\r\n";
}

// ---- opening

void open(Reader& reader) {
    reader.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (reader.transport == "tls" ? 0 : SOCK_NONBLOCK), 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(reader.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ++opening;
    reader.step = Reader::Step::connecting;
    bool connected = ::connect(reader.fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 ||
                     errno == EINPROGRESS;
    if (connected && reader.transport == "tls") {
        reader.tls = SSL_new(tls_context);
        SSL_set_fd(reader.tls, reader.fd);
        connected = SSL_connect(reader.tls) == 1;
        timeval soon{0, 1};   // reads do not wait from here on
        ::setsockopt(reader.fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
    }
    if (!connected) {
        close(reader);
        return;
    }
    watch(reader, EPOLLOUT, EPOLL_CTL_ADD);
}

void answered(Reader& reader, int status) {
    if (status != 200) {
        ++statuses[status];
        close(reader);
        return;
    }
    --opening;
    ++opened;
    ++openings;
    reader.step = Reader::Step::body;
}

// ---- reading

void take(Reader& reader, std::string_view block) {
    std::string_view id, event, data;
    while (!block.empty()) {
        const std::string_view line = block.substr(0, block.find('\n'));
        block.remove_prefix(std::min(line.size() + 1, block.size()));
        if (line.starts_with("id: ")) {
            id = line.substr(4);
        } else if (line.starts_with("event: ")) {
            event = line.substr(7);
        } else if (line.starts_with("data: ")) {
            data = line.substr(6);
        }
    }
    if (!id.empty()) {
        reader.last = id;
        if (reader.first < 0) {
            reader.first = std::atoll(reader.last.c_str());
        }
    }
    if (data.empty()) {
        return;
    }
    if (event == "reset") {
        ++resets;
    } else if (event == "bye") {
        ++byes;
        reader.over = true;
    } else {
        ++events;
        reader.ids.push_back(std::atoll(reader.last.c_str()));
        const std::size_t at = data.find("\"at\":");
        if (at != data.npos) {
            last_time = float((unix_now() - std::strtod(data.data() + at + 5, nullptr)) * 1000);
            times.push_back(last_time);
        }
    }
}

void take_frames(Reader& reader) {
    std::size_t at = 0;
    for (std::size_t end; (end = reader.text.find("\n\n", at)) != std::string::npos; at = end + 2) {
        take(reader, std::string_view(reader.text).substr(at, end - at));
    }
    reader.text.erase(0, at);
}

// Each takes what is whole of reader.input. False: the stream ends.
bool take_h2(Reader& reader) {
    std::size_t at = 0;
    bool goes_on = true;
    while (goes_on && reader.input.size() >= at + frame_head) {
        const auto* head = reinterpret_cast<const unsigned char*>(reader.input.data() + at);
        const std::size_t size = std::size_t(head[0]) << 16 | std::size_t(head[1]) << 8 | head[2];
        if (reader.input.size() < at + frame_head + size) {
            break;
        }
        const std::string_view payload = std::string_view(reader.input).substr(at + frame_head, size);
        const int type = head[3], flags = head[4];
        at += frame_head + size;
        if (type == 0) {
            reader.text.append(payload);
        } else if (type == 1 && reader.step == Reader::Step::head) {
            std::size_t field = 0;   // table size updates may come first
            while (field < payload.size() && (payload[field] & 0xe0) == 0x20) {
                ++field;
            }
            const bool found = field < payload.size() && payload[field] == '\x88';
            answered(reader, found ? 200 : 1);
            if (!found) {
                return true;
            }
        } else if (type == 4 && !(flags & 1)) {
            put(reader, frame(4, 1, 0, {}));
        } else if (type == 6 && !(flags & 1)) {
            put(reader, frame(6, 1, 0, payload));
        } else if (type == 3) {
            goes_on = false;
        }
        if (type <= 1 && (flags & 1)) {
            goes_on = false;
        }
    }
    reader.input.erase(0, at);
    return goes_on;
}

bool take_http(Reader& reader) {
    if (reader.step == Reader::Step::head) {
        const std::size_t end = reader.input.find("\r\n\r\n");
        if (end == std::string::npos) {
            return true;
        }
        const std::string head = reader.input.substr(0, end);
        reader.chunked = head.find("chunked") != std::string::npos;
        reader.input.erase(0, end + 4);
        answered(reader, head.size() > 12 ? std::atoi(head.c_str() + 9) : 0);
        if (reader.step == Reader::Step::closed) {
            return true;
        }
    }
    if (!reader.chunked) {
        reader.text += reader.input;
        reader.input.clear();
        return true;
    }
    std::size_t at = 0;
    bool goes_on = true;
    while (goes_on) {
        const std::size_t line = reader.input.find("\r\n", at);
        if (line == std::string::npos) {
            break;
        }
        const std::size_t size = std::strtoul(reader.input.c_str() + at, nullptr, 16);
        if (reader.input.size() < line + 2 + size + 2) {
            break;
        }
        reader.text.append(reader.input, line + 2, size);
        at = line + 2 + size + 2;
        goes_on = size > 0;
    }
    reader.input.erase(0, at);
    return goes_on;
}

void read(Reader& reader) {
    static char buffer[65536];
    const ssize_t size = reader.tls ? SSL_read(reader.tls, buffer, sizeof(buffer))
                                    : ::recv(reader.fd, buffer, sizeof(buffer), 0);
    if (size <= 0) {
        const bool later_more = reader.tls ? SSL_get_error(reader.tls, int(size)) == SSL_ERROR_WANT_READ
                                           : size < 0 && (errno == EAGAIN || errno == EINTR);
        if (!later_more) {
            close(reader);
        }
        return;
    }
    reader.input.append(buffer, std::size_t(size));
    const bool goes_on = reader.transport == "h2" ? take_h2(reader) : take_http(reader);
    take_frames(reader);
    if (!goes_on || (reader.over && reader.step == Reader::Step::body)) {
        close(reader);
    }
}

void ready(Reader& reader) {
    if (reader.step == Reader::Step::connecting) {
        reader.step = Reader::Step::head;
        watch(reader, EPOLLIN);
        put(reader, request(reader));
    } else if (reader.step != Reader::Step::closed) {
        read(reader);
    }
}

// ---- commands

std::vector<std::string> fields_of(const std::string& line) {
    std::vector<std::string> fields;
    std::size_t at = 0;
    while (true) {
        const std::size_t tab = line.find('\t', at);
        fields.push_back(line.substr(at, tab - at));
        if (tab == std::string::npos) {
            return fields;
        }
        at = tab + 1;
    }
}

std::string answer(const std::string& line) {
    std::vector<std::string> field = fields_of(line);
    const std::string& command = field[0];
    if (command == "open" && field.size() == 6) {
        auto reader = std::make_unique<Reader>();
        reader->name = field[1];
        reader->transport = field[2];
        reader->port = std::uint16_t(std::stoi(field[3]));
        reader->path = field[4];
        reader->token = field[5];
        waiting.push_back(reader.get());
        by_name[reader->name] = reader.get();
        readers.push_back(std::move(reader));
        return "ok";
    }
    if (command == "stall" && field.size() == 3 && by_name.contains(field[1])) {
        Reader& reader = *by_name[field[1]];
        reader.stalled_until = now() + std::stoll(field[2]);
        if (reader.fd >= 0) {
            watch(reader, 0);
        }
        later.emplace(reader.stalled_until, &reader);
        return "ok";
    }
    if (command == "told") {
        char text[128];
        std::snprintf(text, sizeof(text), "%ld %ld %ld %ld %ld", opened, events, resets, byes, openings);
        return text;
    }
    if (command == "statuses") {
        std::string text;
        for (const auto& [status, count] : statuses) {
            text += std::to_string(status) + ":" + std::to_string(count) + " ";
        }
        return text;
    }
    if (command == "times") {
        char text[128];
        std::sort(times.begin(), times.end());
        const auto part = [](double share) { return times.empty() ? 0 : times[std::size_t(double(times.size() - 1) * share)]; };
        std::snprintf(text, sizeof(text), "%zu %.3f %.3f %.3f", times.size(), part(0.5), part(0.99), last_time);
        return text;
    }
    if (command == "forget") {
        times.clear();
        return "ok";
    }
    if (command == "ids" && field.size() == 2) {
        std::ofstream file(field[1]);
        for (const auto& reader : readers) {
            file << reader->name << ' ' << reader->first;
            for (std::int64_t id : reader->ids) {
                file << ' ' << id;
            }
            file << '\n';
        }
        return "ok";
    }
    return "what?";
}

// False: whoever drives this is gone.
bool take_commands() {
    static std::string input;
    char buffer[4096];
    const ssize_t size = ::read(STDIN_FILENO, buffer, sizeof(buffer));
    if (size <= 0) {
        return false;
    }
    input.append(buffer, std::size_t(size));
    for (std::size_t end; (end = input.find('\n')) != std::string::npos; input.erase(0, end + 1)) {
        std::cout << answer(input.substr(0, end)) << std::endl;
    }
    return true;
}

void take_up_what_is_due() {
    while (!later.empty() && later.begin()->first <= now()) {
        Reader& reader = *later.begin()->second;
        later.erase(later.begin());
        if (reader.step == Reader::Step::closed) {
            waiting.push_back(&reader);
        } else if (reader.stalled_until <= now() && reader.step != Reader::Step::connecting) {
            watch(reader, EPOLLIN);
        }
    }
    while (!waiting.empty() && opening < most_opening) {
        Reader& reader = *waiting.front();
        waiting.pop_front();
        if (reader.step == Reader::Step::closed && !reader.over) {
            open(reader);
        }
    }
}

}  // namespace

int main() {
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    tls_context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(tls_context, SSL_MODE_RELEASE_BUFFERS);
    epoll_fd = ::epoll_create1(EPOLL_CLOEXEC);
    epoll_event commands{};
    commands.events = EPOLLIN;
    ::epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &commands);
    while (true) {
        take_up_what_is_due();
        epoll_event ready_events[512];
        const int count = ::epoll_wait(epoll_fd, ready_events, 512, later.empty() ? -1 : 20);
        for (int i = 0; i < count; ++i) {
            if (ready_events[i].data.ptr) {
                ready(*static_cast<Reader*>(ready_events[i].data.ptr));
            } else if (!take_commands()) {
                return 0;
            }
        }
    }
}
