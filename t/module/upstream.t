# conf/portal_proxy.conf: the site's backend learns who the caller is, and gets no credential of the portal's.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new(nginx => 0);
my $echo = $t->echo;
$t->{option}{location} = <<"NGINX";
        location /site/ { portal_workspace acme; portal_auth any; portal_rate_limit 100 60s name=site; include %%ROOT%%/conf/portal_proxy.conf;
            proxy_pass http://127.0.0.1:$echo; }
        location /open/ { include %%ROOT%%/conf/portal_proxy.conf; proxy_pass http://127.0.0.1:$echo; }
        location /renamed/ { portal_workspace acme; portal_auth any; include %%ROOT%%/conf/portal_proxy.conf;
            proxy_pass http://127.0.0.1:$echo/backend/; }
NGINX
$t->start('nginx');
my $acme = $t->workspace(slug => 'acme');
my $token = $t->token($acme, 'customer_sessions:write', 'payments:read');
my $customer = $t->customer($acme);
my $session = json_of($t->post('/api/customer-sessions/', token => $token, json => { customer_id => $customer->{id} }));
my $cookie = "portal_acme=$session->{token}";

# what the backend got: {request line, body, headers by lower-case name}
sub got {
    my ($response) = @_;
    is_status($response, 200, 'the backend answers');
    my ($head, $body) = split /\r\n\r\n/, $response->content, 2;
    my ($line, @headers) = split /\r\n/, $head;
    my %got = (line => $line, body => $body, raw => $response->content);
    for (@headers) { my ($name, $value) = /^([^:]+): ?(.*)/; push @{ $got{header}{ lc $name } }, $value }
    return \%got;
}
sub header_is { my ($got, $name, @values) = @_; local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_deeply($got->{header}{ lc $name } // [], \@values, $name) }
my @forged = map { ("X-Portal-$_" => "forged-$_", lc "x-portal-$_" => "forged-$_") } qw(Principal Workspace-Id Customer-Id Member-Id Scopes Auth-Status Limit-Status);

subtest 'a customer' => sub {
    my $got = got($t->get('/site/page?a=b%20c', headers => { Cookie => "theme=dark; $cookie; cart=1", @forged }));
    is($got->{line}, 'GET /site/page?a=b%20c HTTP/1.0', 'the request as it was');
    header_is($got, 'X-Portal-Principal', "customer:$customer->{id}");
    header_is($got, 'X-Portal-Customer-Id', $customer->{id});
    header_is($got, 'X-Portal-Workspace-Id', $acme->{id});
    header_is($got, 'X-Portal-Member-Id');
    header_is($got, 'X-Portal-Scopes', 'customer_portal:write');
    header_is($got, 'X-Portal-Auth-Status', 'OK');
    header_is($got, 'X-Portal-Limit-Status', 'PASSED');
    header_is($got, 'Cookie', 'theme=dark; cart=1');
    header_is($got, 'X-Forwarded-For', '127.0.0.1');
    header_is($got, 'X-Forwarded-Proto', 'http');
    unlike($got->{raw}, qr/forged/, 'nothing the client said under these names');
    unlike($got->{raw}, qr/\Q$session->{token}/, 'and no token');
};

subtest 'a bearer' => sub {
    my $got = got($t->get('/site/page', token => $token, headers => { Cookie => 'theme=dark' }));
    header_is($got, 'Authorization');
    header_is($got, 'Cookie', 'theme=dark');
    header_is($got, 'X-Portal-Principal', "workspace:$acme->{id}");
    header_is($got, 'X-Portal-Scopes', 'customer_sessions:write payments:read');
    header_is($got, 'X-Portal-Customer-Id');
    unlike($got->{raw}, qr/portal_oat_/, 'no token');
};

subtest 'cookies of ours, whichever' => sub {
    my %case = ($cookie => [], "$cookie; portal_other=x; __Host-portal_acme=y; portal_challenge=z" => [],
        "a=1;$cookie;b=2" => ['a=1; b=2'], "$cookie; a=portal_acme=1" => ['a=portal_acme=1'], "xportal_a=1; $cookie" => ['xportal_a=1'],
        "a; b=; $cookie" => ['a; b='], "; ; $cookie; " => []);
    for my $sent (sort keys %case) {
        my $got = got($t->get('/site/page', headers => { Cookie => $sent }));
        header_is($got, 'Cookie', @{ $case{$sent} });
    }
    my ($answer) = $t->raw("GET /site/page HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCookie: a=1\r\nCookie: $cookie\r\nCookie: b=2\r\n\r\n");
    like($answer, qr/^Cookie: a=1; b=2\r$/m, 'over several headers');
    unlike($answer, qr/portal_cst_/, 'no token');
    my (undef, undef, $h2) = $t->run('curl', 'curl', '-sS', '--http2-prior-knowledge', '-H', 'Cookie: a=1', '-H', "Cookie: $cookie",
        '-H', 'X-Portal-Customer-Id: forged', 'http://127.0.0.1:' . $t->h2_port . '/site/page');
    like($h2, qr/^Cookie: a=1\r$/m, 'over HTTP/2');
    unlike($h2, qr/portal_cst_|forged/, 'neither token nor forgery');
};

subtest 'where nobody is asked for' => sub {
    my $got = got($t->get('/open/page', token => $token, headers => { Cookie => "a=1; $cookie", @forged }));
    unlike($got->{raw}, qr/forged|portal_[a-z]{3}_/, 'neither forgery nor credential');
    header_is($got, "X-Portal-$_") for qw(Principal Customer-Id Auth-Status);
    header_is($got, 'Cookie', 'a=1');
};

subtest 'bodies and other paths' => sub {
    my $got = got($t->post('/renamed/x', token => $token, body => "some bytes \x{e9}" x 5000));
    like($got->{line}, qr{^POST /backend/x }, 'the path of proxy_pass');
    is($got->{body}, Encode::encode('UTF-8', "some bytes \x{e9}" x 5000), 'the body');
};

subtest 'who is refused does not get there' => sub {
    for ($t->get('/site/page'), $t->get('/site/page', token => 'nonsense'), $t->post('/site/page', body => 'x', headers => { Cookie => $cookie })) {
        isnt($_->code, 200, 'status ' . $_->code);
        unlike($_->content, qr/HTTP\/1\.0/, 'not from the backend');
    }
};

$t->done;
