# The mail server away, slow, full or contrary: invitations are 202 and are delivered later, or fail and say so.
use strict; use warnings; use utf8;
use Test::More;
use Time::HiRes qw(sleep time);
use PortalTest;

my $t = PortalTest->new(workers => 2, http => 'portal_invite_wait 1500ms; portal_rate_limit_class client-portal 100000 60s;',
    toml_mail => "timeout = 5\n");
my $ws = $t->workspace;
my $token = $t->token($ws);
sub invite { my ($contact, %option) = @_; $t->post("/api/v1/client-portal/contacts/$contact->{id}/invite", token => $token, %option) }
sub id_of { (split m{/}, $_[0]->header('Location'))[-1] }
sub told { my ($id) = @_; $t->get("/api/v1/client-portal/invitations/$id", token => $token)->content }
sub retry_now { $t->db->do(q(UPDATE portal.outbox SET next_attempt_at = now() WHERE state = 'queued')) }
sub addressees { my %seen; $seen{ $_->{headers}{'x-rcptto'}[0] }++ for $t->mails(0, 0.1); return \%seen }
# 202 in time, delivered once the server is itself again
sub queued_and_delivered {
    my ($name, $wrong, $right) = @_;
    subtest $name => sub {
        my $contact = $t->contact($ws);
        $wrong->();
        my $start = time;
        my $response = invite($contact);
        is_status($response, 202);
        is(json_of($response)->{message}, 'Portal invitation queued', 'queued, not sent');
        cmp_ok(time - $start, '<', 3, 'in time');
        my $id = id_of($response);
        like(told($id), qr/"queued"/, 'and told so');
        my $row = $t->row('SELECT * FROM portal.outbox WHERE id = ?', $id);
        $right->();
        my $back = time;
        ok($t->wait_for(sub { retry_now(); addressees()->{ $contact->{email} } }, 15, 0.05), 'delivered');
        diag sprintf '%s: 202, delivered once, %.0f ms after it was itself again and the next try was due', $name, (time - $back) * 1000;
        ok($t->wait_for(sub { told($id) =~ /"sent"/ }, 5), 'and told');
        is($t->value('SELECT message_id FROM portal.outbox WHERE id = ?', $id), $row->{message_id}, 'under the same Message-ID');
        my ($mail) = grep { $_->{headers}{'x-rcptto'}[0] eq $contact->{email} } $t->mails(0, 0.1);
        like($mail->{headers}{'message-id'}[0], qr/\Q$row->{message_id}/, 'as the mail says');
        my $link = json_of($response)->{token};
        like($mail->{text}, qr/\Q$link/, 'with the token told before');
    };
}

queued_and_delivered('stopped', sub { $t->await('smtp'); $t->stop('smtp') }, sub { $t->start('smtp'); $t->await('smtp') });
queued_and_delivered('frozen', sub { $t->signal('smtp', 'STOP') }, sub { $t->signal('smtp', 'CONT') });
queued_and_delivered('silent after the mail', sub { $t->mail_mode('hang') }, sub { $t->mail_mode('accept') });
queued_and_delivered('gone after the mail', sub { $t->mail_mode('drop') }, sub { $t->mail_mode('accept') });
queued_and_delivered('refusing for now', sub { $t->mail_mode('tempfail') }, sub { $t->mail_mode('accept') });

subtest 'a login code' => sub {
    my $customer = $t->customer($ws);
    $t->stop('smtp');
    is_status($t->post('/api/customer-portal/customer-session/request', json => { email => $customer->{email} }), 202, 'is promised');
    ok($t->wait_for(sub { $t->value(q(SELECT count(*) FROM portal.outbox WHERE challenge_id IS NOT NULL AND state = 'queued' AND attempts > 0 AND lease_owner IS NULL)) }), 'is tried');
    $t->start('smtp');
    $t->await('smtp');
    ok($t->wait_for(sub { retry_now(); addressees()->{ $customer->{email} } }, 15, 0.05), 'and arrives');
};

subtest 'refusing for good, while the caller waits' => sub {
    $t->mail_mode('refuse 5.7.1 No such <luck>');
    my $contact = $t->contact($ws);
    my $response = invite($contact);
    is_status($response, 500);
    is_deeply([keys_of($response)], ['message'], 'and nothing else');
    like(json_of($response)->{message}, qr/^Failed to send portal invitation: .*No such <luck>/, 'the server\'s words');
    is($t->value('SELECT count(*) FROM portal.client_portal_tokens WHERE contact_id = ? AND revoked_at IS NULL', $contact->{id}), 0, 'no token is left');
    $t->mail_mode('accept');
    is_status(invite($contact), 200, 'and it may be tried again');
};

subtest 'refusing for good, later' => sub {
    $t->mail_mode('tempfail');
    my $contact = $t->contact($ws);
    my $response = invite($contact);
    is_status($response, 202, 'queued');
    my $link = json_of($response)->{token};
    $t->mail_mode('refuse-rcpt');
    ok($t->wait_for(sub { retry_now(); told(id_of($response)) =~ /"failed"/ }, 10, 0.2), 'failed, and told');
    is($t->value(q(SELECT count(*) FROM portal.events WHERE type = 'client_portal.invitation_failed' AND data->>'invitation_id' = ?),
        id_of($response)), 1, 'an event says so');
    is($t->value('SELECT count(*) FROM portal.client_portal_tokens WHERE contact_id = ? AND revoked_at IS NULL', $contact->{id}), 0, "its token is revoked");
    unlike($t->value('SELECT data::text FROM portal.events ORDER BY timestamp DESC LIMIT 1'), qr/\Q$link\E|\Q$contact->{email}\E/, 'without token or address');
    $t->mail_mode('accept');
};

subtest 'one that hangs does not hold up the others' => sub {
    $t->mail_mode('hang');
    my @hanging = map { invite($_, headers => { Prefer => 'respond-async' }) } map { $t->contact($ws) } 1 .. 3;
    sleep 0.3;
    is_status($t->get('/api/v1/client-portal/config', token => $token), 200, 'routes are served');
    is_status($t->post('/api/customer-sessions/', token => $token, json => { customer_id => $t->customer($ws)->{id} }), 201, 'sessions are made');
    my @at_once = $t->at_once(map { $t->bytes(POST => "/api/v1/client-portal/contacts/$_->{id}/invite", token => $token, body => '') } map { $t->contact($ws) } 1 .. 20);
    is_deeply([map { $_->code } @at_once], [(202) x 20], 'twenty callers who wait are told in time');
    $t->mail_mode('accept');
    ok($t->wait_for(sub { retry_now(); !$t->value(q(SELECT count(*) FROM portal.outbox WHERE state = 'queued')) }, 15, 0.2), 'and all is sent');
    my $seen = addressees();
    is(scalar(grep { $_ > 1 } values %$seen), 0, 'nobody got two') or diag explain $seen;
};

$t->done;
