# portal_rate_limit on the site's own locations: by whom it counts, what it tells, when it refuses.
use strict; use warnings; use utf8;
use Test::More;
use Time::HiRes qw(sleep time);
use PortalTest;

my $t = PortalTest->new(http => 'portal_rate_limit 7 60s name=everywhere;', location => <<'NGINX');
        location /token/     { portal_workspace any; portal_auth any; portal_rate_limit 3 60s name=token; alias %%DIR%%/html/; }
        location /same/      { portal_workspace any; portal_auth any; portal_rate_limit 3 60s name=token; alias %%DIR%%/html/; }
        location /customer/  { portal_workspace any; portal_auth any; portal_rate_limit 3 60s key=customer name=customer; alias %%DIR%%/html/; }
        location /workspace/ { portal_workspace any; portal_auth any; portal_rate_limit 3 60s key=workspace name=workspace; alias %%DIR%%/html/; }
        location /address/   { portal_workspace any; portal_auth any; portal_rate_limit 3 60s key=address name=address; alias %%DIR%%/html/; }
        location /anybody/   { portal_rate_limit 3 60s name=anybody; alias %%DIR%%/html/; }
        location /unnamed/   { portal_rate_limit 4 90s key=address; alias %%DIR%%/html/; }
        location /inherited/ { alias %%DIR%%/html/; }
        location /off/       { portal_rate_limit off; alias %%DIR%%/html/; }
        location /two/       { portal_workspace any; portal_auth any; alias %%DIR%%/html/;
            portal_rate_limit 5 60s name=wide key=workspace; portal_rate_limit 2 60s name=narrow; }
        location /short/     { portal_rate_limit 2 1s name=short; alias %%DIR%%/html/; }
        location /smooth/    { portal_rate_limit 150 60s name=smooth; alias %%DIR%%/html/; }
        location /page/      { portal_rate_limit 1 60s name=page; alias %%DIR%%/html/; error_page 429 /page/sorry.html; }
        location /scoped/    { portal_workspace any; portal_auth workspace scope=payments:write; portal_rate_limit 2 60s name=scoped; alias %%DIR%%/html/; }
NGINX
$t->write_file('html/page.txt', "the page\n");
$t->write_file('html/sorry.html', "slower, please\n");
my $acme = $t->workspace;
my $token = $t->token($acme);
sub session { my ($customer) = @_; json_of($t->post('/api/customer-sessions/', token => $token, json => { customer_id => $customer->{id} }))->{token} }
sub code { my ($location, $token, $address) = @_;
    $t->get("/$location/page.txt", token => $token, headers => { 'X-Real-IP' => $address // '10.0.0.1' })->code }
my @three = (200, 200, 200);

subtest 'what is told' => sub {
    my $mine = $t->token($acme);
    for my $left (2, 1, 0) {
        my $response = $t->get('/token/page.txt', token => $mine);
        is_status($response, 200);
        is($response->header('X-RateLimit-Limit'), 3, 'limit');
        is($response->header('X-RateLimit-Remaining'), $left, 'remaining');
        cmp_ok(abs($response->header('X-RateLimit-Reset') - time - 60), '<', 5, 'reset');
        is($response->header('RateLimit-Policy'), '"token";q=3;w=60', 'policy');
        like($response->header('RateLimit'), qr/^"token";r=$left;t=(?:60|5\d)$/, 'state');
        is($response->header('Retry-After'), undef, 'no Retry-After');
    }
    my $refused = $t->get('/token/page.txt', token => $mine);
    is_status($refused, 429);
    is($refused->header('X-RateLimit-Remaining'), 0, 'none left');
    like($refused->header('Retry-After'), qr/^(?:60|5\d)$/, 'Retry-After');
    like($refused->header('X-Request-ID'), qr/^[0-9a-f]{32}$/, 'request id');
    like($refused->content, qr/429 Too Many Requests/, 'the site\'s own page');
    is_deeply([map { scalar(() = $refused->header($_)) } qw(RateLimit Retry-After)], [1, 1], 'each once');
};

subtest 'by token' => sub {
    my ($one, $two) = map { $t->token($acme) } 1 .. 2;
    is_deeply([map { code('token', $one) } 1 .. 4], [@three, 429], 'three');
    is(code('token', $two), 200, 'another token');
    is(code('same', $one), 429, 'a name is one counter, wherever it is used');
    is(code('customer', $one), 200, 'another name is another');
    my $session = session($t->customer($acme));
    is_deeply([map { code('token', $session) } 1 .. 4], [@three, 429], 'a session as well');
};

subtest 'by customer' => sub {
    my ($ann, $bob) = map { $t->customer($acme) } 1 .. 2;
    my ($one, $two, $other) = (session($ann), session($ann), session($bob));
    is_deeply([map { code('customer', $_) } $one, $two, $one, $two, $one], [@three, 429, 429], 'over sessions');
    is(code('customer', $other), 200, 'another customer');
};

subtest 'by workspace' => sub {
    my ($mine, $other) = map { $t->workspace } 1 .. 2;
    my ($one, $two, $theirs) = ($t->token($mine), $t->token($mine), $t->token($other));
    is_deeply([map { code('workspace', $_) } $one, $two, $one, $two, $one], [@three, 429, 429], 'over tokens');
    is(code('workspace', $theirs), 200, 'another workspace');
};

subtest 'by address' => sub {
    my ($one, $two) = map { $t->token($acme) } 1 .. 2;
    is_deeply([map { code('address', $_, '10.1.1.1') } $one, $two, $one, $two], [@three, 429], 'over tokens');
    is(code('address', $one, '10.1.1.2'), 200, 'another address');
    is_deeply([map { code('address', $one, "2001:db8:5::$_") } 1 .. 4], [@three, 429], 'IPv6 by its /64');
    is_deeply([map { code('address', $one, $_) } ('::ffff:10.1.1.9') x 2, ('10.1.1.9') x 2], [@three, 429], 'IPv4 in IPv6');
};

subtest 'without portal_auth' => sub {
    is_deeply([map { code('anybody', undef, '10.2.2.1') } 1 .. 4], [@three, 429], 'by address');
    is(code('anybody', undef, '10.2.2.2'), 200, 'another');
    is(code('anybody', $token, '10.2.2.1'), 429, 'whatever bearer is sent');
    is($t->get('/unnamed/page.txt')->header('RateLimit-Policy'), '"site-4-90s";q=4;w=90', 'a name of its numbers');
};

subtest 'inherited, or off' => sub {
    is_deeply([map { code('inherited', undef, '10.3.3.1') } 1 .. 8], [(200) x 7, 429], 'from http');
    my $response = $t->get('/off/page.txt', headers => { 'X-Real-IP' => '10.3.3.1' });
    is_status($response, 200, 'off');
    is($response->header('X-RateLimit-Limit'), undef, 'and silent');
};

subtest 'two limits admit both or none' => sub {
    my $mine = $t->workspace;
    my ($one, $two) = map { $t->token($mine) } 1 .. 2;
    is($t->get('/two/page.txt', token => $one)->header('RateLimit'), '"narrow";r=1;t=60', 'the one with the least left is told');
    is_deeply([map { code('two', $one) } 1 .. 5], [200, (429) x 4], 'the narrow one refuses');
    is_deeply([map { code('two', $two) } 1 .. 3], [200, 200, 429], 'the wide one was not charged for that');
    is_deeply([map { code('two', $t->token($mine)) } 1 .. 2], [200, 429], 'and then it refuses');
};

subtest 'who is not let in is not charged' => sub {
    my $poor = $t->token($acme, 'payments:read');
    is_deeply([map { code('scoped', $poor) } 1 .. 5], [(403) x 5], 'no scope');
    is_deeply([map { code('token', undef) } 1 .. 5], [(401) x 5], 'no credential');
    $t->db->do(q(UPDATE portal.workspace_access_tokens SET scopes = '{payments:write}' WHERE id = ?), undef, $t->token_id($poor));
    ok($t->wait_for(sub { code('scoped', $poor) == 200 }, 3), 'the scope is given');
    is(code('scoped', $poor), 200, 'the second of two');
    is(code('scoped', $poor), 429, 'the third');
};

subtest 'a window opens again' => sub {
    # the first two of a window, then the next no sooner than a second after the first
    my $start = time;
    is_deeply([map { code('short', undef, '10.4.4.4') } 1 .. 2], [200, 200], 'two');
    ok($t->wait_for(sub { code('short', undef, '10.4.4.4') == 200 }, 3, 0.01), 'and one more');
    cmp_ok(time - $start, '>', 0.99, 'after a second');
    cmp_ok(time - $start, '<', 2.5, 'and not much later, though it was asked for all the while');
};

subtest 'more than a hundred: smooth, and never more' => sub {
    my @codes = map { $_->code } map { $t->at_once(($t->bytes(GET => '/smooth/page.txt', headers => { 'X-Real-IP' => '10.5.5.5' })) x 50) } 1 .. 4;
    my $passed = grep { $_ == 200 } @codes;
    cmp_ok($passed, '<=', 150, "$passed of 200 passed");
    cmp_ok($passed, '>=', 130, 'and not far fewer');
    is($passed + (grep { $_ == 429 } @codes), 200, 'the others are 429');
};

subtest 'error_page' => sub {
    is(code('page', undef, '10.6.6.6'), 200, 'one');
    my $response = $t->get('/page/page.txt', headers => { 'X-Real-IP' => '10.6.6.6' });
    is_status($response, 429);
    is($response->content, "slower, please\n", 'the site\'s page');
    ok($response->header('Retry-After'), 'with Retry-After');
};

$t->done;
