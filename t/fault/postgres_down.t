# PostgreSQL stopped, crashed, frozen: what the zone knows is served up to portal_stale, the rest is 503 within 1.3 s.
use strict; use warnings; use utf8;
use Test::More;
use Time::HiRes qw(sleep time);
use PortalTest;

my $stale = 4;
my $t = PortalTest->new(workers => 2, stale => "${stale}s", http => 'portal_rate_limit_class client-portal 1000000 60s; portal_rate_limit_class default 1000000 60s;',
    location => 'location /site/ { portal_workspace any; portal_auth any; alias %%DIR%%/html/; }');
$t->write_file('html/page.txt', "the page\n");
# what is told must survive a crash here
$t->db->do('ALTER SYSTEM SET synchronous_commit = on');
$t->db->do('SELECT pg_reload_conf()');
my $slack = PortalTest::asan() ? 1.5 : 0.3;
my $ws = $t->workspace;
my $customer = $t->customer($ws);
my $contact = $t->contact($ws);
my $config = '/api/v1/client-portal/config';
my $token = $t->token($ws);
my $unseen = $t->token($ws);
my $session = json_of($t->post('/api/customer-sessions/', token => $token, json => { customer_id => $customer->{id} }))->{token};

sub processes { my $pid = $t->pid('postgres'); ($pid, map { split ' ' } PortalTest::slurp("/proc/$pid/task/$pid/children")) }
sub seen { is_status($t->get($config, token => $token), 200, 'known before'); is_status($t->get('/site/page.txt', token => $session), 200, 'and on the site') }

# a 503 of ours, in time
sub unavailable {
    my ($name, $body, $method, $path, %option) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $start = time;
    my $response = $t->request($method, $path, %option);
    my $took = time - $start;
    is_status($response, 503, $name);
    is($response->content, $body, "$name: body") if $body;
    like($response->header('Retry-After') // '', qr/^[1-9]\d*$/, "$name: Retry-After");
    cmp_ok($took, '<=', 1 + $slack, sprintf '%s: after %.2f s', $name, $took);
}
my $rest = '{"detail":"Service Unavailable"}';
my $client = '{"message":"Service Unavailable"}';
sub the_rest_is_unavailable {
    unavailable('a session', $rest, POST => '/api/customer-sessions/', token => $token, json => { customer_id => $customer->{id} });
    unavailable('a change', $client, PATCH => $config, token => $token, json => { portal_name => 'Half-written' });
    unavailable('a portal token', $client, POST => '/api/v1/client-portal/token', token => $token, json => { type => 'contact', id => 0 + $contact->{id} });
    unavailable('an invitation', $client, POST => "/api/v1/client-portal/contacts/$contact->{id}/invite", token => $token);
    unavailable('a token nobody has seen', $client, GET => $config, token => $unseen);
    unavailable('it at the site', undef, GET => '/site/page.txt', token => $unseen);
    is_status($t->get($config), 401, 'no token is still 401');
    is_status($t->get($config, token => 'portal_oat_' . 'A' x 48), 401, 'and so is a forged one');
    is_status($t->get('/api/none'), 404, 'and an unknown path 404');
}
sub recovers {
    my ($name, $since) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    # both workers, each with connections of its own
    my $streak = 0;
    ok($t->wait_for(sub {
        my $code = $t->raw($t->bytes(POST => '/api/customer-sessions/', token => $token, json => { customer_id => $customer->{id} })) =~ /^HTTP\/1\.1 201/;
        $streak = $code ? $streak + 1 : 0;
        $streak == 10 }, 8, 0.02), "$name: serves again");
    my $back = time - $since;
    cmp_ok($back, '<', 3 + $slack, sprintf '%s: %.2f s after it was back', $name, $back);
    diag sprintf '%s: ten sessions made %.0f ms after it was back; nothing of what was refused is there', $name, $back * 1000;
    # each worker finds out by itself that it is back
    ok($t->wait_for(sub { $t->get($config, token => $unseen)->code == 200 }, 3 + $slack), "$name: tokens are looked up");
    ok($t->wait_for(sub { 8 == grep { $_ == 200 } map { $t->get($config, token => $token)->code } 1 .. 8 }, 3 + $slack), "$name: by every worker");
    is(json_of($t->get($config, token => $token))->{data}{portal_name}, 'Client Portal', "$name: nothing of the refused change");
    is($t->value('SELECT count(*) FROM portal.outbox'), 0, "$name: nor of the invitation");
    is($t->value('SELECT count(*) FROM portal.client_portal_tokens'), 0, "$name: nor of the portal token");
    $t->db->do('UPDATE portal.workspace_access_tokens SET revoked_at = now() WHERE id = ?', undef, $t->token_id($unseen));
    sleep 1.1;
    is_status($t->get($config, token => $unseen), 401, "$name: and revocation is heard of");
    $unseen = $t->token($ws);
}

subtest 'stopped' => sub {
    seen();
    $t->stop('postgres');
    my $down = time;
    my @codes;
    while (time - $down < 2.5) { push @codes, $t->get($config, token => $token)->code, $t->get('/site/page.txt', token => $session)->code; sleep 0.05 }
    is(scalar(grep { $_ != 200 } @codes), 0, 'tokens and configuration are served: ' . @codes . ' times');
    the_rest_is_unavailable();
    $t->wait_for(sub { time - $down > $stale + 1.5 }, $stale + 2);
    unavailable('the configuration after portal_stale', $client, GET => $config, token => $token);
    unavailable('and the site', undef, GET => '/site/page.txt', token => $session);
    $t->start('postgres');
    recovers('stopped', time);
};

subtest 'crashed, with requests on their way' => sub {
    seen();
    my $stop = "$t->{dir}/stop";
    my @clients = map { $t->apart(sub {
        my %status;
        until (-e $stop) {
            my $answer = $t->ask($t->connect, $t->bytes(POST => '/api/customer-sessions/', token => $token, json => { customer_id => $customer->{id}, return_url => 'https://crash.example.org/' }), 5);
            $status{ $answer ? $answer->{status} : 'none' }++;
        }
        return \%status;
    }) } 1 .. 4;
    sleep 0.5;
    my @processes = processes();
    kill 'KILL', @processes;
    $t->stop('postgres', 'KILL');
    sleep 0.5;
    is_status($t->get($config, token => $token), 200, 'the configuration is served');
    $t->start('postgres');
    my $back = time;
    sleep 2;
    $t->write_file('stop', '');
    my %status;
    for (@clients) { my $told = $_->(); $status{$_} += $told->{$_} for keys %$told }
    # how many are refused hangs on how soon it was back
    is_deeply([grep { !/^(?:201|503)$/ } keys %status], [], 'whole or 503') or diag explain \%status;
    cmp_ok($status{201}, '>', 0, 'and some were whole');
    my $rows = $t->value(q(SELECT count(*) FROM portal.customer_sessions WHERE return_url LIKE '%crash%'));
    # an answer may be lost after its commit, never the other way round
    cmp_ok($rows, '>=', $status{201}, "each of $status{201} sessions told of is there");
    cmp_ok($rows, '<=', $status{201} + 4, "and none that was refused ($rows)");
    diag sprintf 'crashed: %d sessions told of, 0 lost; %d requests refused with 503', $status{201}, $status{503} // 0;
    recovers('crashed', time);
};

subtest 'frozen' => sub {
    seen();
    # the connections stay open and say nothing
    my @processes = processes();
    kill 'STOP', @processes;
    my $down = time;
    my (@codes, $longest);
    while (time - $down < 2) {
        my $start = time;
        push @codes, $t->get($config, token => $token)->code;
        $longest = time - $start if !$longest || time - $start > $longest;
    }
    is(scalar(grep { $_ != 200 } @codes), 0, 'the configuration is served: ' . @codes . ' times');
    diag sprintf 'frozen: %d requests for the configuration, 0 failed, the longest %.0f ms', scalar @codes, $longest * 1000;
    cmp_ok($longest, '<=', 1 + $slack, sprintf 'after %.2f s at most', $longest);
    the_rest_is_unavailable();
    # the queue of a worker is 512 long
    my @crowd = map { my $socket = $t->connect; print $socket $t->bytes(POST => '/api/customer-sessions/', token => $token,
        json => { customer_id => $customer->{id} }); $socket } 1 .. 1300;
    my (%status, $untold);
    for (@crowd) {
        my $answer = $t->ask($_, '');
        $status{ $answer->{status} // 0 }++;
        $untold++ unless ($answer->{head} // '') =~ /^Retry-After: [1-9]/m;
    }
    is_deeply(\%status, { 503 => 1300 }, 'a crowd is refused, each of them') or diag explain \%status;
    is($untold, undef, 'and told when to come back');
    kill 'CONT', @processes;
    recovers('frozen', time);
};

subtest 'limits of time, for whoever connects as the workers do' => sub {
    my $db = DBI->connect($t->db->{Name} =~ s/^/dbi:Pg:/r =~ s/user=\w+/user=portal_web/r, 'portal_web', '', { RaiseError => 1, PrintError => 0 });
    is($db->selectrow_array("SELECT current_setting('statement_timeout') || ' ' || current_setting('lock_timeout') || ' ' || current_user"), '5s 500ms portal_web');
    $db->disconnect;
};

subtest 'locked: one slow table does not hold up the others' => sub {
    $t->db->begin_work;
    $t->db->do('LOCK TABLE portal.customers IN ACCESS EXCLUSIVE MODE');
    my @waiting = map { my $socket = $t->connect; print $socket $t->bytes(POST => '/api/customer-sessions/', token => $token, json => { customer_id => $customer->{id} }); $socket } 1 .. 3;
    my $fresh = $t->token($ws);
    my $start = time;
    is_status($t->get($config, token => $fresh), 200, 'a token is looked up on another connection');
    cmp_ok(time - $start, '<', 0.8, 'at once');
    is($t->ask($_, '', 3)->{status}, 503, 'who waits is told to come back') for @waiting;
    cmp_ok(time - $start, '<=', 1 + $slack, 'in time');
    $t->db->rollback;
    recovers('locked', time);
};

subtest 'away when nginx starts' => sub {
    $t->stop('postgres');
    $t->restart('nginx');
    unavailable('a token', $client, GET => $config, token => $token);
    is_status($t->get($config), 401, 'no token');
    $t->start('postgres');
    recovers('away', time);
};

$t->done;
