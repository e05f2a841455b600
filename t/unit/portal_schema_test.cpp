// The schema's own rules, which hold for whoever writes: contract/management.md, "Tables a site may write to".
#include <libpq-fe.h>

#include <memory>
#include <set>

#include "portal_fixture.h"

namespace portal::test {
namespace {

struct Schema : PortalFixture {
    std::string ws = workspace("acme", true).workspace_id.text();
    std::string other = workspace("other").workspace_id.text();

    // The error's constraint or message, "" when it was done.
    std::string refusal(const std::string& statement) {
        try {
            sql(statement);
        } catch (const std::runtime_error& error) {
            return error.what();
        }
        return "";
    }
    bool refuses(const std::string& statement, const std::string& word) {
        std::string told = refusal(statement);
        bool said = told.find(word) != std::string::npos;
        EXPECT_TRUE(said) << statement << ": " << told;
        return said;
    }
    std::string insert_customer(const std::string& columns, const std::string& values) {
        return "INSERT INTO portal.customers (workspace_id, " + columns + ") VALUES ('" + ws + "', " + values + ") RETURNING id";
    }
};

TEST_F(Schema, RefusesWhatRestRefuses) {
    sql(insert_customer("email, external_id", "'Mike@EXAMPLE.com', 'c-1'"));
    EXPECT_EQ(sql("SELECT email FROM portal.customers"), "Mike@example.com");
    refuses(insert_customer("email", "'mIKE@example.com'"), "customers_email_living");
    // U+212A is no k: locale-aware lower() would say so in a C.UTF-8 database
    EXPECT_EQ(refusal(insert_customer("email", "'mi' || U&'\\212A' || 'e@example.com'")), "");
    refuses(insert_customer("email, external_id", "'x@example.com', 'c-1'"), "customers_external_id_living");
    for (const char* email : {"x", "x@y", "a b@example.com", "x@example.com\r\nBcc: y@example.com", "@example.com", "a@b@example.com",
                              ".a@example.com", "a..b@example.com", "<x@example.com>", "x@.example.com"}) {
        refuses(insert_customer("email", "'" + std::string(email) + "'"), "customers_email_form");
    }
    refuses(insert_customer("email, name", "'n@example.com', repeat('x', 257)"), "customers_name_length");
    refuses(insert_customer("email, type", "'n@example.com', 'other'"), "customers_type_known");
    refuses(insert_customer("email, metadata", "'n@example.com', '[]'"), "customers_metadata_form");
    refuses(insert_customer("email, metadata", "'n@example.com', (SELECT jsonb_object_agg(n, n) FROM generate_series(1, 51) n)"),
            "customers_metadata_form");
    refuses("UPDATE portal.customers SET external_id = 'c-2' WHERE external_id = 'c-1'", "Customer external ID cannot be updated.");
    sql("UPDATE portal.customers SET type = 'team' WHERE external_id = 'c-1'");
    refuses("UPDATE portal.customers SET type = 'individual'", "cannot be downgraded");
    EXPECT_EQ(sql("SELECT count(*) FROM portal.customers WHERE modified_at IS NOT NULL"), "1");
    for (const char* slug : {"Acme", "ab", "api", "a_b", "client-portal"}) {
        refuses("INSERT INTO portal.workspaces (slug, name) VALUES ('" + std::string(slug) + "', 'x')", "workspaces_slug");
    }
    refuses("INSERT INTO portal.client_portal_configs (workspace_id, primary_color) VALUES ('" + ws + "', 'red')", "primary_color_form");
    for (const char* logo : {"../x", "/x", "a//b", "http://x", "a\\b", "a/", "javascript:x"}) {
        refuses("INSERT INTO portal.client_portal_configs (workspace_id, portal_logo) VALUES ('" + ws + "', '" + logo + "')", "portal_logo_form");
    }
}

TEST_F(Schema, NoRowPointsIntoAnotherWorkspace) {
    std::string customer = sql(insert_customer("email", "'a@example.com'"));
    refuses("INSERT INTO portal.contacts (workspace_id, name, customer_id) VALUES ('" + other + "', 'x', '" + customer + "')", "contacts_customer");
    refuses("INSERT INTO portal.companies (workspace_id, name, customer_id) VALUES ('" + other + "', 'x', '" + customer + "')", "companies_customer");
    refuses("INSERT INTO portal.members (workspace_id, customer_id, email, role) VALUES ('" + other + "', '" + customer + "', 'a@example.com', 'owner')",
            "members_customer");
    refuses("INSERT INTO portal.customer_sessions (workspace_id, customer_id, token_hash, secret_id, expires_at) VALUES ('" + other + "', '" +
            customer + "', repeat('a', 64), 's', now())", "customer_sessions_customer");
    sql("INSERT INTO portal.companies (workspace_id, name) VALUES ('" + ws + "', 'x')");
    refuses("INSERT INTO portal.contacts (workspace_id, name, company_id) VALUES ('" + other + "', 'x', 1)", "contacts_company");
    refuses("INSERT INTO portal.client_portal_tokens (workspace_id, company_id, token_hash, secret_id, expires_at) VALUES ('" + other +
            "', 1, repeat('a', 64), 's', now())", "client_portal_tokens_company");
}

TEST_F(Schema, ContactsAreNumberedPerWorkspaceAndKeepGivenIds) {
    auto insert = [&](const std::string& workspace, const std::string& id) {
        return sql("INSERT INTO portal.contacts (workspace_id, id, name) VALUES ('" + workspace + "', " + id + ", 'x') RETURNING id");
    };
    EXPECT_EQ(insert(ws, "NULL"), "1");
    EXPECT_EQ(insert(other, "NULL"), "1");
    EXPECT_EQ(insert(ws, "41"), "41");
    EXPECT_EQ(insert(ws, "9223372036854775807"), "9223372036854775807");
    EXPECT_EQ(insert(ws, "NULL"), "42");
    refuses("INSERT INTO portal.contacts (workspace_id, id, name) VALUES ('" + ws + "', 0, 'x')", "contacts_id_positive");
    refuses("INSERT INTO portal.contacts (workspace_id, id, name) VALUES ('" + ws + "', 1, 'x')", "contacts_pkey");
}

TEST_F(Schema, ExactlyOneOwner) {
    std::string team = sql(insert_customer("email, type", "'t@example.com', 'team'"));
    auto add = [&](const std::string& email, const std::string& role) {
        return "INSERT INTO portal.members (workspace_id, customer_id, email, role) VALUES ('" + ws + "', '" + team + "', '" + email +
               "@example.com', '" + role + "');";
    };
    refuses(add("a", "member"), "exactly one owner");
    EXPECT_EQ(refusal("BEGIN;" + add("a", "member") + add("b", "owner") + "COMMIT"), "") << "in any order";
    refuses(add("c", "owner"), "members_one_owner");
    EXPECT_EQ(refusal("UPDATE portal.members SET role = CASE role WHEN 'owner' THEN 'billing_manager' ELSE 'owner' END"), "");
    refuses("UPDATE portal.members SET deleted_at = now() WHERE role = 'owner'", "exactly one owner");
    EXPECT_EQ(refusal("UPDATE portal.members SET deleted_at = now()"), "");
    std::string one = sql(insert_customer("email", "'one@example.com'"));
    std::swap(team, one);
    sql(add("x", "owner"));
    refuses(add("y", "member"), "An individual customer has one member.");
    // what only shows at commit reaches a caller of the pipeline too
    static const io::Statement lonely{"lonely", "UPDATE portal.members SET role = 'member' WHERE workspace_id = $1::uuid RETURNING id"};
    EXPECT_THROW(run(db->query(lonely, io::Parameters(ws))), io::PostgresError);
}

TEST_F(Schema, ChangesAreTold) {
    std::unique_ptr<PGconn, decltype(&PQfinish)> listener(PQconnectdb(postgres.conninfo().c_str()), &PQfinish);
    PQclear(PQexec(listener.get(), "LISTEN portal_changed; LISTEN portal_outbox"));
    auto told = [&](const std::string& statement) {
        sql(statement);
        PQclear(PQexec(listener.get(), "SELECT 1"));
        std::set<std::string> payloads;
        while (PGnotify* notify = PQnotifies(listener.get())) {
            payloads.insert(std::string(notify->relname) == "portal_outbox" ? "outbox" : notify->extra);
            PQfreemem(notify);
        }
        return payloads;
    };
    using Ids = std::set<std::string>;
    std::string customer = sql(insert_customer("email, type", "'a@example.com', 'team'"));
    std::string member = sql("INSERT INTO portal.members (workspace_id, customer_id, email, role) VALUES ('" + ws + "', '" + customer +
                             "', 'a@example.com', 'owner') RETURNING id");
    std::string session = "11111111-1111-4111-8111-111111111111", token = "22222222-2222-4222-8222-222222222222";
    EXPECT_EQ(told("INSERT INTO portal.member_sessions (id, workspace_id, customer_id, member_id, token_hash, secret_id, expires_at) VALUES ('" +
                   session + "', '" + ws + "', '" + customer + "', '" + member + "', repeat('a', 64), 's', now() + interval '1 h')"), Ids{});
    EXPECT_EQ(told("UPDATE portal.member_sessions SET last_used_at = now()"), Ids{});
    EXPECT_EQ(sql("SELECT count(modified_at) FROM portal.member_sessions"), "0");
    EXPECT_EQ(told("UPDATE portal.customers SET name = 'New'"), Ids{});
    EXPECT_EQ(told("UPDATE portal.customers SET blocked_at = now()"), (Ids{customer, session}));
    EXPECT_EQ(told("DELETE FROM portal.member_sessions"), Ids{}) << "it had ended before";
    EXPECT_EQ(told("UPDATE portal.members SET deleted_at = now()"), Ids{member});
    EXPECT_EQ(told("UPDATE portal.workspaces SET name = 'New' WHERE slug = 'acme'"), Ids{});
    EXPECT_EQ(told("UPDATE portal.workspaces SET blocked_at = now() WHERE slug = 'acme'"), Ids{ws});
    EXPECT_EQ(told("INSERT INTO portal.client_portal_configs (workspace_id) VALUES ('" + ws + "')"), Ids{ws});
    EXPECT_EQ(told("UPDATE portal.client_portal_configs SET portal_name = 'New'"), Ids{ws});
    sql("INSERT INTO portal.contacts (workspace_id, name, email) VALUES ('" + ws + "', 'x', 'x@example.com')");
    EXPECT_EQ(told("INSERT INTO portal.client_portal_tokens (id, workspace_id, contact_id, token_hash, secret_id, expires_at) VALUES ('" + token +
                   "', '" + ws + "', 1, repeat('a', 64), 's', now() + interval '1 h')"), Ids{});
    EXPECT_EQ(told("UPDATE portal.contacts SET name = 'New'"), Ids{});
    EXPECT_EQ(told("UPDATE portal.contacts SET email = 'y@example.com'"), Ids{token});
    std::string mail = "INSERT INTO portal.outbox (workspace_id, kind, lease_owner, lease_until) VALUES ('" + ws + "', 'portal_invitation', ";
    EXPECT_EQ(told(mail + "NULL, NULL)"), Ids{"outbox"});
    EXPECT_EQ(told(mail + "gen_random_uuid(), now())"), Ids{});
    EXPECT_EQ(told("UPDATE portal.outbox SET lease_owner = NULL, lease_until = NULL"), Ids{"outbox"});
}

TEST_F(Schema, ASiteSeesItsWorkspaceAlone) {
    sql("CREATE ROLE acme_site LOGIN IN ROLE portal_site; INSERT INTO portal.site_roles VALUES ('acme_site', '" + ws + "')");
    sql(insert_customer("email", "'a@example.com'"));
    sql("INSERT INTO portal.contacts (workspace_id, name) VALUES ('" + other + "', 'Foreign')");
    io::Postgres site(loop, io::PostgresOptions::resolve("host=" + postgres.host() + " dbname=postgres user=acme_site"));
    auto attempt = [&](const io::Statement& statement) {
        try {
            io::Rows rows = run(site.query(statement));
            return rows.empty() ? std::string("none") : rows.front().string("answer");
        } catch (const io::PostgresError& error) {
            return error.sqlstate;
        }
    };
    static const io::Statement statements[] = {
        {"site_1", "SELECT string_agg(slug, ' ') AS answer FROM portal.workspaces"},
        {"site_2", "SELECT count(*) AS answer FROM portal.contacts"},
        {"site_3", "INSERT INTO portal.contacts (workspace_id, name) SELECT id, 'Mine' FROM portal.workspaces RETURNING id AS answer"},
        {"site_4", "INSERT INTO portal.contacts (workspace_id, name) SELECT $1::uuid, 'Theirs' RETURNING id AS answer"},
        {"site_5", "SELECT token_hash AS answer FROM portal.workspace_access_tokens"},
        {"site_6", "SELECT id AS answer FROM portal.customer_sessions"},
        {"site_7", "SELECT id AS answer FROM portal.outbox"},
        {"site_8", "UPDATE portal.contacts SET workspace_id = workspace_id RETURNING id AS answer"},
    };
    EXPECT_EQ(attempt(statements[0]), "acme");
    EXPECT_EQ(attempt(statements[1]), "0");
    EXPECT_EQ(attempt(statements[2]), "1");
    EXPECT_THROW(run(site.query(statements[3], io::Parameters(other))), io::PostgresError);
    for (int index = 4; index < 8; ++index) {
        EXPECT_EQ(attempt(statements[index]), "42501") << statements[index].sql;
    }
    EXPECT_EQ(sql("SELECT count(*) FROM portal.contacts WHERE workspace_id = '" + other + "'"), "1");
}

}  // namespace
}  // namespace portal::test
