#include "page/assets.h"

#include <algorithm>
#include <filesystem>
#include <stdexcept>

#include "http/failure.h"
#include "http/json.h"
#include "portal/config_file.h"
#include "portal/email.h"
#include "portal/hmac.h"
#include "portal/secrets.h"

namespace portal::page {
namespace {

namespace files = std::filesystem;
using http::Json;

constexpr std::pair<std::string_view, std::string_view> types[] = {
    {".js", "text/javascript; charset=utf-8"}, {".css", "text/css; charset=utf-8"}, {".svg", "image/svg+xml"},
    {".png", "image/png"},                     {".jpg", "image/jpeg"},              {".jpeg", "image/jpeg"},
    {".webp", "image/webp"},                   {".gif", "image/gif"},               {".ico", "image/x-icon"},
    {".woff2", "font/woff2"},
};

std::string optional_file(const std::string& path) {
    return files::exists(path) ? read_file(path, false) : "";
}

// "gzip;q=0" is not accepted; what is not named is not either.
bool accepts(std::string_view codings, std::string_view wanted) {
    while (!codings.empty()) {
        const std::size_t end = std::min(codings.find(','), codings.size());
        std::string one = ascii_lower(codings.substr(0, end));
        std::erase_if(one, [](char c) { return c == ' ' || c == '\t'; });
        const std::size_t weight = one.find(";q=");
        if (std::string_view(one).substr(0, one.find(';')) == wanted) {
            return weight == one.npos || one.find_first_of("123456789", weight) != one.npos;
        }
        codings.remove_prefix(std::min(end + 1, codings.size()));
    }
    return false;
}

std::string base_name(std::string_view path) { return std::string(path.substr(path.rfind('/') + 1)); }

}  // namespace

std::string_view file_type(std::string_view name) {
    const auto found = std::ranges::find_if(types, [&](const auto& each) { return name.ends_with(each.first); });
    return found == std::end(types) ? std::string_view() : found->second;
}

void Assets::add(const std::string& path, const std::string& name, bool immutable) {
    const std::string_view type = file_type(name);
    if (type.empty()) {
        throw std::invalid_argument(path + ": a kind of file that the page does not serve");
    }
    assets_[name] = {type, read_file(path, false), optional_file(path + ".gz"), optional_file(path + ".br"), immutable};
}

Assets Assets::load(const std::string& directory, const std::string& overrides) {
    Assets assets;
    const std::string path = directory + "/.vite/manifest.json";
    const Json manifest = Json::parse(read_file(path, false));
    const Json entry = manifest["page/main.tsx"];
    if (!entry.is_object()) {
        throw std::invalid_argument(path + ": no page/main.tsx in it");
    }
    for (const auto& file : files::directory_iterator(directory + "/assets")) {
        const std::string name = file.path().filename();
        if (!name.ends_with(".gz") && !name.ends_with(".br")) {
            assets.add(file.path(), name, true);
        }
    }
    assets.script_ = base_name(entry["file"].text());
    for (std::size_t index = 0; index < entry["css"].size(); ++index) {
        assets.styles_.push_back(base_name(entry["css"][index].text()));
    }
    if (overrides.empty()) {
        return assets;
    }
    const std::string style = overrides + "/style.css";
    if (files::exists(style)) {
        const std::string name = "style-" + hex(sha256(read_file(style, false))).substr(0, 12) + ".css";
        assets.add(style, name, true);
        assets.styles_.push_back(name);
    }
    if (files::is_directory(overrides + "/assets")) {
        for (const auto& file : files::directory_iterator(overrides + "/assets")) {
            assets.add(file.path(), file.path().filename(), false);
        }
    }
    return assets;
}

http::Response Assets::answer(const http::Request& request, std::string_view name) const {
    const auto found = assets_.find(name);
    if (found == assets_.end()) {
        throw http::path_not_found();
    }
    const Asset& asset = found->second;
    const std::string_view codings = request.header("accept-encoding").value_or("");
    http::Response response;
    response.content_type = asset.type;
    response.text = asset.plain;
    response.with("Cache-Control", asset.immutable ? "public, max-age=31536000, immutable" : "public, max-age=3600");
    if (!asset.brotli.empty() || !asset.gzip.empty()) {
        response.with("Vary", "Accept-Encoding");
    }
    if (!asset.brotli.empty() && accepts(codings, "br")) {
        response.text = asset.brotli;
        response.with("Content-Encoding", "br");
    } else if (!asset.gzip.empty() && accepts(codings, "gzip")) {
        response.text = asset.gzip;
        response.with("Content-Encoding", "gzip");
    }
    return response;
}

}  // namespace portal::page
