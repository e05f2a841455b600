// What an nginx configuration says, as nginx itself prints it with all its includes (nginx -T).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace portal::ctl {

struct NginxDirective {
    std::string name;
    std::vector<std::string> arguments;
    bool has(std::string_view argument) const;
};

class NginxConf {
  public:
    // Asks the nginx on the path. Throws Refused with nginx's own words when it does not take the file, Unreachable
    // when there is no nginx.
    static NginxConf read(const std::string& file);
    // All directives in order, whatever block they stand in.
    static NginxConf parse(std::string_view text);

    // The first argument of the directive's first occurrence; "" when there is none.
    std::string value(std::string_view name) const;
    const NginxDirective* find(std::string_view name) const;
    const std::vector<NginxDirective>& directives() const { return directives_; }

  private:
    std::vector<NginxDirective> directives_;
};

}  // namespace portal::ctl
