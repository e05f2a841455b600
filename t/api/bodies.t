# Bodies nobody should send.
use strict; use warnings; use utf8;
use Test::More;
use Time::HiRes qw(sleep time);
use PortalTest;

my $t = PortalTest->new(server => 'client_body_timeout 3s;');
my $ws = $t->workspace;
my $customer = $t->customer($ws);
my $contact = $t->contact($ws);
my $rest = '/api/customer-sessions/';
my $client = '/api/v1/client-portal/token';
my ($token, $calls) = (undef, 60);
sub token { ($token, $calls) = ($t->token($ws), 0) if ++$calls > 50; $token }
sub rest   { $t->post($rest,   token => token(), body => \(my $b = $_[0]), @_[1 .. $#_]) }
sub client { $t->post($client, token => token(), body => \(my $b = $_[0]), @_[1 .. $#_]) }
sub alive  { is_status($t->get('/api/v1/client-portal/config', token => token()), 200, 'the worker lives') }
my $rows = sub { $t->value('SELECT (SELECT count(*) FROM portal.customer_sessions) + (SELECT count(*) FROM portal.client_portal_tokens)') };

sub problem {
    my ($response, $type, $loc, $msg, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_status($response, 422, $name);
    my $body = json_of($response) // {};
    is($body->{error}, 'RequestValidationError', "$name: error");
    my $first = $body->{detail}[0];
    is($first->{type}, $type, "$name: type");
    is_deeply($first->{loc}, $loc, "$name: loc") if $loc;
    is($first->{msg}, $msg, "$name: msg") if $msg;
}

subtest 'none' => sub {
    problem($t->post($rest, token => token()), 'missing', ['body'], 'Field required', 'no body');
    is_status($t->post($client, token => token()), 422, 'client portal');
};

subtest 'not JSON' => sub {
    for ('{', '{"a":', 'nonsense', '{"a":1,}', "{'a':1}", '{"a":1}x', '{"a":01}', '{"a":NaN}', "\x{ef}\x{bb}\x{bf}{}", '[', '"') {
        my $response = rest($_);
        problem($response, 'json_invalid', undef, 'JSON decode error', "sessions '$_'");
        my $loc = json_of($response)->{detail}[0]{loc};
        is($loc->[0], 'body', 'loc body');
        like($loc->[1], qr/^\d+$/, 'and a position');
        $response = client($_);
        is_status($response, 400, "client portal '$_'");
        ok(length json_of($response)->{message}, 'a message');
    }
};

subtest 'JSON, but no object' => sub {
    for ('[]', '[{"customer_id":"x"}]', '"x"', '5', 'null', 'true') {
        problem(rest($_), 'model_attributes_type', ['body'],
            'Input should be a valid dictionary or object to extract fields from', $_);
        is_status(client($_), 422, "client portal $_");
    }
};

subtest 'nested ten thousand deep' => sub {
    for ('[' x 10000 . ']' x 10000, '{"a":' x 10000 . '1' . '}' x 10000, '[' x 60000) {
        my $response = rest($_);
        is_status($response, 422);
        is_status(client($_), 400);
    }
    alive();
};

subtest 'keys twice' => sub {
    my $id = $customer->{id};
    my $response = rest(qq({"customer_id":"$id","customer_id":"$id"}));
    is_status($response, 422);
    is_status(client(qq({"type":"contact","type":"company","id":1})), 400);
};

subtest 'NUL, lone surrogates, invalid UTF-8' => sub {
    my $id = $contact->{id};
    for ('"\u0000"', "\"a\0b\"", '"\ud800"', '"\udc00x"', '"\ud800\ud800"', "\"\xff\"", "\"\xc3\"", "\"\xc0\xaf\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"") {
        my $name = s/[^ -~]/sprintf '<%02x>', ord $&/ger;
        is_status(rest(qq({"external_customer_id":$_})), 422, "sessions $name");
        is_status(rest(qq({"customer_id":"$customer->{id}",$_:1})), 422, "sessions, as a key $name");
        is_status($t->post("/api/v1/client-portal/contacts/$id/invite", token => token(),
            body => \(my $b = qq({"custom_message":$_}))), 422, "client portal $name");
    }
    is_status(rest(qq({"external_customer_id":"\\ud83d\\ude00"})), 422, 'a pair is a character: no such customer');
    like(rest(qq({"external_customer_id":"\\ud83d\\ude00"}))->content, qr/Customer does not exist/, 'by its rule');
    alive();
};

subtest 'numbers' => sub {
    is_status(rest(qq({"customer_id":"$customer->{id}","expires_in":$_})), 422, "expires_in $_")
        for '1e400', '99999999999999999999999999', '-0', '1e3', '"60"', '60.0';
    alive();
};

subtest 'other content types' => sub {
    for ('text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x') {
        my $response = rest(qq({"customer_id":"$customer->{id}"}), type => $_);
        cmp_ok($response->code, '>=', 400, "$_: " . $response->code);
        cmp_ok($response->code, '<', 500, 'a client\'s error');
    }
};

subtest 'too large' => sub {
    my $limit = 64 * 1024;
    my $fill = sub { my ($size) = @_; my $head = qq({"customer_id":"$customer->{id}","x":"); $head . 'x' x ($size - length($head) - 2) . '"}' };
    is_status(rest($fill->($limit)), 201, '64 KiB');
    is_answer(rest($fill->($limit + 1)), 413, '{"detail":"Request Entity Too Large"}', 'a byte more');
    my $big = $t->post($client, token => token(), body => \('x' x 1_000_000));
    is_status($big, 413, 'a megabyte');
    ok(length json_of($big)->{message}, 'client portal shape');
    # refused before it has come: only its length was sent
    my $socket = $t->connect;
    my $start = time;
    print $socket "POST $rest HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer @{[token()]}\r\nContent-Type: application/json\r\nContent-Length: 100000000\r\n\r\n";
    like($t->read_all($socket, 2), qr/^HTTP\/1\.1 413/, 'announced as 100 MB');
    # and while it comes, when nothing was announced
    $socket = $t->connect;
    print $socket "POST $rest HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer @{[token()]}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    { local $SIG{PIPE} = 'IGNORE'; print $socket "2000\r\n", 'x' x 8192, "\r\n" for 1 .. 12; }
    like($t->read_all($socket, 3), qr/^HTTP\/1\.1 413/, 'chunked');
    # without credentials a large body is a 401, not read
    is_status($t->post($rest, body => \('x' x 1_000_000)), 401, 'nobody\'s');
    alive();
};

subtest 'chunked' => sub {
    my $json = qq({"customer_id":"$customer->{id}"});
    my $head = "POST $rest HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer @{[token()]}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    like($t->raw($head . sprintf("%x\r\n%s\r\n0\r\n\r\n", length $json, $json)), qr/^HTTP\/1\.1 201/, 'in one');
    like($t->raw($head . join('', map { "1\r\n$_\r\n" } split //, $json) . "0\r\n\r\n"), qr/^HTTP\/1\.1 201/, 'byte by byte');
    like($t->raw($head . "zz\r\n"), qr/^HTTP\/1\.1 400/, 'broken');
    like($t->raw($head . "0\r\n\r\n"), qr/^HTTP\/1\.1 422/, 'empty');
};

subtest 'cut off half-way' => sub {
    my $before = $rows->();
    for (1 .. 5) {
        my $socket = $t->connect;
        print $socket "POST $rest HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer @{[token()]}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"customer_id\":";
        sleep 0.05;
        close $socket;
    }
    is($rows->(), $before, 'nothing written');
    alive();
};

subtest 'a byte a second' => sub {
    my $json = qq({"x":1});
    my $socket = $t->connect;
    print $socket "POST $rest HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer @{[token()]}\r\nContent-Type: application/json\r\nContent-Length: " . length($json) . "\r\n\r\n";
    for my $byte (split //, $json) { sleep 1; print $socket $byte }
    like($t->read_all($socket), qr/^HTTP\/1\.1 422/, 'slow, and answered');
    $socket = $t->connect;
    print $socket "POST $rest HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer @{[token()]}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    my $start = time;
    my $answer = $t->read_all($socket, 8);
    cmp_ok(time - $start, '<', 6, 'one that stops is let go');
    like($answer, qr/^(?:HTTP\/1\.1 408.*)?$/s, 'with 408 or nothing');
    alive();
};

subtest 'clients that go away while PostgreSQL is asked' => sub {
    my $lock = DBI->connect("dbi:Pg:host=$t->{dir}/pg;port=$t->{postgres_port};dbname=portal;user=postgres", '', '', { AutoCommit => 0 });
    $lock->do('LOCK TABLE portal.customers IN ACCESS EXCLUSIVE MODE');
    my $before = $rows->();
    my @sockets = map { my $socket = $t->connect;
        print $socket $t->bytes(POST => $rest, token => token(), json => { customer_id => $customer->{id} }); $socket } 1 .. 10;
    sleep 0.2;
    close $_ for @sockets;
    sleep 0.2;
    $lock->rollback;
    alive();
    $lock->disconnect;
    # whole or not at all: a session was made or it was not, and each has its row complete
    cmp_ok($rows->() - $before, '<=', 10, 'no more than were asked');
};

subtest 'and while Redis is asked' => sub {
    $t->signal('redis', 'STOP');
    my @sockets = map { my $socket = $t->connect;
        print $socket $t->bytes(GET => '/api/v1/client-portal/config', token => $token); $socket } 1 .. 10;
    sleep 0.05;
    close $_ for @sockets;
    sleep 0.3;
    $t->signal('redis', 'CONT');
    alive();
};

$t->done;
