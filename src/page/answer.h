// answer(): one request of the page, from its path to its HTML. The routes:
//
//   GET  /portal-assets/NAME                       script and styles
//   GET  /portal-assets/logos/PATH                 tenants' logos (page/logos.h)
//   GET  /{slug}/portal, /portal                   a workspace's portal; where one names no workspace
//   GET  /client-portal/{token}, /client-portal    a link from a mail; the client portal one is in
//   POST /{slug}/portal/ACTION, /portal/ACTION     forms for browsers without scripts: request, authenticate,
//   POST /client-portal/exchange, …/logout         exchange, logout (page/forms.h)
//
// A GET changes nothing. Errors are pages, too.
#pragma once

#include <string>
#include <string_view>

#include "api/dispatch.h"
#include "page/site.h"

namespace portal::page {

// What a path, the base URL's own taken off, asks for.
struct Address {
    enum class Kind { none, asset, logo, portal, client_portal };
    Kind kind = Kind::none;
    std::string_view slug;     // of a portal, "" where none is named
    std::string_view name;     // an asset's; a logo's path; what is where a link's token was (it is in Request::credential)
    std::string_view action;   // a form's, else ""

    static Address parse(std::string_view path);
};

// Beside the site: what the API is reached by.
struct Server {
    Site& site;
    Authenticator& authenticator;
    const api::Router& router;
};

// `call` and `server` outlive the task. Never throws but http::BodyAborted.
io::Task<http::Response> answer(api::Call& call, Server& server);

}  // namespace portal::page
