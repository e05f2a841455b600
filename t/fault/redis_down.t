# Redis stopped, killed, hanging, forgetful, read-only: ordinary routes go by the node's own log, invitations fail closed,
# streams stay open and catch up.
use strict; use warnings; use utf8;
use Test::More;
use Time::HiRes qw(sleep time);
use PortalTest;
use PortalStream;

my $t = PortalTest->new(workers => 2, location => <<'NGINX');
        location /closed/ { portal_rate_limit 50 60s name=closed on_error=deny; alias %%DIR%%/html/; }
        location /open/   { portal_rate_limit 50 60s name=open on_error=allow; alias %%DIR%%/html/; add_header X-Limit $portal_limit_status always; }
        location /guarded/ { portal_workspace any; portal_auth any; alias %%DIR%%/html/; }
NGINX
$t->write_file('html/page.txt', "the page\n");
my $ws = $t->workspace;
my $config = '/api/v1/client-portal/config';
my $inviter;
my $reader = $t->customer($ws);
my $stream = PortalStream->new($t, '/api/customer-portal/customers/stream', token => $t->session($reader));
$stream->started;
sub change { $t->db->do('UPDATE portal.customers SET name = ? WHERE id = ?', undef, $_[0], $reader->{id}) }
sub invite { $t->post('/api/v1/client-portal/contacts/' . $t->contact($ws)->{id} . '/invite', token => $inviter) }
sub codes { my ($token, $count) = @_; map { $t->get($config, token => $token)->code } 1 .. $count }
sub recovered {
    my ($name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    # with patience: a back-off has to run out
    my ($began, $last) = time;
    ok($t->wait_for(sub { $last = invite(); $last->code == 200 }, 8, 0.1), "$name: invitations are sent again") or diag $last->as_string;
    return time - $began;
}
sub fails_closed {
    my ($name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $before = $t->value('SELECT count(*) FROM portal.outbox');
    my $response = invite();
    is_answer($response, 503, '{"message":"Service Unavailable"}', "$name: an invitation");
    like($response->header('Retry-After') // '', qr/^[1-9]\d*$/, "$name: Retry-After");
    my $page = $t->get('/closed/page.txt');
    is_status($page, 503, "$name: a location that says so");
    like($page->header('Retry-After') // '', qr/^[1-9]\d*$/, "$name: Retry-After there, too");
    is($t->value('SELECT count(*) FROM portal.outbox'), $before, "$name: nothing was stored");
}

# down: what is done to Redis, and how it is undone
sub outage {
    my ($name, $down, $up) = @_;
    subtest $name => sub {
        $inviter = $t->token($ws);
        my ($token, $other) = map { $t->token($ws, 'client_portal:read') } 1 .. 2;
        my @codes = codes($token, 30);
        $down->();
        my $start = time;
        my ($slow, @times) = (0);
        for (1 .. 31) {
            my $asked = time;
            push @codes, $t->get($config, token => $token)->code;
            push @times, time - $asked;
        }
        is_deeply(\@codes, [(200) x 60, 429], 'sixty, as literal as before');
        my ($longest) = sort { $b <=> $a } @times;
        cmp_ok($longest, '<', 0.25 + 1, sprintf 'none waits much longer than the budget (%.0f ms)', $longest * 1000);
        cmp_ok((sort { $a <=> $b } @times)[15], '<', 0.2, 'and most do not wait at all');
        is_status($t->get('/open/page.txt'), 200, 'a location of the site');
        fails_closed($name);
        change("Renamed while it was $name");
        $up->();
        my $back = recovered($name);
        my $event = $stream->next_event(8);
        $event = $stream->next_event(8) while $event && $event->{event} ne 'customer.updated';    # its own session
        ok($event, 'a stream that was open is, and is told what happened meanwhile');
        diag sprintf '%s: %d requests, 0 failed, the longest %.0f ms; invitations back after %.0f ms; 1 event told, 0 lost',
            $name, scalar @times, $longest * 1000, $back * 1000;
        is_deeply([codes($token, 2)], [429, 429], 'what was counted alone is not forgotten');
        my @after = codes($other, 61);
        is_deeply(\@after, [(200) x 60, 429], 'and the next sixty are sixty');
    };
}

outage('stopped', sub { $t->stop('redis') }, sub { $t->start('redis') });
outage('killed', sub { $t->stop('redis', 'KILL') }, sub { $t->start('redis') });
outage('hanging', sub { $t->signal('redis', 'STOP') }, sub { $t->signal('redis', 'CONT') });
outage('read-only', sub { $t->redis->replicaof('127.0.0.1', 1) }, sub { $t->redis->replicaof('no', 'one') });

subtest 'restarted, and empty' => sub {
    my $token = $t->token($ws, 'client_portal:read');
    my @codes = codes($token, 40);
    $t->restart('redis', 'KILL');
    push @codes, codes($token, 21);
    is_deeply(\@codes, [(200) x 60, 429], 'sixty');
    recovered('restarted');
};

subtest 'its scripts forgotten' => sub {
    $t->redis->script_flush;
    is($t->get('/open/page.txt')->header('X-Limit'), 'PASSED', 'sent along again, without a degraded answer');
    is_status(invite(), 200, 'an invitation');
};

subtest 'its data forgotten' => sub {
    my $token = $t->token($ws, 'client_portal:read');
    my @codes = codes($token, 50);
    $t->redis->flushall;
    push @codes, codes($token, 11);
    is_deeply(\@codes, [(200) x 60, 429], 'this node remembers');
};

subtest 'away when nginx starts' => sub {
    $t->stop('redis');
    $t->restart('nginx');
    $inviter = $t->token($ws);
    is_deeply([codes($t->token($ws, 'client_portal:read'), 61)], [(200) x 60, 429], 'sixty');
    fails_closed('away');
    $t->start('redis');
    recovered('away');
    my $log = $t->log_text;
    my $lines = () = $log =~ /redis: no connection/g;
    cmp_ok($lines, '<', 100, "the log is not flooded ($lines lines)");
};

subtest 'the choice of a class' => sub {
    $t->{option}{http} = 'portal_rate_limit_on_error client-portal deny; portal_rate_limit_on_error mail allow;
        portal_rate_limit_on_error bad-token deny;';
    $t->reload;
    my $token = $t->token($ws);
    $t->stop('redis');
    $inviter = $t->token($ws);
    ok($t->wait_for(sub { $t->get($config, token => $token)->code == 503 }, 5), 'ordinary routes may be closed');
    is_status($t->get($_, token => 'nonsense'), 503, "$_: tokens that are unknown, too") for $config, '/guarded/page.txt';
    $t->{option}{http} = 'portal_rate_limit_on_error mail allow;';
    $t->reload;
    is_status(invite(), 200, 'and mail may be open');
    $t->start('redis');
};

$stream->close;
$t->done;
