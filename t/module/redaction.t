# No credential of a URL reaches a log: neither access.log (combined), nor error.log, nor what variables tell.
use strict; use warnings; use utf8;
use Test::More;
use Time::HiRes qw(sleep);
use PortalTest;

my $t = PortalTest->new(nginx => 0);
my $echo = $t->echo;
$t->{option}{http} = <<'NGINX';
    log_format whole '$request_uri|$uri|$args|$query_string|$arg_ticket|$arg_customer_session_token|$http_referer|$is_args';
    access_log %%DIR%%/whole.log whole;
    access_log %%DIR%%/access.log combined;
NGINX
$t->{option}{location} = <<"NGINX";
        location /proxied/ { proxy_pass http://127.0.0.1:$echo; }
        location /broken/ { proxy_pass http://127.0.0.1:1; }
        location /rewritten/ { rewrite ^/rewritten/(.*) /\$1 last; }
        location /guarded/ { portal_workspace any; portal_auth any; }
        location /denied/ { deny all; }
        location /limited/ { portal_rate_limit 1 60s name=limited; }
NGINX
$t->start('nginx');
my $h2 = 'http://127.0.0.1:' . $t->h2_port;

my $made = 0;
my @secrets;
sub secret { my $secret = ('portal_cst_', 'portal_mst_', 'foreign-', 'portal_cpt_')[$made++ % 4] . "s3cr3t$made" . 'x9' x 20; push @secrets, $secret; $secret }
# sends a request line's target over HTTP/1.1 and HTTP/2; SECRET is replaced by one of its own each time
sub send_one {
    my ($target, %header) = @_;
    for my $http2 (0, 1) {
        my $secret = secret();
        my $path = $target =~ s/SECRET/$secret/gr;
        my %sent = map { $_ => $header{$_} =~ s/SECRET/$secret/gr } keys %header;
        if ($http2) {
            $t->run('curl', 'curl', '-sS', '--path-as-is', '--http2-prior-knowledge', '-m', 5, (map { ('-H', "$_: $sent{$_}") } keys %sent), $h2 . $path);
        } else {
            $t->raw($t->bytes(GET => $path, headers => \%sent));
        }
    }
}
# a line is written a moment after its answer
sub logged { my ($line) = @_; $t->wait_for(sub { $t->log_text('access.log') =~ $line }, 3) }
# what the logs say of the secrets so far, after all is written
sub leaks {
    my ($name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $mark = 'mark' . ++$made;
    $t->get("/$mark");
    $t->wait_for(sub { $t->log_text('access.log') =~ /$mark/ });
    sleep 0.05;
    my @found;
    for my $log (qw(access.log whole.log error.log)) {
        my $text = $t->log_text($log);
        for my $secret (@secrets) {
            push @found, map { "$log: $_" } grep { /\Q$secret\E|\Q@{[substr $secret, 12]}\E/ } split /\n/, $text;
        }
    }
    is(join("\n", @found), '', $name);
    @secrets = ();
}

subtest 'arguments' => sub {
    for my $name (qw(customer_session_token member_session_token ticket)) {
        send_one("/acme/portal?$name=SECRET");
        send_one("/acme/portal?$name=SECRET&email=a%40b");
        send_one("/acme/portal?a=b&$name=SECRET&c=d&$name=SECRET");
        leaks($name);
    }
    like($t->log_text('access.log'), qr{"GET /acme/portal\?a=b&ticket=x+&c=d&ticket=x+ HTTP/1\.1" 404}, 'the rest is there');
};

subtest 'encoded names and separators' => sub {
    send_one("/acme/portal?$_=SECRET") for 'customer%5Fsession_token', '%63ustomer_session_token', 'customer%5fsession%5ftoken',
        'customer_session_toke%6E', 't%69cket', '%74%69%63%6B%65%74';
    send_one($_) for '/acme/portal?&&ticket=SECRET', '/acme/portal?ticket=SECRET&', '/acme/portal?ticket=a=SECRET', '/acme/portal?=&ticket=SECRET',
        '/acme/portal?a?ticket=b&ticket=SECRET', '/acme/portal?customer_session_token=%20SECRET', '/acme/portal?ticket=SECRET?x=/client-portal/';
    leaks('none');
};

subtest 'links of the client portal' => sub {
    send_one($_) for '/client-portal/SECRET', '/client-portal/SECRET/', '/client-portal/SECRET?a=b', '/client-portal/SECRET/more?ticket=SECRET',
        '/client-portal//SECRET', '/client-portal/./SECRET', '/x/../client-portal/SECRET', '//client-portal/SECRET', '/client%2Dportal/SECRET',
        '/%63lient-portal/SECRET', '/client-portal%2FSECRET', '/below/client-portal/SECRET', '/client-portal/SECRET%20', '/client-portal/SECRET%3Fa';
    leaks('none');
    $t->get('/api/v1/client-portal/invitations/7c1d3c9e-0b9e-4a53-9d2b-0f4e5a1b2c3d');
    ok(logged(qr{invitations/7c1d3c9e}), 'routes of the API are logged as they are');
    $t->get('/client-portal/help.html');
    ok(logged(qr{/client-portal/help\.html}), 'and what is no token, too');
};

subtest 'referrers' => sub {
    my $base = $t->base_url;
    send_one('/page', Referer => $_) for "$base/acme/portal?customer_session_token=SECRET&email=x", "$base/client-portal/SECRET",
        "$base/client-portal/SECRET?x", "$base/x?t%69cket=SECRET", "http://other.example.com/?ticket=SECRET";
    leaks('none');
};

subtest 'what error.log tells' => sub {
    send_one("$_?ticket=SECRET") for '/broken/x', '/guarded/x', '/denied/x', '/limited/x', '/none', '/rewritten/a/b', '/api/none', '/api/v1/client-portal/config';
    send_one('/rewritten/client-portal/SECRET');
    send_one('/denied/?a', Referer => $t->base_url . '/client-portal/SECRET');
    leaks('none');
    like($t->log_text, qr{connect\(\) failed.*"GET /broken/x\?ticket=x+ HTTP}, 'there was something to tell');
};

subtest 'protocols' => sub {
    my $secret = secret();
    $t->raw("GET /client-portal/$secret\r\n");
    $t->raw("GET /x?ticket=$secret\r\n");
    $t->raw("GET /x?ticket=$secret HTTP/1.0\r\n\r\n");
    $t->raw("GET http://localhost/client-portal/$secret HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    $t->raw("GET http://localhost?ticket=$secret HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    $t->raw("POST /x?ticket=$secret HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc");
    $t->raw("GET /x?ticket=$secret HTTP/1.1\r\nHost: localhost\r\n\r\nGET /client-portal/$secret HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    leaks('0.9, 1.0, absolute, with a body, pipelined');
};

subtest 'the backend gets what the client sent, but for the credential' => sub {
    my $secret = secret();
    my $got = $t->get("/proxied/x?a=b&customer_session_token=$secret&c=d")->content;
    like($got, qr{^GET /proxied/x\?a=b&customer_session_token=x+&c=d HTTP/1\.0\r\n}, 'overwritten');
    unlike($got, qr/\Q$secret/, 'nowhere else');
};

# refused before any module sees them; at level info nginx itself tells the request line as it came, at notice it does not
$t->{option}{http} .= "    error_log %%DIR%%/error.log notice;\n";
$t->reload;
subtest 'requests nginx refuses while parsing' => sub {
    for my $target ('/client-portal/SECRET', '/x?ticket=SECRET') {
        for my $rest ("Host: localhost\r\nCookie: " . 'c' x 40_000 . "\r\n\r\n", "Host: \x01\r\n\r\n", "Host: a\r\nHost: b\r\n\r\n", "\r\n",
            "Host: localhost\r\nContent-Length: x\r\n\r\n", "Host: localhost\r\nTransfer-Encoding: what\r\n\r\n") {
            my $secret = secret();
            $t->raw('GET ' . $target =~ s/SECRET/$secret/r . " HTTP/1.1\r\n$rest");
        }
        my $secret = secret();
        my $socket = $t->connect;
        print $socket 'GET ' . $target =~ s/SECRET/$secret/r . " HTTP/1.1\r\nHost: localhost\r\nX-Half";
        sleep 0.05;
        close $socket;
    }
    leaks('none');
};

$t->done;
