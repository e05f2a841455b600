#include "page/logos.h"

#include <stdexcept>

#include "http/failure.h"
#include "http/request.h"
#include "page/assets.h"
#include "portal/client_portal_config.h"
#include "portal/config_file.h"

namespace portal::page {
namespace {

bool is_picture(std::string_view path) {
    return is_logo_path(path) && file_type(path).starts_with("image/");
}

}  // namespace

std::string Logos::address_of(std::string_view logo) const {
    if (root_.empty() || !is_picture(logo)) {
        return "";
    }
    std::string address = "/portal-assets/logos";
    while (!logo.empty()) {
        const std::string_view part = logo.substr(0, logo.find('/'));
        logo.remove_prefix(part.size() + (part.size() < logo.size() ? 1 : 0));
        address += '/';
        for (const char c : http::percent_encode(part)) {
            address += c == '+' ? "%20" : std::string(1, c);   // a path has no other word for a blank
        }
    }
    return address;
}

http::Response Logos::answer(std::string_view path) const {
    if (root_.empty() || !is_picture(path)) {
        throw http::path_not_found();
    }
    http::Response response;
    try {
        response.body = read_file(root_ + "/" + std::string(path), false);
    } catch (const std::invalid_argument&) {
        throw http::path_not_found();
    }
    response.content_type = file_type(path);
    response.with("Cache-Control", "public, max-age=3600");
    response.with("Content-Security-Policy", "default-src 'none'; sandbox");   // an SVG opened by itself is a document
    return response;
}

}  // namespace portal::page
