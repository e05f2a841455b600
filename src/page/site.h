// Site: all that portal_page serves and that no database has: template, texts, script and styles. Read once, while nginx
// reads its configuration: a worker opens no file for a page.
//
// OVERRIDES may hold page.html, messages/LANGUAGE.json, style.css (after ours) and assets/ (served beside ours): see the
// README, The page.
#pragma once

#include <kainjow/mustache.hpp>

#include <string>
#include <string_view>

#include "http/response.h"
#include "page/assets.h"
#include "page/logos.h"
#include "page/texts.h"
#include "page/view.h"
#include "portal/settings.h"

namespace portal::page {

class Site {
  public:
    // Throws std::exception whose text names the file that is missing or malformed.
    Site(const std::string& files, const std::string& overrides, const Settings& settings);

    const Texts& texts() const { return texts_; }
    const Assets& assets() const { return assets_; }
    const Logos& logos() const { return logos_; }
    const std::string& base() const { return base_; }   // path of the base URL: "" or "/prefix"

    http::Response render(const View& view);

  private:
    http::Json data_of(const View& view) const;
    std::string logo_of(const House& house) const;
    std::string picture_of(const View& view) const;

    std::string base_, origin_, policy_;
    bool framed_;
    Texts texts_;
    Assets assets_;
    Logos logos_;
    kainjow::mustache::mustache template_;
};

}  // namespace portal::page
