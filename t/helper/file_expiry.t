# File-sharing sessions past their end become expired, once, whichever of several helpers is first.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new(nginx => 0, redis => 0);
my $ws = $t->workspace;
my $customer = $t->customer($ws);
my $ago = $t->value("SELECT now() - interval '1 day'");
sub share { $t->insert('file_share_sessions', { workspace_id => $ws->{id}, customer_id => $customer->{id}, @_ }) }
sub status { $t->value('SELECT status FROM portal.file_share_sessions WHERE id = ?', $_[0]{id}) }
sub told { $t->value("SELECT count(*) FROM portal.events WHERE type = 'file_sharing_session.expired' AND data->>'id' = ?", $_[0]{id}) }

my %kept = map { $_ => share(status => $_, expires_at => $ago) } qw(completed destroyed reported);
my ($later, $never) = (share(ttl_seconds => 3600), share());
my @over = (share(expires_at => $ago), share(status => 'active', expires_at => $ago), share(ttl_seconds => 1));
for my $one (@over) { ok($t->wait_for(sub { status($one) eq 'expired' }, 20), 'expired') }
is(told($_), 1, 'announced once') for @over;
is(status($kept{$_}), $_, "$_ stays") for sort keys %kept;
is(status($_), 'created', 'not yet') for $later, $never;

# two helpers, many at once
my $second = $t->log_text('portal.toml') =~ s/helper\.sock/second.sock/r;
$t->spawn('helper2', [], PortalTest::build() . '/portal-helper', '--config', $t->write_file('second.toml', $second));
$t->db->do('INSERT INTO portal.file_share_sessions (workspace_id, customer_id, expires_at)
    SELECT $1::uuid, $2::uuid, now() FROM generate_series(1, 1200)', undef, $ws->{id}, $customer->{id});
ok($t->wait_for(sub { $t->value("SELECT count(*) FROM portal.file_share_sessions WHERE status = 'expired'") == 1203 }, 30), 'all of 1,200');
is($t->value("SELECT count(*) || ' ' || count(DISTINCT data->>'id') FROM portal.events WHERE type = 'file_sharing_session.expired'"),
    '1203 1203', 'each announced once');

# PostgreSQL goes away and comes back
$t->stop('postgres');
$t->start('postgres');
my $after = share(expires_at => $ago);
ok($t->wait_for(sub { status($after) eq 'expired' }, 30), 'and after PostgreSQL was away');

$t->stop('helper2');
$t->done;
