# portal_auth and portal_workspace: who is let into the site's own locations.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new(nginx => 0);
my $echo = $t->echo;
$t->{option}{location} = <<"NGINX";
        location /open/ { alias %%DIR%%/html/; }
        location /customer/  { portal_workspace any; portal_auth customer;        alias %%DIR%%/html/; }
        location /member/    { portal_workspace any; portal_auth member;          alias %%DIR%%/html/; }
        location /workspace/ { portal_workspace any; portal_auth workspace;       alias %%DIR%%/html/; }
        location /portal/    { portal_workspace any; portal_auth portal;          alias %%DIR%%/html/; }
        location /both/      { portal_workspace any; portal_auth customer member; alias %%DIR%%/html/; }
        location /any/       { portal_workspace any; portal_auth any;             alias %%DIR%%/html/; }

        location /reads/  { portal_workspace any; portal_auth workspace scope=client_portal:read; alias %%DIR%%/html/; }
        location /writes/ { portal_workspace any; portal_auth workspace scope=client_portal:write scope=customers:read; alias %%DIR%%/html/; }

        location /acme/ { portal_workspace acme; portal_auth any; alias %%DIR%%/html/;
            location /acme/public/ { portal_auth off; alias %%DIR%%/html/; }
            location /acme/other/ { portal_workspace other; alias %%DIR%%/html/; }
            location /acme/below/ { alias %%DIR%%/html/; }
        }
        location ~ ^/of/(?<slug>[^/]*)/ { portal_workspace \$slug; portal_auth any; rewrite ^/of/[^/]*/(.*) /\$1 break; }

        location /named/ { portal_workspace \$http_x_workspace; portal_auth any; alias %%DIR%%/html/; }

        location /proxied/ { portal_workspace any; portal_auth any; proxy_pass http://127.0.0.1:$echo; }

        location /either/ { satisfy any; allow 10.0.0.1; deny all; portal_workspace any; portal_auth any; alias %%DIR%%/html/; }
        location /all/    { allow 10.0.0.1; deny all; portal_workspace any; portal_auth any; alias %%DIR%%/html/; }
        location /basic/  { satisfy any; portal_workspace any; portal_auth any; auth_basic site; auth_basic_user_file %%DIR%%/users;
            alias %%DIR%%/html/; }

        location /limited/ { satisfy any; deny all; auth_basic site; auth_basic_user_file %%DIR%%/users;
            portal_rate_limit 1000 60s name=limited; alias %%DIR%%/html/; }
        location /tried/  { satisfy any; deny all; portal_workspace any; portal_auth any dry_run; alias %%DIR%%/html/; }
        location /fallen/ { error_page 404 = \@guarded; alias %%DIR%%/html/; }
        location \@guarded { portal_workspace any; portal_auth customer; root %%DIR%%/html; try_files /page.txt =404; }

        location /sign/ { portal_workspace any; portal_auth any; error_page 401 = \@sign_in; alias %%DIR%%/html/; }
        location \@sign_in { return 302 https://example.com/sign-in; }
        location /paged/ { portal_workspace any; portal_auth any; portal_rate_limit 50 60s name=paged;
            error_page 401 404 /paged/sorry.html; alias %%DIR%%/html/; }
        location /redirected/ { portal_workspace any; portal_auth customer workspace; portal_rate_limit 50 60s name=redirected;
            alias %%DIR%%/html/; index page.txt; try_files \$uri \$uri/ /redirected/page.txt; }
        location /into-member/ { portal_workspace any; portal_auth any; alias %%DIR%%/html/; try_files /none /member/page.txt; }
        location /from-open/ { alias %%DIR%%/html/; try_files /none /member/page.txt; }
NGINX
$t->start('nginx');
mkdir "$t->{dir}/html/dir";
$t->write_file("html/$_", "the page\n") for 'page.txt', 'dir/page.txt';
$t->write_file('html/sorry.html', "so sorry\n");
$t->write_file('users', "ann:{PLAIN}secret\n");

my $acme = $t->workspace(slug => 'acme');
my $club = $t->workspace(slug => 'club', member_model => 1);
my $other = $t->workspace(slug => 'other');
my ($acme_token, $club_token, $other_token) = map { $t->token($_) } $acme, $club, $other;
my %token = (workspace => $acme_token,
    customer => json_of($t->post('/api/customer-sessions/', token => $acme_token, json => { customer_id => $t->customer($acme)->{id} }))->{token},
    member => json_of($t->post('/api/member-sessions/', token => $club_token, json => { member_id => $t->member($t->customer($club))->{id} }))->{token},
    portal => json_of($t->post('/api/v1/client-portal/token', token => $acme_token, json => { type => 'contact', id => $t->contact($acme)->{id} }))->{token});

# each from an address of its own: unknown tokens are limited by address
my $address = 0;
sub ask {
    my ($path, $token, %option) = @_;
    my $from = sprintf '10.%d.%d.9', ++$address / 250 + 1, $address % 250;
    return $t->get($path, token => $token, %option, headers => { 'X-Real-IP' => $from, %{ $option{headers} // {} } });
}
sub let_in { my ($response, $name) = @_; local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_status($response, 200, $name); is($response->content, "the page\n", "$name: the page") }
sub nobody { my ($response, $name) = @_; local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_status($response, 401, $name); is($response->header('WWW-Authenticate'), 'Bearer realm="portal"', "$name: as without credentials") }

subtest 'kinds' => sub {
    my %lets = (customer => ['customer'], member => ['member'], workspace => ['workspace'], portal => ['portal'],
        both => [qw(customer member)], any => [sort keys %token]);
    for my $location (sort keys %lets) {
        for my $kind (sort keys %token) {
            my $response = ask("/$location/page.txt", $token{$kind});
            (grep { $_ eq $kind } @{ $lets{$location} }) ? let_in($response, "$kind in $location") : nobody($response, "$kind in $location");
        }
        nobody(ask("/$location/page.txt"), "nobody in $location");
    }
    let_in(ask('/open/page.txt'), 'nobody where nothing is asked');
    let_in(ask('/open/page.txt', 'nonsense'), 'anything there');
};

subtest 'refusals' => sub {
    my $response = ask('/any/page.txt', 'portal_oat_nonsense');
    is_status($response, 401);
    like($response->header('WWW-Authenticate'), qr/^Bearer realm="portal", error="invalid_token", error_description="The access token/, 'a bad bearer');
    like($response->header('X-Request-ID'), qr/^[0-9a-f]{32}$/, 'request id');
    like($response->content, qr/401 Authorization Required.*nginx/s, 'the site\'s own page');
    nobody(ask('/any/page.txt', undef, headers => { Authorization => 'Basic YTpi' }), 'another scheme');
    my $gone = json_of($t->post('/api/customer-sessions/', token => $acme_token, json => { customer_id => $t->customer($acme)->{id} }));
    let_in(ask('/any/page.txt', $gone->{token}), 'a session');
    is_status($t->delete("/api/customer-sessions/$gone->{id}", token => $acme_token), 204, 'revoked');
    is_status(ask('/any/page.txt', $gone->{token}), 401, 'is none at once');
    my $old = json_of($t->post('/api/customer-sessions/', token => $acme_token, json => { customer_id => $t->customer($acme)->{id} }));
    $t->db->do(q(UPDATE portal.customer_sessions SET expires_at = now() - interval '1s' WHERE id = ?), undef, $old->{id});
    is_status(ask('/any/page.txt', $old->{token}), 401, 'an expired one');
    is_status(ask('/any/none.txt', $token{customer}), 404, 'who is let in gets the site\'s 404');
    is_status(ask('/any/none.txt'), 401, 'who is not, 401');
};

subtest 'scopes' => sub {
    my ($reader, $writer, $none) = map { $t->token($acme, @$_) } ['client_portal:read'], ['client_portal:write', 'customers:read'], ['payments:read'];
    let_in(ask('/reads/page.txt', $_), 'read') for $reader, $writer;
    is_status(ask('/reads/page.txt', $none), 403, 'another scope');
    let_in(ask('/writes/page.txt', $writer), 'both scopes');
    is_status(ask('/writes/page.txt', $reader), 403, 'one of them, and only to read');
    nobody(ask('/reads/page.txt', $token{customer}), 'the wrong kind is 401, not 403');
};

subtest 'workspaces' => sub {
    let_in(ask('/acme/page.txt', $token{$_}), "acme's $_") for qw(workspace customer portal);
    nobody(ask('/acme/page.txt', $_), 'a foreign one counts as none') for $other_token, $club_token, $token{member};
    let_in(ask('/of/acme/page.txt', $token{customer}), 'by variable');
    let_in(ask('/of/ACME/page.txt', $token{customer}), 'in any case');
    let_in(ask('/of/club/page.txt', $token{member}), 'another value');
    nobody(ask("/of/$_/page.txt", $token{customer}), "not in '$_'") for qw(club acm acmee any acme%20 acme%2Cclub);
    let_in(ask('/named/page.txt', $token{customer}, headers => { 'X-Workspace' => 'acme' }), 'by header');
    nobody(ask('/named/page.txt', $token{customer}), 'an empty one is nobody\'s');
    let_in(ask('/any/page.txt', $_), 'any') for $acme_token, $club_token, $other_token;
};

subtest 'inheritance' => sub {
    let_in(ask('/acme/below/page.txt', $token{customer}), 'inherited');
    nobody(ask('/acme/below/page.txt'), 'and asked for');
    let_in(ask('/acme/public/page.txt'), 'off');
    let_in(ask('/acme/public/page.txt', 'nonsense'), 'off, whatever is sent');
    let_in(ask('/acme/other/page.txt', $other_token), 'another workspace, the same kinds');
    nobody(ask('/acme/other/page.txt', $token{customer}), 'and not the outer one');
};

subtest 'satisfy any, with allow and deny' => sub {
    let_in(ask('/either/page.txt', undef, headers => { 'X-Real-IP' => '10.0.0.1' }), 'an allowed address');
    let_in(ask('/either/page.txt', $token{customer}), 'a session');
    nobody(ask('/either/page.txt'), 'neither');
    let_in(ask('/either/page.txt', 'nonsense', headers => { 'X-Real-IP' => '10.0.0.1' }), 'an allowed address with a bad token');
};

subtest 'satisfy any, with auth_basic' => sub {
    my $basic = ask('/basic/page.txt', undef, headers => { Authorization => 'Basic YW5uOnNlY3JldA==' });
    let_in($basic, 'a password');
    is($basic->header('WWW-Authenticate'), undef, 'no challenge is left');
    let_in(ask('/basic/page.txt', $token{customer}), 'a session');
    my $neither = ask('/basic/page.txt');
    is_status($neither, 401);
    is_deeply([sort $neither->header('WWW-Authenticate')], ['Basic realm="site"', 'Bearer realm="portal"'], 'both challenges');
};

subtest 'satisfy any: what nobody asked for lets nobody in' => sub {
    my $refused = ask('/limited/page.txt');
    is_status($refused, 401, 'a limit that has room');
    is($refused->header('WWW-Authenticate'), 'Basic realm="site"', 'the password is wanted');
    let_in(ask('/limited/page.txt', undef, headers => { Authorization => 'Basic YW5uOnNlY3JldA==' }), 'with it');
    is_status(ask('/tried/page.txt'), 403, 'a dry run');
    let_in(ask('/tried/page.txt', $token{customer}), 'whom it would let in comes in');
};

subtest 'a location that an error_page leads to is guarded' => sub {
    nobody(ask('/fallen/none'), 'the error of another');
    is(ask('/fallen/none', $token{customer})->content, "the page\n", 'a customer');
    nobody(ask('/fallen/none', $token{member}), 'a member');
};

subtest 'satisfy all: allow and deny come first' => sub {
    is_status(ask('/all/page.txt', $token{customer}), 403, 'a session from elsewhere');
    nobody(ask('/all/page.txt', undef, headers => { 'X-Real-IP' => '10.0.0.1' }), 'the address without a session');
    let_in(ask('/all/page.txt', $token{customer}, headers => { 'X-Real-IP' => '10.0.0.1' }), 'both');
    # refused before anything was looked up or counted
    is_status($t->get('/all/page.txt', token => "guess-$_", headers => { 'X-Real-IP' => '10.66.0.1' }), 403) for 1 .. 35;
    is_status($t->get('/any/page.txt', token => 'guess', headers => { 'X-Real-IP' => '10.66.0.1' }), 401, 'none of them counted');
};

subtest 'error_page' => sub {
    my $response = ask('/sign/page.txt');
    is_status($response, 302);
    is($response->header('Location'), 'https://example.com/sign-in', 'to the sign-in page');
    let_in(ask('/sign/page.txt', $token{customer}), 'a session');
    my $sorry = ask('/paged/page.txt');
    is_status($sorry, 401);
    is($sorry->content, "so sorry\n", 'a page of a protected location');
    is(scalar(() = $sorry->header('WWW-Authenticate')), 1, 'with one challenge');
    is(scalar(() = $sorry->header('X-Request-ID')), 1, 'and one request id');
    my @codes = map { $t->get('/paged/page.txt', token => "bad-$_", headers => { 'X-Real-IP' => '10.77.0.1' })->code } 1 .. 31;
    is_deeply(\@codes, [(401) x 30, 429], 'thirty bad tokens, each counted once');
};

# what is left of the limit tells how often it was charged
subtest 'one charge for a request, wherever it is redirected internally' => sub {
    my $token = $t->token($acme);
    my $left = 50;
    for (['/paged/none', 404, 'error_page 404'], ['/paged/page.txt', 200, 'no redirect'], ['/redirected/page.txt', 200, 'no redirect either', 50],
        ['/redirected/dir/', 200, 'index'], ['/redirected/none', 200, 'try_files']) {
        my ($path, $code, $name, $start) = @$_;
        $left = $start if $start;
        my $response = ask($path, $token);
        is_status($response, $code, $name);
        is(join(',', $response->header('X-RateLimit-Remaining')), --$left, "$name: charged once, told once");
    }
};

subtest 'a redirect into a location that asks for more' => sub {
    let_in(ask('/into-member/page.txt', $token{member}), 'who may go there');
    nobody(ask('/into-member/page.txt', $token{customer}), 'who may not');
    let_in(ask('/from-open/page.txt', $token{member}), 'from an open one');
    nobody(ask('/from-open/page.txt'), 'and nobody');
};

subtest 'proxied locations' => sub {
    # the first use of a token waits for the database; the body waits with it
    my $fresh = $t->token($acme);
    my $response = $t->post('/proxied/x?y=z', token => $fresh, body => 'b' x 30_000);
    is_status($response, 200);
    like($response->content, qr{^POST /proxied/x\?y=z HTTP/1\.0\r\n.*\r\n\r\nb{30000}$}s, 'arrives whole');
    nobody($t->post('/proxied/x', body => 'x' x 30_000), 'nobody');
    is_status(ask('/proxied/x', $token{customer}), 200, 'after a refused body the connection is in step');
};

subtest 'protocols' => sub {
    my $fresh = $t->token($acme);
    like($t->raw("GET /any/page.txt HTTP/1.0\r\nAuthorization: Bearer $fresh\r\n\r\n"), qr/^HTTP\/1\.1 200.*the page/s, 'HTTP/1.0');
    like($t->raw("GET /any/page.txt\r\n"), qr/401 Authorization Required/, 'HTTP/0.9');
    is_status($t->request(HEAD => '/any/page.txt', token => $t->token($acme)), 200, 'HEAD');
    my $h2 = 'http://127.0.0.1:' . $t->h2_port . '/any/page.txt';
    my $curl = sub { ($t->run('curl', 'curl', '-sS', '--http2-prior-knowledge', '-i', @_))[2] };
    like($curl->('-H', 'Authorization: Bearer ' . $t->token($acme), $h2), qr/^HTTP\/2 200.*the page/s, 'HTTP/2');
    like($curl->($h2), qr/^HTTP\/2 401.*www-authenticate: Bearer realm="portal"\r/s, 'HTTP/2, nobody');
    my $all = join '', map { "GET /any/page.txt HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " . $t->token($acme) . "\r\n$_\r\n" } '', '', "Connection: close\r\n";
    is(scalar(() = $t->raw($all) =~ /^HTTP\/1\.1 200/mg), 3, 'pipelined');
};

$t->done;
