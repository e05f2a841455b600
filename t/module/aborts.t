# Clients that go away while Redis, PostgreSQL or the mail server is asked: 499 at once, nobody else notices.
use strict; use warnings; use utf8;
use Test::More;
use Time::HiRes qw(sleep time);
use PortalTest;

my $t = PortalTest->new(workers => 1, redis_budget => '2s',    # long enough to see who goes meanwhile
    http => 'portal_invite_wait 5s; portal_rate_limit_class client-portal 100000 60s;',
    location => 'location /site/ { portal_workspace any; portal_auth any; portal_rate_limit 90 60s name=site; alias %%DIR%%/html/; }');
$t->write_file('html/page.txt', "the page\n");
my $config = '/api/v1/client-portal/config';
my $worker = $t->wait_for(sub { ($t->workers)[0] });
my $asked = 0;
sub logged { my ($mark, $status) = @_; $t->wait_for(sub { $t->log_text('access.log') =~ /\?$mark HTTP\/\S+" $status /m }, 1.5) }
sub descriptors { scalar(() = glob "/proc/$worker/fd/*") }

# HTTP/2 by hand: a request on stream 1, and what ends it
sub frame {
    my ($type, $flags, $stream, $payload) = @_;
    return substr(pack('N', length $payload), 1) . pack('CCN', $type, $flags, $stream) . $payload;
}
sub literal { my ($name, $value) = @_; return join '', "\0", map { (length() < 127 ? chr length : "\x7f" . chr(length() - 127)) . $_ } $name, $value }
sub h2_request {
    my ($path, $token) = @_;
    my $socket = $t->connect($t->h2_port);
    my $block = join '', literal(':method', 'GET'), literal(':scheme', 'http'), literal(':path', $path), literal(':authority', 'localhost'),
        literal('authorization', "Bearer $token");
    print $socket "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", frame(4, 0, 0, ''), frame(1, 5, 1, $block);
    return $socket;
}
my %leave = (
    'closes' => sub { close $_[0] },
    'half-closes' => sub { shutdown $_[0], 1 },
    'resets' => sub { setsockopt $_[0], Socket::SOL_SOCKET(), Socket::SO_LINGER(), pack('ii', 1, 0); close $_[0] },
);

# many clients, of whom every other goes away; the rest get what is theirs
sub others_are_served {
    my ($stop, $go) = @_;
    my %name;
    for (1 .. 4) {
        my $ws = $t->workspace;
        my $token = $t->token($ws);
        $name{$token} = "Portal $_";
        $t->insert('client_portal_configs', { workspace_id => $ws->{id}, portal_name => $name{$token} });
    }
    $stop->();
    my @waiting;
    for my $token (sort keys %name) {
        for my $n (1 .. 8) {
            my $socket = $t->connect;
            print $socket $t->bytes(GET => $config, token => $token);
            push @waiting, [$n % 2, $token, $socket];
        }
    }
    sleep 0.2;
    $leave{ (sort keys %leave)[rand 3] }->($_->[2]) for grep { $_->[0] } @waiting;
    sleep 0.1;
    $go->();
    for (grep { !$_->[0] } @waiting) {
        my $answer = $t->ask($_->[2], '');
        is($answer->{status}, 200, 'answered');
        is(json_of($answer->{body} // '{}')->{data}{portal_name}, $name{ $_->[1] }, 'with its own');
    }
    $t->wait_for(sub { ($t->workers)[0] == $worker }) or fail 'the worker lives';
    is(($t->workers)[0], $worker, 'by the same worker');
}

# the backend is made to wait, clients ask and leave, each way
sub leaves {
    my ($backend, $stop, $go) = @_;
    my $ws = $t->workspace;
    my $token = $t->token($ws);
    # one that is known is only counted; when PostgreSQL is to be asked it is made to look changed
    my $ready = sub { is_status($t->get('/site/page.txt', token => $token), 200);
        $t->db->do(q(SELECT pg_notify('portal_changed', ?)), undef, $t->token_id($token)), sleep 0.1 if $backend eq 'PostgreSQL'; 'mark' . ++$asked };
    for my $path ($config, '/site/page.txt') {
        for my $how (sort keys %leave) {
            my $mark = $ready->();
            $stop->();
            my $socket = $t->connect;
            print $socket $t->bytes(GET => "$path?$mark", token => $token);
            sleep 0.1;
            $leave{$how}->($socket);
            ok(logged($mark, 499), "$path: the client $how: 499, before $backend answers");
            $go->();
        }
        for my $how ('RST_STREAM', 'GOAWAY and close', 'close') {
            my $mark = $ready->();
            $stop->();
            my $socket = h2_request("$path?$mark", $token);
            sleep 0.1;
            print $socket frame(3, 0, 1, pack 'N', 8) if $how eq 'RST_STREAM';
            print $socket frame(7, 0, 0, pack 'NN', 0, 0) if $how =~ /GOAWAY/;
            close $socket if $how =~ /close/;
            ok(logged($mark, 499), "$path over HTTP/2, $how: 499");
            $go->();
            close $socket;
        }
    }
    others_are_served($stop, $go);
}

is_status($t->get($config, token => $t->token($t->workspace)), 200, 'at first');
my $before = descriptors();

subtest 'while Redis is asked' => sub {
    leaves('Redis', sub { $t->signal('redis', 'STOP') }, sub { $t->signal('redis', 'CONT'); sleep 0.05 });
};

subtest 'while PostgreSQL is asked' => sub {
    leaves('PostgreSQL', sub { $t->db->begin_work; $t->db->do('LOCK TABLE portal.workspace_access_tokens IN ACCESS EXCLUSIVE MODE') },
        sub { $t->db->rollback });
};

subtest 'while a transaction runs, the body having come while the caller was looked up' => sub {
    my $ws = $t->workspace;
    my ($token, $customer, $mark) = ($t->token($ws), $t->customer($ws), 'mark' . ++$asked);
    my $sessions = $t->db->clone;
    $sessions->begin_work;
    $sessions->do('LOCK TABLE portal.customer_sessions IN ACCESS EXCLUSIVE MODE');
    $t->db->begin_work;
    $t->db->do('LOCK TABLE portal.workspace_access_tokens IN ACCESS EXCLUSIVE MODE');
    my ($head, $body) = $t->bytes(POST => "/api/customer-sessions/?$mark", token => $token, json => { customer_id => $customer->{id} }) =~ /^(.*?\r\n\r\n)(.*)$/s;
    my $socket = $t->connect;
    print $socket $head;
    sleep 0.1;
    print $socket $body;
    sleep 0.1;
    $t->db->rollback;
    sleep 0.1;
    close $socket;
    ok(logged($mark, 499), 'the client closes: 499');
    $sessions->rollback;
    $sessions->disconnect;
};

subtest 'while a transaction runs: whole or not at all' => sub {
    my $ws = $t->workspace;
    my ($token, $customer) = ($t->token($ws), $t->customer($ws));
    is_status($t->get('/site/page.txt', token => $token), 200);
    $t->db->begin_work;
    $t->db->do('LOCK TABLE portal.customer_sessions IN ACCESS EXCLUSIVE MODE');
    my @sockets = map { $t->connect } 1 .. 10;
    print $_ $t->bytes(POST => '/api/customer-sessions/', token => $token, json => { customer_id => $customer->{id} },
        headers => { 'Idempotency-Key' => 'one' }) for @sockets[0 .. 4];
    print $_ $t->bytes(POST => '/api/customer-sessions/', token => $token, json => { customer_id => $customer->{id} }) for @sockets[5 .. 9];
    sleep 0.2;
    close $_ for @sockets;
    sleep 0.1;
    $t->db->rollback;
    my $response = $t->post('/api/customer-sessions/', token => $token, json => { customer_id => $customer->{id} }, headers => { 'Idempotency-Key' => 'one' });
    is_status($response, 201, 'the next is served');
    my $again = $t->post('/api/customer-sessions/', token => $token, json => { customer_id => $customer->{id} }, headers => { 'Idempotency-Key' => 'one' });
    is(json_of($again)->{id}, json_of($response)->{id}, 'and its key holds');
    is($t->value(q(SELECT count(*) FROM portal.idempotency_keys k WHERE workspace_id = ? AND NOT EXISTS
        (SELECT FROM portal.customer_sessions s WHERE s.id = k.resource_id)), $ws->{id}), 0, 'no key without its session');
};

subtest 'while the mail server is asked: the invitation goes out' => sub {
    my $ws = $t->workspace;
    my $token = $t->token($ws);
    my $contact = $t->contact($ws);
    $t->mail_mode('hang');
    my $socket = $t->connect;
    print $socket $t->bytes(POST => "/api/v1/client-portal/contacts/$contact->{id}/invite?gone", token => $token, body => '');
    ok($t->wait_for(sub { $t->value('SELECT count(*) FROM portal.outbox WHERE workspace_id = ?', $ws->{id}) }, 5), 'it is stored');
    close $socket;
    ok(logged('gone', 499), 'status 499');
    $t->mail_mode('accept');
    is(scalar $t->mails(1), 1, 'one mail');
    ok($t->wait_for(sub { $t->value('SELECT state FROM portal.outbox WHERE workspace_id = ?', $ws->{id}) eq 'sent' }, 5), 'and recorded');
};

ok($t->wait_for(sub { descriptors() <= $before + 2 }, 3), 'no descriptor is left') or diag descriptors() . " after, $before before";
is(($t->workers)[0], $worker, 'the worker of the beginning');
$t->done;
