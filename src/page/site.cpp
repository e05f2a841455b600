#include "page/site.h"

#include <filesystem>
#include <stdexcept>

#include "portal/config_file.h"

namespace portal::page {
namespace {

namespace mustache = kainjow::mustache;
using http::Json;

// The language's name in itself, as the links that switch to it say it.
constexpr std::pair<std::string_view, const char*> language_names[] = {{"en", "English"}, {"de", "Deutsch"}};

std::string content_policy(const Settings& settings) {
    std::string ancestors;
    for (const std::string& origin : settings.frame_ancestors) {
        ancestors += " " + origin;
    }
    return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
           "form-action 'self'; base-uri 'none'; frame-ancestors" +
           (ancestors.empty() ? " 'none'" : ancestors);
}

mustache::mustache load_template(const std::string& files, const std::string& overrides) {
    std::string path = overrides + "/page.html";
    if (overrides.empty() || !std::filesystem::exists(path)) {
        path = files + "/page.html";
    }
    mustache::mustache parsed(read_file(path, false));
    if (!parsed.is_valid()) {
        throw std::invalid_argument(path + ": " + parsed.error_message());
    }
    return parsed;
}

// JSON that cannot end the element it stands in.
std::string embedded(const Json& json) {
    std::string safe;
    for (const char c : json.dump()) {
        switch (c) {
            case '<': safe += "\\u003c"; break;
            case '>': safe += "\\u003e"; break;
            case '&': safe += "\\u0026"; break;
            default: safe += c;
        }
    }
    return safe;
}

// Sections of the template are written where their value is there.
void set_text(mustache::data& values, const char* name, const std::string& text) {
    if (!text.empty()) {
        values.set(name, text);
    }
}

mustache::data form_data(const Form& form, const std::string& base) {
    mustache::data values;
    values.set("action", base + form.action);
    mustache::data hidden(mustache::data::type::list);
    for (const auto& [name, value] : form.hidden) {
        mustache::data field;
        field.set("name", name);
        field.set("value", value);
        hidden.push_back(field);
    }
    values.set("hidden", hidden);
    mustache::data choices(mustache::data::type::list);
    for (const Form::Choice& choice : form.choices) {
        mustache::data button;
        button.set("name", choice.name);
        button.set("value", choice.value);
        button.set("text", choice.text);
        choices.push_back(button);
    }
    values.set("has_choices", !form.choices.empty());
    values.set("choices", choices);
    values.set("email_field", form.field == Form::Field::email);
    values.set("code_field", form.field == Form::Field::code);
    values.set("label", form.label);
    values.set("value", form.value);
    set_text(values, "button", form.button);
    return values;
}

// `here` as a link that switches to the language.
std::string in_language(std::string here, std::string_view language) {
    here += here.find('?') == std::string::npos ? "?lang=" : "&lang=";
    return here.append(language);
}

}  // namespace

std::string initials_of(std::string_view name) {
    std::string first, last;
    bool begins = true;
    for (std::size_t at = 0; at < name.size(); ++at) {
        const char c = name[at];
        if (std::string_view(" \t@._-").find(c) != std::string_view::npos) {
            begins = true;
        } else if (begins) {
            begins = false;
            std::size_t end = at + 1;
            while (end < name.size() && (static_cast<unsigned char>(name[end]) & 0xc0) == 0x80) {
                ++end;   // the rest of a UTF-8 character
            }
            std::string letter(name.substr(at, end - at));
            if (c >= 'a' && c <= 'z') {
                letter[0] = char(c & ~0x20);
            }
            (first.empty() ? first : last) = letter;
        }
    }
    return first.empty() ? "?" : first + last;
}

Site::Site(const std::string& files, const std::string& overrides, const Settings& settings)
    : base_(settings.base_path()),
      origin_(settings.base_url.substr(0, settings.base_url.size() - base_.size())),
      policy_(content_policy(settings)),
      framed_(!settings.frame_ancestors.empty()),
      texts_(Texts::load(files, overrides)),
      assets_(Assets::load(files, overrides)),
      logos_(settings.portal_logo_root),
      template_(load_template(files, overrides)) {}

// The address of a tenant's logo, "" for none. One of another host is not asked for.
std::string Site::logo_of(const House& house) const {
    const std::string logo = house.portal_logo.value_or("");
    const std::string address = logos_.address_of(logo);
    return !address.empty() ? base_ + address : logo.starts_with(origin_ + "/") ? logo : "";
}

// Of whoever's page it is.
std::string Site::picture_of(const View& view) const {
    if (!view.house) {
        return "";
    }
    if (view.part == Part::client_portal) {
        return logo_of(*view.house);
    }
    const std::string avatar = view.house->avatar_url.value_or("");
    return avatar.starts_with(origin_ + "/") ? avatar : "";
}

Json Site::data_of(const View& view) const {
    const bool client = view.part == Part::client_portal;
    Json workspace(nullptr), branding(nullptr);
    if (view.house) {
        const House& house = *view.house;
        workspace = Json::object({{"id", house.id},
                                  {"name", house.name},
                                  {"slug", house.slug},
                                  {"avatar_url", house.avatar_url},
                                  {"share_url", house.share_url},
                                  {"lists_hosts", house.lists_hosts}});
        const std::string logo = logo_of(house);
        branding = Json::object({{"portal_name", house.portal_name},
                                 {"portal_logo", logo.empty() ? Json(nullptr) : Json(logo)},
                                 {"primary_color", house.primary_color},
                                 {"secondary_color", house.secondary_color}});
    }
    return Json::object({{"page", client ? "client-portal" : "portal"},
                         {"base", base_},
                         {"language", view.language},
                         {"email", view.email},
                         {"workspace", workspace},
                         {"session", view.session},
                         {"return_to", view.return_to},
                         {"branding", client ? branding : Json(nullptr)}});
}

http::Response Site::render(const View& view) {
    const std::string name = view.house ? view.house->name : texts_.say(view.language, "app.title");
    const std::string assets = base_ + "/portal-assets/";
    mustache::data values;
    values.set("language", std::string(view.language));
    values.set("title", view.heading == name ? name : view.heading + " · " + name);
    values.set("name", name);
    values.set("initials", initials_of(name));
    set_text(values, "picture", picture_of(view));
    values.set("heading", view.heading);
    set_text(values, "lead", view.lead);
    set_text(values, "notice", view.notice);
    // of one who is signed in or comes by a link the script shows something else
    values.set("waiting", view.session || (view.form && view.form->field == Form::Field::none));
    mustache::data styles(mustache::data::type::list);
    for (const std::string& style : assets_.styles()) {
        styles.push_back(assets + style);
    }
    values.set("styles", styles);
    if (view.script) {
        values.set("script", assets + assets_.script());
        values.set("data", embedded(data_of(view)));
    }
    if (view.form) {
        values.set("form", form_data(*view.form, base_));
    }
    mustache::data ways(mustache::data::type::list);
    for (const auto& [address, text] : view.ways) {
        mustache::data way;
        way.set("address", base_ + address);
        way.set("text", text);
        ways.push_back(way);
    }
    values.set("has_ways", !view.ways.empty());
    values.set("ways", ways);
    mustache::data languages_list(mustache::data::type::list);
    for (const auto& [language, in_itself] : language_names) {
        mustache::data link;
        link.set("language", std::string(language));
        link.set("address", in_language(view.here.empty() ? "" : base_ + view.here, language));
        link.set("in_itself", in_itself);
        link.set("current", language == view.language);
        languages_list.push_back(link);
    }
    values.set("languages", languages_list);
    values.set("language_label", texts_.say(view.language, "app.language"));

    http::Response response;
    response.status = view.status;
    response.body = template_.render(values);
    response.content_type = "text/html; charset=utf-8";
    response.with("Content-Security-Policy", policy_);
    response.with("Content-Language", std::string(view.language));
    if (!framed_) {
        response.with("X-Frame-Options", "DENY");
    }
    for (const auto& [header, value] : view.headers) {
        response.with(header, value);
    }
    return response;
}

}  // namespace portal::page
