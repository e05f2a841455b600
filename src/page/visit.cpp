#include "page/visit.h"

#include "http/site_path.h"

namespace portal::page {
namespace {

View begin(const Visit& visit, std::optional<House> house) {
    View view;
    view.part = visit.address.kind == Address::Kind::client_portal ? Part::client_portal : Part::portal;
    view.language = visit.language;
    view.house = std::move(house);
    view.return_to = visit.return_to;
    if (!visit.address.action.empty()) {   // no address for a GET
        view.here = view.part == Part::client_portal ? "/client-portal" : page_path(visit, view.house);
    }
    return view;
}

// A form of the portal's sign-in: where it leads goes with it.
View begin_sign_in(const Visit& visit, std::optional<House> house, std::string_view action,
                   std::string_view step = "") {
    View view = begin(visit, std::move(house));
    view.here = page_path(visit, view.house, step);
    Form form;
    form.action = portal_path(view.house) + std::string(action);
    if (!visit.return_to.empty()) {
        form.hidden.emplace_back("return_to", visit.return_to);
    }
    view.form = std::move(form);
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

std::string page_path(const Visit& visit, const std::optional<House>& house, std::string_view step) {
    std::string path = portal_path(house);
    if (!step.empty()) {
        path.append("?step=").append(step);
    }
    if (!visit.return_to.empty()) {
        path += (step.empty() ? "?return_to=" : "&return_to=") + http::percent_encode(visit.return_to);
    }
    return path;
}

void take_return(Visit& visit, http::Query& values) {
    const std::string path = values.string("return_to", http::longest_site_path).value_or("");
    if (visit.address.kind == Address::Kind::portal && http::is_site_path(path)) {
        visit.return_to = path;
    }
}

View email_view(const Visit& visit, std::optional<House> house) {
    View view = begin_sign_in(visit, std::move(house), "/request");
    view.heading = view.house ? visit.say("sign_in.title_at", {{"name", view.house->name}}) : visit.say("sign_in.title");
    view.lead = visit.say("sign_in.lead");
    view.form->field = Form::Field::email;
    view.form->label = visit.say("sign_in.email");
    view.form->button = visit.say("sign_in.send");
    return view;
}

View code_view(const Visit& visit, std::optional<House> house) {
    View view = begin_sign_in(visit, std::move(house), "/authenticate", "code");
    view.heading = visit.say("sign_in.code_title");
    view.lead = visit.say("page.code_lead");
    view.form->field = Form::Field::code;
    view.form->label = visit.say("sign_in.code");
    view.form->button = visit.say("sign_in.verify");
    view.ways.emplace_back(page_path(visit, view.house), visit.say("sign_in.new_code"));
    return view;
}

View link_view(const Visit& visit, std::optional<House> house, std::string token) {
    const bool client = visit.address.kind == Address::Kind::client_portal;
    View view = client ? begin(visit, std::move(house)) : begin_sign_in(visit, std::move(house), "/exchange");
    view.heading = visit.say("link.title");
    view.lead = visit.say("link.open_lead", {{"name", name_of(visit, view.house)}});
    if (client) {
        view.form.emplace().action = "/client-portal/exchange";
    }
    view.form->hidden.emplace_back("token", std::move(token));
    if (view.house) {
        view.form->hidden.emplace_back("workspace", view.house->slug);
    }
    view.form->button = visit.say("link.open");
    return view;
}

View link_code_view(const Visit& visit, std::optional<House> house, std::string token, std::string challenge,
                    const std::string& email) {
    View view = link_view(visit, std::move(house), std::move(token));
    view.heading = visit.say("sign_in.code_title");
    view.lead = email.empty() ? "" : visit.say("link.code_lead", {{"email", email}});
    view.form->hidden.emplace_back("challenge_id", std::move(challenge));
    view.form->field = Form::Field::code;
    view.form->label = visit.say("sign_in.code");
    view.form->button = visit.say("sign_in.verify");
    return view;
}

View replace_view(const Visit& visit, std::optional<House> house, std::string token) {
    View view = link_view(visit, std::move(house), std::move(token));
    view.heading = visit.say("link.replace_title");
    view.lead = visit.say("link.replace_other");
    view.form->hidden.emplace_back("replace", "1");
    view.form->button = visit.say("link.replace");
    const bool client = view.part == Part::client_portal;
    const std::string slug = view.house ? view.house->slug : "";
    view.ways.emplace_back(client ? "/client-portal?workspace=" + slug : page_path(visit, view.house),
                           visit.say("link.keep_other"));
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
