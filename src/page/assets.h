// Assets: the script and the stylesheets, in memory, as the build made them (src/web/build) and compressed them.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "http/request.h"
#include "http/response.h"

namespace portal::page {

// Its media type by its name's end; "" for what the page does not serve.
std::string_view file_type(std::string_view name);

class Assets {
  public:
    // DIRECTORY/.vite/manifest.json and DIRECTORY/assets; of OVERRIDES its style.css, and the files of its assets. Throws
    // std::invalid_argument naming the file.
    static Assets load(const std::string& directory, const std::string& overrides);

    const std::string& script() const { return script_; }                // by their names here
    const std::vector<std::string>& styles() const { return styles_; }

    // The file in the smallest coding the request accepts; 404 where there is none. The answer refers to this.
    http::Response answer(const http::Request& request, std::string_view name) const;

  private:
    struct Asset {
        std::string_view type;
        std::string plain, gzip, brotli;
        bool immutable = true;   // its name changes with what is in it
    };
    void add(const std::string& path, const std::string& name, bool immutable);

    std::map<std::string, Asset, std::less<>> assets_;
    std::string script_;
    std::vector<std::string> styles_;
};

}  // namespace portal::page
