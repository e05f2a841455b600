# portalctl events tail: events as they get their numbers.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new(redis => 0, nginx => 0);
my ($ws, $other) = map { $t->workspace } 1 .. 2;
$t->db->do('INSERT INTO portal.events (workspace_id, type, audience, data) VALUES (?, ?, ?, ?)', undef, @$_) for
    [$ws->{id}, 'test.past', '{"workspace": true}', '{"a": 1}'], [$ws->{id}, 'test.quiet', undef, '{}'];
ok($t->wait_for(sub { !$t->value('SELECT count(*) FROM portal.events WHERE number IS NULL') }), 'the past is numbered');
my $past = $t->value(q(SELECT number FROM portal.events WHERE type = 'test.past'));

my $runs = 0;
# Follows until its lines match, then is interrupted; gives the lines.
sub tail {
    my ($pattern, $meanwhile, @arguments) = @_;
    my $name = 'tail' . ++$runs;
    $t->spawn($name, [], PortalTest::build() . '/portalctl', '--config', $t->dir . '/portal.toml', qw(events tail), @arguments);
    if ($meanwhile) {   # it begins with what is told after it has looked for the first time
        $t->wait_for(sub { $meanwhile->(); $t->wait_for(sub { $t->log_text("$name.log") =~ $pattern }, 1) }, 10);
    }
    ok($t->wait_for(sub { $t->log_text("$name.log") =~ $pattern }, 10), "@arguments") or diag $t->log_text("$name.log");
    $t->stop($name, 'INT');
    return split /\n/, $t->log_text("$name.log");
}
sub told { my ($workspace, $type) = @_; sub { $t->db->do('INSERT INTO portal.events (workspace_id, type, audience, data) VALUES (?, ?, ?, ?)', undef,
    $workspace->{id}, $type, '{"contact": 7, "company": 3}', '{"b": "\u007f"}') } }

subtest 'from an id on' => sub {
    my @lines = tail(qr/test\.quiet/, undef, '-w', $ws->{slug}, '--since', $past - 1);
    like($lines[0], qr/^\S+T\S+Z \Q$ws->{slug}\E $past test\.past workspace \{"a":1\}$/, 'a line for people');
    like($lines[1], qr/ test\.quiet - \{\}$/, 'nobody sees it');
    @lines = tail(qr/test\.past/, undef, '-w', $ws->{slug}, qw(--since 0 --json --type), 'test.past,test.other');
    is(scalar @lines, 1, 'of these types alone');
    my $json = json_of($lines[0]);
    like(delete $json->{timestamp}, qr/^\d{4}-.*Z$/);
    is_deeply($json, { workspace => $ws->{slug}, id => $past, type => 'test.past', audiences => ['workspace'], data => { a => 1 } }, 'as JSON');
};

subtest 'from now on' => sub {
    my @lines = tail(qr/test\.now/, told($ws, 'test.now'));
    is_deeply([grep { !/test\.now/ } @lines], [], 'nothing of before');
    like($lines[0], qr/ test\.now (company:3 contact:7|contact:7 company:3) \{"b":"\?"\}$/, 'control characters are not printed');
    # the last ones of before may get their numbers only now
    @lines = grep { !/test\.now/ } tail(qr/test\.other/, told($other, 'test.other'));
    like($lines[0], qr/ \Q$other->{slug}\E \d+ test\.other/, 'of all workspaces');
};

subtest 'wrong usage' => sub {
    for (['without a workspace' => qw(--since 3)], ['a negative id' => '-w', $ws->{slug}, qw(--since -1)]) {
        my ($name, @arguments) = @$_;
        my ($code, undef, undef, $err) = $t->ctl_run(qw(events tail), @arguments);
        is($code, 2, $name);
        like($err, qr/--since/, "$name: says why");
    }
    is(($t->ctl_run(qw(events tail -w nonsense)))[0], 1, 'no such workspace');
};

$t->done;
