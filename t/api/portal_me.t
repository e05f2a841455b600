# A contact's or company's client portal: the link exchanged for the cookie, and what is seen by either.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $site = 'https://portal.example.com';
my $t = PortalTest->new(base_url => $site, http => <<'NGINX');
    server { listen 127.0.0.1:%%PORT%%; server_name ~^(?<bound>.+)\.bound$; portal_workspace $bound; location /api/ { portal_api client-portal; } }
NGINX
my $me = '/api/v1/client-portal/me';
my ($acme, $other) = map { $t->workspace(slug => $_, name => ucfirst) } qw(acme other);
my $backend = $t->token($acme);
my $owner = $t->customer($acme);
my $firm = $t->company($acme, id => 11, name => 'Firm', email => 'firm@example.org');
my $ann = $t->contact($acme, id => 21, name => 'Ann', email => 'ann@example.org', company_id => 11, customer_id => $owner->{id});
my $bob = $t->contact($acme, id => 22, name => 'Bob', email => 'bob@example.org');
my $unauthenticated = { message => 'Unauthenticated.' };
my $foreign_page = { message => 'This request must come from the portal\'s own page.' };
my $phone = 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1';
my $from = 0;

sub link_of { my ($type, $id, %more) = @_;
    json_of($t->post('/api/v1/client-portal/token', token => $backend, json => { type => $type, id => $id, %more }))->{token} }
sub exchange { my ($token, %headers) = @_; $t->post("$me/exchange", json => { token => $token }, headers => { 'X-Real-IP' => '10.8.0.' . ++$from, %headers }) }
sub cookie_of { my ($token) = @_; (exchange($token)->header('Set-Cookie') // '') =~ /^([^;]+)/ or die 'no cookie'; $1 }
sub by_cookie { my ($path, $cookie, %headers) = @_; $t->get("$me$path", headers => { Cookie => $cookie, %headers }) }
sub configure { my (%change) = @_; is_status($t->patch('/api/v1/client-portal/config', token => $backend, json => \%change), 200) }
sub items { my ($token, $query) = @_; [map { $_->{title} } @{ json_of($t->get("$me/items" . ($query // ''), token => $token))->{data} }] }

my $link = link_of(contact => 21);
my $firm_link = link_of(company => 11);

subtest 'exchange' => sub {
    my $answer = exchange($link, 'User-Agent' => $phone);
    is_answer($answer, 204, '');
    like($answer->header('Set-Cookie'), qr/^__Host-portal_acme=portal_cpt_[\w-]{48}; Path=\/; Max-Age=2\d{6}; HttpOnly; Secure; SameSite=Lax$/, 'the cookie');
    my ($cookie) = $answer->header('Set-Cookie') =~ /^([^;]+)/;
    my ($session) = $cookie =~ /=(.*)/;
    isnt($session, $link, 'of a fresh session');
    is(by_cookie('', $cookie)->code, 200, 'which is valid');
    my $row = $t->row('SELECT * FROM portal.client_portal_tokens WHERE parent_id IS NOT NULL');
    my $parent = $t->row('SELECT * FROM portal.client_portal_tokens WHERE id = ?', $row->{parent_id});
    is_deeply([@$row{qw(device contact_id token_ciphertext access_count expires_at)}], ['Safari on iPhone', 21, undef, 0, $parent->{expires_at}], 'its row');
    is($t->value("SELECT count(*) FROM portal.events WHERE type = 'client_portal.token_created'"), 2, 'which is no new link');
    is_answer(exchange($session), 401, $unauthenticated, 'nor is its token one');
    is(link_of(contact => 21), $link, 'the link goes on being handed out');
};

subtest 'at most once an hour an opened link is news' => sub {
    my $seen = sub { $t->row("SELECT access_count, last_accessed_at, (SELECT count(*) FROM portal.events WHERE type = 'client_portal.token_accessed'
        AND data ->> 'token_id' = t.id::text) AS told FROM portal.client_portal_tokens t WHERE contact_id = 21 AND parent_id IS NULL") };
    my $first = $seen->();
    is_deeply([@$first{qw(access_count told)}], [1, 1], 'the first time');
    is(exchange($link)->code, 204, 'again') for 1 .. 2;
    is_deeply($seen->(), $first, 'no news');
    $t->db->do("UPDATE portal.client_portal_tokens SET last_accessed_at = now() - interval '61 min' WHERE contact_id = 21 AND parent_id IS NULL");
    is(exchange($link)->code, 204, 'an hour later');
    is_deeply([@{ $seen->() }{qw(access_count told)}], [2, 2], 'once more');
    my $data = $t->value("SELECT data FROM portal.events WHERE type = 'client_portal.token_accessed' LIMIT 1");
    like($data, qr/"type": "contact"/, 'whose it is');
    unlike($data, qr/portal_cpt_/, 'never the token');
    $t->get($me, token => $link) for 1 .. 2;
    is($seen->()->{access_count}, 2, 'looking by the token opens nothing');
};

subtest 'who has no link' => sub {
    my $revoked = link_of(contact => 22);
    $t->delete('/api/v1/client-portal/token', token => $backend, json => { type => 'contact', id => 22 });
    my $expired = link_of(contact => 22);
    $t->db->do('UPDATE portal.client_portal_tokens SET expires_at = now() WHERE contact_id = 22');
    my $before = $t->value('SELECT count(*) FROM portal.client_portal_tokens');
    is_answer(exchange($_->[1]), 401, $unauthenticated, $_->[0]) for [revoked => $revoked], [expired => $expired], [unknown => 'nonsense'],
        [forged => 'portal_cpt_' . 'A' x 48], ['an access token' => $backend], ['a customer\'s session' => $t->session($owner)];
    is($t->post("$me/exchange", json => {})->code, 422, 'no token');
    is($t->post("$me/exchange", body => '{', type => 'application/json')->code, 400, 'no JSON');
    is_answer(exchange($link, @$_), 403, $foreign_page, "@$_") for ['Sec-Fetch-Site' => 'cross-site'], ['Sec-Fetch-Site' => 'none'],
        [Origin => 'https://evil.example.com'], ['Content-Type' => 'text/plain'];
    is_answer(exchange($link, @$_), 401, $unauthenticated, "@$_") for [Host => 'other.bound'], ['X-Portal-Workspace' => 'other'];
    is($t->value('SELECT count(*) FROM portal.client_portal_tokens'), $before, 'nothing is made');
    is(exchange($link, @$_)->code, 204, "@$_") for [Host => 'acme.bound'], ['X-Portal-Workspace' => 'Acme'];
    is(exchange($link, @$_)->code, 204, "@$_") for ['Sec-Fetch-Site' => 'same-origin'], [Origin => $site];

    configure(is_active => false);
    is_answer(exchange($link), 401, $unauthenticated, 'the portal is not active');
    configure(is_active => true);
};

subtest 'whom the routes take' => sub {
    my $cookie = cookie_of($link);
    for my $path ('', '/items', '/files', '/activity') {
        is_answer($t->get("$me$path"), 401, $unauthenticated, "$path: nobody");
        is_answer($t->get("$me$path", token => $_->[1]), 401, $unauthenticated, "$path: $_->[0]") for ['an access token', $backend],
            ['a customer', $t->session($owner)], [forged => 'portal_cpt_' . 'A' x 48];
        is($t->get("$me$path", token => $link)->code, 200, "$path: the link");
        is(by_cookie($path, $cookie)->code, 200, "$path: its cookie");
        is_answer(by_cookie($path, $cookie, 'Sec-Fetch-Site' => 'cross-site'), 403, $foreign_page, "$path: from another site");
        is_answer(by_cookie($path, $cookie =~ s/_acme=/_other=/r), 401, $unauthenticated, "$path: under another's name");
    }
    is($t->get('/api/customer-portal/customers/me', headers => { Cookie => $cookie })->code, 401, 'it is no customer\'s');
    my ($ticket) = $t->post("$me/stream-ticket", headers => { Cookie => $cookie, 'Sec-Fetch-Site' => 'same-origin', 'Content-Type' => 'application/json' });
    is($ticket->code, 201, 'a ticket of its stream');
};

subtest 'signing out' => sub {
    my %own = ('Sec-Fetch-Site' => 'same-origin', 'Content-Type' => 'application/json');
    my ($cookie, $another) = map { cookie_of($link) } 1 .. 2;
    is_answer($t->post("$me/logout"), 401, $unauthenticated, 'nobody');
    is_answer($t->post("$me/logout", token => $_->[1]), 401, $unauthenticated, $_->[0]) for ['an access token', $backend],
        ['a customer', $t->session($owner)], [forged => 'portal_cpt_' . 'A' x 48];
    is_answer($t->post("$me/logout", headers => { %own, Cookie => $cookie, 'Sec-Fetch-Site' => 'same-site' }), 403, $foreign_page, 'from another site');
    is(by_cookie('', $cookie)->code, 200, 'nothing has ended');
    my $out = $t->post("$me/logout", headers => { %own, Cookie => $cookie });
    is_answer($out, 204, '');
    like($out->header('Set-Cookie'), qr/^__Host-portal_acme=; Path=\/; Max-Age=0;/, 'the cookie goes');
    is_answer(by_cookie('', $cookie), 401, $unauthenticated, 'its session has ended');
    is(by_cookie('', $another)->code, 200, 'not that of another browser');
    is_answer($t->post("$me/logout", token => $link), 204, '', 'by the link itself');
    is($t->get($me, token => $link)->code, 200, 'which goes on');
    is(exchange($link)->code, 204, 'and opens the portal again');
};

subtest 'whose it is' => sub {
    my $answer = $t->get($me, token => $link);
    is_status($answer, 200);
    my $data = json_of($answer)->{data};
    is_deeply($data->{addressee}, { type => 'contact', id => 21, name => 'Ann', email => 'ann@example.org' }, 'a contact');
    is_deeply($data->{workspace}, { id => $acme->{id}, name => 'Acme', slug => 'acme' }, 'of the workspace');
    is_deeply($data->{config}, json_of($t->get('/api/v1/client-portal/config', token => $backend))->{data}, 'as it is configured');
    is($data->{expires_at}, json_of($t->post('/api/v1/client-portal/token', token => $backend, json => { type => 'contact', id => 21 }))->{expires_at}, 'until');
    is_deeply(json_of(by_cookie('', cookie_of($link)))->{data}, $data, 'the same by cookie');
    is_deeply(json_of($t->get($me, token => $firm_link))->{data}{addressee}, { type => 'company', id => 11, name => 'Firm', email => 'firm@example.org' }, 'a company');
};

subtest 'items' => sub {
    my $n = 0;
    my $item = sub { my ($title, %more) = @_; json_of($t->post('/api/portal-items/', token => $backend, json => { module => 'invoices', title => $title,
        status => 'open', external_id => 'x' . ++$n, %more })) };
    my $first = $item->('Ann 1', contact_id => 21, amount_cents => 1200, currency => 'EUR', url => 'https://pay.example/1');
    $item->('Ann 2', contact_id => 21, module => 'tasks');
    $item->('Firm 1', company_id => 11);
    $item->('Bob 1', contact_id => 22);
    $item->('Ann hidden', contact_id => 21, module => 'contracts');
    my $gone = $item->('Ann gone', contact_id => 21);
    $t->delete("/api/portal-items/$gone->{id}", token => $backend);
    my $theirs = $t->contact($other, id => 21);
    $t->insert('portal_items', { workspace_id => $other->{id}, id => 1, contact_id => 21, module => 'invoices', external_id => 'x', title => 'Theirs', status => 'open' });

    is_deeply(items($link), ['Ann 2', 'Ann 1'], 'a contact\'s own, newest first');
    is_deeply(items($firm_link), ['Firm 1', 'Ann 2', 'Ann 1'], 'a company\'s own and its contacts\'');
    is_deeply(items($link, '?module=invoices'), ['Ann 1'], 'of one module');
    is_deeply(json_of($t->get("$me/items?module=invoices", token => $link))->{data}[0], $first, 'as the backend sees it');
    is_deeply(json_of($t->get("$me/items?limit=1&page=2", token => $link))->{meta}, { total => 2, page => 2, per_page => 1, pages => 2 }, 'a page');
    is_deeply(items($link, '?limit=1&page=2'), ['Ann 1'], 'the second');
    is_answer($t->get("$me/items?module=contracts", token => $link), 403, { message => 'The portal does not show this module' }, 'a module that is not shown');
    is($t->get("$me/items?module=nonsense", token => $link)->code, 422, 'none there is');
    is($t->get("$me/items?page=0", token => $link)->code, 422, 'no page');
    configure(enabled_modules => ['contracts']);
    is_deeply(items($link), ['Ann hidden'], 'what is shown changes at once');
    configure(enabled_modules => []);
    is_deeply(items($link), [], 'nothing is');
    configure(enabled_modules => ['invoices', 'tasks']);
};

subtest 'activity' => sub {
    my $feed = sub { my ($token, $query) = @_; json_of($t->get("$me/activity" . ($query // ''), token => $token)) };
    my $told = sub { [map { ($_->{type} =~ s/portal_item\.//r) . " $_->{data}{title}" } @{ $feed->(@_)->{data} }] };
    ok($t->wait_for(sub { $feed->($link)->{meta}{total} == 4 }, 5), 'events are numbered');
    is_deeply($told->($link), ['deleted Ann gone', 'created Ann gone', 'created Ann 2', 'created Ann 1'], 'what happened to one\'s own, newest first');
    is_deeply($told->($link, '?limit=1&page=2'), ['created Ann gone'], 'a page');
    is_deeply($told->($firm_link), ['deleted Ann gone', 'created Ann gone', 'created Firm 1', 'created Ann 2', 'created Ann 1'], 'a company\'s contacts\', too');
    is_deeply([keys_of($t->get("$me/activity?limit=1", token => $link), 'data', '')], [qw(id type timestamp data)], 'members');
    configure(show_activity_feed => false);
    is_answer($t->get("$me/activity", token => $link), 403, { message => 'The portal shows no activity' }, 'it may be switched off');
    configure(show_activity_feed => true);
};

subtest 'files' => sub {
    $t->insert('file_share_sessions', { workspace_id => $acme->{id}, customer_id => $_->[0]{id}, title => $_->[1], file_name => 'f' }) for
        [$owner, 'Plans'], [$t->customer($acme), 'Somebody\'s'];
    my $files = sub { [map { $_->{title} } @{ json_of($t->get("$me/files" . ($_[1] // ''), token => $_[0]))->{data} }] };
    is_deeply($files->($link), ['Plans'], 'the linked customer\'s');
    is_deeply($files->($link, '?query=nothing'), [], 'searched');
    is_deeply($files->($firm_link), [], 'none where no customer is linked');
    is($t->get("$me/files?status=nonsense", token => $link)->code, 422, 'no status');
    configure(allow_file_sharing => false);
    is_answer($t->get("$me/files", token => $link), 403, { message => 'The portal shares no files' }, 'it may be switched off');
    configure(allow_file_sharing => true);
};

subtest 'the session ends with its link' => sub {
    my $ends = sub { my ($how, $cookie) = @_; ok($t->wait_for(sub { by_cookie('', $cookie)->code == 401 }, 2), "$how: it is over") };
    my $cookie = cookie_of($firm_link);
    $t->db->do('UPDATE portal.client_portal_tokens SET revoked_at = now() WHERE company_id = 11 AND parent_id IS NULL');
    $ends->('revoked by SQL', $cookie);
    my $fresh = cookie_of(link_of(company => 11));
    is_status($t->delete('/api/v1/client-portal/token', token => $backend, json => { type => 'company', id => 11 }), 204);
    is_answer(by_cookie('', $fresh), 401, $unauthenticated, 'revoked by REST: at once');
    my $old = cookie_of($link);
    my $new = link_of(contact => 21, rotate => true);
    is_answer(by_cookie('', $old), 401, $unauthenticated, 'replaced: at once');
    my $moved = cookie_of($new);
    $t->patch('/api/contacts/21', token => $backend, json => { email => 'ann@new.example.org' });
    $ends->('another address', $moved);
};

$t->done;
