// The verbs, one function per family: each adds its subcommands to the tree, and their work as callbacks.
#pragma once

#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "ctl/session.h"
#include "portal/page.h"

namespace portal::ctl {

void add_migrate_verb(CLI::App& app, Session& session);
void add_check_verb(CLI::App& app, Session& session);
void add_secret_verbs(CLI::App& app, Session& session);
void add_workspace_verbs(CLI::App& app, Session& session);
void add_token_verbs(CLI::App& app, Session& session);
void add_customer_verbs(CLI::App& app, Session& session);
void add_member_verbs(CLI::App& app, Session& session);
void add_contact_verbs(CLI::App& app, Session& session);
void add_company_verbs(CLI::App& app, Session& session);
void add_invite_verbs(CLI::App& app, Session& session);
void add_mail_verbs(CLI::App& app, Session& session);
void add_demo_data_verb(CLI::App& app, Session& session);
void add_completion_verb(CLI::App& app, Session& session);

// A noun with verbs below it, exactly one of which is to be given.
CLI::App* add_family(CLI::App& app, const char* name, const char* description);
// A verb with the example its --help ends with.
CLI::App* add_verb(CLI::App& parent, const char* name, const char* description, const char* example);
// --workspace SLUG.
CLI::Option* add_workspace_option(CLI::App& verb, Session& session);
// What a verb's options say, as the body of the REST call would say it; '' is null.
using Body = std::shared_ptr<http::Json>;
Body make_body();
CLI::Option* add_text(CLI::App& verb, Body body, const char* option, const char* member, const char* description);
CLI::Option* add_number(CLI::App& verb, Body body, const char* option, const char* member, const char* description);
// --page and --limit.
void add_page_options(CLI::App& verb, PageRequest& request);

}  // namespace portal::ctl
