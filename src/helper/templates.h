// Templates: the mustache files of one mail (conf/mail/NAME.subject, NAME.txt, NAME.html), read once at start.
#pragma once

#include <kainjow/mustache.hpp>

#include <string>

namespace portal::helper {

class Templates {
  public:
    struct Rendered {
        std::string subject, text, html;
    };

    // Throws std::invalid_argument naming the file that is missing or malformed.
    static Templates load(const std::string& directory, const std::string& name);

    // Values are HTML-escaped in the HTML part and nowhere else.
    Rendered render(const kainjow::mustache::data& values);

  private:
    Templates(kainjow::mustache::mustache subject, kainjow::mustache::mustache text,
              kainjow::mustache::mustache html)
        : subject_(std::move(subject)), text_(std::move(text)), html_(std::move(html)) {}

    kainjow::mustache::mustache subject_, text_, html_;
};

// Lines of a text, as a list whose elements a template writes with {{.}}.
kainjow::mustache::data lines_of(const std::string& text);

}  // namespace portal::helper
