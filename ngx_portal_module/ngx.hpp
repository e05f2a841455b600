/*
 * nginx's headers, once, inside one extern "C".  No other file includes them.
 */

#pragma once

extern "C" {

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>

extern ngx_module_t  ngx_portal_module;

}

#include <string>
#include <string_view>


static inline std::string_view
ngx_portal_view(const ngx_str_t &text) noexcept
{
    return { reinterpret_cast<const char *>(text.data), text.len };
}


static inline std::string
ngx_portal_string(const ngx_str_t &text)
{
    return std::string(ngx_portal_view(text));
}


/* the text must outlive whatever nginx does with it */

static inline ngx_str_t
ngx_portal_str(std::string_view text) noexcept
{
    return { text.size(),
             reinterpret_cast<u_char *>(const_cast<char *>(text.data())) };
}
