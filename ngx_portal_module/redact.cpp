#include "redact.h"

#include "context.h"
#include "http/request.h"
#include "worker.h"


static constexpr std::string_view  link_path = "/client-portal/";
static constexpr size_t            shortest_token = 20;


static bool
is_credential(std::string_view name)
{
    std::string  decoded = portal::http::percent_decode(name, true);

    return decoded == "customer_session_token"
           || decoded == "member_session_token"
           || decoded == "ticket";
}


/* overwrites what is one; `first` gets the first such value */

static void
overwrite(u_char *data, size_t len, std::string *first)
{
    if (first != nullptr && first->empty()) {
        first->assign(reinterpret_cast<char *>(data), len);
    }

    ngx_memset(data, 'x', len);
}


/* in "name=value&name=value" */

static void
redact_arguments(u_char *data, size_t len, std::string *first)
{
    size_t            equals, end, begin = 0;
    std::string_view  text(reinterpret_cast<char *>(data), len);

    while (begin < len) {
        end = ngx_min(text.find_first_of("&# ", begin), len);
        equals = text.substr(begin, end - begin).find('=');

        if (equals != text.npos
            && is_credential(text.substr(begin, equals)))
        {
            equals += begin + 1;
            overwrite(data + equals, end - equals, first);
        }

        begin = end + 1;
    }
}


/* behind every "/client-portal/" that is none of the API's; was there one? */

static bool
redact_links(u_char *data, size_t len, std::string *first)
{
    bool              found = false;
    size_t            at, end, begin = 0;
    std::string_view  text(reinterpret_cast<char *>(data), len);

    while ((at = text.find(link_path, begin)) != text.npos) {
        begin = at + link_path.size() - 1;

        if (text.substr(0, at).ends_with("/api/v1")) {
            continue;
        }

        end = ngx_min(text.find_first_of("/?# ", begin + 1), len);

        if (end - begin > shortest_token) {
            overwrite(data + begin + 1, end - begin - 1, first);
            found = true;
        }
    }

    return found;
}


/* in a whole URL, or a path and its query, or a request line */

static void
redact_url(ngx_str_t *url, std::string *first)
{
    size_t  question;

    if (url->len == 0) {
        return;
    }

    question = ngx_min(ngx_portal_view(*url).find('?'), url->len);

    redact_links(url->data, question, first);

    if (question < url->len) {
        redact_arguments(url->data + question + 1, url->len - question - 1,
                         first);
    }
}


/* all of the path of a URL or a request line */

static void
overwrite_path(ngx_str_t *url)
{
    size_t            begin, end;
    std::string_view  text;

    if (url->len == 0) {
        return;
    }

    text = ngx_portal_view(*url);
    begin = text.find('/');

    if (begin != text.npos) {
        end = ngx_min(text.find_first_of("? ", begin), url->len);
        overwrite(url->data + begin + 1, end - begin - 1, nullptr);
    }
}


/*
 * The request line, its URI and its arguments share their bytes in most
 * requests, and do not in HTTP/2 and where the URI was decoded: the first
 * of them that still has the credential gives it.
 */

static void
redact_request(ngx_http_request_t *r, std::string *first)
{
    redact_url(&r->unparsed_uri, first);
    redact_url(&r->request_line, first);

    if (r->uri.len != 0
        && redact_links(r->uri.data, r->uri.len, first)
        && (r->complex_uri || r->quoted_uri))
    {
        /* as it was sent, the link may be encoded or written with detours */

        overwrite_path(&r->unparsed_uri);
        overwrite_path(&r->request_line);
    }

    if (r->args.len != 0) {
        redact_arguments(r->args.data, r->args.len, first);
    }

    if (r->headers_in.referer != nullptr) {
        redact_url(&r->headers_in.referer->value, nullptr);
    }
}


/*
 * What only we may say of a caller: a backend is to see it from us, or empty.
 * The three that remain ask something of the portal and say nothing of anyone.
 */

static bool
is_forged(std::string_view name) noexcept
{
    static constexpr std::string_view  prefix = "x-portal-";

    return name.starts_with(prefix)
           && name != "x-portal-workspace"
           && name != "x-portal-cookie"
           && name != "x-portal-keep";
}


static void
empty_forged(ngx_http_request_t *r) noexcept
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = static_cast<ngx_table_elt_t *>(part->elts);

        for (i = 0; i < part->nelts; i++) {
            if (is_forged({ reinterpret_cast<char *>(h[i].lowcase_key),
                            h[i].key.len }))
            {
                h[i].value.len = 0;
            }
        }
    }
}


ngx_int_t
ngx_portal_redact_handler(ngx_http_request_t *r) noexcept try
{
    std::string            credential;
    ngx_portal_context_t  *ctx;

    if (r != r->main || r->internal) {
        return NGX_DECLINED;
    }

    redact_request(r, &credential);
    empty_forged(r);

    if (credential.empty()) {
        return NGX_DECLINED;
    }

    /* kept, decoded, for the page that was asked with it */

    ctx = ngx_portal_get_context(r);
    if (ctx == nullptr) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    credential = portal::http::percent_decode(credential, true);

    ctx->credential.data = static_cast<u_char *>(
                               ngx_pnalloc(r->pool, credential.size()));
    if (ctx->credential.data == nullptr) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memcpy(ctx->credential.data, credential.data(), credential.size());
    ctx->credential.len = credential.size();

    return NGX_DECLINED;

} catch (...) {

    /* out of memory half-way: rather no answer than a token in the log */

    return NGX_HTTP_INTERNAL_SERVER_ERROR;
}


/* what was refused while it was read has seen no phase but this */

ngx_int_t
ngx_portal_redact_refused_handler(ngx_http_request_t *r) noexcept try
{
    if (r == r->main && (!r->valid_location || r->internal)) {
        redact_request(r, nullptr);
    }

    return NGX_OK;

} catch (...) {
    return NGX_ERROR;
}
