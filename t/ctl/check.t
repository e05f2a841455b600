# portalctl check: one line for each part, what is wrong with it, and an exit status.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new;
$t->mail_mode('accept');

sub check {
    my ($toml, $nginx) = @_;
    my ($code, undef, $out) = $t->ctl_run('--config', $toml // $t->dir . '/portal.toml', 'check', '--json',
        '--nginx', $nginx // $t->dir . '/nginx.conf');
    my $answer = json_of($out);
    return ($code, { map { $_->{check} => $_ } @{ $answer->{checks} } }, $answer->{ok});
}
sub with_nginx {
    my ($from, $to) = @_;
    $t->write_file('changed.conf', PortalTest::slurp($t->dir . '/nginx.conf') =~ s/$from/$to/r);
    return check(undef, $t->dir . '/changed.conf');
}
sub with {
    my ($from, $to) = @_;
    $t->write_file('changed.toml', PortalTest::slurp($t->dir . '/portal.toml') =~ s/$from/ref $to ? $to->() : $to/er);
    return check($t->dir . '/changed.toml');
}

my ($code, $found, $ok) = check();
is($code, 0) or diag explain $found;
is($ok, true);
is($found->{$_}{ok}, true, $_) for 'configuration', 'base URL', 'secret', 'database', 'database, as owner', 'schema', 'redis',
    'mail settings', 'mail server', 'helper', 'clock', 'nginx', 'nginx and helper', 'worker connections', 'database room',
    'real IP';
like($found->{$_}{detail}, qr/ms/, "$_: how long it took") for 'base URL', 'database', 'redis', 'mail server', 'helper';
my (undef, undef, $table) = $t->ctl_run('check', '--nginx', $t->dir . '/nginx.conf');
is(scalar(() = $table =~ /^ok    /mg), 16, 'one line each for people');

my %broken = (
    'a file that is not there' => [1, 'configuration', sub { check('/nonexistent') }],
    'a misspelt key' => [1, 'configuration', sub { with(qr/^redis/m, 'reddis') }],
    'no such secret' => [1, 'secret', sub { with(qr/secret_file = .*/, 'secret_file = "/nonexistent"') }],
    'a wrong port of PostgreSQL' => [3, 'database', sub { with(qr/port=\d+/, 'port=1') }],
    'a role that does not exist' => [3, 'database', sub { with(qr/user=portal_helper/, 'user=nobody_here') }],
    'a database that does not exist' => [3, 'database', sub { with(qr/dbname=portal/, 'dbname=elsewhere') }],
    'a wrong port of Redis' => [3, 'redis', sub { with(qr/(redis = "redis:.*:)\d+/, '${1}1' =~ s/.*/redis = "redis:\/\/127.0.0.1:1/r) }],
    'a password Redis does not know' => [1, 'redis', sub { with(qr{redis://}, 'redis://someone:secret@') }],
    'a wrong port of the mail server' => [3, 'mail server', sub { with(qr{smtp://127.0.0.1:\d+}, 'smtp://127.0.0.1:1') }],
    'a mail server without TLS' => [1, 'mail server', sub { with(qr/starttls = "off"/, 'starttls = "required"') }],
    'plain mail to another host' => [1, 'mail settings', sub { with(qr{smtp://127.0.0.1:\d+}, 'smtp://192.0.2.1:1') }],
    'a base URL without TLS' => [1, 'base URL', sub { with(qr{base_url = .*}, 'base_url = "http://portal.example.com"') }],
    'a base URL that leads nowhere' => [3, 'base URL', sub { with(qr{base_url = .*}, 'base_url = "http://127.0.0.1:1"') }],
    'an nginx configuration that is not taken' => [1, 'nginx', sub { with_nginx(qr/portal_stale/, 'portal_stail') }],
    'another secret in nginx' => [1, 'nginx and helper', sub { $t->ctl_plain('secret', 'new', $t->dir . '/other') unless -e $t->dir . '/other'; with_nginx(qr{portal_secret_file .*}, 'portal_secret_file ' . $t->dir . '/other;') }],
    'another base URL in nginx' => [1, 'nginx and helper', sub { with_nginx(qr/portal_base_url .*/, 'portal_base_url https://other.example.com;') }],
    'no helper in nginx' => [1, 'nginx and helper', sub { with_nginx(qr/portal_helper .*/, '') }],
    'no Redis in nginx' => [1, 'nginx and helper', sub { with_nginx(qr/portal_redis .*/, '') }],
    'too few worker connections' => [1, 'worker connections', sub { with_nginx(qr/worker_connections 2048/, 'worker_connections 256') }],
    'more connections than PostgreSQL has' => [1, 'database room', sub { with_nginx(qr/(portal_postgres "[^"]*")/, 'portal_postgres "host=/tmp dbname=portal user=portal_web" connections=64') }],
    'a proxy before nginx' => [1, 'real IP', sub { with_nginx(qr/set_real_ip_from.*?portal_base_url \S+;/s, PortalTest::slurp($t->dir . '/nginx.conf') =~ /real_ip_header \S+(.*?)portal_base_url/s ? "portal_base_url https://portal.example.com;$1" : die) }],
    'a header without a proxy' => [1, 'real IP', sub { with_nginx(qr/real_ip_header .*/, '') }],
    'no helper' => [3, 'helper', sub { with(qr/helper\.sock/, 'nobody.sock') }],
);
for my $case (sort keys %broken) {
    my ($expected, $part, $look) = @{ $broken{$case} };
    my ($code, $found, $ok) = $look->();
    is($code, $expected, $case) or diag explain $found;
    is($ok, false, "$case: not ok");
    is($found->{$part}{ok}, false, "$case: told at $part");
    ok(length($found->{$part}{mend} // '') || $found->{$part}{detail} =~ / — /, "$case: and how to mend it");
}

subtest 'settings the helper would refuse are not tried' => sub {
    for my $starttls (qw(off opportunistic)) {
        # this host, by a name that does not say so
        my (undef, $found) = with(qr{smtp://127.0.0.1(:\d+.*)starttls = "off"}s, sub { qq(smtp://0.0.0.0$1starttls = "$starttls") });
        is($found->{'mail settings'}{ok}, false, $starttls);
        is($found->{'mail server'}, undef, 'the mail server is not asked');
    }
};

subtest 'secrets' => sub {
    my ($code, $found) = with(qr{redis://}, 'redis://someone:hunter2@');
    unlike(JSON::XS->new->encode($found), qr/hunter2/, 'no password is shown');
    chmod 0644, $t->dir . '/secret';
    ($code, $found) = check();
    is($code, 1, 'a secret everybody can read');
    is($found->{secret}{ok}, false);
    chmod 0640, $t->dir . '/secret';
};

subtest 'the clock' => sub {
    # what the statement finds instead of PostgreSQL's own: an hour from now
    $t->db->do($_) for 'CREATE SCHEMA ahead', 'GRANT USAGE ON SCHEMA ahead TO PUBLIC',
        q{CREATE FUNCTION ahead.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$ SELECT now() + interval '1 h' $$},
        'ALTER ROLE portal_owner SET search_path = ahead, pg_catalog';
    my ($code, $found) = check();
    is($code, 1, 'an hour off');
    like($found->{clock}{detail}, qr/\+(?:3599|3600)\.\d+ s/, 'by how much');
    like($found->{clock}{mend}, qr/NTP/);
    $t->db->do('ALTER ROLE portal_owner RESET search_path');
};

subtest 'the schema' => sub {
    $t->db->do("INSERT INTO portal.schema_migrations (version, name) VALUES (999, '999_future')");
    my ($code, $found) = check();
    is($code, 1, 'newer than this installation');
    like($found->{schema}{mend}, qr/upgrade/);
    $t->db->do('DELETE FROM portal.schema_migrations WHERE version > 1');
    ($code, $found) = check();
    is($code, 1, 'older');
    like($found->{schema}{mend}, qr/portalctl migrate/);
};

$t->done;
