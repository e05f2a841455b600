# The helper stopped, killed or hanging: everything but delivery works, and no mail, webhook or event is lost.
use strict; use warnings; use utf8;
use Test::More;
use Time::HiRes qw(sleep time);
use PortalTest;
use PortalStream;
use WebhookReceiver;

my $t = PortalTest->new(workers => 2, http => 'portal_invite_wait 2s; portal_rate_limit_class client-portal 100000 60s; '
    . 'portal_webhook_allow 127.0.0.0/8; portal_webhook_http 127.0.0.1;',
    toml => qq([webhooks]\nallow = ["127.0.0.0/8"]\nhttp_hosts = ["127.0.0.1"]\n), toml_mail => "timeout = 10\nparallel = 8\n");
my $ws = $t->workspace;
my $token = $t->token($ws);
my $config = '/api/v1/client-portal/config';
sub invite { my ($contact, %option) = @_; $t->post("/api/v1/client-portal/contacts/$contact->{id}/invite", token => $token, %option) }
sub id_of { (split m{/}, $_[0]->header('Location'))[-1] }
sub state_of { $t->value('SELECT state FROM portal.outbox WHERE id = ?', $_[0]) }
# leases of a helper that died end by themselves; here at once
sub end_leases { $t->db->do('UPDATE portal.outbox SET lease_until = now() WHERE lease_until IS NOT NULL') }
sub addressees { my %seen; $seen{ $_->{headers}{'x-rcptto'}[0] }++ for $t->mails(0, 0.1); return \%seen }

my $receiver = WebhookReceiver->new($t);
is_status($t->post('/api/webhooks/endpoints', token => $token, json => { url => $receiver->url, event_types => ['customer.updated'] }), 201);
my $reader = $t->customer($ws);
my $stream = PortalStream->new($t, '/api/customer-portal/customers/stream', token => $t->session($reader));
$stream->started;

subtest 'without it' => sub {
    $t->stop('helper');
    $t->db->do('UPDATE portal.customers SET name = ? WHERE id = ?', undef, "Name $_", $reader->{id}) for 1 .. 5;
    my $contact = $t->contact($ws);
    my $start = time;
    my $response = invite($contact);
    is_status($response, 202);
    is(json_of($response)->{message}, 'Portal invitation queued', 'queued');
    like(json_of($response)->{token}, qr/^portal_cpt_/, 'with its token');
    cmp_ok(time - $start, '<', 1, 'at once: there is nobody to wait for');
    is(state_of(id_of($response)), 'queued', 'stored');
    is($t->value('SELECT lease_owner FROM portal.outbox WHERE id = ?', id_of($response)), undef, 'for any helper to send');
    like($t->get('/api/v1/client-portal/invitations/' . id_of($response), token => $token)->content, qr/"queued"/, 'and told');
    is_status($t->get($config, token => $token), 200, 'the configuration is served');
    is_status($t->patch($config, token => $token, json => { portal_name => 'Changed' }), 200, 'and changed');
    is(json_of($t->get($config, token => $token))->{data}{portal_name}, 'Changed', 'at once on this node');
    is_status($t->post('/api/customer-sessions/', token => $token, json => { customer_id => $t->customer($ws)->{id} }), 201, 'sessions are made');
    is_status($t->post('/api/v1/client-portal/token', token => $token, json => { type => 'contact', id => 0 + $contact->{id} }), 200, 'and portal tokens');
    my @queued = map { invite($_) } map { $t->contact($ws) } 1 .. 5;
    is_deeply([map { $_->code } @queued], [(202) x 5], 'more of them');
    is(scalar $t->mail_files, 0, 'no mail');
    my $back = time;
    $t->start('helper');
    is(scalar $t->mails(6), 6, 'all go out when it returns');
    my $mailed = time - $back;
    my @events;
    while (@events < 5 && (my $event = $stream->next_event)) {
        push @events, json_of($event->{data})->{data}{name} if $event->{event} eq 'customer.updated';    # not its own session
    }
    is("@events", join(' ', map { "Name $_" } 1 .. 5), 'a stream that was open is told what happened, in order');
    my $told = time - $back;
    is(scalar $receiver->await(qr/ok/, 5), 5, 'and so are webhooks');
    diag sprintf 'without it: 0 requests failed; back: 6 mails after %.0f ms, 5 events after %.0f ms, 5 webhooks after %.0f ms, 0 lost',
        map { $_ * 1000 } $mailed, $told, time - $back;
    ok($t->wait_for(sub { state_of(id_of($response)) eq 'sent' }, 5), 'and are recorded');
    ok($t->wait_for(sub { invite($t->contact($ws))->code == 200 }, 5, 0.3), 'and the next is sent while the caller waits');
};

subtest 'killed between claim and send' => sub {
    my @contacts = map { $t->contact($ws) } 1 .. 5;
    my $before = $t->mail_files;
    $t->mail_mode('hang');
    my @responses = map { invite($_, headers => { Prefer => 'respond-async' }) } @contacts;
    is_deeply([map { $_->code } @responses], [(202) x 5], 'queued');
    ok($t->wait_for(sub { $t->value(q(SELECT count(*) FROM portal.outbox WHERE state = 'queued' AND attempts > 0 AND lease_owner IS NOT NULL)) == 5 }, 10), 'claimed');
    sleep 0.2;
    $t->stop('helper', 'KILL');
    # the mail server loses what it had not accepted
    $t->restart('smtp', 'KILL');
    $t->mail_mode('accept');
    is(scalar $t->mail_files, $before, 'none was accepted');
    $t->start('helper');
    end_leases();
    ok($t->wait_for(sub { $t->mail_files >= $before + 5 }, 15), 'all go out');
    my $seen = addressees();
    is_deeply([map { $seen->{ $_->{email} } // 0 } @contacts], [(1) x 5], 'each once');
    ok($t->wait_for(sub { !grep { state_of(id_of($_)) ne 'sent' } @responses }, 5), 'and are recorded');
};

subtest 'killed while a caller waits' => sub {
    my $contact = $t->contact($ws);
    $t->mail_mode('hang');
    my $caller = $t->connect;
    my $start = time;
    print $caller $t->bytes(POST => "/api/v1/client-portal/contacts/$contact->{id}/invite", token => $token, body => '');
    $t->wait_for(sub { $t->value(q(SELECT count(*) FROM portal.outbox WHERE state = 'queued' AND attempts > 0)) }, 5);
    $t->stop('helper', 'KILL');
    my $answer = $t->ask($caller, '', 5);
    is($answer->{status}, 202, 'the caller is told that it is queued');
    cmp_ok(time - $start, '<', 2.5, 'within the wait');
    $t->restart('smtp', 'KILL');
    $t->mail_mode('accept');
    $t->start('helper');
    end_leases();
    ok($t->wait_for(sub { addressees()->{ $contact->{email} } }, 15), 'and it is delivered');
};

subtest 'hanging' => sub {
    $t->signal('helper', 'STOP');
    my $contact = $t->contact($ws);
    my $start = time;
    my $response = invite($contact);
    is_status($response, 202, 'queued');
    cmp_ok(time - $start, '<', 3.5, 'after the wait');
    is_status($t->get($config, token => $token), 200, 'the rest is served');
    $t->signal('helper', 'CONT');
    ok($t->wait_for(sub { addressees()->{ $contact->{email} } }, 15), 'delivered when it goes on');
};

subtest 'killed again and again while invitations come in' => sub {
    my @contacts = map { $t->contact($ws) } 1 .. 24;
    my $done = $t->apart(sub { map { my $contact = $_; sleep 0.1; invite($contact)->code } @contacts });
    for (1 .. 5) {
        sleep 0.4;
        $t->stop('helper', 'KILL');
        end_leases();
        $t->start('helper');
    }
    my @codes = $done->();
    is(scalar(grep { $_ != 200 && $_ != 202 } @codes), 0, 'sent or queued') or diag "@codes";
    end_leases();
    ok($t->wait_for(sub { my $seen = addressees(); !grep { !$seen->{ $_->{email} } } @contacts }, 20, 0.2), 'each has its mail');
    ok($t->wait_for(sub { !$t->value(q(SELECT count(*) FROM portal.outbox WHERE state <> 'sent')) }, 10), 'nothing is left');
};

$stream->close;
$t->done;
