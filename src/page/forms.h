// Forms: signing in and opening a link without scripts. A form's POST (urlencoded, of our own page only) is put to the
// API's own route as JSON, in the same process: what that decides, counts and sets as cookies holds here as it stands.
// What goes well is answered 303, what does not by the form again, with the reason above it.
#pragma once

#include "http/response.h"
#include "page/visit.h"

namespace portal::page {

io::Task<http::Response> take_form(Visit& visit);

}  // namespace portal::page
