#include "page/answer.h"

#include "api/mail_limit.h"
#include "http/query.h"
#include "io/sleep.h"
#include "page/forms.h"
#include "page/visit.h"
#include "portal/portal_cookie.h"

namespace portal::page {
namespace {

using http::Response;

// Links nobody has, ended ones and living ones are answered on one grid: what was found is not to be seen by the time.
constexpr std::int64_t grid = 10;   // ms

// Where the page's GETs are counted: by the client's address, like all that anybody may ask.
io::Task<void> charge(api::Call& call) {
    const LimitKey client = call.portal.limiter.client_key(limits::restricted, call.request.client_address);
    Limits limits{{&limits::restricted, client}};
    co_await api::charge_besides(call, std::move(limits));
}

bool has_session(const api::Call& call, std::string_view slug) {
    bool found = false;
    each_cookie(call.request.cookies(), [&](std::string_view name, std::string_view value) {
        const auto cookie = session_cookie(call.portal.settings, name, value);
        found = found || (cookie && same_slug(cookie->slug, slug));
    });
    return found;
}

// The slug of the only session there is; "" when there are several.
std::string only_session(const api::Call& call) {
    std::string only;
    bool several = false;
    each_cookie(call.request.cookies(), [&](std::string_view name, std::string_view value) {
        if (const auto cookie = session_cookie(call.portal.settings, name, value)) {
            several = several || !only.empty();
            only = cookie->slug;
        }
    });
    return several ? "" : only;
}

// In a location of one workspace, that one's page and no other's.
void require_location(const api::Call& call, const std::optional<House>& house) {
    if (house && !counts_here(call.request, house->slug)) {
        throw http::path_not_found();
    }
}

// What the page shows beyond this needs scripts.
void show_signed_in(const Visit& visit, View& view) {
    const bool client = view.part == Part::client_portal;
    view.heading = visit.say("sign_in.done");
    view.lead = visit.say("app.script", {{"name", view.house->name}});
    Form form;
    form.action = (client ? "/client-portal" : portal_path(view.house)) + "/logout";
    form.button = visit.say("page.sign_out");
    if (client) {
        form.hidden.emplace_back("workspace", view.house->slug);
    }
    view.form = std::move(form);
}

io::Task<View> portal_page(Visit& visit) {
    api::Call& call = visit.call;
    std::string slug(visit.address.slug.empty() ? call.request.workspace : visit.address.slug);
    std::optional<House> house;
    if (!slug.empty()) {
        house = co_await find_house(call.portal, slug);
        if (!house) {
            throw http::path_not_found();
        }
    }
    require_location(call, house);
    http::Query query(call.request.query);
    take_return(visit, query);
    const std::string email = query.string("email").value_or("");
    const bool session = house && has_session(call, house->slug);
    View view;
    if (!call.request.credential.empty()) {
        view = link_view(visit, house, std::string(call.request.credential));
    } else if (session) {
        view = email_view(visit, house);
        show_signed_in(visit, view);
    } else if (query.string("step") == "code") {
        view = code_view(visit, house);
    } else {
        view = email_view(visit, house);
        view.form->value = email;
    }
    view.session = session;
    view.email = email;
    co_return view;
}

io::Task<View> link_page(Visit& visit) {
    api::Call& call = visit.call;
    io::Loop& loop = call.portal.loop;
    const std::int64_t begun = loop.now();
    std::string token(call.request.credential);
    std::optional<LinkedHouse> found = co_await find_linked_house(call.portal, token);
    std::optional<House> house;
    if (found) {
        house = found->house;
    } else if (!call.request.workspace.empty()) {
        std::string slug(call.request.workspace);
        house = co_await find_house(call.portal, std::move(slug));   // the location's, for a link nobody has
    }
    const std::int64_t rest = grid - (loop.now() - begun) % grid;
    co_await io::sleep(loop, rest);
    require_location(call, house);
    View view;
    if (found && found->living) {
        view = link_view(visit, std::move(house), std::move(token));
    } else {
        view = missing_link_view(visit, std::move(house), true);
        view.status = found ? 410 : 404;
    }
    view.session = found && has_session(call, found->house.slug);
    co_return view;
}

io::Task<View> client_portal_page(Visit& visit) {
    api::Call& call = visit.call;
    http::Query query(call.request.query);
    std::string slug = query.string("workspace").value_or(std::string(call.request.workspace));
    if (slug.empty()) {
        slug = only_session(call);
    }
    std::optional<House> house;
    if (!slug.empty()) {
        house = co_await find_house(call.portal, slug);
    }
    require_location(call, house);
    const bool session = house && has_session(call, house->slug);
    View view = missing_link_view(visit, house, false);
    if (session) {
        show_signed_in(visit, view);
    }
    view.session = session;
    co_return view;
}

io::Task<View> get(Visit& visit) {
    co_await charge(visit.call);
    View view;
    if (visit.address.kind == Address::Kind::portal) {
        view = co_await portal_page(visit);
    } else if (visit.address.name.empty()) {
        view = co_await client_portal_page(visit);
    } else {
        view = co_await link_page(visit);
    }
    co_return view;
}

// The choice of ?lang= is kept, as the script keeps it.
void remember_language(const Visit& visit, View& view) {
    const std::string_view asked = asked_language(visit.call.request);
    if (asked.empty()) {
        return;
    }
    const std::string& base = visit.server.site.base();
    view.headers.emplace_back("Set-Cookie", std::string(language_cookie) + "=" + std::string(asked) + "; Path=" +
                                                (base.empty() ? "/" : base) + "; Max-Age=31536000; SameSite=Lax");
}

io::Task<Response> respond(Visit& visit) {
    if (visit.address.kind != Address::Kind::portal && visit.address.kind != Address::Kind::client_portal) {
        throw http::path_not_found();
    }
    const bool reads =
        visit.call.request.method == http::Method::get || visit.call.request.method == http::Method::head;
    if (reads != visit.address.action.empty() || (!reads && visit.call.request.method != http::Method::post)) {
        throw http::method_not_allowed(visit.address.action.empty() ? "GET, HEAD" : "POST");
    }
    Response response;
    if (reads) {
        View view = co_await get(visit);
        remember_language(visit, view);
        response = visit.server.site.render(view);
    } else {
        response = co_await take_form(visit);
    }
    co_return response;
}

io::Task<Response> answer_page(api::Call& call, Server& server, Address address) {
    Visit visit{call, server, address, choose_language(call.request), ""};
    Response response;
    try {
        response = co_await respond(visit);
    } catch (...) {
        http::Failure failure = api::current_failure(call);
        response = server.site.render(failure_view(visit, failure.status));
        for (http::Header& header : failure.headers) {
            response.headers.push_back(std::move(header));
        }
    }
    for (http::Header& header : visit.headers) {
        response.headers.push_back(std::move(header));
    }
    response.limit = call.limit;
    co_return response;
}

// The next part of a path, which begins with '/'.
std::string_view take_part(std::string_view& path) {
    path.remove_prefix(path.empty() ? 0 : 1);
    const std::string_view part = path.substr(0, path.find('/'));
    path.remove_prefix(part.size());
    return part;
}

bool is_action(std::string_view name) {
    return name == "request" || name == "authenticate" || name == "exchange" || name == "logout";
}

}  // namespace

Address Address::parse(std::string_view path) {
    if (path.size() > 1 && path.ends_with('/')) {
        path.remove_suffix(1);
    }
    Address address;
    std::string_view rest = path;
    const std::string_view first = take_part(rest);
    const std::string_view second = take_part(rest);
    const std::string_view third = take_part(rest);
    const bool over = rest.empty();
    constexpr std::string_view logos = "/portal-assets/logos/";
    if (path.starts_with(logos)) {
        address.kind = Kind::logo;
        address.name = path.substr(logos.size());
    } else if (first == "portal-assets") {
        address.kind = over && third.empty() && !second.empty() ? Kind::asset : Kind::none;
        address.name = second;
    } else if (first == "client-portal" && second != "portal") {
        address.kind = over && third.empty() ? Kind::client_portal : Kind::none;
        const bool form = second == "exchange" || second == "logout";
        address.action = form ? second : "";
        address.name = form ? "" : second;
    } else if (first == "portal" && second != "portal") {
        address.kind = over && third.empty() && (second.empty() || is_action(second)) ? Kind::portal : Kind::none;
        address.action = second;
    } else if (second == "portal" && first != "api" && !first.empty()) {
        address.kind = over && (third.empty() || is_action(third)) ? Kind::portal : Kind::none;
        address.slug = first;
        address.action = third;
    }
    return address;
}

io::Task<Response> answer(api::Call& call, Server& server) {
    const Address address = Address::parse(call.request.path);
    const bool reads = call.request.method == http::Method::get || call.request.method == http::Method::head;
    const bool asset = address.kind == Address::Kind::asset;
    if (reads && (asset || address.kind == Address::Kind::logo)) {
        try {
            return io::Task<Response>::ready(asset ? server.site.assets().answer(call.request, address.name)
                                                   : server.site.logos().answer(address.name));
        } catch (const http::Failure&) {
            // told as a page, below
        }
    }
    return answer_page(call, server, address);
}

}  // namespace portal::page
