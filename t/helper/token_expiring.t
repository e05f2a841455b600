# client_portal.token_expiring: three days before a link that was used ends, once, whichever of several helpers is first.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new(nginx => 0, redis => 0, helper => 0);
my ($ws, $gone) = map { $t->workspace } 1 .. 2;
my ($contact, $stranger) = map { $t->contact($_) } $ws, $gone;
my $company = $t->company($ws);
my $hash = 0;
sub in_days { $t->value("SELECT now() + ? * interval '1 day'", $_[0]) }
sub link_for {
    my ($days, %column) = @_;
    return $t->insert('client_portal_tokens', { workspace_id => $ws->{id}, contact_id => $contact->{id}, secret_id => 'k1',
        token_hash => sprintf('%064x', ++$hash), expires_at => in_days($days), access_count => 1, %column });
}
sub told { $t->db->selectcol_arrayref("SELECT data FROM portal.events WHERE type = 'client_portal.token_expiring' AND data->>'token_id' = ?",
    undef, $_[0]{id}) }
sub start { $t->start('helper') }

my $soon = link_for(2.9);
my %due = (opened => $soon, 'opened, almost over' => link_for(0.01), 'used as a bearer' => link_for(1, access_count => 0, last_used_at => in_days(-1)),
    'of a company' => link_for(1, contact_id => undef, company_id => $company->{id}), 'of an invitation' => link_for(1, made_for => $ws->{id}));
my %quiet = (later => link_for(3.1), 'never used' => link_for(1, access_count => 0), over => link_for(-0.01), revoked => link_for(1, revoked_at => in_days(-1)),
    "a browser's session" => link_for(1, parent_id => $soon->{id}), "a deleted workspace's" => link_for(1, workspace_id => $gone->{id}, contact_id => $stranger->{id}));
$t->db->do('UPDATE portal.workspaces SET deleted_at = now() WHERE id = ?', undef, $gone->{id});

start();
for my $name (sort keys %due) { ok($t->wait_for(sub { @{ told($due{$name}) } }, 10), "$name: told of") }
is(scalar @{ told($quiet{$_}) }, 0, "$_: not") for sort keys %quiet;
my ($data) = map { json_of($_) } @{ told($due{'of a company'}) };
is_deeply($data, { token_id => $due{'of a company'}{id}, type => 'company', id => $company->{id}, expires_at => $data->{expires_at} }, 'whose it is');
like($data->{expires_at}, qr/^\d{4}-\d\d-\d\dT[\d:.]+Z$/, 'and until when');
is(json_of(told($due{'of an invitation'})->[0])->{invitation_id}, $ws->{id}, 'an invitation says which');
is($t->value('SELECT count(*) FROM portal.client_portal_tokens WHERE modified_at IS NOT NULL'), 0, 'that is no change of the link');

# once, by however many helpers
$t->stop('helper');
my $second = $t->log_text('portal.toml') =~ s/helper\.sock/second.sock/r;
$t->db->do("INSERT INTO portal.client_portal_tokens (workspace_id, contact_id, secret_id, token_hash, expires_at, access_count)
    SELECT ?, ?, 'k1', repeat('f', 60) || lpad(to_hex(n), 4, '0'), now() + interval '1 day', 1 FROM generate_series(1, 1200) n", undef, $ws->{id}, $contact->{id});
$t->spawn('helper2', [], PortalTest::build() . '/portal-helper', '--config', $t->write_file('second.toml', $second));
start();
my $all = 1200 + keys %due;
ok($t->wait_for(sub { $t->value("SELECT count(*) FROM portal.events WHERE type = 'client_portal.token_expiring'") >= $all }, 20), 'all of 1,200 more');
is($t->value("SELECT count(*) || ' ' || count(DISTINCT data->>'token_id') FROM portal.events WHERE type = 'client_portal.token_expiring'"), "$all $all",
    'each once');
is($t->value("SELECT count(*) FROM portal.events WHERE type = 'client_portal.token_expiring' AND audience IS NOT NULL"), 0, 'no stream shows it');

$t->stop('helper2');
$t->done;
