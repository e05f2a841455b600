# Rate limits: N per window, literally, over all workers.
use strict; use warnings; use utf8;
use Test::More;
use Time::HiRes qw(sleep time);
use PortalTest;

my $t = PortalTest->new(workers => 2);
my $ws = $t->workspace;
my $config = '/api/v1/client-portal/config';

subtest 'headers of an admitted request' => sub {
    my $token = $t->token($ws, 'client_portal:read');
    for my $n (1 .. 3) {
        my $response = $t->get($config, token => $token);
        is_status($response, 200);
        is($response->header('X-RateLimit-Limit'), 60, 'limit');
        is($response->header('X-RateLimit-Remaining'), 60 - $n, 'remaining');
        my $reset = $response->header('X-RateLimit-Reset');
        cmp_ok($reset, '>', time + 50, 'reset is ahead');
        cmp_ok($reset, '<=', time + 62, 'by a window');
        is($response->header('RateLimit-Policy'), '"client-portal";q=60;w=60', 'policy');
        like($response->header('RateLimit'), qr/^"client-portal";r=${\(60 - $n)};t=\d+$/, 'state');
    }
};

for my $way ('one after another', 'on sixty-one connections at once', 'over four kept connections') {
    subtest "61 calls $way: 60 × 200 and one 429" => sub {
        my $token = $t->token($ws, 'client_portal:read');
        my @answers;
        if ($way =~ /another/) {
            @answers = map { $t->get($config, token => $token) } 1 .. 61;
        } elsif ($way =~ /once/) {
            @answers = $t->at_once(($t->bytes(GET => $config, token => $token)) x 61);
        } else {
            my @pids = map { my $n = $_ == 4 ? 16 : 15; $n } 1 .. 4;
            my $request = "GET $config HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer $token\r\n";
            my @sockets = map { $t->connect } @pids;
            for my $i (0 .. 3) {
                print { $sockets[$i] } "$request\r\n" x ($pids[$i] - 1), "${request}Connection: close\r\n\r\n";
            }
            @answers = map { my $all = $t->read_all($_); map { $t->parse($_) } $all =~ /(HTTP\/1\.1 .*?)(?=HTTP\/1\.1 |\z)/gs } @sockets;
        }
        is(scalar(grep { $_->code == 200 } @answers), 60, 'sixty');
        my @refused = grep { $_->code == 429 } @answers;
        is(scalar @refused, 1, 'and one');
        my $response = $refused[0] or return;
        is_answer($response, 429, '{"message":"Too Many Requests"}');
        is($response->header('X-RateLimit-Remaining'), 0, 'none left');
        like($response->header('Retry-After'), qr/^(?:[1-9]|[1-5]\d|6[01])$/, 'Retry-After');
        is($response->header('X-RateLimit-Limit'), 60, 'limit');
    };
}

subtest 'limits are the token\'s own, and denials are never answers of another' => sub {
    my ($full, $fresh) = map { $t->token($ws, 'client_portal:read') } 1 .. 2;
    $t->at_once(($t->bytes(GET => $config, token => $full)) x 60);
    my @mixed = $t->at_once(map { $t->bytes(GET => $config, token => $_ % 2 ? $full : $fresh) } 1 .. 40);
    is_deeply([map { $_->code } @mixed], [(429, 200) x 20], 'each its own');
};

subtest 'requests that fail later count, refused ones do not' => sub {
    my $token = $t->token($ws, 'client_portal:write');
    is_status($t->post('/api/v1/client-portal/token', token => $token, json => {}), 422);
    is($t->get($config, token => $token)->header('X-RateLimit-Remaining'), 58, 'the 422 counted');
    $t->get("$config/nonsense", token => $token);
    $t->post($config, token => $token, json => {});
    $t->post('/api/customer-sessions/', token => $token, json => {});
    is($t->get($config, token => $token)->header('X-RateLimit-Remaining'), 57, '404, 405 and 403 did not');
};

subtest 'other routes of a workspace token have 500' => sub {
    my $token = $t->token($ws, 'customer_sessions:write');
    my $response = $t->post('/api/customer-sessions/', token => $token, json => {});
    is_status($response, 422);
    is($response->header('RateLimit-Policy'), '"default";q=500;w=60', 'policy');
    is($response->header('X-RateLimit-Remaining'), 499, 'remaining');
    my @answers = map { $t->at_once(($t->bytes(POST => '/api/customer-sessions/', token => $token, json => {})) x 100) } 1 .. 5;
    my $passed = grep { $_->code == 422 } @answers;
    cmp_ok($passed, '<=', 499, "no more than 500 ($passed)");
    cmp_ok($passed, '>=', 450, 'and not far fewer');
    my ($refused) = grep { $_->code == 429 } @answers;
    is_answer($refused, 429, '{"detail":"Too Many Requests"}') if $refused;
};

subtest 'thirty unknown tokens a minute from one address' => sub {
    my @codes = map { $t->get($config, token => "unknown-$_", headers => { 'X-Real-IP' => '10.1.2.3' })->code } 1 .. 35;
    is_deeply(\@codes, [(401) x 30, (429) x 5], 'then 429');
    is($t->get($config, token => 'unknown-x', headers => { 'X-Real-IP' => '10.1.2.4' })->code, 401, 'another address');
    my $token = $t->token($ws, 'client_portal:read');
    is($t->get($config, token => $token, headers => { 'X-Real-IP' => '10.1.2.5' })->code, 200, 'a good token');
    # IPv6 is counted by its /64, IPv4 within IPv6 as IPv4
    $t->get($config, token => "six-$_", headers => { 'X-Real-IP' => "2001:db8::$_" }) for 1 .. 30;
    is($t->get($config, token => 'six', headers => { 'X-Real-IP' => '2001:db8::ffff' })->code, 429, 'the same /64');
    is($t->get($config, token => 'six', headers => { 'X-Real-IP' => '2001:db8:0:1::1' })->code, 401, 'the next /64');
    is($t->get($config, token => 'mapped', headers => { 'X-Real-IP' => '::ffff:10.1.2.3' })->code, 429, 'mapped IPv4');
};

subtest 'a reload does not forget' => sub {
    my $token = $t->token($ws, 'client_portal:read');
    $t->at_once(($t->bytes(GET => $config, token => $token)) x 60);
    $t->reload;
    is($t->get($config, token => $token)->code, 429, 'still refused');
};

subtest 'with Redis gone the node counts on' => sub {
    my $token = $t->token($ws, 'client_portal:read');
    my @answers = $t->at_once(($t->bytes(GET => $config, token => $token)) x 30);
    $t->stop('redis', 'KILL');
    push @answers, $t->at_once(($t->bytes(GET => $config, token => $token)) x 31);
    is(scalar(grep { $_->code == 200 } @answers), 60, 'sixty');
    is(scalar(grep { $_->code == 429 } @answers), 1, 'and one');
    my $contact = $t->contact($ws);
    my $invite = $t->post("/api/v1/client-portal/contacts/$contact->{id}/invite", token => $t->token($ws, 'client_portal:write'));
    is_answer($invite, 503, '{"message":"Service Unavailable"}', 'invitations fail closed');
    ok($invite->header('Retry-After'), 'Retry-After');
    $t->start('redis');
    my $fresh = $t->token($ws, 'client_portal:write');
    ok($t->wait_for(sub { $t->post("/api/v1/client-portal/contacts/$contact->{id}/invite", token => $fresh)->code == 200 }, 10, 0.5),
        'and recover');
};

$t->done;
