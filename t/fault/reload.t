# Runs alone: nginx waits a second for PostgreSQL, and then some request does fail.
# Twenty reloads in ten seconds, a new binary, and one that is taken back, all under load: no request fails, no stream misses
# an event, the limits hold, and nothing is left behind.
use strict; use warnings; use utf8;
use Test::More;
use Time::HiRes qw(sleep time);
use PortalTest;
use PortalStreams;

my $t = PortalTest->new(workers => 2, nginx => 0,
    http => 'portal_rate_limit_class default 1000000 60s; keepalive_requests 1000000; portal_rate_limit_class client-portal 1000000 60s;',
    location => 'location /site/ { portal_workspace any; portal_auth any; portal_rate_limit 1000000 60s name=site; alias %%DIR%%/html/; }
        location /sixty/ { portal_rate_limit 60 60s name=sixty; alias %%DIR%%/html/; }');
$t->write_file('html/page.txt', "the page\n");
# as a service manager has it: a master that is our own child would take USR2 for a mistake
sub start_daemon {
    my ($dir) = $t->dir;
    $t->write_file('nginx.conf', $t->nginx_conf =~ s/daemon off/daemon on/r);
    my ($code, $said) = $t->run('nginx', '/usr/sbin/nginx', '-p', "$dir/", '-e', "$dir/error.log", '-c', "$dir/nginx.conf");
    die "nginx: $said" if $code;
    $t->wait_for(sub { adopt() }) or die 'no nginx.pid';
    push @{ $t->{groups} }, ['nginx', $t->pid('nginx')];
    $t->wait_for(sub { $t->connects($t->port) }) or die $t->last_words('nginx');
}
sub adopt { ($t->{pid}{nginx}) = (slurp($t->dir . '/nginx.pid') // '') =~ /(\d+)/ }
sub gone { my ($pid) = @_; $t->wait_for(sub { !kill 0, $pid }, 15) }
sub children { my ($pid) = @_; map { split ' ' } slurp("/proc/$pid/task/$pid/children") // '' }
start_daemon();

my $ws = $t->workspace;
my $token = $t->token($ws);
my @customers = map { $t->customer($ws) } 1 .. 12;

# ---- who asks, and the status each request is due

my @requests = (['GET', '/api/v1/client-portal/config', 200], ['GET', '/site/page.txt', 200],
    ['POST', '/api/customer-sessions/', 201, qq({"customer_id":"$customers[0]{id}"})], ['GET', '/api/none', 404]);
sub bytes {
    my ($request, $keep) = @_;
    my ($method, $path, undef, $body) = @$request;
    return "$method $path HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $token\r\n" . ($keep ? '' : "Connection: close\r\n")
        . ($body ? "Content-Type: application/json\r\nContent-Length: " . length($body) . "\r\n" : '') . "\r\n" . ($body // '');
}
# until the file `stop` is there: how many answers, how many sessions were made, and what was wrong
sub client {
    my ($number) = @_;
    my ($count, $made, $slowest, @wrong, $socket) = (0, 0, 0);
    until (-e "$t->{dir}/stop") {
        my $request = $requests[($number + $count++) % @requests];
        my $keep = $number % 2;
        my $reused = $keep && $socket;
        $socket = $t->connect unless $reused;
        my $asked = time;
        my $answer = $t->ask($socket, bytes($request, $keep));
        # a kept connection may be closed while idle: a client then asks again, as browsers do
        if (!$answer && $reused) { $socket = $t->connect; $answer = $t->ask($socket, bytes($request, $keep)) }
        $slowest = time - $asked if time - $asked > $slowest;
        push @wrong, sprintf '%s %s: %s', @$request[0, 1], $answer ? "$answer->{status} $answer->{body}" : 'no answer'
            unless $answer && $answer->{status} == $request->[2];
        $made++ if $answer && $answer->{status} == 201;
        undef $socket if !$keep || !$answer || $answer->{head} =~ /^Connection: close/mi;
    }
    return { count => $count, made => $made, slowest => $slowest, wrong => [@wrong[0 .. ($#wrong < 5 ? $#wrong : 5)]] };
}

# ---- who listens, and who writes

my $streams = PortalStreams->new($t);
my %audiences;
for my $customer (@customers) {
    my $session = $t->session($customer);
    for my $n (1 .. 5) {
        my $name = "$customer->{id}-$n";
        $audiences{$name} = ["customer:$customer->{id}", 'workspace'];
        $streams->open($name, '/api/customer-portal/customers/stream', token => $session, transport => $n == 1 ? 'h2' : 'http');
    }
}
ok($streams->all_open, "$streams->{opened} streams are open");
my $before = $t->value('SELECT count(*) FROM portal.customer_sessions');
my @clients = map { my $n = $_; $t->apart(sub { client($n) }) } 1 .. 6;
my $writer = $t->apart(sub {
    my $commits = 0;
    until (-e "$t->{dir}/stop") {
        $t->db->do('UPDATE portal.customers SET name = ? WHERE id = ?', undef, 'Name ' . ++$commits, $customers[rand @customers]{id});
        sleep 0.02;
    }
    return $commits;
});
sub sixty { my ($count) = @_; map { $t->get('/sixty/page.txt')->code } 1 .. $count }

# ---- what happens meanwhile

my $began = time;
for my $n (1 .. 20) {
    $t->signal('nginx', 'HUP');
    my $next = $began + $n / 2;
    sleep $next - time if $next > time;
}
diag sprintf '20 reloads in %.1f s', time - $began;

my $old = $t->pid('nginx');
# the new master, once it has its workers
sub new_binary {
    my ($old) = @_;
    kill 'USR2', $old;
    $t->wait_for(sub { (slurp($t->dir . '/nginx.pid') // '') =~ /(\d+)/ && $1 != $old && children($1) == 2 ? $1 : 0 }, 10);
}
subtest 'a new binary' => sub {
    is_deeply([sixty(40)], [(200) x 40], 'forty of sixty before');
    my $new = new_binary($old);
    ok($new, 'a second master with workers of its own') or return;
    $t->{pid}{nginx} = $new;
    sleep 0.5;
    kill 'QUIT', $old;
    ok(gone($old), 'the first one goes');
    is_deeply([sixty(21)], [(200) x 20, 429], 'and twenty after: Redis remembers, though the zone is new');
    $old = $new;
};
subtest 'a new binary that is taken back' => sub {
    my $new = new_binary($old);
    ok($new, 'a second master') or return;
    kill 'WINCH', $old;
    ok($t->wait_for(sub { children($old) == 1 }, 10), 'the workers of the first go');
    sleep 0.3;
    kill 'HUP', $old;
    ok($t->wait_for(sub { children($old) == 3 }, 10), 'and come back');
    kill 'QUIT', $new;
    ok(gone($new), 'the second one goes');
    is(0 + (slurp($t->dir . '/nginx.pid') // 0), $old, 'the first is the only one');
};

# ---- what came of it

sleep 0.3;
$t->write_file('stop', '');
my ($count, $made, $slowest, @wrong) = (0, 0, 0);
for (@clients) {
    my $told = $_->();
    $count += $told->{count};
    $made += $told->{made};
    $slowest = $told->{slowest} if $told->{slowest} > $slowest;
    push @wrong, @{ $told->{wrong} };
}
my $commits = $writer->();
my $seconds = time - $began;
is(join("\n", @wrong), '', "none of $count requests failed");
cmp_ok($count, '>', 500, 'and there were enough of them');
is($t->value('SELECT count(*) FROM portal.customer_sessions') - $before, $made, "each of $made sessions is there, once");
ok($streams->all_open, 'every stream is open') or diag explain $streams->told;
is($streams->unlike_database($ws, \%audiences), '', "each has what the database has, in order, of $commits commits");
my $told = $streams->told;
is("$told->{resets} $told->{byes}", '0 0', 'no reset; and no bye, which would end them for good');
is_deeply([grep { !/^(?:0|1)$/ } keys %{ $streams->statuses }], [], 'nobody was refused') or diag explain $streams->statuses;
diag sprintf '%d requests in %.0f s, 0 failed, the slowest %.2f s; %d events to %d streams, opened %d times, 0 lost',
    $count, $seconds, $slowest, $told->{events}, $streams->{opened}, $told->{openings};
$streams->close;
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

my $last = delete $t->{pid}{nginx};
kill 'TERM', $last;
gone($last);
$t->done;
