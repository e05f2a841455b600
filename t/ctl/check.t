# portalctl check: one line for each part, what is wrong with it, and an exit status.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new(nginx => 0);
$t->mail_mode('accept');

sub check {
    my ($toml) = @_;
    my ($code, undef, $out) = $t->ctl_run('--config', $toml // $t->dir . '/portal.toml', 'check', '--json');
    my $answer = json_of($out);
    return ($code, { map { $_->{check} => $_ } @{ $answer->{checks} } }, $answer->{ok});
}
sub with {
    my ($from, $to) = @_;
    $t->write_file('changed.toml', PortalTest::slurp($t->dir . '/portal.toml') =~ s/$from/$to/r);
    return check($t->dir . '/changed.toml');
}

my ($code, $found, $ok) = check();
is($code, 0) or diag explain $found;
is($ok, true);
is($found->{$_}{ok}, true, $_) for 'configuration', 'base URL', 'secret', 'database', 'database, as owner', 'schema', 'redis',
    'mail settings', 'mail server', 'helper';
like($found->{$_}{detail}, qr/ms/, "$_: how long it took") for 'database', 'redis', 'mail server', 'helper';
my (undef, undef, $table) = $t->ctl_run('check');
is(scalar(() = $table =~ /^ok    /mg), 10, 'one line each for people');

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
    'plain mail to another host' => [3, 'mail settings', sub { with(qr{smtp://127.0.0.1:\d+}, 'smtp://192.0.2.1:1') }],
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

subtest 'secrets' => sub {
    my ($code, $found) = with(qr{redis://}, 'redis://someone:hunter2@');
    unlike(JSON::XS->new->encode($found), qr/hunter2/, 'no password is shown');
    chmod 0644, $t->dir . '/secret';
    ($code, $found) = check();
    is($code, 1, 'a secret everybody can read');
    is($found->{secret}{ok}, false);
    chmod 0640, $t->dir . '/secret';
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
