# feature_settings.require_code: a client portal's link on a new device opens with a mailed code.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new(location => 'location /site/ { portal_workspace any; portal_auth portal; alias %%DIR%%/html/; }');
mkdir $t->dir . '/html';
$t->write_file('html/page', 'in');
my $me = '/api/v1/client-portal/me';
my $acme = $t->workspace(slug => 'acme', name => 'Acme');
my $backend = $t->token($acme);
my $refusal = { message => 'This link opens with a code that is sent by mail.' };
my $wrong = { message => 'The given data was invalid.', errors => { code => ['This code is invalid or has expired.'] } };
my $made = 0;

# A contact of its own, since mails to an address are counted; and its link.
sub contact {
    my $contact = $t->contact($acme, id => 100 + ++$made, name => "Ann $made", email => "ann$made\@example.org");
    my $answer = $t->post('/api/v1/client-portal/token', token => $backend, json => { type => 'contact', id => 0 + $contact->{id} });
    return (json_of($answer)->{token}, $contact->{email});
}
# from an address of its own, unless one is given
sub exchange {
    my ($token, $more, %headers) = @_;
    return $t->post("$me/exchange", json => { token => $token, %{ $more // {} } }, headers => { 'X-Real-IP' => '10.9.0.' . ++$made, %headers });
}
sub cookie_of { (($_[0]->header('Set-Cookie') // '') =~ /^([^;]+)/)[0] }
sub challenge { my $answer = exchange(@_); is_status($answer, 202); return json_of($answer)->{data}{challenge_id} }
sub require_code { my ($on) = @_; $t->ctl('workspace', 'set', 'acme', '--require-code', $on ? 'on' : 'off') }

my ($link, $email) = contact();
my $old = cookie_of(exchange($link));
is_deeply(require_code(1)->{feature_settings}, { member_model_enabled => false, require_code => true }, 'portalctl workspace set');
ok($t->wait_for(sub { $t->get($me, token => $link)->code == 403 }), 'within a second') or die;

subtest 'the link by itself' => sub {
    is_answer($t->get("$me$_", token => $link), 403, $refusal, "is not enough for $_") for '', '/items', '/files', '/activity', '/stream';
    is_answer($t->post("$me/stream-ticket", token => $link), 403, $refusal, 'nor for a ticket');
    is($t->get('/site/page', token => $link)->code, 403, 'nor for the site');
    is($t->get($me, headers => { Cookie => $old })->code, 200, 'who was in before stays in');
};

subtest 'a new device' => sub {
    my $answer = exchange($link);
    is_status($answer, 202);
    my $body = json_of($answer);
    like(delete $body->{data}{challenge_id}, qr/^[0-9a-f-]{36}$/, 'a challenge');
    is_deeply($body, { message => 'A code was sent to a***@example.org', data => { expires_in => 600, email => 'a***@example.org' } });
    is($answer->header('Set-Cookie'), undef, 'and nothing else yet');
    $t->login_code($email);   # its mail comes before the next one's
    my $challenge = challenge($link);
    my $code = $t->login_code($email, 2);
    my ($mail) = $t->mails(1);
    like($mail->{headers}{subject}[0], qr/^Your sign-in code for Acme$/, 'says whose it is');
    my %proof = (challenge_id => $challenge, code => lc $code);
    (my $bad = $code) =~ tr/A-Z0-9/B-Z0-9A/;
    is_answer(exchange($link, { %proof, code => $bad }), 422, $wrong, 'a wrong code');
    is($t->value('SELECT tries FROM portal.link_challenges WHERE id = ?', $challenge), 1, 'is counted');
    is($t->value("SELECT count(*) FROM portal.audit_log WHERE action = 'login.failed' AND target LIKE 'portal_token:%'"), 1, 'and told of');
    my ($another) = contact();
    is_answer(exchange($another, \%proof), 422, $wrong, 'another link');
    $answer = exchange($link, \%proof);
    is_answer($answer, 204, '', 'the right one');
    is($t->get($me, headers => { Cookie => cookie_of($answer) })->code, 200, 'opens the portal');
    is($t->get('/site/page', headers => { Cookie => cookie_of($answer) })->code, 200, 'and the site');
    is_answer(exchange($link, \%proof), 422, $wrong, 'once');
    my $again = exchange($link, {}, Cookie => cookie_of($answer));
    is_answer($again, 204, '', 'the device is known from now on');
    is($t->post("$me/logout", headers => { Cookie => cookie_of($again), 'Content-Type' => 'application/json', 'Sec-Fetch-Site' => 'same-origin' })->code, 204);
    is(exchange($link, {}, Cookie => cookie_of($again))->code, 202, 'until it signs out');
    is(exchange($another, {}, Cookie => cookie_of($answer))->code, 202, 'and to its own person alone');
};

subtest 'in a frame whose browser may keep no cookies' => sub {
    my ($framed, $to) = contact();
    my $challenge = challenge($framed);
    my $answer = exchange($framed, { challenge_id => $challenge, code => $t->login_code($to) }, 'X-Portal-Cookie' => 0);
    is_status($answer, 200);
    my $session = json_of($answer)->{token};
    is(cookie_of($answer), "portal_acme=$session", 'the token beside the cookie');
    is($t->get($me, token => $session)->code, 200, 'is the session\'s');
};

subtest 'who is asked first whether to replace another' => sub {
    my ($mine, $to) = contact();
    my $sent = sub { $t->value("SELECT count(*) FROM portal.link_challenges") };
    my $before = $sent->();
    is_answer(exchange($mine, {}, Cookie => $old, 'X-Portal-Keep' => 1), 409, { message => 'Another person is signed in.' }, 'the other');
    is($sent->(), $before, 'is sent no code');
    is(exchange($mine, {}, Cookie => $old)->code, 202, 'before it is said that it may');
};

subtest 'sent again' => sub {
    my ($mine, $to) = contact();
    my $challenge = challenge($mine);
    is(challenge($mine, { challenge_id => $challenge }), $challenge, 'the same') for 1 .. 3;
    ok($t->wait_for(sub { 4 == $t->value("SELECT count(*) FROM portal.outbox WHERE link_challenge_id = ? AND state = 'sent'", $challenge) }), 'four mails');
    isnt(challenge($mine, { challenge_id => $challenge }), $challenge, 'and then a fresh one');
    my $answer = exchange($mine);
    is_answer($answer, 429, { message => 'Too Many Requests' }, 'five mails to an address');
    cmp_ok($answer->header('Retry-After'), '>', 800, 'in a quarter of an hour');
};

subtest 'five tries' => sub {
    my ($mine, $to) = contact();
    my $challenge = challenge($mine);
    my $code = $t->login_code($to);
    is_answer(exchange($mine, { challenge_id => $challenge, code => 'AAAAAA' }), 422, $wrong, 'wrong') for 1 .. 5;
    is_answer(exchange($mine, { challenge_id => $challenge, code => $code }), 422, $wrong, 'and then the right one, too');
};

subtest 'a try is taken before the code is looked at' => sub {
    my ($mine, $to) = contact();
    my $challenge = challenge($mine);
    my $code = $t->login_code($to);
    $t->db->begin_work;
    $t->db->do('LOCK TABLE portal.audit_log IN SHARE MODE');    # no miss can be noted
    is(exchange($mine, { challenge_id => $challenge, code => 'AAAAAA' })->code, 503, "wrong $_") for 1 .. 5;
    $t->db->rollback;
    is_answer(exchange($mine, { challenge_id => $challenge, code => $code }), 422, $wrong, 'and none is left');
};

subtest 'forty wrong codes at once count as five' => sub {
    my ($mine, $to) = contact();
    my $challenge = challenge($mine);
    my $code = $t->login_code($to);
    my @answers = $t->at_once(map { $t->bytes(POST => "$me/exchange", json => { token => $mine, challenge_id => $challenge, code => 'AAAAAA' },
        headers => { 'X-Real-IP' => "10.11.0.$_" }) } 1 .. 40);
    is(scalar(grep { $_->code == 422 } @answers), 40, 'all refused');
    is($t->value('SELECT tries FROM portal.link_challenges WHERE id = ?', $challenge), 5, 'five are counted');
    is_answer(exchange($mine, { challenge_id => $challenge, code => $code }), 422, $wrong, 'the right one is too late');
};

subtest 'ten tries of an address' => sub {
    my ($mine) = contact();
    my @here = ('X-Real-IP' => '10.9.9.9');
    is(exchange($mine, { challenge_id => '8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001', code => 'AAAAAA' }, @here)->code, 422) for 1 .. 10;
    is(exchange($mine, { challenge_id => '8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001', code => 'AAAAAA' }, @here)->code, 429, 'the eleventh');
};

subtest 'what is over' => sub {
    my ($mine, $to) = contact();
    my $challenge = challenge($mine);
    my %proof = (challenge_id => $challenge, code => $t->login_code($to));
    $t->db->do('UPDATE portal.link_challenges SET expires_at = now() WHERE id = ?', undef, $challenge);
    is_answer(exchange($mine, \%proof), 422, $wrong, 'a challenge');
    $t->db->do('UPDATE portal.client_portal_tokens SET revoked_at = now() WHERE contact_id IS NOT NULL AND parent_id IS NULL AND id = (SELECT token_id FROM portal.link_challenges WHERE id = ?)', undef, $challenge);
    is_answer(exchange($mine, \%proof), 401, { message => 'Unauthenticated.' }, 'a link');
};

subtest 'a body' => sub {
    my ($mine) = contact();
    my $errors = sub { json_of(exchange($mine, @_))->{errors} };
    is_deeply($errors->({ code => 'AAAAAA' }), { challenge_id => ['Field required'] });
    is_deeply($errors->({ code => 5, challenge_id => 'x' }), { code => ['Input should be a valid string'],
        challenge_id => ['Input should be a valid UUID, invalid character: expected an optional prefix of `urn:uuid:` followed by [0-9a-fA-F-], found `x` at 1'] });
    is(exchange('portal_cpt_' . 'A' x 48, { code => 'AAAAAA', challenge_id => '8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001' })->code, 401, 'of no link');
};

subtest 'of parallel calls' => sub {
    my ($mine, $to) = contact();
    my %proof = (challenge_id => challenge($mine), code => $t->login_code($to));
    my @answers = $t->at_once(map { $t->bytes(POST => "$me/exchange", json => { token => $mine, %proof }, headers => { 'X-Real-IP' => "10.10.0.$_" }) } 1 .. 8);
    is_deeply([sort map { $_->code } @answers], [204, (422) x 7], 'one opens the portal');
    cmp_ok($t->value('SELECT tries FROM portal.link_challenges WHERE id = ?', $proof{challenge_id}), '<=', 4, 'and gives its try back');
};

subtest 'switched off' => sub {
    my ($mine) = contact();
    is_deeply(require_code(0)->{feature_settings}, { member_model_enabled => false, require_code => false });
    ok($t->wait_for(sub { $t->get($me, token => $mine)->code == 200 }), 'the link is enough');
    is(exchange($mine)->code, 204);
};

$t->done;
