# POST /api/v1/client-portal/contacts/{id}/invite and companies/{id}/invite, and what becomes of an invitation.
use strict; use warnings; use utf8;
use Test::More;
use Time::HiRes qw(time);
use PortalTest;

my $t = PortalTest->new(http => 'portal_invite_wait 2s;');
my $ws = $t->workspace(name => 'Acme & Co');
my $other = $t->workspace;
my $contact = $t->contact($ws, name => 'Ann Example', email => 'ann@example.com');
my $company = $t->company($ws, name => 'Bolts Ltd', email => 'office@example.com');
my $base = '/api/v1/client-portal';

# sixty calls a minute each, and five mails an hour per addressee
my ($token, $calls) = (undef, 60);
sub token { ($token, $calls) = ($t->token($ws, 'client_portal:write'), 0) if ++$calls > 50; $token }
sub invite { my ($what, $id, %option) = @_; $t->post("$base/$what/$id/invite", token => token(), %option) }
my $fresh = sub { $t->contact($ws, @_) };
my $portal_token = qr/^portal_cpt_[A-Za-z0-9_-]{48}$/;

subtest 'sent: 200 once the mail server has it' => sub {
    for (['contacts', $contact, 'ann@example.com', 'Ann Example'], ['companies', $company, 'office@example.com', 'Bolts Ltd']) {
        my ($what, $row, $email, $name) = @$_;
        my $before = $t->mail_files;
        my $response = invite($what, $row->{id}, json => { custom_message => "Welcome to $what, Grüße!" });
        my $after = $t->mail_files;
        is_status($response, 200);
        is($after, $before + 1, 'the mail was there before the answer');
        is_deeply([keys_of($response)], [qw(message token)], 'members');
        my $body = json_of($response);
        is($body->{message}, 'Portal invitation sent successfully', 'message');
        like($body->{token}, $portal_token, 'token');
        my $mail = ($t->mails($after))[-1];
        like($mail->{to}, qr/\Q$email/, 'to the addressee');
        is_deeply($mail->{headers}{'x-rcptto'}, [$email], 'and nobody else');
        my $link = $t->base_url . "/client-portal/$body->{token}";
        like($mail->{text}, qr/\Q$link/, 'the link in the text');
        like($mail->{html}, qr/href="\Q$link\E"/, 'and in the HTML');
        like($mail->{text}, qr/Welcome to $what, Grüße!/, 'the message in the text');
        like($mail->{html}, qr/Welcome to $what, Gr(?:ü|&uuml;)(?:ß|&szlig;)e!/, 'and in the HTML');
        is(scalar @{ $mail->{headers}{'message-id'} }, 1, 'a Message-ID');
        my $state = $t->row('SELECT * FROM portal.outbox ORDER BY created_at DESC LIMIT 1');
        is($state->{state}, 'sent', 'recorded');
    }
};

subtest 'the body is optional' => sub {
    my $one = $fresh->();
    is_status(invite('contacts', $one->{id}), 200, 'none');
    is_status(invite('contacts', $one->{id}, json => {}), 200, 'empty object');
    is_status(invite('contacts', $one->{id}, json => { custom_message => undef }), 200, 'null');
    is_status(invite('contacts', $one->{id}, json => { custom_message => '' }), 200, 'empty message');
};

subtest 'custom_message: 2000 characters, not bytes' => sub {
    my $one = $fresh->();
    is_status(invite('contacts', $one->{id}, json => { custom_message => 'ü' x 2000 }), 200, 'two thousand');
    my $count = $t->mail_files;
    for ('x' x 2001, 5, ['x'], { a => 1 }, true) {
        my $response = invite('contacts', $one->{id}, json => { custom_message => $_ });
        is_status($response, 422, 'refused');
        is(json_of($response)->{message}, 'The given data was invalid.', 'message');
        is_deeply([keys %{ json_of($response)->{errors} }], ['custom_message'], 'field');
    }
    is(scalar $t->mail_files, $count, 'and nothing was mailed');
};

subtest 'each invitation makes its own token' => sub {
    my $one = $fresh->();
    my ($first, $second) = map { json_of(invite('contacts', $one->{id}))->{token} } 1 .. 2;
    isnt($first, $second, 'two');
    is($t->value('SELECT count(*) FROM portal.client_portal_tokens WHERE contact_id = ? AND revoked_at IS NULL', $one->{id}), 2, 'both live');
};

subtest 'addressees that cannot be invited' => sub {
    my $mute = $fresh->(email => undef);
    my $mute_company = $t->company($ws, email => undef);
    my $gone = $fresh->(deleted_at => '2024-01-01');
    my $foreign = $t->contact($other, id => 424242);
    is_answer(invite('contacts', $mute->{id}), 400, '{"message":"Contact does not have an email address"}');
    is_answer(invite('companies', $mute_company->{id}), 400, '{"message":"Company does not have an email address"}');
    is_answer(invite('contacts', $_), 404, '{"message":"Contact not found"}', "contact $_")
        for 999999, '9223372036854775807', $gone->{id}, $foreign->{id};
    is_answer(invite('companies', $_), 404, '{"message":"Company not found"}', "company $_") for 999999, $gone->{id};
    for my $id (0, -1, '9223372036854775808', '99999999999999999999', 'x', '1x', '1.5', '%2031', '+1') {
        my $response = invite('contacts', $id);
        is_answer($response, 404, '{"message":"Contact not found"}', "id $id");
    }
};

subtest 'an inactive portal' => sub {
    my $closed = $t->workspace;
    my $closed_token = $t->token($closed, 'client_portal:write');
    $t->patch("$base/config", token => $closed_token, json => { is_active => false });
    my $one = $t->contact($closed);
    is_answer($t->post("$base/contacts/$one->{id}/invite", token => $closed_token), 403,
        '{"message":"The client portal is not active"}');
};

subtest 'the mail server refuses for good: 500, and nothing is left' => sub {
    $t->mail_mode("refuse 5.7.1 Not <b>wanted</b> here");
    my $one = $fresh->();
    my $response = invite('contacts', $one->{id});
    is_status($response, 500);
    like(json_of($response)->{message}, qr/^Failed to send portal invitation: .*Not <b>wanted<\/b> here/, 'with its words');
    is_deeply([keys_of($response)], ['message'], 'no token');
    is($t->value('SELECT count(*) FROM portal.client_portal_tokens WHERE contact_id = ? AND revoked_at IS NULL', $one->{id}), 0, 'no living token');
    is($t->value(q(SELECT count(*) FROM portal.outbox WHERE state = 'queued')), 0, 'nothing queued');
    $t->mail_mode('refuse-rcpt');
    is_status(invite('contacts', $fresh->()->{id}), 500, 'refused at RCPT');
    $t->mail_mode('accept');
};

subtest 'the mail server does not answer: 202, and it goes out later' => sub {
    my $count = $t->mail_files;
    $t->mail_mode('hang');
    my $one = $fresh->();
    my $start = time;
    my $response = invite('contacts', $one->{id});
    my $took = time - $start;
    is_status($response, 202);
    cmp_ok($took, '>', 1.5, 'after the wait');
    cmp_ok($took, '<', 4, 'and no longer');
    is(json_of($response)->{message}, 'Portal invitation queued', 'message');
    like(json_of($response)->{token}, $portal_token, 'token');
    my $location = $response->header('Location');
    like($location, qr{/api/v1/client-portal/invitations/[0-9a-f-]{36}$}, 'Location');
    my $path = $location =~ s{^https?://[^/]+}{}r;
    my $state = $t->get($path, token => token());
    is_status($state, 200, 'its state can be asked');
    unlike($state->content, qr/portal_cpt_/, 'without the token');
    is_status($t->get($path, token => $t->token($other, 'client_portal:read')), 404, 'not by another tenant');
    $t->mail_mode('accept');
    ok($t->wait_for(sub { $t->mail_files > $count }, 20), 'the mail came');
    my $id = (split m{/}, $path)[-1];
    ok($t->wait_for(sub { $t->value('SELECT state FROM portal.outbox WHERE id = ?', $id) eq 'sent' }, 20), 'and is recorded');
    like($t->get($path, token => token())->content, qr/"sent"/, 'and told');
    like(($t->mails($count + 1))[-1]{text}, qr/\Q@{[json_of($response)->{token}]}/, 'with the token that was told');
};

subtest 'a temporary refusal: 202, and it is retried with the same Message-ID' => sub {
    $t->mail_mode('tempfail');
    my $response = invite('contacts', $fresh->()->{id});
    is_status($response, 202);
    my $id = (split m{/}, $response->header('Location'))[-1];
    my $row = $t->row('SELECT * FROM portal.outbox WHERE id = ?', $id);
    is($row->{state}, 'queued', 'queued');
    $t->mail_mode('accept');
    my $count = $t->mail_files;
    $t->db->do('UPDATE portal.outbox SET next_attempt_at = now() WHERE id = ?', undef, $id);
    ok($t->wait_for(sub { $t->mail_files > $count }, 20), 'sent later');
    like(($t->mails($count + 1))[-1]{headers}{'message-id'}[0], qr/\Q$row->{message_id}/, 'the same Message-ID');
};

subtest 'Prefer: respond-async' => sub {
    my $count = $t->mail_files;
    my $response = invite('contacts', $fresh->()->{id}, headers => { Prefer => 'respond-async' });
    is_status($response, 202);
    is(json_of($response)->{message}, 'Portal invitation queued', 'queued');
    ok($response->header('Location'), 'Location');
    ok($t->wait_for(sub { $t->mail_files > $count }, 10), 'and sent');
};

subtest 'without a helper: 202, and the next helper sends it' => sub {
    my $count = $t->mail_files;
    $t->stop('helper');
    my $start = time;
    my $response = invite('contacts', $fresh->()->{id});
    is_status($response, 202);
    cmp_ok(time - $start, '<', 3, 'no longer than the wait');
    my $lines = sub { scalar(() = $t->log_text =~ /helper: line is up/g) };
    my $before = $lines->();
    $t->start('helper');
    ok($t->wait_for(sub { $t->mail_files > $count }, 20), 'sent');
    ok($t->wait_for(sub { $lines->() >= $before + 2 }, 20), 'both workers found it');
};

subtest 'five mails an hour to one addressee' => sub {
    my $one = $fresh->();
    is_status(invite('contacts', $one->{id}), 200, "mail $_") for 1 .. 5;
    my $count = $t->mail_files;
    my $response = invite('contacts', $one->{id});
    is_answer($response, 429, '{"message":"Too Many Requests"}');
    cmp_ok($response->header('Retry-After'), '>', 3000, 'Retry-After');
    is(scalar $t->mail_files, $count, 'not mailed');
    is_status(invite('contacts', $fresh->()->{id}), 200, 'another addressee is');
};

subtest 'invitations of another tenant and nonsense' => sub {
    is_status($t->get("$base/invitations/$_", token => token()), 404, $_) for '8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001';
    my $bad = $t->get("$base/invitations/nonsense", token => token());
    is_status($bad, 404, 'no uuid');
};

$t->done;
