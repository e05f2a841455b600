# kill -9 of a worker under load: its own requests break, the others go on, and the shared zone stays usable.
use strict; use warnings; use utf8;
use Test::More;
use Time::HiRes qw(sleep time);
use PortalTest;

my $t = PortalTest->new(workers => 2, http => 'portal_rate_limit_class default 1000000 60s;', location => <<'NGINX');
        location /site/ { portal_workspace any; portal_auth any; portal_rate_limit 1000000 60s name=site; portal_rate_limit 90 60s key=address name=exact; alias %%DIR%%/html/; }
NGINX
$t->tolerate(qr/worker process \d+ exited on signal 9/, qr/shared memory zone "\w+" was locked by \d+/);
$t->write_file('html/page.txt', "the page\n");
my $ws = $t->workspace;
my $config = '/api/v1/client-portal/config';
my @tokens = map { $t->token($ws) } 1 .. 3;
my $counted = $t->token($ws);
is($t->get($config, token => $counted)->code, 200) for 1 .. 40;

# many addresses and tokens: every part of the zone is written
sub client {
    my ($number) = @_;
    my ($count, $broken, $right, $longest, %status) = (0, 0, time, 0);
    until (-e "$t->{dir}/stop") {
        my $token = $tokens[$count++ % @tokens];
        my $address = join '.', 10, $number, $count / 250 % 250, $count % 250;
        my $answer = eval { $t->ask($t->connect, $t->bytes(GET => '/site/page.txt', token => $count % 10 ? $token : "unknown-$count",
            headers => { 'X-Real-IP' => $address })) };
        if (!$answer) { $broken++; next }
        $status{ $answer->{status} }++;
        $longest = time - $right if time - $right > $longest;
        $right = time;
    }
    return { longest => $longest, count => $count, broken => $broken, status => \%status };
}
my @clients = map { my $n = $_; $t->apart(sub { client($n) }) } 1 .. 4;
my $kills = 15;
for (1 .. $kills) {
    my @workers;
    $t->wait_for(sub { @workers = $t->workers; @workers == 2 }, 5);
    sleep 0.1 + rand 0.1;
    kill 'KILL', $workers[rand @workers];
    ok($t->wait_for(sub { my @now = $t->workers; @now == 2 && "@now" ne "@workers" }, 5), "kill $_: another takes its place");
}
sleep 0.3;
$t->write_file('stop', '');
my ($count, $broken, $longest, %status) = (0, 0, 0);
for (@clients) {
    my $told = $_->();
    $count += $told->{count};
    $broken += $told->{broken};
    $longest = $told->{longest} if $told->{longest} > $longest;
    $status{$_} += $told->{status}{$_} for keys %{ $told->{status} };
}
is_deeply([sort keys %status], [200, 401], 'answers were right') or diag explain \%status;
# those a worker had, and those its backlog kept: no more than a client each
cmp_ok($broken, '<=', 4 * $kills, "$broken of $count requests broke, of four clients in $kills kills");
diag sprintf '%d kills: %d of %d requests broke; after one the longest wait for a right answer was %.0f ms', $kills, $broken, $count, $longest * 1000;
cmp_ok($count, '>', 200, 'there was load');

subtest 'the zone is usable' => sub {
    my @codes = map { $t->get($config, token => $counted)->code } 1 .. 21;
    is_deeply(\@codes, [(200) x 20, 429], 'what was counted before is remembered: sixty in all');
    my @answers = $t->at_once(($t->bytes(GET => $config, token => $t->token($ws))) x 61);
    is_deeply([sort map { $_->code } @answers], [(200) x 60, 429], 'sixty of sixty-one');
    is_status($t->patch($config, token => $tokens[0], json => { portal_name => 'After' }), 200);
    my $fresh = $t->token($ws);
    is(json_of($t->get($config, token => $fresh))->{data}{portal_name}, 'After', 'configurations are kept and changed');
    my $session = json_of($t->post('/api/customer-sessions/', token => $fresh, json => { customer_id => $t->customer($ws)->{id} }));
    is_status($t->get('/site/page.txt', token => $session->{token}, headers => { 'X-Real-IP' => '10.99.0.1' }), 200, 'tokens, too');
    $t->delete("/api/customer-sessions/$session->{id}", token => $fresh);
    is_status($t->get('/site/page.txt', token => $session->{token}, headers => { 'X-Real-IP' => '10.99.0.2' }), 401, 'and forgotten');
};

$t->done;
