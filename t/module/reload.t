# Twenty reloads under load: no request fails, nothing is left behind.
use strict; use warnings; use utf8;
use Test::More;
use Time::HiRes qw(sleep time);
use PortalTest;

my $t = PortalTest->new(workers => 2,
    http => 'portal_rate_limit_class client-portal 1000000 60s; portal_rate_limit_class default 1000000 60s; keepalive_requests 1000000;',
    location => 'location /site/ { portal_workspace any; portal_auth any; portal_rate_limit 1000000 60s name=site; alias %%DIR%%/html/; }');
$t->write_file('html/page.txt', "the page\n");
my $ws = $t->workspace;
my $token = $t->token($ws);
my $customer = $t->customer($ws);

# what a client asks for, again and again, and the status it is due
my @requests = (['GET', '/api/v1/client-portal/config', 200], ['GET', '/site/page.txt', 200],
    ['POST', '/api/customer-sessions/', 201, qq({"customer_id":"$customer->{id}"})], ['GET', '/api/none', 404]);
sub bytes {
    my ($request, $keep) = @_;
    my ($method, $path, undef, $body) = @$request;
    return "$method $path HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $token\r\n" . ($keep ? '' : "Connection: close\r\n")
        . ($body ? "Content-Type: application/json\r\nContent-Length: " . length($body) . "\r\n" : '') . "\r\n" . ($body // '');
}
# until the file `stop` is there: how many answers, and what was wrong
sub client {
    my ($number) = @_;
    my ($count, @wrong, $socket) = (0);
    until (-e "$t->{dir}/stop") {
        my $request = $requests[($number + $count++) % @requests];
        my $keep = $number % 2;
        my $reused = $keep && $socket;
        $socket = $t->connect unless $reused;
        my $answer = $t->ask($socket, bytes($request, $keep));
        # a kept connection may be closed while idle: a client then asks again, as browsers do
        if (!$answer && $reused) { $socket = $t->connect; $answer = $t->ask($socket, bytes($request, $keep)) }
        push @wrong, sprintf '%s %s: %s', @$request[0, 1], $answer ? "$answer->{status} $answer->{body}" : 'no answer'
            unless $answer && $answer->{status} == $request->[2];
        undef $socket if !$keep || !$answer || $answer->{head} =~ /^Connection: close/mi;
    }
    return { count => $count, wrong => [@wrong[0 .. ($#wrong < 5 ? $#wrong : 5)]] };
}

my @clients = map { my $n = $_; $t->apart(sub { client($n) }) } 1 .. 4;
sleep 0.3;
$t->reload for 1 .. 20;
sleep 0.2;
$t->write_file('stop', '');
my ($count, @wrong) = (0);
for (@clients) {
    my $told = $_->();
    $count += $told->{count};
    push @wrong, @{ $told->{wrong} };
}
is(join("\n", @wrong), '', "none of $count requests failed");
cmp_ok($count, '>', 200, 'and there were enough of them');
is(scalar(() = $t->workers), 2, 'two workers');
# lookup=1 and connections=2 for each of two
ok($t->wait_for(sub { $t->value(q(SELECT count(*) FROM pg_stat_activity WHERE usename = 'portal_web')) <= 6 }, 5), 'no connection to PostgreSQL is left over');
ok($t->wait_for(sub { (() = $t->redis->client_list =~ /name=portal_nginx/g) <= 2 }, 5), 'nor to Redis');

subtest 'a request that waits is waited for' => sub {
    $t->db->begin_work;
    $t->db->do('LOCK TABLE portal.customer_sessions IN ACCESS EXCLUSIVE MODE');
    my $socket = $t->connect;
    print $socket bytes($requests[2], 0);
    sleep 0.1;
    my @old = $t->workers;
    $t->signal('nginx', 'HUP');
    ok($t->wait_for(sub { grep { my $pid = $_; !grep { $pid == $_ } @old } $t->workers }, 5), 'new workers are there');
    $t->db->rollback;
    my $answer = $t->ask($socket, '');
    is($answer->{status}, 201, 'the old one answers') or diag explain $answer;
    close $socket;    # nginx would linger for a client that sent a body and stays
    ok($t->wait_for(sub { my @now = $t->workers; @now == 2 && !grep { my $pid = $_; grep { $pid == $_ } @old } @now }, 15), 'and goes');
};

$t->done;
