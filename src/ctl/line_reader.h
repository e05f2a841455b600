// LineReader: a file or standard input, line by line, in bounded memory.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace portal::ctl {

class LineReader {
  public:
    // "-" is standard input. Throws Refused when the file cannot be read.
    explicit LineReader(const std::string& path);
    ~LineReader();
    LineReader(const LineReader&) = delete;

    // The next line without its end; false at the end of the file. A line longer than 1 MiB comes
    // cut off there, and too_long() says so.
    bool next(std::string& line);
    bool too_long() const { return too_long_; }

    std::int64_t line() const { return line_; }  // the number of the line that next() gave, from 1
    std::int64_t bytes() const { return bytes_; }  // read so far
    std::int64_t size() const { return size_; }    // of the file; 0 where nobody can tell

  private:
    std::FILE* file_;
    std::string path_;
    std::vector<char> buffer_;
    std::size_t at_ = 0, end_ = 0;
    std::int64_t line_ = 0, bytes_ = 0, size_ = 0;
    bool too_long_ = false;
};

}  // namespace portal::ctl
