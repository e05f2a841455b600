# The browser's session cookie on the site's own locations, and the origin rule that goes with it.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $location = <<'NGINX';
        location /acme/ { portal_workspace acme; portal_auth any; alias %%DIR%%/html/; }
        location /put/  { portal_workspace acme; portal_auth any; portal_rate_limit 1000 60s name=put; error_page 405 =200 /done; alias %%DIR%%/html/; }
        location /any/  { portal_workspace any;  portal_auth any; alias %%DIR%%/html/; }
        location = /done { internal; return 200 done; }
NGINX
my $site = 'https://portal.example.com';
my $t = PortalTest->new(base_url => $site, location => $location);
$t->write_file('html/page.txt', "the page\n");

my $acme = $t->workspace(slug => 'acme');
my $other = $t->workspace(slug => 'other');
my ($acme_token, $other_token) = map { $t->token($_) } $acme, $other;
sub session {
    my ($workspace, $token) = @_;
    return json_of($t->post('/api/customer-sessions/', token => $token, json => { customer_id => $t->customer($workspace)->{id} }));
}
my $session = session($acme, $acme_token);
my $foreign = session($other, $other_token);
my $cookie = "__Host-portal_acme=$session->{token}";
my $foreign_cookie = "__Host-portal_other=$foreign->{token}";

# method, path, Cookie and other headers → status
sub code { my ($method, $path, $cookie, %headers) = @_;
    $t->request($method, $path, headers => { defined $cookie ? (Cookie => $cookie) : (), %headers })->code }

subtest 'a cookie counts as a bearer does' => sub {
    is(code(GET => '/acme/page.txt', $cookie), 200, 'alone');
    is(code(GET => '/acme/page.txt', "a=b; $cookie;c=d"), 200, 'among others');
    is(code(HEAD => '/acme/page.txt', $cookie), 200, 'HEAD');
    is(code(GET => '/acme/page.txt', "__Host-portal_ACME=$session->{token}"), 200, 'the slug in any case');
    my $split = $t->raw("GET /acme/page.txt HTTP/1.1\r\nHost: x\r\nCookie: a=b\r\nCookie: $cookie\r\nConnection: close\r\n\r\n");
    like($split, qr/^HTTP\/1\.1 200/, 'in a second header');
    my ($code, undef, $h2) = $t->run('curl', 'curl', '-sS', '--http2-prior-knowledge', '-i', '-H', 'Cookie: a=b', '-H', "Cookie: $cookie",
        'http://127.0.0.1:' . $t->h2_port . '/acme/page.txt');
    like($h2, qr/^HTTP\/2 200/, 'over HTTP/2');
};

subtest 'what is no cookie of ours' => sub {
    is(code(GET => '/acme/page.txt', $_), 401, $_ =~ s/portal_[a-z]{3}_\K\S+/…/r) for '', 'a', '=', "portal_acme=$session->{token}",
        "x__Host-portal_acme=$session->{token}", "__Host-portal_=$session->{token}", '__Host-portal_acme=', '__Host-portal_acme',
        "__Host-portal_acm=$session->{token}", "__Host-portal_acmee=$session->{token}", "__Host-portal_acme=\"$session->{token}\"";
    my $response = $t->get('/acme/page.txt', headers => { Cookie => '__Host-portal_acme=nonsense' });
    is($response->header('WWW-Authenticate'), 'Bearer realm="portal"', 'one that has run out is as none');
    my @codes = map { code(GET => '/acme/page.txt', "__Host-portal_acme=old-$_", 'X-Real-IP' => '10.5.5.5') } 1 .. 29;
    is_deeply(\@codes, [(401) x 29], 'and is refused as such');
};

subtest 'one cookie for each workspace' => sub {
    is(code(GET => '/acme/page.txt', "$foreign_cookie; $cookie"), 200, 'the one of this workspace is taken');
    is(code(GET => '/acme/page.txt', $foreign_cookie), 401, 'not another\'s');
    is(code(GET => '/acme/page.txt', "__Host-portal_acme=$foreign->{token}"), 401, 'nor another\'s session under this name');
    is(code(GET => '/any/page.txt', $_), 200, 'any') for $cookie, $foreign_cookie;
};

subtest 'a bearer beats a cookie' => sub {
    is(code(GET => '/acme/page.txt', $cookie, Authorization => 'Bearer nonsense'), 401, 'a bad one');
    is(code(GET => '/acme/page.txt', $cookie, Authorization => "Bearer $other_token"), 401, 'a foreign one');
    is(code(GET => '/acme/page.txt', '__Host-portal_acme=nonsense', Authorization => "Bearer $acme_token"), 200, 'a good one');
    is(code(GET => '/acme/page.txt', $cookie, Authorization => 'Basic YTpi'), 200, 'another scheme is no bearer');
};

subtest 'unsafe methods by cookie come from our own pages' => sub {
    for my $method (qw(POST PUT PATCH DELETE)) {
        my $reached = sub { my $response = $t->request($method, '/put/page.txt', headers => { Cookie => $cookie, @_ });
            $response->code != 403 && defined $response->header('X-RateLimit-Remaining') };
        ok(!$reached->(), "$method from nowhere");
        ok(!$reached->('Sec-Fetch-Site' => $_), "$method from $_") for qw(cross-site same-site none), '';
        ok(!$reached->(Origin => $_), "$method from $_") for 'null', 'https://evil.example.com', 'http://portal.example.com',
            "$site.evil.example.com", "$site:8443", 'https://portal.example.co';
        ok(!$reached->('Sec-Fetch-Site' => 'cross-site', Origin => $site), "$method: Sec-Fetch-Site is believed before Origin");
        ok(!$reached->(Referer => "$site/page"), "$method: a Referer says nothing");
        ok($reached->('Sec-Fetch-Site' => 'same-origin'), "$method from same-origin");
        ok($reached->(Origin => $site), "$method from our origin");
    }
    is(code(POST => '/put/page.txt', undef, Authorization => "Bearer $session->{token}"), 200, 'a bearer needs no origin');
    is(code(POST => '/put/page.txt', $cookie, Authorization => "Bearer $session->{token}"), 200, 'beside a cookie neither');
    is(code(GET => '/acme/page.txt', $cookie, 'Sec-Fetch-Site' => 'cross-site'), 200, 'a link from elsewhere to a page of the site');
    is(code(POST => '/put/page.txt', '__Host-portal_acme=nonsense', Origin => 'https://evil.example.com'), 401, 'nobody is 401, not 403');
};

subtest 'integrators\' routes know no cookie' => sub {
    my $token_cookie = "__Host-portal_acme=$acme_token";
    is(code(GET => '/api/v1/client-portal/config', $_), 401, 'config') for $cookie, $token_cookie;
    is($t->post('/api/customer-sessions/', json => {}, headers => { Cookie => $token_cookie, 'Sec-Fetch-Site' => 'same-origin' })->code,
        401, 'sessions');
};

$t->{option}{base_url} = "$site/shop";
$t->reload;
is(code(POST => '/put/page.txt', $cookie, Origin => $site), 200, 'an origin has no path, whatever the base URL has');

$t->{option}{base_url} = 'http://127.0.0.1:' . $t->port;
$t->reload;
subtest 'a base URL of plain http: the demo' => sub {
    is(code(GET => '/acme/page.txt', "portal_acme=$session->{token}"), 200, 'no prefix');
    is(code(GET => '/acme/page.txt', $cookie), 401, 'and not with one');
};

$t->done;
