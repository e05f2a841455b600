// portalctl token create|list|update|revoke|import
#include <fstream>
#include <iostream>
#include <memory>

#include "ctl/output.h"
#include "ctl/verbs.h"
#include "portal/access_token.h"
#include "portal/token_import.h"

namespace portal::ctl {
namespace {

const std::vector<Column> columns = {{"ID", "id"},
                                     {"COMMENT", "comment"},
                                     {"SCOPES", "scopes"},
                                     {"CREATED", "created_at"},
                                     {"EXPIRES", "expires_at"},
                                     {"LAST USED", "last_used_at"},
                                     {"REVOKED", "revoked_at"}};

// "90", "45m", "30d": seconds
std::int64_t parse_duration(const std::string& text) {
    std::size_t digits = text.find_first_not_of("0123456789");
    std::string unit = digits == std::string::npos ? "s" : text.substr(digits);
    std::int64_t factor = unit == "s"   ? 1
                          : unit == "m" ? 60
                          : unit == "h" ? 3600
                          : unit == "d" ? 86400
                          : unit == "w" ? 7 * 86400
                          : unit == "y" ? 365 * 86400
                                        : 0;
    std::string number = text.substr(0, digits);
    if (factor == 0 || number.empty() || number.size() > 10) {
        throw UsageError("--expires-in: is to be like 3600, 45m, 12h, 30d, 8w or 1y");
    }
    return std::stoll(number) * factor;
}

void add_scopes(Verb verb, Body body, bool required) {
    std::string known =
        "What it may do; repeatable, or a list with commas. A write scope includes its read. "
        "Known:";
    for (Scope scope : all_scopes()) {
        known += " " + std::string(scope_name(scope));
    }
    auto set_scopes = [body](const std::vector<std::string>& scopes) {
        http::Json list = http::Json::array();
        for (const std::string& scope : scopes) {
            list.push(scope);
        }
        body->set("scopes", list);
    };
    Option option = verb.list("-s,--scope", known.c_str(), set_scopes, true).hint("SCOPE");
    if (required) {
        option.required();
    }
}

void add_create(Verb family, Session& session) {
    Body body = make_body();
    Verb verb =
        family.verb("create", "Make a workspace access token; it is shown this once",
                    "portalctl token create -w acme --scope client_portal:read --comment ci");
    verb.workspace(session).required();
    add_scopes(verb, body, true);
    verb.text("--comment", body, "comment", "What it is for");
    auto set_life = [body](const std::string& text) {
        body->set("expires_in", parse_duration(text));
    };
    verb.text("--expires-in", "How long it lives (default: for ever)", set_life).hint("30d");
    verb.run([body, &session] {
        NewAccessToken made =
            session.run(create_access_token(session.db(), session.secrets(), session.workspace_id(),
                                            AccessTokenInput::parse(*body, true)));
        if (session.json) {
            print_json(made.json());
            return;
        }
        print_record(made.row);
        print_line("");
        print_line("The token, shown only now:");
        print_line(made.token);
    });
}

void add_list(Verb family, Session& session) {
    auto request = std::make_shared<PageRequest>();
    auto all = std::make_shared<bool>(false);
    Verb verb = family.verb("list", "Show a workspace's tokens, newest first",
                            "portalctl token list -w acme --all");
    verb.workspace(session).required();
    verb.flag("--all", *all, "Revoked and expired ones too");
    verb.pages(*request);
    verb.run([=, &session] {
        Page page =
            session.run(list_access_tokens(session.db(), session.workspace_id(), *all, *request));
        session.json ? print_json(page.json()) : print_page(page, columns, "No token.");
    });
}

void add_update(Verb family, Session& session) {
    auto id = std::make_shared<std::string>();
    Body body = make_body();
    Verb verb = family.verb(
        "update", "Change a token; what is not named stays",
        "portalctl token update -w acme 0e5b4f0c-6d0c-4b83-9f0b-3f4d9f3a1c55 --expires-in 30d");
    verb.workspace(session).required();
    verb.text("id", *id, "Its id, as token list shows it").required().hint("ID");
    add_scopes(verb, body, false);
    verb.text("--comment", body, "comment", "What it is for");
    auto set_life = [body](const std::string& text) {
        body->set("expires_in",
                  text == "never" ? http::Json(nullptr) : http::Json(parse_duration(text)));
    };
    verb.text("--expires-in", "How long it lives from now, or never", set_life).hint("30d");
    verb.run([=, &session] {
        if (body->size() == 0) {
            throw UsageError("token update: nothing to change; --help lists what can be");
        }
        AccessTokenChange change = AccessTokenChange::parse(*body);
        http::Json token = session.run(change_access_token(session.db(), session.workspace_id(),
                                                           std::nullopt, *id, std::move(change)));
        session.json ? print_json(token) : print_record(token);
    });
}

void add_revoke(Verb family, Session& session) {
    auto id = std::make_shared<std::string>();
    Verb verb = family.verb("revoke", "End a token; every node refuses it within a second",
                            "portalctl token revoke -w acme 0e5b4f0c-6d0c-4b83-9f0b-3f4d9f3a1c55");
    verb.workspace(session).required();
    verb.text("id", *id, "Its id, as token list shows it").required().hint("ID");
    verb.run([=, &session] {
        http::Json token = session.run(
            revoke_access_token(session.db(), session.workspace_id(), std::nullopt, *id));
        session.json ? print_json(token) : print_record(token);
    });
}

void add_import(Verb family, Session& session) {
    auto file = std::make_shared<std::string>();
    auto defaults = std::make_shared<TokenImportDefaults>();
    auto announce = std::make_shared<bool>(false);
    Verb verb = family.verb(
        "import",
        "Take over tokens of a system being replaced: one a line, or JSON lines with token, comment, "
        "scopes, expires_at, and for portal tokens contact_id or company_id; all or none",
        "portalctl token import -w acme --scope client_portal:read old-tokens.txt");
    verb.workspace(session).required();
    verb.text("file", *file, "The file, or - for standard input").required().hint("FILE");
    verb.list("-s,--scope", defaults->scopes,
              "What access tokens may do whose line does not say; repeatable, or with commas", true)
        .hint("SCOPE");
    verb.text("--comment", defaults->comment, "What they are for, where the line does not say");
    auto set_life = [defaults](const std::string& text) {
        defaults->expires_in = parse_duration(text);
    };
    verb.text("--expires-in", "How long they live, where the line does not say", set_life)
        .hint("30d");
    verb.flag("--announce", *announce, "Tell webhooks of the portal tokens, as if made now");
    verb.run([=, &session] {
        std::ifstream opened;
        if (*file != "-") {
            opened.open(*file);
            if (!opened) {
                throw Refused("cannot read " + *file);
            }
        }
        std::istream& input = *file == "-" ? std::cin : opened;
        TokenImport import(session.secrets(), *defaults);
        TokenImport::Stored stored;
        try {
            for (std::string line; std::getline(input, line);) {
                import.add_line(line);
            }
            if (input.bad()) {
                throw Refused("cannot read " + *file);
            }
            stored = session.run(import.store(session.db(), session.workspace_id(), *announce));
        } catch (const ImportRefused& refused) {
            throw Refused(std::string(refused.what()) + " (nothing was imported)");
        }
        if (session.json) {
            print_json(http::Json::object({{"workspace_access_tokens", stored.access_tokens},
                                           {"client_portal_tokens", stored.portal_tokens}}));
            return;
        }
        print_line("Imported " + std::to_string(stored.access_tokens) + " access tokens and " +
                   std::to_string(stored.portal_tokens) + " portal tokens.");
    });
}

}  // namespace

void add_token_verbs(Verb app, Session& session) {
    Verb family = app.family("token", "Workspace access tokens: a backend's credentials");
    add_create(family, session);
    add_list(family, session);
    add_update(family, session);
    add_revoke(family, session);
    add_import(family, session);
}

}  // namespace portal::ctl
