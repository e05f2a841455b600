# portal_page: the shell and its assets, the forms for browsers without scripts, links, errors as pages.
use strict; use warnings; use utf8;
use Test::More;
use Encode qw(decode);
use IO::Uncompress::Gunzip qw(gunzip);
use JSON::XS;
use PortalTest;

my $page = PortalTest::build() . '/page';
system('bash', PortalTest::root() . '/src/web/build', $page) == 0 or BAIL_OUT('src/web/build failed');

my $limits = join ' ', map { "portal_rate_limit_class $_ 100000 60s;" } qw(restricted code-send code-try);
my $t = PortalTest->new(http => "$limits portal_page_files $page; portal_page_overrides %%DIR%%/look;" . <<'NGINX',
    map $bound $of { nothing ""; default $bound; }
    server { listen 127.0.0.1:%%PORT%%; server_name ~^(?<bound>.+)\.bound$; location / { portal_page; portal_workspace $of; } }
NGINX
    location => q(location / { portal_page; portal_workspace any; }), nginx => 0);
mkdir "$t->{dir}/look"; mkdir "$t->{dir}/look/$_" for qw(messages assets);
$t->write_file('look/style.css', ':root { --mine: 1 }');
$t->write_file('look/assets/logo.svg', '<svg xmlns="http://www.w3.org/2000/svg"/>');
$t->write_file('look/messages/en.json', '{"sign_in.lead": "Ask us for a code."}');
$t->start('nginx');

my $acme = $t->workspace(slug => 'acme', name => 'Acme & <Sons>', share_url => 'https://files.example.com/{id}');
my $club = $t->workspace(slug => 'club', name => 'Club');
my $mike = $t->customer($acme, email => 'mike@example.com');
my %own = ('Sec-Fetch-Site' => 'same-origin');

sub html { decode('UTF-8', $_[0]->content) }
sub data_of { my ($json) = html($_[0]) =~ m{<script type="application/json" id="portal-data">(.*?)</script>}s or return;
    JSON::XS->new->decode($json) }
sub form { my ($path, $fields, %headers) = @_;
    my $body = join '&', map { my $value = $fields->{$_}; "$_=" . $value =~ s/([^\w.-])/sprintf '%%%02X', ord $1/ger } sort keys %$fields;
    $t->post($path, body => $body, type => 'application/x-www-form-urlencoded', headers => { %own, %headers }) }
sub cookies { join '; ', map { /^([^;]+)/ } $_[0]->header('Set-Cookie') }

subtest 'shell' => sub {
    my $response = $t->get('/acme/portal?email=a%40b.example');
    is($response->code, 200, 'served');
    is($response->header('Content-Type'), 'text/html; charset=utf-8', 'as HTML');
    is($response->header('Cache-Control'), 'no-store', 'kept by nobody');
    is($response->header('Content-Security-Policy'), "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        . "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'", 'policy');
    is($response->header($_->[0]), $_->[1], $_->[0]) for ['X-Content-Type-Options', 'nosniff'], ['Referrer-Policy', 'no-referrer'], ['X-Frame-Options', 'DENY'];
    my $html = html($response);
    like($html, qr{<span class="brand-name">Acme &amp; &lt;Sons&gt;</span>}, 'the name, escaped');
    like($html, qr{aria-hidden="true">A&lt;</span>}, 'initials');
    unlike($html, qr{ style=|<style|<script>| on\w+=}, 'nothing inline');
    is_deeply(data_of($response), { page => 'portal', base => '', language => 'en', email => 'a@b.example', return_to => '', session => false, branding => undef,
        workspace => { id => $acme->{id}, name => 'Acme & <Sons>', slug => 'acme', avatar_url => undef, share_url => 'https://files.example.com/{id}', lists_hosts => false } }, 'what the script is told');
    $t->db->do(q(UPDATE portal.workspaces SET return_hosts = '{acme.example}' WHERE id = ?), undef, $acme->{id});
    is(data_of($t->get('/acme/portal'))->{workspace}{lists_hosts}, true, 'a way back leads to a host of the workspace');
    like($html, qr{action="/acme/portal/request".*value="a\@b.example"}s, 'a form without scripts');
    like($html, qr{Ask us for a code\.}, 'a text of the operator');
    is(data_of($t->get('/portal'))->{workspace}, undef, 'where no workspace is named');
    is($t->get('/ACME/portal/')->code, 200, 'in any case, with a last slash');
    is($t->request(HEAD => '/acme/portal')->content, '', 'HEAD');
};

subtest 'assets' => sub {
    my ($script) = html($t->get('/acme/portal')) =~ m{src="(/portal-assets/[^"]+\.js)"};
    my $plain = $t->get($script, headers => { 'Accept-Encoding' => 'identity' });
    is($plain->code, 200, 'served');
    is($plain->header('Cache-Control'), 'public, max-age=31536000, immutable', 'for ever');
    is($plain->header('Content-Type'), 'text/javascript; charset=utf-8', 'type');
    is($plain->content, slurp("$page/assets/" . $script =~ s{.*/}{}r), 'as built');
    my $gzip = $t->get($script, headers => { 'Accept-Encoding' => 'gzip' });
    is($gzip->header('Content-Encoding'), 'gzip', 'compressed ahead');
    gunzip(\$gzip->content => \my $text);
    is($text, $plain->content, 'the same');
    is($gzip->header('Vary'), 'Accept-Encoding', 'told to caches');
    my $brotli = $t->get($script, headers => { 'Accept-Encoding' => 'gzip, br' });
    is($brotli->header('Content-Encoding'), 'br', 'brotli is smaller');
    is($brotli->content, slurp("$page/assets/" . $script =~ s{.*/}{}r . '.br'), 'as built');
    is($t->get($script, headers => { 'Accept-Encoding' => 'br;q=0, gzip;q=0' })->header('Content-Encoding'), undef, 'refused codings');
    my ($style) = html($t->get('/portal')) =~ m{href="(/portal-assets/style-[^"]+\.css)"};
    is($t->get($style)->content, ':root { --mine: 1 }', "the operator's stylesheet");
    is($t->get('/portal-assets/logo.svg')->header('Content-Type'), 'image/svg+xml', "the operator's logo");
    is($t->get('/portal-assets/none.js')->code, 404, 'nothing else');
};

subtest 'language' => sub {
    is(html($t->get('/portal', headers => { 'Accept-Language' => 'fr, de-AT;q=0.8, en;q=0.5' })) =~ /<html lang="(\w+)"/ && $1, 'de', 'of the browser');
    my $asked = $t->get('/portal?lang=de');
    like($asked->header('Set-Cookie'), qr{^portal_language=de; Path=/; Max-Age=31536000; SameSite=Lax$}, 'a choice is kept');
    is(data_of($t->get('/portal', headers => { Cookie => 'portal_language=de', 'Accept-Language' => 'en' }))->{language}, 'de', 'and wins');
    is(data_of($t->get('/portal?lang=xx'))->{language}, 'en', 'another: English');
};

subtest 'wrong addresses' => sub {
    my $none = $t->get('/nobody/portal');
    is($none->code, 404, 'no such workspace');
    like(html($none), qr{There is no portal here.*href="/portal"}s, 'a page with a way on');
    unlike(html($none), qr{<script}, 'without script');
    is($t->get("/$_/portal")->code, 404, "no slug: $_") for '%ff', 'acme%ff', '%c3%a4', "a'b";
    is($t->get('/client-portal', headers => { Cookie => "portal_\xff=portal_cpt_x" })->code, 200, 'nor in a cookie');
    is($t->get('/client-portal?workspace=%ff')->code, 200, 'nor asked for');
    is($t->get('/acme/portal/x/y')->code, 404, 'deeper: the site behind');
    my $wrong = $t->request(DELETE => '/acme/portal');
    is_deeply([$wrong->code, $wrong->header('Allow')], [405, 'GET, HEAD'], 'another method');
    is($t->get('/acme/portal/request')->code, 405, 'a form by GET');
    $t->db->do('UPDATE portal.workspaces SET blocked_at = now() WHERE id = ?', undef, $club->{id});
    is($t->get('/club/portal')->code, 404, 'a blocked workspace');
    $t->db->do('UPDATE portal.workspaces SET blocked_at = NULL WHERE id = ?', undef, $club->{id});
    is($t->get('/acme/portal', headers => { Host => 'club.bound' })->code, 404, 'in a location of another workspace');
    is($t->get($_, headers => { Host => 'nothing.bound' })->code, 404, "$_: where the variable has no value") for '/acme/portal', '/portal';
    is(data_of($t->get('/portal', headers => { Host => 'acme.bound' }))->{workspace}{slug}, 'acme', "a location's workspace needs no slug");
};

subtest 'signing in without scripts' => sub {
    my $sent = form('/acme/portal/request', { email => 'mike@example.com' });
    is_deeply([$sent->code, $sent->header('Location')], [303, '/acme/portal?step=code'], 'on to the code');
    my $challenge = cookies($sent);
    like(html($t->get('/acme/portal?step=code', headers => { Cookie => $challenge })), qr{autocomplete="one-time-code"}, 'its form');
    my $wrong = form('/acme/portal/authenticate', { code => 'AAAAAA' }, Cookie => $challenge);
    is($wrong->code, 401, 'a wrong code');
    like(html($wrong), qr{role="alert".*name="code"}s, 'is said above the form');
    my $code = $t->login_code('mike@example.com');
    my $right = form('/acme/portal/authenticate', { code => lc $code }, Cookie => $challenge);
    is_deeply([$right->code, $right->header('Location')], [303, '/acme/portal'], 'signed in');
    my $session = cookies($right);
    my $in = $t->get('/acme/portal', headers => { Cookie => $session });
    is(data_of($in)->{session}, true, 'which the script is told');
    like(html($in), qr{action="/acme/portal/logout"}, 'the way out');
    my $out = form('/acme/portal/logout', {}, Cookie => $session);
    is_deeply([$out->code, $out->header('Location')], [303, '/acme/portal'], 'signed out');
    like(join(' ', $out->header('Set-Cookie')), qr{portal_acme=;}, 'the cookie is gone');
    is($t->value('SELECT count(*) FROM portal.customer_sessions WHERE revoked_at IS NULL'), 0, 'and the session');
    is(form('/acme/portal/request', { email => 'nonsense' })->code, 422, 'no address');
};

subtest 'a choice' => sub {
    $t->customer($club, email => 'both@example.com');
    $t->customer($acme, email => 'both@example.com');
    my $challenge = cookies(form('/portal/request', { email => 'both@example.com' }));
    my $choice = form('/portal/authenticate', { code => $t->login_code('both@example.com') }, Cookie => $challenge);
    is($choice->code, 409, 'asks');
    my ($selection) = html($choice) =~ m{name="selection_token" value="([^"]+)"};
    like(html($choice), qr{name="workspace_id" value="$club->{id}"}, 'which one');
    my $in = form('/portal/authenticate', { selection_token => $selection, workspace_id => $club->{id} });
    is_deeply([$in->code, $in->header('Location')], [303, '/club/portal'], 'there');
    is(form('/portal/authenticate', { selection_token => $selection, workspace_id => $club->{id} })->code, 401, 'once');
};

subtest 'links' => sub {
    my $token = $t->session($mike);
    my $shell = $t->get("/acme/portal?customer_session_token=$token");
    like(html($shell), qr{action="/acme/portal/exchange".*name="token" value="\Q$token\E"}s, 'a button without scripts');
    is($t->value('SELECT count(*) FROM portal.customer_sessions WHERE parent_id IS NOT NULL'), 0, 'a GET opens nothing');
    my $in = form('/acme/portal/exchange', { token => $token });
    is_deeply([$in->code, $in->header('Location')], [303, '/acme/portal'], 'opened');
    like(cookies($in), qr{portal_acme=portal_cst_}, 'a cookie');
    my $bob = $t->session($t->customer($acme));
    my $asked = form('/acme/portal/exchange', { token => $bob, return_to => '/account/' }, Cookie => cookies($in));
    is_deeply([$asked->code, scalar $asked->header('Set-Cookie')], [409, undef], 'another person\'s asks first');
    like(html($asked), qr{<h1>Sign in as somebody else\?</h1>.*signed in to another account}s, 'says why');
    like(html($asked), qr{action="/acme/portal/exchange".*name="return_to" value="/account/".*name="token" value="\Q$bob\E".*name="replace" value="1".*Open the link</button>}s, 'one button opens it');
    like(html($asked), qr{href="/acme/portal\?return_to=%2Faccount%2F">Stay signed in}, 'the other leads back');
    like(html(form('/acme/portal/exchange', { token => $bob }, Cookie => cookies($in) . '; portal_language=de')), qr{Als jemand anderes anmelden\?.*anderen Konto angemeldet.*Angemeldet bleiben}s, 'in German');
    is(form('/acme/portal/exchange', { token => $bob, replace => 1 }, Cookie => cookies($in))->code, 303, 'and then it opens');
    is(form('/club/portal/exchange', { token => $token })->code, 410, 'not as another workspace\'s');
    my $ended = form('/acme/portal/exchange', { token => 'portal_cst_none' });
    is($ended->code, 410, 'no longer');
    like(html($ended), qr{role="alert".*name="email"}s, 'sign in instead');
};

subtest 'back to where one was going' => sub {
    my $to = '/account/orders?page=2&all=1';
    my $escaped = '%2Faccount%2Forders%3Fpage%3D2%26all%3D1';
    my $hidden = qr{<input type="hidden" name="return_to" value="/account/orders\?page=2&amp;all=1">};
    my $asked = $t->get("/acme/portal?return_to=$escaped");
    like(html($asked), $hidden, 'the form remembers it');
    is(data_of($asked)->{return_to}, $to, 'the script is told');
    like(html($asked), qr{href="/acme/portal\?return_to=$escaped&amp;lang=de"}, 'another language forgets nothing');
    my $sent = form('/acme/portal/request', { email => 'mike@example.com', return_to => $to });
    is($sent->header('Location'), "/acme/portal?step=code&return_to=$escaped", 'on to the code');
    my $code = html($t->get($sent->header('Location')));
    like($code, $hidden, 'whose form remembers it, too');
    like($code, qr{href="/acme/portal\?return_to=$escaped">}, 'and the way to another code');
    like($code, qr{href="/acme/portal\?step=code&amp;return_to=$escaped&amp;lang=de"}, 'in another language, too');
    my $wrong = form('/acme/portal/authenticate', { code => 'AAAAAA', return_to => $to }, Cookie => cookies($sent));
    like(html($wrong), $hidden, 'nor is it lost by a wrong code');
    like(html($wrong), qr{href="/acme/portal\?step=code&amp;return_to=$escaped&amp;lang=de"}, 'in another language by a GET');
    my $right = form('/acme/portal/authenticate', { code => $t->login_code('mike@example.com', 2), return_to => $to }, Cookie => cookies($sent));
    is_deeply([$right->code, $right->header('Location')], [303, $to], 'there');

    my $challenge = cookies(form('/portal/request', { email => 'both@example.com', return_to => $to }));
    my $choice = form('/portal/authenticate', { code => $t->login_code('both@example.com', 2), return_to => $to }, Cookie => $challenge);
    like(html($choice), $hidden, 'a choice remembers it');
    my ($selection) = html($choice) =~ m{name="selection_token" value="([^"]+)"};
    my $chosen = form('/portal/authenticate', { selection_token => $selection, workspace_id => $acme->{id}, return_to => $to });
    is_deeply([$chosen->code, $chosen->header('Location')], [303, $to], 'there, after a choice');
    my $token = $t->session($mike);
    like(html($t->get("/acme/portal?customer_session_token=$token&return_to=$escaped")), $hidden, 'so does a link');
    is(form('/acme/portal/exchange', { token => $token, return_to => $to })->header('Location'), $to, 'there, by a link');

    for my $evil ('//evil.example', '/\\evil.example', 'https://evil.example/', 'javascript:alert(1)', "/\t/evil.example", "/a\r\nX-Evil: 1",
        '/\u00e4', 'account', '') {
        my $query = join '', map { sprintf '%%%02X', ord } split //, $evil;
        my $page = $t->get("/acme/portal?return_to=$query");
        is(data_of($page)->{return_to}, '', "nowhere else: $query");
        unlike(html($page), qr{return_to"? }, 'nor in the form');
        my $in = form('/acme/portal/exchange', { token => $t->session($mike), return_to => $evil });
        is_deeply([$in->code, $in->header('Location'), scalar $in->header('X-Evil')], [303, '/acme/portal', undef], 'nor from a form');
    }
};

subtest 'forms of other sites' => sub {
    for my $case ([{ 'Sec-Fetch-Site' => 'cross-site' }, 403], [{ 'Sec-Fetch-Site' => 'same-site' }, 403], [{ Origin => 'https://evil.example' }, 403], [{}, 403],
        [{ Origin => $t->base_url }, 303]) {
        my ($headers, $status) = @$case;
        my $response = $t->post('/acme/portal/request', body => 'email=mike%40example.com', type => 'application/x-www-form-urlencoded', headers => $headers);
        is($response->code, $status, join ' ', %$headers);
    }
    is($t->post('/acme/portal/request', json => { email => 'x@example.com' }, headers => { %own })->code, 403, 'JSON is for the API');
};

subtest 'client portal' => sub {
    my $contact = $t->contact($acme);
    my $token = json_of($t->post('/api/v1/client-portal/token', token => $t->token($acme, 'client_portal:write'), json => { type => 'contact', id => $contact->{id} }))->{token};
    $t->insert('client_portal_configs', { workspace_id => $acme->{id}, portal_name => 'Acme Portal', primary_color => '#112233', portal_logo => 'https://elsewhere.example/logo.png' });
    my $shell = $t->get("/client-portal/$token");
    is($shell->code, 200, 'a living link');
    is_deeply(data_of($shell)->{branding}, { portal_name => 'Acme Portal', primary_color => '#112233', secondary_color => '#1E40AF', portal_logo => undef }, 'its branding, without a picture of another host');
    is(data_of($shell)->{page}, 'client-portal', 'its page');
    like(html($shell), qr{action="/client-portal/exchange".*value="\Q$token\E"}s, 'a button without scripts');
    is($t->value('SELECT access_count FROM portal.client_portal_tokens'), 0, 'a GET changes nothing');
    my $in = form('/client-portal/exchange', { token => $token, workspace => 'acme' });
    is_deeply([$in->code, $in->header('Location')], [303, '/client-portal?workspace=acme'], 'opened');
    like(cookies($in), qr{portal_acme=portal_cpt_(?!\Q$token\E)}, 'a cookie of its own');
    is(data_of($t->get('/client-portal?workspace=acme', headers => { Cookie => cookies($in) }))->{session}, true, 'which the script is told');
    is($t->get('/api/v1/client-portal/me', headers => { Cookie => cookies($in) })->code, 200, 'and the API takes');
    like(html($t->get('/client-portal?workspace=acme', headers => { Cookie => cookies($in) })), qr{action="/client-portal/logout".*name="workspace" value="acme"}s, 'the way out');
    my $next = json_of($t->post('/api/v1/client-portal/token', token => $t->token($acme), json => { type => 'contact', id => 0 + $t->contact($acme)->{id} }))->{token};
    my $asked = form('/client-portal/exchange', { token => $next, workspace => 'acme' }, Cookie => cookies($in));
    is($asked->code, 409, 'another contact\'s asks first');
    like(html($asked), qr{action="/client-portal/exchange".*value="\Q$next\E".*name="replace" value="1".*href="/client-portal\?workspace=acme">Stay}s, 'by two buttons');
    $t->db->do("UPDATE portal.workspaces SET feature_settings = feature_settings || '{\"require_code\": true}' WHERE id = ?", undef, $acme->{id});
    ok($t->wait_for(sub { $t->get('/api/v1/client-portal/me', token => $next)->code == 403 }), 'where a code is asked for');
    my $code = form('/client-portal/exchange', { token => $next, workspace => 'acme', replace => 1 }, Cookie => cookies($in));
    like(html($code), qr{name="replace" value="1".*name="code"}s, 'the answer is remembered');
    my ($challenge) = html($code) =~ m{name="challenge_id" value="([^"]+)"};
    like(html(form('/client-portal/exchange', { token => $next, workspace => 'acme', challenge_id => $challenge, code => 'ABC123' }, Cookie => cookies($in))),
        qr{name="replace" value="1".*name="challenge_id" value="$challenge".*name="code" value="ABC123"}s, 'and so is the code');
    $t->db->do("UPDATE portal.workspaces SET feature_settings = feature_settings - 'require_code' WHERE id = ?", undef, $acme->{id});
    my $out = form('/client-portal/logout', { workspace => 'acme' }, Cookie => cookies($in));
    is_deeply([$out->code, $out->header('Location'), cookies($out)], [303, '/client-portal?workspace=acme', 'portal_acme='], 'signed out');
    is($t->get('/api/v1/client-portal/me', headers => { Cookie => cookies($in) })->code, 401, 'for good');
    is($t->get("/client-portal/$_")->code, 404, "unknown: $_") for 'portal_cpt_' . 'x' x 48, 'short';
    $t->db->do('UPDATE portal.client_portal_tokens SET revoked_at = now()');
    my $ended = $t->get("/client-portal/$token");
    is($ended->code, 410, 'revoked');
    like(html($ended), qr{This link no longer works.*Acme &amp; &lt;Sons&gt;}s, 'branded, with a way on');
    my $late = form('/client-portal/exchange', { token => $token, workspace => 'acme' });
    is($late->code, 410, 'nor by its button');
    like(html($late), qr{This link no longer works}, 'with the same words');
    is(data_of($t->get('/client-portal?workspace=acme'))->{workspace}{slug}, 'acme', 'without a link, by its workspace');
    is(data_of($t->get('/client-portal', headers => { Cookie => 'portal_acme=portal_cpt_x' }))->{session}, true, 'or by the only cookie');
    is(data_of($t->get('/client-portal'))->{workspace}, undef, 'else of nobody');
    unlike(slurp("$t->{dir}/access.log"), qr{portal_cpt_}, 'no token in the log');
};

subtest 'below a prefix' => sub {
    $t->stop('nginx');
    $t->{option}{base_url} = $t->base_url . '/p';
    $t->{option}{location} = 'location /p/ { portal_page; portal_api; portal_workspace any; }';
    $t->start('nginx');
    my $shell = $t->get('/p/acme/portal');
    is(data_of($shell)->{base}, '/p', 'told to the script');
    my ($script) = html($shell) =~ m{src="(/p/portal-assets/[^"]+\.js)"};
    is($t->get($script)->code, 200, 'its assets');
    like(html($shell), qr{action="/p/acme/portal/request"}, 'its forms');
    is(form('/p/acme/portal/request', { email => 'mike@example.com' })->header('Location'), '/p/acme/portal?step=code', 'go there');
    is(form('/p/acme/portal/exchange', { token => $t->session($mike), return_to => '/account/' })->header('Location'), '/account/', 'or to the site above the prefix');
    is($t->get('/p/api/customer-portal/workspaces/acme')->code, 200, 'the API, too');
};

subtest 'something down' => sub {
    $t->stop('postgres');
    my $response = $t->get('/p/acme/portal');
    is($response->code, 503, 'told at once');
    like(html($response), qr{try again}, 'as a page');
    ok($response->header('Retry-After'), 'with Retry-After');
};

$t->done;
