# The same answers over HTTP/0.9, 1.0, 1.1 pipelined, and HTTP/2.
use strict; use warnings; use utf8;
use Test::More;
use Time::HiRes qw(sleep);
use PortalTest;

my $t = PortalTest->new;
my $ws = $t->workspace;
my $token = $t->token($ws);
my $config = '/api/v1/client-portal/config';
my $sessions = '/api/customer-sessions/';
my $customer = $t->customer($ws);
sub alive { is_status($t->get($config, token => $t->token($ws)), 200, 'the worker lives') }

subtest 'HTTP/0.9' => sub {
    my $answer = $t->raw("GET $config\r\n");
    like($answer, qr/Unauthenticated/, 'no credentials');
    unlike($answer, qr/^HTTP/, 'no headers');
    like($t->raw("GET /api/nonsense\r\n"), qr/Not Found/, 'unknown path');
    alive();
};

subtest 'HTTP/1.0' => sub {
    my $response = $t->parse($t->raw("GET $config HTTP/1.0\r\nAuthorization: Bearer $token\r\n\r\n"));
    is_status($response, 200);
    is(json_of($response)->{data}{portal_name}, 'Client Portal', 'body');
    my $json = qq({"customer_id":"$customer->{id}"});
    $response = $t->parse($t->raw("POST $sessions HTTP/1.0\r\nAuthorization: Bearer $token\r\nContent-Length: "
        . length($json) . "\r\n\r\n$json"));
    is_status($response, 201, 'POST');
};

subtest 'pipelining' => sub {
    my @paths = ($config, '/api/nonsense', $config, '/api/v1/client-portal/nonsense', $config);
    my $all = join '', map { "GET $paths[$_] HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $token\r\n"
        . ($_ == $#paths ? "Connection: close\r\n" : '') . "\r\n" } 0 .. $#paths;
    my @codes = $t->raw($all) =~ /HTTP\/1\.1 (\d+)/g;
    is_deeply(\@codes, [200, 404, 200, 404, 200], 'in order');

    my $json = qq({"customer_id":"$customer->{id}"});
    my $post = "POST $sessions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $token\r\nContent-Type: application/json\r\nContent-Length: "
        . length($json) . "\r\n";
    @codes = $t->raw("$post\r\n$json$post\r\n$json${post}Connection: close\r\n\r\n$json") =~ /HTTP\/1\.1 (\d+)/g;
    is_deeply(\@codes, [201, 201, 201], 'with bodies');
    # a body nobody read is not taken for the next request
    @codes = $t->raw("POST /api/nonsense HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\nGET /api/v1/client-portal/x \r\n"
        . "GET $config HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer $token\r\n\r\n") =~ /HTTP\/1\.1 (\d+)/g;
    is_deeply(\@codes, [404, 200], 'a body that nobody read');
    alive();
};

subtest 'keep-alive after every kind of answer' => sub {
    my $socket = $t->connect;
    for (["GET $config", 200], ['GET /api/nonsense', 404], ["PUT $config", 405], ["GET $config", 200]) {
        my ($line, $code) = @$_;
        print $socket "$line HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $token\r\nContent-Length: 0\r\n\r\n";
        my $answer = '';
        $t->wait_for(sub { sysread $socket, $answer, 65536, length $answer; $answer =~ /\r\n\r\n.*\}$/s }, 5);
        like($answer, qr/^HTTP\/1\.1 $code/, $line);
    }
};

subtest 'HTTP/2' => sub {
    my $h2 = 'http://127.0.0.1:' . $t->h2_port;
    my $curl = sub { my ($code, undef, $out) = $t->run('curl', 'curl', '-sS', '--http2-prior-knowledge', '-i', '-m', 10, @_); $out };
    like($curl->('-H', "Authorization: Bearer $token", "$h2$config"), qr/^HTTP\/2 200.*"portal_name"/s, 'GET');
    like($curl->('-I', '-H', "Authorization: Bearer $token", "$h2$config"), qr/^HTTP\/2 200/, 'HEAD');
    like($curl->("$h2$config"), qr/^HTTP\/2 401.*Unauthenticated/s, 'no token');
    like($curl->('-X', 'POST', '-H', "Authorization: Bearer $token", '-H', 'Content-Type: application/json', '-d',
        qq({"customer_id":"$customer->{id}"}), "$h2$sessions"), qr/^HTTP\/2 201.*portal_cst_/s, 'POST');
    $t->write_file('big', 'x' x 200_000);
    # curl gives up when its upload is refused, as it does with nginx's own 413
    my (undef, undef, $frames) = $t->run('nghttp', 'nghttp', '-v', '-t', '10', '-d', "$t->{dir}/big", '-H',
        "authorization: Bearer $token", '-H', 'content-type: application/json', "$h2$sessions");
    like($frames, qr/:status: 413.*Request Entity Too Large/s, 'too large');
    my (undef, undef, $load) = $t->run('h2load', 'h2load', '-n', 20, '-c', 1, '-m', 20, '-H', "Authorization: Bearer $token", "$h2$config");
    like($load, qr/status codes: 20 2xx/, 'twenty streams on one connection');
    # streams reset while the database is asked
    $t->db->begin_work;
    $t->db->do('LOCK TABLE portal.customers IN ACCESS EXCLUSIVE MODE');
    $t->run('curl', 'curl', '-sS', '--http2-prior-knowledge', '-m', '0.3', '-X', 'POST', '-H', "Authorization: Bearer $token",
        '-H', 'Content-Type: application/json', '-d', qq({"customer_id":"$customer->{id}"}), "$h2$sessions") for 1 .. 3;
    $t->db->rollback;
    alive();
};

subtest 'headers of a hundred kilobytes' => sub {
    my $response = $t->parse($t->raw("GET $config HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer " . 'x' x 100_000 . "\r\n\r\n"));
    is($response->code, 400, 'nginx refuses it');
    $response = $t->parse($t->raw("GET $config HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" . join('', map { "X-$_: " . 'y' x 1000 . "\r\n" } 1 .. 100) . "\r\n"));
    is($response->code, 400, 'many of them');
    my $long = $t->parse($t->raw("GET $config HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Real-IP: 10.7.7.7\r\nAuthorization: Bearer " . 'x' x 6000 . "\r\n\r\n"));
    is($long->code, 401, 'a long one within the buffers is a bad token');
    alive();
};

subtest 'half a request' => sub {
    for ("GET $config HTTP/1.1\r\nHost: x\r\nAuthorization: Bea", "GET", "POST $sessions HTTP/1.1\r\nHost: x\r\n") {
        my $socket = $t->connect;
        print $socket $_;
        sleep 0.02;
        close $socket;
    }
    alive();
};

$t->done;
