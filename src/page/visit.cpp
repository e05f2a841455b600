#include "page/visit.h"

namespace portal::page {
namespace {

View begin(const Visit& visit, std::optional<House> house) {
    View view;
    view.part = visit.address.kind == Address::Kind::client_portal ? Part::client_portal : Part::portal;
    view.language = visit.language;
    view.house = std::move(house);
    return view;
}

std::string name_of(const Visit& visit, const std::optional<House>& house) {
    return house ? house->name : visit.say("sign_in.some_workspace");
}

}  // namespace

std::string Visit::duration(std::int64_t seconds) const {
    const bool minutes = seconds > 90;
    const std::string number = std::to_string(minutes ? (seconds + 59) / 60 : seconds);
    return say(minutes ? "page.minutes" : "page.seconds", {{"n", number}});
}

std::string portal_path(const std::optional<House>& house) {
    return house ? "/" + house->slug + "/portal" : "/portal";
}

View email_view(const Visit& visit, std::optional<House> house) {
    View view = begin(visit, std::move(house));
    view.heading = view.house ? visit.say("sign_in.title_at", {{"name", view.house->name}}) : visit.say("sign_in.title");
    view.lead = visit.say("sign_in.lead");
    Form form;
    form.action = portal_path(view.house) + "/request";
    form.field = Form::Field::email;
    form.label = visit.say("sign_in.email");
    form.button = visit.say("sign_in.send");
    view.form = std::move(form);
    return view;
}

View code_view(const Visit& visit, std::optional<House> house) {
    View view = begin(visit, std::move(house));
    view.heading = visit.say("sign_in.code_title");
    view.lead = visit.say("page.code_lead");
    Form form;
    form.action = portal_path(view.house) + "/authenticate";
    form.field = Form::Field::code;
    form.label = visit.say("sign_in.code");
    form.button = visit.say("sign_in.verify");
    view.form = std::move(form);
    view.ways.emplace_back(portal_path(view.house), visit.say("sign_in.new_code"));
    return view;
}

View link_view(const Visit& visit, std::optional<House> house, std::string token) {
    View view = begin(visit, std::move(house));
    view.heading = visit.say("link.title");
    view.lead = visit.say("link.open_lead", {{"name", name_of(visit, view.house)}});
    Form form;
    form.action = (view.part == Part::client_portal ? "/client-portal" : portal_path(view.house)) + "/exchange";
    form.hidden.emplace_back("token", std::move(token));
    if (view.house) {
        form.hidden.emplace_back("workspace", view.house->slug);
    }
    form.button = visit.say("link.open");
    view.form = std::move(form);
    return view;
}

View missing_link_view(const Visit& visit, std::optional<House> house, bool ended) {
    View view = begin(visit, std::move(house));
    const std::string name = name_of(visit, view.house);
    view.heading = visit.say(ended ? "link.expired_title" : "link.missing_title");
    view.lead = visit.say(ended ? "link.contact_expired" : "link.missing", {{"name", name}});
    return view;
}

View failure_view(const Visit& visit, int status) {
    View view = begin(visit, std::nullopt);
    view.status = status;
    view.script = false;
    const std::string id(visit.call.request.request_id);
    switch (status) {
        case 403:
            view.heading = visit.say("page.failed_title");
            view.lead = visit.say("page.foreign");
            break;
        case 404:
        case 405:
            view.heading = visit.say("page.not_found_title");
            view.lead = visit.say("page.not_found");
            break;
        case 429:
            view.heading = visit.say("page.failed_title");
            view.lead = visit.say("page.busy");
            break;
        case 503:
            view.heading = visit.say("page.failed_title");
            view.lead = visit.say("error.unavailable");
            break;
        default:
            view.heading = visit.say("page.failed_title");
            view.lead = status < 500 ? visit.say("error.invalid") : visit.say("error.unexpected", {{"id", id}});
    }
    view.ways.emplace_back("/portal", visit.say("sign_in.title"));
    return view;
}

}  // namespace portal::page
