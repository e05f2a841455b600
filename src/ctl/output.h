// What portalctl prints: JSON for machines, tables for people. Control characters in data are not
// sent to a terminal.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "http/json.h"
#include "portal/page.h"

namespace portal::ctl {

struct Column {
    const char* heading;
    const char* member;
};

// A value as a cell: null is "-", a list is joined with spaces, true is yes.
std::string cell(const http::Json& value);

void print_line(std::string_view text);
void print_json(const http::Json& value);
// One member a line, for people.
void print_record(const http::Json& record);
// Rows under a heading, or the sentence `none`.
void print_table(const http::Json& rows, const std::vector<Column>& columns, const char* none);
// A page of them, and where it lies in the whole.
void print_page(const Page& page, const std::vector<Column>& columns, const char* none);

}  // namespace portal::ctl
