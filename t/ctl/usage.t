# What every verb has in common: help, exit statuses, where --config and --json may stand.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new(redis => 0, helper => 0, nginx => 0);
my @verbs = ('check', 'migrate', (map { "secret $_" } qw(new rotate promote retire status)),
    'session list', 'session revoke', 'restored', (map { "workspace $_" } qw(create list show set)),
    (map { "token $_" } qw(create list revoke import)), (map { my $n = $_; map { "$n $_" } qw(create list show) }
    qw(customer member contact company)), 'invite contact', 'invite company', 'mail queue', 'mail retry',
    'events tail', 'demo-data', 'completion');

subtest 'help' => sub {
    my ($code, $both) = $t->ctl_run('--help');
    is($code, 0);
    for my $verb (@verbs) {
        my ($code, $both) = $t->ctl_run(split(/ /, $verb), '--help');
        is($code, 0, $verb);
        like($both, qr/^Example:\n  portalctl \Q$verb\E/m, "$verb has an example");
    }
};

subtest 'wrong usage is 2' => sub {
    my %cases = (
        'no verb' => [], 'unknown verb' => ['nonsense'], 'unknown verb of a noun' => [qw(token nonsense)],
        'a noun alone' => ['token'], 'a missing option' => [qw(token list)], 'an unknown option' => [qw(workspace list --nonsense)],
        'too many words' => [qw(workspace show a b)], 'a value out of range' => [qw(workspace list --limit 101)],
        'text for a number' => [qw(contact show -w a x)], 'not on or off' => [qw(workspace set a --blocked maybe)],
        'nothing to set' => [qw(workspace set a)], 'no mail named' => [qw(mail retry)],
    );
    for (sort keys %cases) {
        my ($code, undef, $out, $err) = $t->ctl_run(@{ $cases{$_} });
        is($code, 2, $_) or diag $err;
        ok(length $err, "$_: says why");
    }
    like(($t->ctl_run('nonsense'))[1], qr/there is no verb nonsense/);
};

subtest 'configuration' => sub {
    my ($code, $both) = $t->run('ctl', PortalTest::build() . '/portalctl', '--config', '/nonexistent', 'workspace', 'list');
    is($code, 2);
    like($both, qr{/nonexistent}, 'names the file');
    ($code, $both) = $t->ctl_run('workspace', 'list', '--json', '--config', $t->dir . '/portal.toml');
    is($code, 0, '--config after the verb');
    is_deeply(json_of($both), { data => [], meta => { total => 0, page => 1, per_page => 50, pages => 0 } });
};

subtest 'out of reach is 3' => sub {
    $t->write_file('away.toml', PortalTest::slurp($t->dir . '/portal.toml') =~ s/port=\d+/port=1/gr);
    my ($code, undef, undef, $err) = $t->ctl_run('--config', $t->dir . '/away.toml', 'workspace', 'list');
    is($code, 3);
    like($err, qr/cannot reach PostgreSQL.*is PostgreSQL running/, 'says what to look at');
    ($code) = $t->ctl_run('--config', $t->dir . '/away.toml', 'migrate');
    is($code, 3, 'migrate');
};

subtest 'output that cannot be written is 1' => sub {
    my $ws = $t->workspace;
    my $portalctl = PortalTest::build() . '/portalctl --config ' . $t->dir . '/portal.toml';
    for my $verb ("token create -w $ws->{slug} --scope customers:read", 'workspace list --json', '--help') {
        my ($code, undef, undef, $err) = $t->run('ctl', 'sh', '-c', "$portalctl $verb > /dev/full");
        is($code, 1, $verb);
        like($err, qr/^portalctl: the output could not be written/, 'and says so');
    }
};

subtest 'completion' => sub {
    my ($code, $script) = $t->ctl_run('completion');
    is($code, 0);
    $t->write_file('completion.bash', $script);
    my $words = sub {
        my ($line) = @_;
        my @words = split / /, $line, -1;
        my $set = join ' ', map { "'$_'" } @words;
        return `bash -c 'source $t->{dir}/completion.bash; COMP_WORDS=($set); COMP_CWORD=$#words; _portalctl; echo "\${COMPREPLY[*]}"'`;
    };
    is($words->('portalctl tok'), "token\n");
    is($words->('portalctl token '), "create list update revoke import --help --config --json\n");
    is($words->('portalctl workspace set acme --mem'), "--member-model\n");
};

$t->done;
