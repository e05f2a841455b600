# portalctl demo-data: what the demo needs, the same every time.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new(redis => 0, helper => 0, nginx => 0);
my @tables = qw(workspaces workspace_access_tokens customers members contacts companies client_portal_configs
    file_share_sessions file_share_downloads file_share_payments);
my $counts = sub { join ' ', map { $t->value("SELECT count(*) FROM portal.$_") } @tables };

my $made = $t->ctl('demo-data');
is($counts->(), '2 2 4 4 4 4 2 14 14 10', "@tables");
is($made->{workspace}{slug}, 'acme');
like($made->{$_}{id}, qr/^[0-9a-f-]{36}$/, $_) for qw(workspace customer team);
ok($made->{customer}{external_id});
is($made->{customer}{type}, 'individual');
is($made->{team}{type}, 'team');
ok($made->{$_}{email}, "$_ has an address") for qw(contact company);
is($made->{$_}{email}, undef, $_) for qw(contact_without_email company_without_email);
my $club = $made->{member_model};
is($club->{workspace}{feature_settings}{member_model_enabled}, true, 'the member model');
is($made->{workspace}{feature_settings}{member_model_enabled}, false, 'and without');
is_deeply([map { $_->{role} } @{ $club->{team}{members} }], ['owner'], 'the team, with its owner');
is_deeply([map { $club->{$_}{role} } qw(owner billing_manager member)], [qw(owner billing_manager member)]);
like($_->{token}, qr/^portal_oat_/) for $made, $club;
is($t->value('SELECT min(cardinality(scopes)) FROM portal.workspace_access_tokens'), 18, 'every scope');

is_deeply($t->db->selectcol_arrayref('SELECT DISTINCT status FROM portal.file_share_sessions WHERE customer_id = ? ORDER BY 1', undef, $_),
    [qw(active completed created destroyed expired reported)], 'files in every status') for $made->{customer}{id}, $club->{team}{id};
is_deeply($t->db->selectcol_arrayref('SELECT DISTINCT status FROM portal.file_share_payments ORDER BY 1'),
    [qw(completed failed pending refunded)], 'and payments');
is($_->{file_session}{status}, 'active', 'one to try things on') for $made, $club;

my $again = $t->ctl('demo-data');
is($counts->(), '2 2 4 4 4 4 2 14 14 10', 'a second time makes nothing');
is($again->{token}, undef, 'a token is shown once');
is($again->{$_}{id}, $made->{$_}{id}, "$_ is the same") for qw(workspace customer team contact company file_session);
is($t->value('SELECT count(*) FROM portal.contacts WHERE modified_at IS NOT NULL'), 0, 'nothing was touched');

my $fresh = $t->ctl(qw(demo-data --new-token));
like($fresh->{token}, qr/^portal_oat_/, '--new-token');
isnt($fresh->{token}, $made->{token});
is($counts->(), '2 4 4 4 4 4 2 14 14 10');
like(($t->ctl_run('demo-data'))[1], qr/^Workspace acme .*\n.*--new-token makes another/m, 'for people');

$t->done;
