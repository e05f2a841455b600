#include "helper/templates.h"

#include <algorithm>
#include <stdexcept>

#include "helper/message.h"
#include "portal/config_file.h"

namespace portal::helper {

namespace mustache = kainjow::mustache;

namespace {

mustache::mustache load_one(const std::string& path, bool html) {
    mustache::mustache parsed(read_file(path, false));
    if (!parsed.is_valid()) {
        throw std::invalid_argument(path + ": " + parsed.error_message());
    }
    if (!html) {
        parsed.set_custom_escape([](const std::string& value) { return value; });
    }
    return parsed;
}

}  // namespace

Templates Templates::load(const std::string& directory, const std::string& name) {
    std::string stem = directory + "/" + name;
    return Templates(load_one(stem + ".subject", false), load_one(stem + ".txt", false),
                     load_one(stem + ".html", true));
}

Templates::Rendered Templates::render(const mustache::data& values) {
    Rendered rendered;
    rendered.subject = one_line(subject_.render(values));
    rendered.text = text_.render(values);
    rendered.html = html_.render(values);
    return rendered;
}

mustache::data lines_of(const std::string& text) {
    mustache::data lines(mustache::data::type::list);
    std::string normal = crlf(text);
    std::size_t start = 0;
    while (start <= normal.size()) {
        std::size_t end = std::min(normal.find("\r\n", start), normal.size());
        lines.push_back(normal.substr(start, end - start));
        start = end + 2;
    }
    return lines;
}

}  // namespace portal::helper
