# Login by e-mailed code: request, authenticate, and that nobody learns who exists.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new;
my $path = '/api/customer-portal/customer-session';
my $refusal = { error => 'CustomerSessionCodeInvalidOrExpired', detail => 'This customer session code is invalid or has expired.' };
my $uuid = qr/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
my $clients = 0;
# every request from an address of its own, unless one is given
sub ask {
    my ($what, $json, %headers) = @_;
    $clients++;
    return $t->post("$path/$what", json => $json, headers => {
        'X-Real-IP' => '10.1.' . int($clients / 250) . '.' . ($clients % 250 + 1), %headers });
}
sub request_code { my $response = ask(request => {@_}); is_status($response, 202); return json_of($response)->{challenge_id} }
sub authenticate { my ($challenge, $code, %more) = @_; ask(authenticate => { challenge_id => $challenge, code => $code, %more }) }
sub wrong { my ($code) = @_; (my $other = $code) =~ tr/A-Z0-9/B-Z0-9A/; $other }
sub is_refused {
    my ($response, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_answer($response, 401, $refusal, $name);
}

my $ws = $t->workspace(slug => 'acme', name => 'Acme');
my $other = $t->workspace(slug => 'other');
my $mike = $t->customer($ws, email => 'Mike@example.com', name => 'Mike');

subtest 'request and authenticate' => sub {
    my $response = ask(request => { email => 'mike@EXAMPLE.com', workspace_id => $ws->{id} });
    is_status($response, 202);
    my $body = json_of($response);
    is_deeply([sort keys %$body], [qw(challenge_id expires_in)], 'members');
    like($body->{challenge_id}, $uuid, 'challenge_id');
    is($body->{expires_in}, 600, 'expires_in');
    is($response->header('Set-Cookie'), "portal_challenge=$body->{challenge_id}; Path=/; Max-Age=600; HttpOnly; SameSite=Lax", 'its cookie');
    my $code = $t->login_code('Mike@example.com');
    my ($mail) = $t->mails(1);
    is($mail->{headers}{'x-rcptto'}[0], 'Mike@example.com', 'to the stored address');
    is_refused(authenticate($body->{challenge_id}, wrong($code)), 'a wrong code');
    $response = authenticate($body->{challenge_id}, $code);
    is_status($response, 200);
    my $made = json_of($response);
    is_deeply([keys %$made], ['token'], 'only a token');
    like($made->{token}, qr/^portal_cst_[\w-]{48}$/, 'of a customer session');
    my $row = $t->row('SELECT *, extract(epoch FROM expires_at - created_at)::int AS life FROM portal.customer_sessions');
    is($row->{customer_id}, $mike->{id}, 'the customer\'s');
    is($row->{life}, 3600, 'for an hour');
    is($row->{signed_in_by}, 'code', 'by code');
    is($t->get("$path/sessions", token => $made->{token})->code, 200, 'and it is valid');
    is($t->value('SELECT email_verified::int FROM portal.customers WHERE id = ?', $mike->{id}), 1, 'the address is verified');
    is_refused(authenticate($body->{challenge_id}, $code), 'the code a second time');
    is_refused(authenticate('8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001', $code), 'another challenge');
    is_refused(ask(authenticate => { code => $code }), 'no challenge');
};

subtest 'a code is typed as it comes' => sub {
    my $customer = $t->customer($ws, email => 'typed@example.com');
    for my $form (sub { lc $_[0] }, sub { join ' ', split //, $_[0] }, sub { "  $_[0]\t\n" }) {
        my $challenge = request_code(email => 'typed@example.com', workspace_id => $ws->{id});
        my $code = $t->login_code('typed@example.com', ++$customer->{mails});
        is_refused(authenticate($challenge, $_), "\"$_\" is none") for '', substr($code, 0, 5), "${code}A";
        is_status(authenticate($challenge, $form->($code)), 200);
    }
};

subtest 'nobody learns who exists' => sub {
    my $blocked = $t->customer($ws, email => 'blocked@example.com', blocked_at => '2026-01-01');
    my $gone = $t->customer($ws, email => 'gone@example.com', deleted_at => '2026-01-01');
    my $nobody = '8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001';
    my $before = $t->mail_files;
    my @cases = ({ email => 'unknown@example.com', workspace_id => $ws->{id} }, { email => 'Mike@example.com', workspace_id => $nobody },
        { email => 'Mike@example.com', workspace_id => $other->{id} }, { email => 'unknown@example.com' },
        { email => 'Mike@example.com', workspace_id => $ws->{id}, customer_id => $nobody }, { email => 'blocked@example.com', workspace_id => $ws->{id} },
        { email => 'gone@example.com', workspace_id => $ws->{id} }, { email => "mi\x{212a}e\@example.com", workspace_id => $ws->{id} },
        { email => "M\x{130}ke\@example.com", workspace_id => $ws->{id} }, { email => "m\x{131}ke\@example.com" });
    my $known = ask(request => { email => 'Mike@example.com', workspace_id => $ws->{id}, customer_id => $mike->{id} });
    my $shape = sub { my ($response) = @_; my %headers = $response->headers->flatten;
        delete @headers{qw(Date Client-Date X-Request-ID Set-Cookie X-RateLimit-Reset Client-Response-Num)};
        my $body = json_of($response);
        return [$response->code, $body->{challenge_id} =~ $uuid ? 'uuid' : $body, $body->{expires_in}, { %headers },
            $response->header('Set-Cookie') =~ s/=[0-9a-f-]{36}/=uuid/r] };
    my @challenges;
    for my $case (@cases) {
        my $response = ask(request => $case);
        is_deeply($shape->($response), $shape->($known), 'the same answer') or diag explain $shape->($response);
        push @challenges, json_of($response)->{challenge_id};
    }
    $t->login_code('Mike@example.com', 2);
    ok($t->wait_for(sub { $t->value('SELECT count(*) FROM portal.outbox WHERE unsent OR state <> ?', 'sent') == 0 }), 'nothing is left in the outbox');
    is(scalar(my @now = $t->mail_files), $before + 1, 'one mail, for the one who fits');
    is($t->value('SELECT count(*) FROM portal.login_challenges WHERE decoy'), scalar @cases, 'a row for each');
    is_refused(authenticate($_, 'ABCDEF'), 'none of them opens anything') for @challenges;
};

subtest 'look-alike addresses' => sub {
    # the right code of a real challenge, but the address of another
    my $kelvin = $t->customer($other, email => "mi\x{212a}e\@example.com");
    my $challenge = request_code(email => 'mike@example.com', workspace_id => $other->{id});
    is($t->value('SELECT decoy::int FROM portal.login_challenges WHERE id = ?', $challenge), 1, 'K is not the Kelvin sign');
};

subtest 'five tries, ten minutes' => sub {
    $t->customer($ws, email => 'tries@example.com');
    my $challenge = request_code(email => 'tries@example.com', workspace_id => $ws->{id});
    my $code = $t->login_code('tries@example.com');
    is_refused(authenticate($challenge, wrong($code)), "wrong $_") for 1 .. 5;
    is_refused(authenticate($challenge, $code), 'the right one is too late');
    is($t->value('SELECT tries FROM portal.login_challenges WHERE id = ?', $challenge), 5, 'five are counted');
    $challenge = request_code(email => 'tries@example.com', workspace_id => $ws->{id});
    $code = $t->login_code('tries@example.com', 2);
    is_refused(authenticate($challenge, wrong($code)), "wrong $_") for 1 .. 4;
    is_status(authenticate($challenge, $code), 200, 'the fifth may be right');
    $challenge = request_code(email => 'tries@example.com', workspace_id => $ws->{id});
    $code = $t->login_code('tries@example.com', 3);
    $t->db->do('UPDATE portal.login_challenges SET expires_at = now() WHERE id = ?', undef, $challenge);
    is_refused(authenticate($challenge, $code), 'expired');
};

subtest 'a new request kills no other' => sub {
    $t->customer($ws, email => 'two@example.com');
    my @challenges = map { request_code(email => 'two@example.com', workspace_id => $ws->{id}) } 1 .. 2;
    isnt($challenges[0], $challenges[1], 'its own challenge');
    my @codes = map { $t->login_code('two@example.com', $_) } 1 .. 2;
    is_status(authenticate($challenges[0], (grep { authenticate($challenges[1], $_)->code == 401 } @codes)[0]), 200, 'the first is alive');
};

subtest 'sent again: the same code, at most three times' => sub {
    $t->customer($ws, email => 'again@example.com');
    my %body = (email => 'again@example.com', workspace_id => $ws->{id});
    my $challenge = request_code(%body);
    my $code = $t->login_code('again@example.com');
    is(request_code(%body, challenge_id => $challenge), $challenge, 'by challenge_id');
    is(json_of(ask(request => \%body, Cookie => "a=b; portal_challenge=$challenge"))->{challenge_id}, $challenge, 'by cookie');
    is(request_code(%body, challenge_id => $challenge), $challenge, 'three times');
    is($t->login_code('again@example.com', $_), $code, "mail $_ has the same code") for 2 .. 4;
    is(request_code(%body, challenge_id => $challenge), $challenge, 'a fourth is answered alike');
    isnt(request_code(email => 'again@example.com', challenge_id => $challenge), $challenge, 'another request is none');
    isnt(request_code(%body, email => 'two@example.com', challenge_id => $challenge), $challenge, 'nor another address');
    isnt(json_of(ask(request => \%body, Cookie => "portal_challenge=$challenge", Origin => 'https://evil.example.com'))->{challenge_id},
        $challenge, 'a foreign page does not use the cookie');
    ok($t->wait_for(sub { $t->value(q(SELECT count(*) FROM portal.outbox WHERE state = 'queued')) == 0 }), 'all is out');
    is($t->value('SELECT count(*) FROM portal.outbox WHERE challenge_id = ?', $challenge), 4, 'and no mail');
    is_status(authenticate($challenge, $code), 200);
    isnt(request_code(%body, challenge_id => $challenge), $challenge, 'a used one is made anew');
};

subtest 'the challenge from the cookie' => sub {
    $t->customer($ws, email => 'cookie@example.com');
    my $challenge = request_code(email => 'cookie@example.com', workspace_id => $ws->{id});
    my $code = $t->login_code('cookie@example.com');
    my $cookie = "portal_challenge=$challenge";
    is_refused(ask(authenticate => { code => $code }, Cookie => $cookie, 'Sec-Fetch-Site' => $_), "from $_") for qw(cross-site same-site);
    is_refused(ask(authenticate => { code => $code }, Cookie => 'portal_challenge=nonsense'), 'nonsense');
    my $response = ask(authenticate => { code => $code }, Cookie => $cookie, 'Sec-Fetch-Site' => 'same-origin', 'X-Portal-Cookie' => 1,
        'User-Agent' => 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0');
    is_answer($response, 200, { workspace => { id => $ws->{id}, name => 'Acme', slug => 'acme' } }, 'the cookie instead of a token');
    my @cookies = $response->header('Set-Cookie');
    like($cookies[0], qr/^portal_acme=portal_cst_[\w-]{48}; Path=\/; Max-Age=3600; HttpOnly; SameSite=Lax$/, 'the session');
    is($cookies[1], 'portal_challenge=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax', 'and the challenge is forgotten');
    is($t->value('SELECT device FROM portal.customer_sessions ORDER BY created_at DESC LIMIT 1'), 'Firefox on Linux', 'device');
};

subtest 'bodies' => sub {
    my $problem = sub { my ($type, $loc, $msg, $input, %more) = @_; +{ type => $type, loc => ['body', @$loc], msg => $msg, input => $input, %more } };
    my $nothing = ask(request => {});
    is_answer($nothing, 422, { error => 'RequestValidationError', detail => [$problem->(missing => ['email'], 'Field required', {})] });
    my $bad = json_of(ask(request => { email => 'nobody', workspace_id => 'x', customer_id => 1, challenge_id => [] }));
    is_deeply([map { "@{ $_->{loc} } $_->{type}" } @{ $bad->{detail} }], ['body email value_error', 'body workspace_id uuid_parsing',
        'body customer_id uuid_type', 'body challenge_id uuid_type'], 'all at once') or diag explain $bad;
    $bad = json_of(ask(authenticate => { challenge_id => 'x' }));
    is_deeply([map { "@{ $_->{loc} } $_->{type}" } @{ $bad->{detail} }], ['body code missing', 'body challenge_id uuid_parsing'], 'authenticate');
    is_status(ask(request => { email => 'mike@example.com', workspace_id => undef, challenge_id => undef, more => 1 }), 202, 'null and more');
    for my $what (qw(request authenticate exchange)) {
        is_status($t->post("$path/$what", body => '{"email":"mike@example.com","code":"ABCDEF","token":"x"}', type => $_,
            headers => { 'X-Real-IP' => '10.2.0.1' }), $what eq 'exchange' ? 403 : 422, "$what as $_") for 'none', 'text/plain', 'application/x-www-form-urlencoded';
        is_answer($t->get("$path/$what"), 405, { detail => 'Method Not Allowed' }, "GET $what");
        is_status($t->post("$path/$what", json => {}, token => 'nonsense', headers => { 'X-Real-IP' => '10.2.0.2' }), 401, "$what with a bad bearer");
    }
};

subtest 'who is erased leaves no challenge' => sub {
    my ($here, $there) = map { $t->customer($_, email => 'erased@example.com') } $ws, $other;
    request_code(email => 'Erased@example.com', $_ ? (workspace_id => $_->{id}) : ()) for $ws, undef, $other;
    is_status($t->delete("/api/customers/$here->{id}?anonymize=true", token => $t->token($ws)), 204);
    my $left = $t->db->selectcol_arrayref('SELECT workspace_id FROM portal.login_challenges WHERE email = ?', undef, 'erased@example.com');
    is_deeply($left, [undef, $other->{id}], 'but at another workspace, or at none');
};

subtest 'login by address' => sub {
    $t->{option}{server} = 'portal_login_by_address on;';
    $t->reload;
    $t->customer($ws, email => 'address@example.com');
    my %from = ('X-Real-IP' => '10.3.0.1');
    my $challenge = json_of(ask(request => { email => 'address@example.com', workspace_id => $ws->{id} }, %from))->{challenge_id};
    my $code = $t->login_code('address@example.com');
    is_refused(ask(authenticate => { code => $code }, 'X-Real-IP' => '10.3.0.2'), 'from another address');
    is_refused(ask(authenticate => { code => wrong($code) }, %from), 'a wrong code') for 1 .. 6;
    is($t->value(q(SELECT count(*) FROM portal.audit_log WHERE action = 'login.failed' AND address = '10.3.0.1')), 6, 'each is in the audit log');
    is($t->value('SELECT tries FROM portal.login_challenges WHERE id = ?', $challenge), 0, 'costs no try of the challenge');
    my $second = json_of(ask(request => { email => 'unknown@example.com' }, %from))->{challenge_id};
    is_refused(ask(authenticate => { code => $code }, %from), 'two open ones');
    $t->db->do('UPDATE portal.login_challenges SET expires_at = now() WHERE id = ?', undef, $second);
    is_status(ask(authenticate => { code => $code }, %from), 200, 'one');
    is_refused(ask(authenticate => { code => $code }, %from), 'none');
};

$t->done;
