# Webhooks on their way: what a receiver gets, what its answers do, and that none is lost.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;
use WebhookReceiver;
use Digest::SHA qw(hmac_sha256_base64);
use MIME::Base64 qw(decode_base64);
use Time::HiRes qw(time sleep);

my $t = PortalTest->new(http => 'portal_webhook_allow 127.0.0.0/8; portal_webhook_http 127.0.0.1;',
    toml => qq([webhooks]\nallow = ["127.0.0.0/8"]\nhttp_hosts = ["127.0.0.1"]\n));
my $receiver = WebhookReceiver->new($t);
my $ws = $t->workspace(mail_reply_to => 'owner@example.com', name => 'Größe & Co');
my $token = $t->token($ws);

sub endpoint {
    my ($path, %json) = @_;
    my $response = $t->post('/api/webhooks/endpoints', token => $token, json => { url => $receiver->url($path), %json });
    is_status($response, 201);
    return json_of($response);
}
sub test { my ($endpoint) = @_; json_of($t->post("/api/webhooks/endpoints/$endpoint->{id}/test", token => $token)) }
sub delivery { my ($id) = @_; $t->row('SELECT *, extract(epoch FROM next_attempt_at - now()) AS due FROM portal.webhook_deliveries WHERE id = ?', $id) }
sub attempts { my ($id) = @_; @{ $t->db->selectall_arrayref('SELECT * FROM portal.webhook_attempts WHERE delivery_id = ? ORDER BY created_at', { Slice => {} }, $id) } }
sub row_of { my ($endpoint) = @_; $t->row('SELECT *, extract(epoch FROM paused_until - now()) AS pause FROM portal.webhook_endpoints WHERE id = ?', $endpoint->{id}) }
sub due { my ($id) = @_; $t->db->do('UPDATE portal.webhook_deliveries SET next_attempt_at = now() WHERE id = ?', undef, $id) }
sub unpause { my ($endpoint) = @_; $t->db->do('UPDATE portal.webhook_endpoints SET paused_until = NULL WHERE id = ?', undef, $endpoint->{id}) }
# waits until so many attempts are recorded
sub tried {
    my ($id, $n, $seconds) = @_;
    ok($t->wait_for(sub { attempts($id) >= $n && !defined delivery($id)->{lease_owner} }, $seconds // 10), "$n attempts recorded")
        or diag explain [delivery($id), attempts($id)];
    return delivery($id);
}
sub signed { my ($secret, $request) = @_;
    my $mac = hmac_sha256_base64(join('.', @{ $request->{headers} }{qw(webhook-id webhook-timestamp)}, $request->{body}), decode_base64(substr $secret, 6));
    return 'v1,' . $mac . '=' x (-length($mac) % 4) }

subtest 'what a receiver gets' => sub {
    my $endpoint = endpoint('ok/first', event_types => ['customer.created']);
    my $begun = time;
    my $customer = json_of($t->post('/api/customers/', token => $token, json => { email => 'zoe@example.com', name => 'Zoë "Z"', external_id => 'e/1' }));
    my ($request) = $receiver->await(qr{^/ok/first}, 1);
    cmp_ok(time - $begun, '<', 2, 'soon');
    my %header = %{ $request->{headers} };
    is($request->{method}, 'POST');
    is($header{'content-type'}, 'application/json');
    like($header{'user-agent'}, qr{^portal-webhooks/}, 'who asks');
    ok(!exists $header{expect}, 'no Expect');
    my $row = $t->row('SELECT * FROM portal.webhook_deliveries WHERE endpoint_id = ?', $endpoint->{id});
    is($header{'webhook-id'}, "evt_$row->{event_id}", 'webhook-id');
    cmp_ok(abs($header{'webhook-timestamp'} - time), '<=', 3, 'webhook-timestamp');
    is($header{'webhook-signature'}, signed($endpoint->{secret}, $request), 'the signature of the exact bytes');
    my $body = JSON::XS->new->utf8->decode($request->{body});
    is_deeply([sort keys %$body], [qw(data timestamp type)]);
    is($body->{type}, 'customer.created');
    is($body->{timestamp}, $t->value('SELECT portal.time_text(timestamp) FROM portal.events WHERE id = ?', $row->{event_id}), 'the event\'s time');
    is_deeply([@{ $body->{data} }{qw(id email name external_id)}], [$customer->{id}, 'zoe@example.com', 'Zoë "Z"', 'e/1'], 'the customer');
    like($request->{body}, qr/^\{"type":"customer\.created","timestamp":"[^"]+","data":\{/, 'in this order');
    is(tried($row->{id}, 1)->{state}, 'succeeded');
    my ($attempt) = attempts($row->{id});
    is_deeply([@$attempt{qw(status error answer)}], [204, undef, undef], 'logged');
    $t->patch("/api/customers/$customer->{id}", token => $token, json => { name => 'X' });
    sleep 0.3;
    is(scalar $receiver->requests(qr{^/ok/first}), 1, 'and no event it does not take');
};

subtest 'both secrets sign while one is rotated' => sub {
    my $endpoint = endpoint('ok/rotated', event_types => ['payment.updated']);
    my $new = json_of($t->patch("/api/webhooks/endpoints/$endpoint->{id}/secret", token => $token))->{secret};
    test($endpoint);
    my ($request) = $receiver->await(qr{^/ok/rotated}, 1);
    is($request->{headers}{'webhook-signature'}, join(' ', signed($new, $request), signed($endpoint->{secret}, $request)), 'two signatures');
    $t->db->do("UPDATE portal.webhook_secrets SET expires_at = now() - interval '1 s' WHERE endpoint_id = ? AND expires_at IS NOT NULL", undef, $endpoint->{id});
    test($endpoint);
    (undef, $request) = $receiver->await(qr{^/ok/rotated}, 2);
    is($request->{headers}{'webhook-signature'}, signed($new, $request), 'one, when the day is over');
};

subtest 'failures are tried again' => sub {
    my $endpoint = endpoint('flip/2', event_types => ['payment.updated']);
    my $id = test($endpoint)->{id};
    my $row = tried($id, 1);
    is($row->{state}, 'pending');
    cmp_ok($row->{due}, '<=', 5.5, 'within 5 s and a tenth');
    cmp_ok($row->{due}, '>', 3, 'not at once');
    ok(row_of($endpoint)->{failing_since}, 'it is failing');
    due($id);
    $row = tried($id, 2);
    cmp_ok($row->{due}, '>', 290, 'five minutes') && cmp_ok($row->{due}, '<=', 330, 'and a tenth at most');
    unpause($endpoint);
    due($id);
    is(tried($id, 3)->{state}, 'succeeded', 'the third time');
    my @requests = $receiver->requests(qr{^/flip/2});
    is(scalar(keys %{ { map { $_->{headers}{'webhook-id'} => 1 } @requests } }), 1, 'one id');
    is(scalar(keys %{ { map { $_->{body} => 1 } @requests } }), 1, 'one body');
    is($_->{headers}{'webhook-signature'}, signed($endpoint->{secret}, $_), 'signed anew') for @requests;
    is_deeply([map { $_->{status} } attempts($id)], [500, 500, 200], 'each is logged');
    my $now = row_of($endpoint);
    is_deeply([@$now{qw(failing_since failures paused_until)}], [undef, 0, undef], 'all is well again');
    is_deeply([map { $_->{status} } @{ json_of($t->get("/api/webhooks/deliveries?event_id=$requests[0]{headers}{'webhook-id'}", token => $token))->{data}[0]{log} }],
        [200, 500, 500], 'the list tells, newest first');
};

subtest 'the last try' => sub {
    my $endpoint = endpoint('status/503', event_types => ['payment.updated']);
    my $id = test($endpoint)->{id};
    tried($id, 1);
    $t->db->do('UPDATE portal.webhook_deliveries SET attempts = 9, next_attempt_at = now() WHERE id = ?', undef, $id);
    my $row = tried($id, 2);
    is_deeply([@$row{qw(state attempts)}], ['failed', 10], 'failed for good');
    ok($row->{finished_at}, 'and done');
    ok(row_of($endpoint)->{enabled}, 'its endpoint is not');
    my $again = json_of($t->post("/api/webhooks/events/$row->{event_id}/redeliver", token => $token));
    is_deeply([map { "$_->{state} $_->{attempts}" } @{ $again->{deliveries} }], ['pending 0'], 'redelivered, from the beginning');
    unpause($endpoint);
    is(tried($id, 3)->{attempts}, 1);
};

subtest 'a redirect is a failure' => sub {
    my $endpoint = endpoint('redirect/x', event_types => ['payment.updated']);
    my $before = () = $receiver->requests(qr{^/ok$});
    is(tried(test($endpoint)->{id}, 1)->{state}, 'pending');
    is(scalar(() = $receiver->requests(qr{^/ok$})), $before, 'and not followed');
};

subtest '410 disables' => sub {
    my $endpoint = endpoint('status/410', event_types => ['payment.updated']);
    my $waiting = test($endpoint)->{id};
    is(tried($waiting, 1)->{state}, 'failed');
    my $row = row_of($endpoint);
    is_deeply([@$row{qw(enabled disabled_reason)}], [0, 'gone']);
    is_status($t->post("/api/webhooks/endpoints/$endpoint->{id}/test", token => $token), 403, 'nothing more is sent');
};

subtest 'one that has too much is left alone' => sub {
    my $endpoint = endpoint('retry/120', event_types => ['payment.updated']);
    my $row = tried(test($endpoint)->{id}, 1);
    cmp_ok($row->{due}, '>', 115, 'Retry-After: the delivery waits');
    cmp_ok(row_of($endpoint)->{pause}, '>', 115, 'and so does its endpoint');
    my $other = test($endpoint)->{id};
    sleep 0.5;
    is(scalar(() = attempts($other)), 0, 'for all it is to be told');
    my $slow = endpoint('status/502', event_types => ['payment.updated']);
    tried(test($slow)->{id}, 1);
    cmp_ok(row_of($slow)->{pause}, '>', 2, '502 slows down without being asked');
    ok($t->wait_for(sub { json_of($t->get("/api/webhooks/endpoints/$slow->{id}", token => $token))->{paused_until} }), 'which REST tells');
};

subtest 'an answer without end' => sub {
    my $endpoint = endpoint('huge/x', event_types => ['payment.updated']);
    my $begun = time;
    is(tried(test($endpoint)->{id}, 1)->{state}, 'succeeded', 'the status counts');
    cmp_ok(time - $begun, '<', 5, 'the rest is not read');
    my $head = endpoint('head/x', event_types => ['payment.updated']);
    my $id = test($head)->{id};
    is(tried($id, 1)->{state}, 'pending', 'a head without end is none');
    ok((attempts($id))[0]{error}, 'and logged: ' . ((attempts($id))[0]{error} // ''));
};

subtest 'five days of nothing but failures' => sub {
    my $endpoint = endpoint('status/500', event_types => ['payment.updated']);
    my $mails = () = $t->mail_files;
    $t->db->do("UPDATE portal.webhook_endpoints SET failing_since = now() - interval '5 days', last_failure_at = now() - interval '3 days' WHERE id = ?", undef, $endpoint->{id});
    tried(test($endpoint)->{id}, 1);
    ok(row_of($endpoint)->{enabled}, 'not when nothing failed for two days in between');
    $t->db->do("UPDATE portal.webhook_endpoints SET failing_since = now() - interval '121 h', last_failure_at = now() - interval '1 day' WHERE id = ?", undef, $endpoint->{id});
    my $waiting = test($endpoint)->{id};
    my $id = test($endpoint)->{id};
    ok($t->wait_for(sub { !row_of($endpoint)->{enabled} }), 'disabled');
    is(row_of($endpoint)->{disabled_reason}, 'failing');
    my $mail = ($t->mails($mails + 1))[-1];
    like($mail->{to}, qr/owner\@example\.com/, 'its owner is mailed');
    is($mail->{subject}, 'A webhook endpoint of Größe & Co was disabled');
    my $url = $receiver->url('status/500');
    like($mail->{text}, qr/^\Q$url\E\r?$/m, 'which one');
    like($mail->{text}, qr/\Q$endpoint->{id}\E; what came last: status 500/, 'why');
    unlike($mail->{raw}, qr/whsec_/, 'no secret');
    ok($t->wait_for(sub { !$t->value("SELECT count(*) FROM portal.webhook_deliveries WHERE endpoint_id = ? AND state = 'pending'", $endpoint->{id}) }, 12),
        'what waited for it is given up');
};

subtest 'a helper that is killed' => sub {
    my $endpoint = endpoint('hang/killed', event_types => ['payment.updated']);
    my $id = test($endpoint)->{id};
    $receiver->await(qr{^/hang/killed}, 1);
    $t->stop('helper', 'KILL');
    my $row = delivery($id);
    is_deeply([@$row{qw(state attempts)}], ['pending', 1], 'claimed, not recorded');
    cmp_ok($row->{due}, '>', 30, 'until its lease is over');
    $t->db->do('UPDATE portal.webhook_endpoints SET url = ? WHERE id = ?', undef, $receiver->url('ok/killed'), $endpoint->{id});
    due($id);
    $t->start('helper');
    is(scalar(() = $receiver->await(qr{^/ok/killed}, 1)), 1, 'at least once');
    is(tried($id, 1)->{state}, 'succeeded');
};

subtest 'a helper that is told to stop' => sub {
    my $endpoint = endpoint('hang/stopped', event_types => ['payment.updated']);
    my $id = test($endpoint)->{id};
    $receiver->await(qr{^/hang/stopped}, 1);
    $t->signal('helper', 'TERM');
    $t->signal('helper', 'TERM');
    ok($t->wait_for(sub { my $row = delivery($id); !defined $row->{lease_owner} && $row->{attempts} == 0 && $row->{due} <= 0 }, 10),
        'gives its lease back, and the attempt does not count') or diag explain delivery($id);
    $t->stop('helper');
    $t->db->do('UPDATE portal.webhook_endpoints SET url = ? WHERE id = ?', undef, $receiver->url('ok/stopped'), $endpoint->{id});
    $t->start('helper');
    is(scalar(() = $receiver->await(qr{^/ok/stopped}, 1)), 1, 'the next one sends it');
};

subtest 'the database goes away' => sub {
    my $endpoint = endpoint('slow/2', event_types => ['payment.updated']);
    my $id = test($endpoint)->{id};
    $receiver->await(qr{^/slow/2}, 1);
    $t->stop('postgres');
    sleep 2.5;    # it answers meanwhile
    $t->start('postgres');
    is(tried($id, 1, 20)->{state}, 'succeeded', 'what came of it is recorded when the database is back');
    is(scalar(() = $receiver->requests(qr{^/slow/2})), 1, 'and nothing is sent twice');
    ok($t->wait_for(sub { $t->get("/api/webhooks/endpoints/$endpoint->{id}", token => $token)->code == 200 }), 'nginx is back, too');
};

subtest 'a result that PostgreSQL does not take harms no other' => sub {
    my @endpoints = map { endpoint("ok/batch$_", event_types => ['payment.updated']) } 1 .. 5;
    my $db = $t->db->clone;    # no attempt can be recorded: all results gather
    $db->begin_work;
    $db->do('LOCK TABLE portal.webhook_attempts IN EXCLUSIVE MODE');
    my @ids = map { test($_)->{id} } @endpoints;
    $receiver->await(qr{^/ok/batch$_$}, 1) for 1 .. 5;
    $db->do('CREATE SEQUENCE portal.refusals');
    $db->do(qq(CREATE FUNCTION portal.refuse() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS \$\$ BEGIN
        IF nextval('portal.refusals') = 1 THEN RAISE SQLSTATE '40001'; END IF;
        IF NEW.delivery_id = '$ids[2]' THEN RAISE 'not this one'; END IF;
        RETURN NEW; END \$\$));
    $db->do('CREATE TRIGGER refuse BEFORE INSERT ON portal.webhook_attempts FOR EACH ROW EXECUTE FUNCTION portal.refuse()');
    $db->commit;
    is(tried($_, 1)->{state}, 'succeeded', 'recorded') for @ids[0, 1, 3, 4];
    is(delivery($ids[2])->{state}, 'pending', 'but for that one');
    $t->db->do('DROP TRIGGER refuse ON portal.webhook_attempts');
    is(scalar(() = $receiver->requests(qr{^/ok/batch})), 5, 'and nothing is sent twice');
};

subtest 'a blocked workspace' => sub {
    my $endpoint = endpoint('ok/blocked', event_types => ['payment.updated']);
    my $id = test($endpoint)->{id};
    tried($id, 1);
    $t->db->do('UPDATE portal.workspaces SET blocked_at = now() WHERE id = ?', undef, $ws->{id});
    $t->db->do("UPDATE portal.webhook_deliveries SET state = 'pending', next_attempt_at = now() WHERE id = ?", undef, $id);
    sleep 0.5;
    is(scalar(() = $receiver->requests(qr{^/ok/blocked})), 1, 'nothing is sent');
    $t->db->do('UPDATE portal.workspaces SET blocked_at = NULL WHERE id = ?', undef, $ws->{id});
    is(scalar(() = $receiver->await(qr{^/ok/blocked}, 2)), 2, 'until it is not any more');
};

$t->done;
