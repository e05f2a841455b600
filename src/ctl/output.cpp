#include "ctl/output.h"

#include <algorithm>
#include <cstdio>

namespace portal::ctl {
namespace {

using http::Json;

bool continues(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

std::size_t width(std::string_view text) {
    return std::size_t(
        std::count_if(text.begin(), text.end(), [](char c) { return !continues(c); }));
}

std::string printable(std::string_view text) {
    std::string clean;
    for (std::size_t at = 0; at < text.size(); ++at) {
        auto byte = static_cast<unsigned char>(text[at]);
        // C0, DEL, and C1 as UTF-8 writes it
        bool c1 =
            byte == 0xc2 && at + 1 < text.size() && static_cast<unsigned char>(text[at + 1]) < 0xa0;
        if (byte < 0x20 || byte == 0x7f || c1) {
            clean += '?';
            at += c1 ? 1 : 0;
        } else {
            clean += text[at];
        }
    }
    return clean;
}

}  // namespace

std::string cell(const Json& value) {
    if (!value.present() || value.is_null()) {
        return "-";
    }
    if (value.is_string()) {
        return value.text().empty() ? "-" : printable(value.text());
    }
    if (value.is_boolean()) {
        return value.boolean() ? "yes" : "no";
    }
    if (!value.is_array()) {
        return value.dump();
    }
    std::string joined;
    for (std::size_t at = 0; at < value.size(); ++at) {
        joined += (at == 0 ? "" : " ") + cell(value[at]);
    }
    return joined.empty() ? "-" : joined;
}

void print_line(std::string_view text) { std::printf("%.*s\n", int(text.size()), text.data()); }

void print_json(const Json& value) { print_line(value.dump()); }

void print_record(const Json& record) {
    const char* name = nullptr;
    json_t* value = nullptr;
    std::size_t longest = 0;
    json_object_foreach(record.get(), name, value) {
        longest = std::max(longest, std::string_view(name).size());
    }
    json_object_foreach(record.get(), name, value) {
        std::printf("%-*s  %s\n", int(longest), name, cell(Json::borrow(value)).c_str());
    }
}

void print_table(const Json& rows, const std::vector<Column>& columns, const char* none) {
    if (rows.size() == 0) {
        print_line(none);
        return;
    }
    std::vector<std::vector<std::string>> lines(1);
    for (const Column& column : columns) {
        lines[0].push_back(column.heading);
    }
    for (std::size_t at = 0; at < rows.size(); ++at) {
        std::vector<std::string>& line = lines.emplace_back();
        for (const Column& column : columns) {
            line.push_back(cell(rows[at][column.member]));
        }
    }
    std::vector<std::size_t> widths(columns.size());
    for (const auto& line : lines) {
        for (std::size_t at = 0; at < line.size(); ++at) {
            widths[at] = std::max(widths[at], width(line[at]));
        }
    }
    for (const auto& line : lines) {
        std::string text;
        for (std::size_t at = 0; at < line.size(); ++at) {
            text += line[at];
            if (at + 1 < line.size()) {
                text.append(widths[at] - width(line[at]) + 2, ' ');
            }
        }
        print_line(text);
    }
}

void print_page(const Page& page, const std::vector<Column>& columns, const char* none) {
    print_table(page.data, columns, page.total == 0 ? none : "Nothing on this page.");
    std::int64_t pages = (page.total + page.per_page - 1) / page.per_page;
    if (pages > 1) {
        std::printf("Page %lld of %lld, %lld in all (--page N, --limit N)\n",
                    static_cast<long long>(page.page), static_cast<long long>(pages),
                    static_cast<long long>(page.total));
    }
}

}  // namespace portal::ctl
