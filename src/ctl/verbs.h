// The verbs, one function per family: each adds its subcommands to the tree, and their work.
#pragma once

#include "ctl/session.h"
#include "ctl/verb.h"

namespace portal::ctl {

void add_check_verb(Verb app, Session& session);
void add_migrate_verb(Verb app, Session& session);
void add_secret_verbs(Verb app, Session& session);
void add_workspace_verbs(Verb app, Session& session);
void add_token_verbs(Verb app, Session& session);
void add_session_verbs(Verb app, Session& session);
void add_restored_verb(Verb app, Session& session);
void add_customer_verbs(Verb app, Session& session);
void add_member_verbs(Verb app, Session& session);
void add_contact_verbs(Verb app, Session& session);
void add_company_verbs(Verb app, Session& session);
void add_item_verbs(Verb app, Session& session);
void add_file_session_verbs(Verb app, Session& session);
void add_webhook_verbs(Verb app, Session& session);
void add_invite_verbs(Verb app, Session& session);
void add_mail_verbs(Verb app, Session& session);
void add_import_verb(Verb app, Session& session);
void add_events_verbs(Verb app, Session& session);
void add_audit_verb(Verb app, Session& session);
void add_demo_data_verb(Verb app, Session& session);

}  // namespace portal::ctl
