#include "page/forms.h"

#include <charconv>

#include "http/query.h"
#include "portal/email.h"
#include "portal/portal_cookie.h"

namespace portal::page {
namespace {

using http::Json;
using http::Response;

constexpr std::string_view session_api = "/api/customer-portal/customer-session";

// The page's own call of an API route on behalf of the browser: its cookies, its address, our JSON.
class ApiRequest final : public http::Request {
  public:
    ApiRequest(const http::Request& browser, std::string path, std::string slug, const Json& body, bool keep)
        : browser_(browser), path_(std::move(path)), slug_(std::move(slug)), body_(body.dump()), keep_(keep) {
        method = http::Method::post;
        this->path = path_;
        client_address = browser.client_address;
        request_id = browser.request_id;
        workspace = browser.workspace;
    }

    std::optional<std::string_view> header(std::string_view name) const override {
        if (name == "content-type") {
            return "application/json";
        }
        if (name == "x-portal-cookie") {
            return "1";
        }
        if (name == "x-portal-workspace" && !slug_.empty()) {
            return slug_;
        }
        if (name == "x-portal-keep" && keep_) {
            return "1";
        }
        const bool passed_on = name == "user-agent" || name == "sec-fetch-site" || name == "origin";
        return passed_on ? browser_.header(name) : std::nullopt;
    }
    std::string cookies() const override { return browser_.cookies(); }
    io::Task<std::string> read_body(std::size_t) override { return io::Task<std::string>::ready(std::move(body_)); }

  private:
    const http::Request& browser_;
    std::string path_, slug_, body_;
    bool keep_;
};

struct ApiAnswer {
    Response response;
    Json body;   // an object, empty where there was none
};

// `keep`: another person's session is not to be replaced.
io::Task<ApiAnswer> ask_api(Visit& visit, std::string path, std::string slug, Json body, bool keep = false) {
    ApiRequest request(visit.call.request, std::move(path), std::move(slug), body, keep);
    api::Call call{request, visit.call.portal};
    io::Task<Response> task = api::dispatch(call, visit.server.authenticator, visit.server.router);
    ApiAnswer answer;
    answer.response = co_await task;
    answer.body = answer.response.body.empty() ? Json::object() : Json::parse(answer.response.body);
    co_return answer;
}

// Cookies, limits and when to come back are the browser's, too.
void pass_on(Visit& visit, Response& from) {
    for (http::Header& header : from.headers) {
        if (header.name == "Set-Cookie" || header.name == "Retry-After") {
            visit.headers.push_back(std::move(header));
        }
    }
    visit.call.limit = from.limit;
}

std::int64_t retry_after(const Response& response) {
    std::int64_t seconds = response.limit.retry_after != 0 ? response.limit.retry_after : 60;
    for (const http::Header& header : response.headers) {
        if (header.name == "Retry-After") {
            std::from_chars(header.value.data(), header.value.data() + header.value.size(), seconds);
        }
    }
    return seconds;
}

Response see_other(std::string path) {
    Response response;
    response.status = 303;
    response.with("Location", std::move(path));
    return response;
}

// Signed in: where one came from, else the portal, `path` below the base URL's.
Response signed_in(const Visit& visit, const std::string& path) {
    return see_other(visit.return_to.empty() ? visit.server.site.base() + path : visit.return_to);
}

// The form again, with the reason above it.
Response again(const Visit& visit, View view, int status, std::string notice) {
    view.status = status;
    view.script = false;
    view.notice = std::move(notice);
    return visit.server.site.render(view);
}

Json workspace_of(const std::optional<House>& house) {
    Json body = Json::object();
    if (house) {
        body.set("workspace_id", house->id);
    }
    return body;
}

// ---- each form: `house` is the workspace of the address, where it names one

io::Task<Response> request_code(Visit& visit, http::Query form, std::optional<House> house) {
    const std::string email = form.string("email", 320).value_or("");
    Json body = workspace_of(house);
    body.set("email", email);
    std::string path = std::string(session_api) + "/request";
    ApiAnswer answer = co_await ask_api(visit, std::move(path), "", std::move(body));
    const int status = answer.response.status;
    const std::int64_t wait = retry_after(answer.response);
    pass_on(visit, answer.response);
    if (status == 202) {
        co_return see_other(visit.server.site.base() + page_path(visit, house, "code"));
    }
    View view = email_view(visit, std::move(house));
    view.form->value = email;
    std::string notice = status == 422   ? visit.say("sign_in.email_invalid")
                         : status == 429 ? visit.say("sign_in.too_many_codes", {{"time", visit.duration(wait)}})
                                         : visit.say("error.unavailable");
    co_return again(visit, std::move(view), status, std::move(notice));
}

Response choice_page(const Visit& visit, const Json& answer, std::optional<House> house) {
    const bool workspaces = answer["workspaces"].is_array();
    View view = email_view(visit, std::move(house));
    const std::string name = view.house ? view.house->name : visit.say("sign_in.some_workspace");
    view.heading = visit.say(workspaces ? "sign_in.choose_workspace" : "sign_in.choose_customer");
    view.lead = workspaces ? visit.say("sign_in.choose_workspace_lead")
                           : visit.say("sign_in.choose_customer_lead", {{"name", name}});
    Form form;
    form.action = portal_path(view.house) + "/authenticate";
    form.hidden = std::move(view.form->hidden);
    form.hidden.emplace_back("selection_token", std::string(answer["selection_token"].text()));
    const Json choices = answer[workspaces ? "workspaces" : "customers"];
    for (std::size_t index = 0; index < choices.size(); ++index) {
        const Json choice = choices[index];
        std::string text(choice["name"].text());
        form.choices.push_back({workspaces ? "workspace_id" : "customer_id", std::string(choice["id"].text()),
                                text.empty() ? visit.say("sign_in.unnamed") : std::move(text)});
    }
    view.form = std::move(form);
    return again(visit, std::move(view), 409, "");
}

io::Task<Response> authenticate(Visit& visit, http::Query form, std::optional<House> house) {
    const std::optional<std::string> selection = form.string("selection_token");
    Json body = selection ? Json::object() : workspace_of(house);
    for (const char* name : {"selection_token", "workspace_id", "customer_id", "code"}) {
        if (std::optional<std::string> value = form.string(name)) {
            body.set(name, *value);
        }
    }
    std::string path = std::string(session_api) + "/authenticate";
    ApiAnswer answer = co_await ask_api(visit, std::move(path), "", std::move(body));
    const int status = answer.response.status;
    const std::int64_t wait = retry_after(answer.response);
    pass_on(visit, answer.response);
    if (status == 200) {
        co_return signed_in(visit, "/" + std::string(answer.body["workspace"]["slug"].text()) + "/portal");
    }
    if (status == 409) {
        co_return choice_page(visit, answer.body, std::move(house));
    }
    std::string notice;
    if (status == 429) {
        notice = visit.say("sign_in.too_many_tries", {{"time", visit.duration(wait)}});
    } else if (status >= 500) {
        notice = visit.say("error.unavailable");
    } else {
        notice = visit.say(selection ? "sign_in.choice_expired" : "sign_in.wrong_code");
    }
    View view = selection ? email_view(visit, std::move(house)) : code_view(visit, std::move(house));
    co_return again(visit, std::move(view), status == 422 ? 401 : status, std::move(notice));
}

// What a link's form sends, from one step to the next.
struct LinkForm {
    std::string token, challenge, email;
    bool replace = false;   // another person's session, too
};

// The link's form again, whichever it was; what was chosen stays chosen.
View link_form(const Visit& visit, std::optional<House> house, const LinkForm& link) {
    View view = link.challenge.empty() ? link_view(visit, std::move(house), link.token)
                                       : link_code_view(visit, std::move(house), link.token, link.challenge, link.email);
    if (link.replace) {
        view.form->hidden.emplace_back("replace", "1");
    }
    return view;
}

io::Task<Response> exchange(Visit& visit, http::Query form, std::optional<House> house) {
    const bool client = visit.address.kind == Address::Kind::client_portal;
    LinkForm link;
    link.token = form.string("token", 512).value_or("");
    link.challenge = form.string("challenge_id").value_or("");
    link.replace = form.string("replace") == "1";
    Json body = Json::object({{"token", link.token}});
    for (const char* name : {"challenge_id", "code"}) {
        if (std::optional<std::string> value = form.string(name)) {
            body.set(name, *value);
        }
    }
    std::string path = client ? "/api/v1/client-portal/me/exchange" : std::string(session_api) + "/exchange";
    std::string slug = house ? house->slug : "";
    const bool keep = !link.replace;
    ApiAnswer answer = co_await ask_api(visit, std::move(path), std::move(slug), std::move(body), keep);
    const int status = answer.response.status;
    const std::int64_t wait = retry_after(answer.response);
    pass_on(visit, answer.response);
    if (status == 200 || status == 204) {
        const std::string workspace = form.string("workspace").value_or("");
        co_return signed_in(visit, client ? "/client-portal?workspace=" + http::percent_encode(workspace)
                                          : portal_path(house));
    }
    if (status == 202) {
        const Json sent = answer.body["data"];
        link.challenge = sent["challenge_id"].text();
        link.email = sent["email"].text();
        View view = link_form(visit, std::move(house), link);
        co_return again(visit, std::move(view), 200, "");
    }
    if (status == 409) {
        const std::string code = form.string("code").value_or("");
        View view = replace_view(visit, std::move(house), link.token);
        if (!link.challenge.empty()) {
            view.form->hidden.emplace_back("challenge_id", link.challenge);
            view.form->hidden.emplace_back("code", code);
        }
        co_return again(visit, std::move(view), 409, "");
    }
    if (status == 422 && client && !link.challenge.empty()) {
        View view = link_form(visit, std::move(house), link);
        co_return again(visit, std::move(view), 401, visit.say("sign_in.wrong_code"));
    }
    if (status == 429 || status >= 500) {
        std::string notice =
            status == 429 ? visit.say("error.busy", {{"time", visit.duration(wait)}}) : visit.say("error.unavailable");
        View view = link_form(visit, std::move(house), link);
        co_return again(visit, std::move(view), status, std::move(notice));
    }
    if (client) {
        View view = missing_link_view(visit, std::move(house), true);
        co_return again(visit, std::move(view), 410, "");
    }
    View view = email_view(visit, std::move(house));
    co_return again(visit, std::move(view), 410, visit.say("link.expired"));
}

io::Task<Response> log_out(Visit& visit, std::optional<House> house) {
    const bool client = visit.address.kind == Address::Kind::client_portal;
    const std::string slug = house ? house->slug : "";
    std::string path = client ? "/api/v1/client-portal/me/logout" : std::string(session_api) + "/logout";
    ApiAnswer answer = co_await ask_api(visit, std::move(path), slug, Json::object());
    pass_on(visit, answer.response);
    if (answer.response.status == 401 && house) {
        // over already: the browser is to forget it all the same
        visit.headers.push_back({"Set-Cookie", clear_session_cookie(visit.call.portal.settings, slug)});
    }
    const std::string back = client ? "/client-portal?workspace=" + slug : portal_path(house);
    co_return see_other(visit.server.site.base() + back);
}

bool is_form(const http::Request& request) {
    const std::string type = ascii_lower(request.header("content-type").value_or(""));
    return type.starts_with("application/x-www-form-urlencoded");
}

}  // namespace

io::Task<Response> take_form(Visit& visit) {
    api::Call& call = visit.call;
    if (!is_own_page(call.portal.settings, call.request.header("sec-fetch-site"), call.request.header("origin")) ||
        !is_form(call.request)) {
        throw http::not_permitted("This form was sent from another site.");
    }
    std::string text = co_await call.request.read_body(call.portal.settings.body_limit);
    http::Query form(text);
    take_return(visit, form);
    std::string slug(visit.address.slug.empty() ? call.request.workspace : visit.address.slug);
    if (slug.empty() && visit.address.kind == Address::Kind::client_portal) {
        slug = form.string("workspace").value_or("");
    }
    std::optional<House> house;
    if (!slug.empty()) {
        house = co_await find_house(call.portal, slug);
        if (!house) {
            throw http::path_not_found();
        }
    }
    if (house && !counts_here(call.request, house->slug)) {
        throw http::path_not_found();
    }
    Response response;
    if (visit.address.action == "request") {
        response = co_await request_code(visit, std::move(form), std::move(house));
    } else if (visit.address.action == "authenticate") {
        response = co_await authenticate(visit, std::move(form), std::move(house));
    } else if (visit.address.action == "exchange") {
        response = co_await exchange(visit, std::move(form), std::move(house));
    } else {
        response = co_await log_out(visit, std::move(house));
    }
    co_return response;
}

}  // namespace portal::page
