# The page's session cookie on the portal's routes: exchange of a link, forgery, logout, one's own sessions.
use strict; use warnings; use utf8;
use Test::More;
use Time::HiRes qw(sleep);
use PortalTest;

my $site = 'https://portal.example.com';
# Host names the workspace that a location is for; nothing.bound: none, since its variable is empty
my $t = PortalTest->new(base_url => $site, http => <<'NGINX');
    map $bound $of { nothing ""; default $bound; }
    server { listen 127.0.0.1:%%PORT%%; server_name ~^(?<bound>.+)\.bound$; portal_workspace $of; location /api/ { portal_api portal client-portal sessions; } }
NGINX
my $path = '/api/customer-portal/customer-session';
my $not_permitted = { error => 'NotPermitted', detail => 'This request must come from the portal\'s own page.' };
my $unauthorized = { error => 'Unauthorized', detail => 'Unauthorized' };
my ($acme, $other) = map { $t->workspace(slug => $_) } qw(acme other);
my $club = $t->workspace(slug => 'club', member_model => 1);
my ($mike, $zoe) = ($t->customer($acme), $t->customer($other));
my $team = $t->customer($club, type => 'team');
my $owner = $t->member($team);
my $ann = $t->member($team, role => 'member');
my @own = ('Content-Type' => 'application/json', 'Sec-Fetch-Site' => 'same-origin');
my $phone = 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1';

sub exchange { my ($token, %headers) = @_; $t->post("$path/exchange", json => { token => $token }, headers => { %headers }) }
# the Cookie header of a fresh session for a link's
sub cookie_of { my ($token, %headers) = @_; (exchange($token, %headers)->header('Set-Cookie') // '') =~ /^([^;]+)/ or die 'no cookie'; $1 }
sub by_cookie { my ($method, $what, $cookie, %headers) = @_;
    $t->request($method, $what =~ m{^/} ? $what : "$path/$what", headers => { Cookie => $cookie, %headers }) }
sub sessions { my ($cookie, %headers) = @_; by_cookie(GET => 'sessions', $cookie, %headers) }

subtest 'exchange' => sub {
    my $link = $t->session($mike);
    my $response = exchange($link, 'User-Agent' => $phone);
    is_answer($response, 204, '');
    like($response->header('Set-Cookie'), qr/^__Host-portal_acme=portal_cst_[\w-]{48}; Path=\/; Max-Age=3[56]\d\d; HttpOnly; Secure; SameSite=Lax$/, 'the cookie');
    my ($cookie) = $response->header('Set-Cookie') =~ /^([^;]+)/;
    unlike($cookie, qr/\Q$link/, 'of a fresh session');
    is(sessions($cookie)->code, 200, 'which is valid');
    my ($parent, $child) = @{ $t->db->selectall_arrayref('SELECT * FROM portal.customer_sessions ORDER BY created_at', { Slice => {} }) };
    is_deeply([@$child{qw(signed_in_by parent_id device customer_id)}], ['exchange', $parent->{id}, 'Safari on iPhone', $mike->{id}], 'its row');
    is($child->{expires_at}, $parent->{expires_at}, 'it ends with its parent');
    is(exchange($link)->code, 204, 'a link can be opened again');

    $t->delete("/api/customer-sessions/$parent->{id}", token => $t->token($acme));
    ok($t->wait_for(sub { sessions($cookie)->code == 401 }, 2), 'and is revoked with it');
    is(exchange($link)->code, 401, 'as the link is');
    like(cookie_of($t->session($ann)), qr/^__Host-portal_club=portal_mst_/, 'a member\'s link');

    my $invalid = { error => 'invalid_token', error_description => 'The access token provided is expired, revoked, malformed, or invalid for other reasons.' };
    my $expired = $t->session($mike);
    $t->db->do('UPDATE portal.customer_sessions SET expires_at = now()');
    my $forged = 'portal_cst_' . 'A' x 48;
    is_answer(exchange($_->[1]), 401, $invalid, $_->[0]) for [expired => $expired], [forged => $forged], [nonsense => 'nonsense'],
        ['an access token' => $t->token($acme)], ['a contact\'s link' => json_of($t->post('/api/v1/client-portal/token',
            token => $t->token($acme), json => { type => 'contact', id => $t->contact($acme)->{id} }))->{token}];
    my $body = json_of($t->post("$path/exchange", json => {}));
    is($body->{detail}[0]{type}, 'missing', 'no token is 422');
};

subtest 'another workspace\'s link counts as none' => sub {
    my $link = $t->session($mike);
    my $before = $t->value('SELECT count(*) FROM portal.customer_sessions');
    my $invalid = { error => 'invalid_token', error_description => 'The access token provided is expired, revoked, malformed, or invalid for other reasons.' };
    is_answer(exchange($link, @$_), 401, $invalid, "@$_") for [Host => 'other.bound'], ['X-Portal-Workspace' => 'other'],
        [Host => 'acme.bound', 'X-Portal-Workspace' => 'other'], [Host => 'other.bound', 'X-Portal-Workspace' => 'acme'];
    is($t->value('SELECT count(*) FROM portal.customer_sessions'), $before, 'nothing is made');
    is(exchange($link, @$_)->code, 204, "@$_") for [Host => 'Acme.bound'], ['X-Portal-Workspace' => 'ACME'];
};

subtest 'another person\'s session is kept, where that is asked for' => sub {
    my $another = { error => 'AnotherSession', detail => 'Another person is signed in.' };
    my ($client, $contact_of) = ('/api/v1/client-portal', sub { json_of($t->post('/api/v1/client-portal/token', token => $t->token($_[0]),
        json => { type => 'contact', id => 0 + $t->contact($_[0])->{id} }))->{token} });
    my $open = sub { my ($token, %headers) = @_; $t->post("$client/me/exchange", json => { token => $token }, headers => { %headers }) };
    my %keep = ('X-Portal-Keep' => 1);
    my ($eve, $bob) = ($t->customer($acme), $t->customer($acme));
    my ($eves, $bobs) = map { $t->session($_) } $eve, $bob;
    my ($anns, $owners) = map { $t->session($_) } $ann, $owner;
    my ($here, $anns_cookie) = (cookie_of($eves), cookie_of($anns));
    my ($contacts, $seconds) = map { $contact_of->($_) } $acme, $acme;
    my ($contact_here) = $open->($contacts)->header('Set-Cookie') =~ /^([^;]+)/;
    my $count = sub { join ' ', map { $t->value("SELECT count(*) FROM portal.$_") } qw(customer_sessions member_sessions client_portal_tokens) };

    my $before = $count->();
    for my $case (['another customer', $bobs, $here], ['another member', $owners, $anns_cookie], ['a contact', $bobs, $contact_here]) {
        my ($name, $token, $cookie) = @$case;
        my $answer = exchange($token, %keep, Cookie => $cookie);
        is_answer($answer, 409, $another, $name);
        is($answer->header('Set-Cookie'), undef, 'and no cookie');
    }
    is_answer($open->($seconds, %keep, Cookie => $_), 409, { message => 'Another person is signed in.' }, 'at the client portal') for $contact_here, $here;
    is($count->(), $before, 'nothing is made');
    is(sessions($here)->code, 200, 'who is signed in stays so');

    is(exchange($bobs, Cookie => $here)->code, 204, 'without the header the link takes its place');
    is($open->($seconds, Cookie => $here)->code, 204, 'at the client portal, too');
    is(exchange($eves, %keep, Cookie => $here)->code, 204, 'one\'s own link');
    is(exchange($t->session($ann), %keep, Cookie => $anns_cookie)->code, 204, 'a member\'s own');
    is($open->($contacts, %keep, Cookie => $contact_here)->code, 204, 'a contact\'s own');
    is(exchange($bobs, %keep, Cookie => $_->[1])->code, 204, $_->[0]) for ['nobody', 'a=b'], ['nonsense', '__Host-portal_acme=nonsense'],
        ['another workspace\'s cookie', cookie_of($t->session($zoe))], ['another workspace\'s session', cookie_of($t->session($zoe)) =~ s/_other=/_acme=/r],
        ['an access token', '__Host-portal_acme=' . $t->token($acme)];
    is(by_cookie(POST => 'logout', $here, @own)->code, 204);
    is(exchange($bobs, %keep, Cookie => $here)->code, 204, 'one that has ended');
};

subtest 'exchange is for our page' => sub {
    my $link = $t->session($mike);
    my $count = sub { $t->value('SELECT count(*) FROM portal.customer_sessions') };
    my $before = $count->();
    is_answer(exchange($link, @$_), 403, $not_permitted, "@$_") for ['Sec-Fetch-Site' => 'cross-site'], ['Sec-Fetch-Site' => 'same-site'],
        ['Sec-Fetch-Site' => 'none'], [Origin => 'https://evil.example.com'], [Origin => 'null'], ['Content-Type' => 'text/plain'];
    is_answer($t->post("$path/exchange", body => qq({"token":"$link"}), type => 'none'), 403, $not_permitted, 'no Content-Type');
    is($count->(), $before, 'nothing is made');
    is(exchange($link, @$_)->code, 204, "@$_") for ['Sec-Fetch-Site' => 'same-origin'], [Origin => $site];
};

subtest 'forgery' => sub {
    my $cookie = cookie_of($t->session($mike));
    my $alive = sub { sessions($cookie)->code == 200 };
    for my $case ([POST => 'logout'], [DELETE => 'sessions?others=true'], [DELETE => 'sessions/8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001']) {
        is_answer(by_cookie(@$case, $cookie, @$_), 403, $not_permitted, "@$case: " . join ' ', @$_) for [], ['Content-Type' => 'application/json'],
            ['Sec-Fetch-Site' => 'same-origin'], ['Content-Type' => 'application/x-www-form-urlencoded', 'Sec-Fetch-Site' => 'same-origin'],
            ['Content-Type' => 'text/plain', Origin => $site], ['Content-Type' => 'application/json', 'Sec-Fetch-Site' => 'same-site'],
            ['Content-Type' => 'application/json', 'Sec-Fetch-Site' => 'cross-site', Origin => $site],
            ['Content-Type' => 'application/json', 'Sec-Fetch-Site' => 'none'], ['Content-Type' => 'application/json', Origin => 'null'],
            ['Content-Type' => 'application/json', Origin => 'https://shop.portal.example.com'],
            ['Content-Type' => 'application/json', Origin => 'http://portal.example.com'], [Referer => "$site/acme/portal"];
    }
    ok($alive->(), 'nothing was changed');
    is_answer(sessions($cookie, 'Sec-Fetch-Site' => $_), 403, $not_permitted, "GET from $_") for qw(cross-site same-site);
    is(sessions($cookie, 'Sec-Fetch-Site' => $_)->code, 200, "GET from $_") for qw(same-origin none);
    is_answer(by_cookie(POST => 'logout', '__Host-portal_acme=nonsense', Origin => 'https://evil.example.com'), 401, $unauthorized, 'nobody is 401');
    is(by_cookie(DELETE => 'sessions/8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001', $cookie, 'Content-Type' => 'Application/JSON; charset=utf-8', Origin => $site)->code,
        404, 'our origin, where Sec-Fetch-Site is absent');
};

subtest 'which cookie' => sub {
    my ($mikes, $zoes) = map { cookie_of($t->session($_)) } $mike, $zoe;
    my ($mikes_token) = $mikes =~ /=(.*)/;
    is_answer(sessions($_->[0], @{ $_->[1] }), 401, $unauthorized, $_->[2]) for
        ['', [], 'none'], ["$mikes; $zoes", [], 'two, and nobody says which'], [$mikes, ['X-Portal-Workspace' => 'other'], 'another is meant'],
        ["__Host-portal_other=$mikes_token", [], 'under another name'], ["portal_acme=$mikes_token", [], 'without the prefix'],
        ["__Host-portal_challenge=$mikes_token", [], 'as a challenge'], ['__Host-portal_acme=' . $t->token($acme), [], 'an access token'];
    is(sessions($_->[0], @{ $_->[1] })->code, 200, $_->[2]) for
        [$mikes, [], 'the only one'], ["a=b; $mikes; __Host-portal_challenge=x", [], 'among others'],
        ["$mikes; $zoes", ['X-Portal-Workspace' => 'Other'], 'named by header'];
    is(json_of(sessions("$mikes; $zoes", 'X-Portal-Workspace' => 'acme'))->{meta}{total}, $t->value(
        'SELECT count(*) FROM portal.customer_sessions WHERE customer_id = ? AND revoked_at IS NULL AND expires_at > now()', $mike->{id}), 'it is that one\'s');
    is(sessions("$mikes; $zoes", Host => 'Acme.bound')->code, 200, 'the location\'s workspace');
    is(sessions($zoes, Host => 'acme.bound')->code, 401, 'in which another\'s is none');
    is(sessions("$mikes; $zoes", Host => 'acme.bound', 'X-Portal-Workspace' => 'other')->code, 401, 'whatever the header says');
    is($t->get("$path/sessions", token => 'nonsense', headers => { Cookie => $mikes })->code, 401, 'a bearer beats a cookie');
    is_answer($t->get("$path/sessions", token => $t->token($acme), headers => { Cookie => $mikes }), 401, $unauthorized, 'of the wrong kind, too');
    my $split = $t->raw("GET $path/sessions HTTP/1.1\r\nHost: x\r\nCookie: a=b\r\nCookie: $mikes\r\nConnection: close\r\n\r\n");
    like($split, qr/^HTTP\/1\.1 200/, 'in a second header');
    is($t->get('/api/v1/client-portal/config', headers => { Cookie => $mikes })->code, 401, 'integrators\' routes know no cookie');
};

subtest 'a bearer in a location of one workspace' => sub {
    my $token = $t->session($mike);
    my $ask = sub { $t->get("$path/sessions", token => $_[0], headers => { Host => "$_[1].bound", @_[2 .. $#_] }) };
    is($ask->($token, $_)->code, 200, "its own, as $_") for qw(acme ACME);
    is_answer($ask->($token, 'nothing'), 401, $unauthorized, 'where the variable has no value');
    is_answer($ask->($token, 'other'), 401, $unauthorized, 'another\'s counts as none');
    is_answer($ask->($t->session($zoe), 'acme', Cookie => cookie_of($token)), 401, $unauthorized, 'and a cookie is no help');
    my $access = $t->token($acme);
    is($t->get('/api/v1/client-portal/config', token => $access, headers => { Host => 'acme.bound' })->code, 200, 'an integrator\'s');
    my $before = $t->value('SELECT count(*) FROM portal.customer_sessions');
    is_answer($t->post('/api/customer-sessions/', token => $access, json => { customer_id => $mike->{id} }, headers => { Host => 'other.bound' }),
        401, $unauthorized, 'in another\'s');
    is($t->value('SELECT count(*) FROM portal.customer_sessions'), $before, 'makes nothing');
};

subtest 'logout' => sub {
    my $cookie = cookie_of($t->session($mike));
    my $response = by_cookie(POST => 'logout', $cookie, @own);
    is_answer($response, 204, '');
    is($response->header('Set-Cookie'), '__Host-portal_acme=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax', 'the cookie is cleared');
    is_answer(sessions($cookie), 401, $unauthorized, 'the session is over at once');
    my $token = $t->session($owner);
    is($t->post("$path/logout", token => $token)->code, 204, 'by bearer, which needs no origin');
    is($t->get("$path/sessions", token => $token)->code, 401, 'at once, too');
    is_answer($t->post("$path/logout"), 401, $unauthorized, 'nobody');
};

subtest 'one\'s own sessions' => sub {
    for my $who ([$t->customer($acme), $zoe, 'customer_sessions'], [$ann, $owner, 'member_sessions']) {
        my ($me, $somebody, $table) = @$who;
        $t->db->do("UPDATE portal.$table SET revoked_at = now() WHERE revoked_at IS NULL");
        my ($link, $foreign) = ($t->session($me), $t->session($somebody));
        my $cookie = cookie_of($link, 'User-Agent' => $phone);
        my $second = $t->session($me);
        $t->get("$path/sessions", token => $second) for 1 .. 2;
        my $response = sessions($cookie);
        is_status($response, 200);
        is_deeply([keys_of($response, 'data', '')], [(qw(id created_at expires_at last_seen_at device signed_in_by current)) x 3], 'members');
        my $list = json_of($response);
        is_deeply($list->{meta}, { total => 3, page => 1, per_page => 10, pages => 1 }, 'a page');
        is_deeply([map { "$_->{signed_in_by} " . ($_->{current} ? 'this ' : '') . ($_->{device} // '-') } @{ $list->{data} }],
            ['link -', 'exchange this Safari on iPhone', 'link -'], 'newest first');
        my @ids = map { $_->{id} } @{ $list->{data} };
        is_deeply([map { $_->{id} } @{ json_of(by_cookie(GET => 'sessions?sorting=created_at&limit=2', $cookie))->{data} }], [@ids[2, 1]], 'oldest first');

        my $foreign_id = $t->value("SELECT id FROM portal.$table WHERE revoked_at IS NULL AND id NOT IN (?, ?, ?) ORDER BY created_at DESC LIMIT 1", @ids);
        is_answer(by_cookie(DELETE => "sessions/$_", $cookie, @own), 404, { error => 'ResourceNotFound', detail => 'Not found' }, $_) for
            $foreign_id, '8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001';
        is(by_cookie(DELETE => 'sessions/x', $cookie, @own)->code, 422, 'no UUID');
        is(by_cookie(DELETE => "sessions/$ids[0]", $cookie, @own)->code, 204, 'end one');
        is($t->get("$path/sessions", token => $second)->code, 401, 'it is over at once');
        is(by_cookie(DELETE => "sessions/$ids[0]", $cookie, @own)->code, 404, 'and ended only once');

        my @more = map { $t->session($me) } 1 .. 2;
        is(by_cookie(DELETE => $_, $cookie, @own)->code, 422, "$_: which ones must be said") for 'sessions', 'sessions?others=false';
        is_answer(by_cookie(DELETE => 'sessions?others=true', $cookie, @own), 200, { revoked => 3 }, 'end all others');
        is($t->get("$path/sessions", token => $_)->code, 401, 'they are over at once') for @more, $link;
        is(sessions($cookie)->code, 200, 'this one is not, though its link is');
        is($t->get("$path/sessions", token => $foreign)->code, 200, 'nor is another\'s');
        my $own = by_cookie(DELETE => "sessions/$ids[1]", $cookie, @own);
        is($own->code, 204, 'this one');
        like($own->header('Set-Cookie'), qr/=; Path=\/; Max-Age=0;/, 'clears the cookie');
        is_answer(sessions($cookie), 401, $unauthorized, 'over');
    }
};

subtest 'last seen' => sub {
    my $token = $t->session($mike);
    $t->get("$path/sessions", token => $token);
    ok($t->wait_for(sub { $t->value('SELECT count(*) FROM portal.customer_sessions WHERE last_used_at IS NOT NULL AND revoked_at IS NULL') }, 20, 0.2),
        'is noted within fifteen seconds');
    like(json_of($t->get("$path/sessions?limit=1", token => $token))->{data}[0]{last_seen_at}, qr/^\d{4}-.*Z$/, 'and told');
};

subtest 'where the portal is embedded' => sub {
    $t->{option}{http} = 'portal_frame_ancestors https://shop.example.com;';
    $t->reload;
    like(exchange($t->session($mike))->header('Set-Cookie'), qr/; HttpOnly; Secure; SameSite=None; Partitioned$/, 'the cookie is the embedder\'s');
};

$t->done;
