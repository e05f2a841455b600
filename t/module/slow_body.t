# Bodies that come slowly, in pieces, cut off or not at all; others are served meanwhile.
use strict; use warnings; use utf8;
use Test::More;
use Time::HiRes qw(sleep time);
use PortalTest;

my $t = PortalTest->new(workers => 1, http => 'client_body_timeout 1s; client_header_timeout 5s; portal_rate_limit_class default 10000 60s;');
$SIG{PIPE} = 'IGNORE';
my $ws = $t->workspace;
my $token = $t->token($ws);
my $customer = $t->customer($ws);
my $json = qq({"customer_id":"$customer->{id}"});
my $path = '/api/customer-sessions/';
my $head = "POST $path HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $token\r\nContent-Type: application/json\r\n";
my ($worker) = $t->workers;
sub sessions { $t->value('SELECT count(*) FROM portal.customer_sessions WHERE workspace_id = ?', $ws->{id}) }
sub alive { is_status($t->get('/api/v1/client-portal/config', token => $t->token($ws)), 200, 'others are served'); is(($t->workers)[0], $worker, 'the worker lives') }
sub chunked { join '', map { sprintf "%x\r\n%s\r\n", length, $_ } @_ }
# sends pieces with a pause between them
sub drip { my ($socket, $pause, @pieces) = @_; for (@pieces) { print $socket $_; sleep $pause } }

subtest 'a byte at a time' => sub {
    my $before = sessions();
    my @slow = map { $t->connect } 1 .. 3;
    # the header, too; in sum slower than client_body_timeout
    drip($slow[0], 0.004, split //, $head . 'Content-Length: ' . length($json) . "\r\nConnection: close\r\n\r\n$json");
    is($t->ask($slow[0], '')->{status}, 201, 'all of it');
    print { $slow[1] } $head . 'Content-Length: ' . length($json) . "\r\nConnection: close\r\n\r\n";
    print { $slow[2] } $head . "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    for (split //, $json) {
        print { $slow[1] } $_;
        print { $slow[2] } chunked($_);
        sleep 0.05;
    }
    alive();
    print { $slow[2] } "0\r\n\r\n";
    is($t->ask($slow[1], '')->{status}, 201, 'the body');
    is($t->ask($slow[2], '')->{status}, 201, 'in chunks of one byte');
    is(sessions(), $before + 3, 'three sessions');
};

subtest 'cut off' => sub {
    my $before = sessions();
    for my $sent ('', substr($json, 0, 10), substr($json, 0, -1)) {
        for my $body ('Content-Length: ' . length($json) . "\r\n\r\n$sent", "Transfer-Encoding: chunked\r\n\r\n" . (length $sent ? chunked($sent) : ''),
            "Transfer-Encoding: chunked\r\n\r\n20\r\n$sent") {
            my $socket = $t->connect;
            print $socket "$head$body";
            sleep 0.05;
            close $socket;
        }
    }
    # the request may be taken up to its body only: what was not sent whole made nothing
    sleep 0.2;
    is(sessions(), $before, 'made nothing');
    alive();
};

subtest 'never finished: 408 in time' => sub {
    my $before = sessions();
    my @waiting = map { my $socket = $t->connect; print $socket $head . $_; $socket }
        'Content-Length: ' . length($json) . "\r\n\r\n" . substr($json, 0, 10), "Transfer-Encoding: chunked\r\n\r\n5\r\nab", "Content-Length: 5\r\n\r\n";
    my $start = time;
    alive();
    for (@waiting) {
        my $answer = $t->read_all($_, 5);
        like($answer, qr/^(?:HTTP\/1\.1 408 .*)?$/s, '408, or closed');
    }
    cmp_ok(time - $start, '<', 4, 'after client_body_timeout');
    is(sessions(), $before, 'made nothing');
};

subtest 'too large: 413 before it is sent' => sub {
    my $socket = $t->connect;
    print $socket $head . "Content-Length: 1000000\r\n\r\n";
    is($t->ask($socket, '', 3)->{status}, 413, 'by its length');
    $socket = $t->connect;
    print $socket $head . "Transfer-Encoding: chunked\r\n\r\n";
    my $sent = 0;
    { local $SIG{PIPE} = 'IGNORE';
      while ($sent < 1_000_000 && !IO::Select->new($socket)->can_read(0.002)) { print $socket chunked('x' x 1000) or last; $sent += 1000 } }
    cmp_ok($sent, '<', 200_000, "counted as it comes: answered after $sent bytes");
    like($t->read_all($socket, 3), qr/^HTTP\/1\.1 413 /, 'status 413');
    my $exact = '{"x":"' . 'y' x (65536 - length($json) - 7) . '",' . substr $json, 1;
    is(length $exact, 65536, 'a body of 64 KiB');
    for my $body ($exact, "$exact ") {
        my $code = length $body > 65536 ? 413 : 201;
        is_status($t->post($path, token => $token, body => $body), $code, length($body) . ' bytes');
        my $answer = $t->raw($head . "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" . chunked(unpack '(a1000)*', $body) . "0\r\n\r\n");
        like($answer, qr/^HTTP\/1\.1 $code /, 'chunked');
    }
    alive();
};

subtest 'Expect: 100-continue' => sub {
    my $socket = $t->connect;
    print $socket $head . 'Content-Length: ' . length($json) . "\r\nExpect: 100-continue\r\n\r\n";
    is($t->ask($socket, '', 3)->{status}, 100, 'asked for the body');
    is($t->ask($socket, $json)->{status}, 201, 'and taken');
    $socket = $t->connect;
    print $socket $head =~ s/Bearer \S+/Bearer nonsense/r . "Content-Length: 10\r\nExpect: 100-continue\r\n\r\n";
    # nginx itself may ask for a body that it then throws away
    like($t->read_all($socket, 0.5), qr/^HTTP\/1\.1 401 /m, 'who is refused is told');
};

subtest 'broken chunks' => sub {
    for my $body ("x\r\n", "5\r\nabcdefgh\r\n0\r\n\r\n", "-1\r\n", "FFFFFFFFFFFFFFFFFF\r\n") {
        like($t->raw($head . "Transfer-Encoding: chunked\r\n\r\n$body"), qr/^HTTP\/1\.1 4\d\d /, substr($body, 0, 10) =~ s/\r\n/ /gr);
    }
    alive();
};

subtest 'over HTTP/2' => sub {
    my $h2 = 'http://127.0.0.1:' . $t->h2_port . $path;
    my $script = qq({ printf '%s' '@{[substr $json, 0, 10]}'; sleep 0.3; printf '%s' '@{[substr $json, 10]}'; } | curl -sS -i --http2-prior-knowledge -X POST )
        . "-H 'Authorization: Bearer $token' -H 'Content-Type: application/json' -T - $h2";
    my (undef, undef, $slow) = $t->run('curl', 'bash', '-c', $script);
    like($slow, qr/^HTTP\/2 201/m, 'in pieces');
    my $before = sessions();
    $t->run('curl', 'bash', '-c', $script =~ s/sleep 0\.3/sleep 3/r =~ s/curl /timeout 0.3 curl /r);
    is(sessions(), $before, 'cut off');
    my (undef, undef, $late) = $t->run('curl', 'bash', '-c', $script =~ s/sleep 0\.3/sleep 2/r =~ s/curl /curl -m 5 /r);
    unlike($late, qr/^HTTP\/2 201/m, 'too late');
    alive();
};

subtest 'a reload waits for the rest of a body' => sub {
    my $socket = $t->connect;
    print $socket $head . 'Content-Length: ' . length($json) . "\r\nConnection: close\r\n\r\n" . substr $json, 0, 10;
    sleep 0.1;
    $t->signal('nginx', 'HUP');
    $t->wait_for(sub { grep { $_ != $worker } $t->workers }, 5);
    print $socket substr $json, 10;
    is($t->ask($socket, '')->{status}, 201, 'answered by the old worker');
};

$t->done;
