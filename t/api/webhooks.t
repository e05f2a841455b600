# /api/webhooks/: endpoints, their secrets, what was sent and sending it again. Nothing is sent here: no helper runs.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;
use WrongCallers;
use MIME::Base64 qw(encode_base64);

my $t = PortalTest->new(helper => 0, http => 'portal_webhook_allow 10.1.0.0/16 fd00:1::/32; portal_webhook_http 10.1.2.3 hooks.internal;');
my ($acme, $other) = map { $t->workspace } 1 .. 2;
my $token = $t->token($acme);
my $endpoints = '/api/webhooks/endpoints';
my $unknown = '8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001';
my $not_found = '{"error":"ResourceNotFound","detail":"Not found"}';
my $unreadable = '{"error":"NotPermitted","detail":"A token cannot make or change an endpoint that takes events it may not read itself."}';
my @members = qw(id created_at modified_at workspace_id url event_types enabled disabled_reason failing_since paused_until);
my @delivery = qw(id created_at workspace_id endpoint_id event_id type timestamp state attempts next_attempt_at finished_at log);
my $made = 0;

sub create { my ($by, %json) = @_; $t->post($endpoints, token => $by, json => { url => 'https://hooks.example.com/' . ++$made, %json }) }
sub endpoint { my $response = create(@_); is_status($response, 201); return json_of($response) }
sub change { my ($by, $id, %json) = @_; $t->patch("$endpoints/$id", token => $by, json => \%json) }
sub refusals { [map { "$_->{type} at " . join('.', @{ $_->{loc} }) } @{ json_of($_[0])->{detail} // [] }] }
sub deliveries { my ($query, $by) = @_; json_of($t->get('/api/webhooks/deliveries' . ($query // ''), token => $by // $token))->{data} }
sub announce { my ($ws, $type, %data) = @_; $t->insert('events', { workspace_id => $ws->{id}, type => $type, data => JSON::XS->new->encode(\%data) }) }

subtest 'made' => sub {
    my $response = create($token, url => 'https://Hooks.example.com:8443/in?a=b', event_types => ['customer.created', 'payment.updated', 'customer.created']);
    is_status($response, 201);
    is_deeply([keys_of($response)], [@members, 'secret']);
    my $row = json_of($response);
    is($row->{url}, 'https://Hooks.example.com:8443/in?a=b', 'as given');
    is_deeply($row->{event_types}, ['customer.created', 'payment.updated'], 'each type once');
    ok($row->{enabled}, 'enabled');
    is($row->{workspace_id}, $acme->{id});
    like($row->{secret}, qr{^whsec_[A-Za-z0-9+/]{43}=$}, '32 random bytes');
    my $stored = $t->row('SELECT * FROM portal.webhook_secrets WHERE endpoint_id = ?', $row->{id});
    unlike($stored->{ciphertext}, qr/\Q@{[substr $row->{secret}, 6, 20]}\E/, 'stored encrypted');
    is_status($t->get("$endpoints/$row->{id}", token => $token), 200);
    unlike($t->get("$endpoints/$row->{id}", token => $token)->content, qr/whsec_|secret/, 'and never shown again');
    unlike($t->get($endpoints, token => $token)->content, qr/whsec_|secret/, 'in no list either');
    is(endpoint($token)->{event_types}, undef, 'all types');
    is(endpoint($token, event_types => undef)->{event_types}, undef, 'null is all, too');
    my $own = 'whsec_' . encode_base64('k' x 24, '');
    is(endpoint($token, secret => $own)->{secret}, $own, 'with the secret of a system being replaced');
    ok(!endpoint($token, enabled => false)->{enabled}, 'disabled from the start');
};

subtest 'refused' => sub {
    is_deeply(refusals($t->post($endpoints, token => $token, json => {})), ['missing at body.url']);
    is_deeply(refusals(create($token, event_types => [])), ['value_error at body.event_types']);
    is_deeply(refusals(create($token, url => 'nonsense', event_types => ['customer.created', 'x', 7], enabled => 'yes', secret => 'x')),
        ['url_parsing at body.url', 'enum at body.event_types.1', 'enum at body.event_types.2', 'bool_type at body.enabled', 'value_error at body.secret'],
        'every problem');
    is_deeply(refusals(create($token, event_types => 'customer.created')), ['list_type at body.event_types']);
    is_deeply(refusals(create($token, secret => 'whsec_' . encode_base64('k' x 23, ''))), ['value_error at body.secret'], 'a short secret');
    for my $url (qw(http://hooks.example.com/ https://127.0.0.1/ https://localhost/ https://2130706433/ https://[::1]/ https://[::ffff:10.2.0.1]/
        https://169.254.169.254/ https://10.2.0.1/ https://192.168.0.1/ https://[fd00:2::1]/ https://[64:ff9b::a00:1]/ http://10.1.9.9/)) {
        is_deeply(refusals(create($token, url => $url)), ['value_error at body.url'], $url);
    }
    is_deeply(refusals(create($token, url => 'https://user:pass@example.com/')), ['url_parsing at body.url'], 'user information');
    is_deeply(refusals(create($token, url => 'ftp://example.com/')), ['url_scheme at body.url'], 'another scheme');
    is_status(create($token, url => $_), 201, $_) for qw(https://10.1.9.9/ http://10.1.2.3:9000/x http://hooks.internal/ https://[fd00:1::1]/);
};

subtest 'no more than its maker may read' => sub {
    my $reader = $t->token($acme, qw(webhooks:write customers:read));
    is_answer(create($reader, event_types => ['payment.updated']), 403, $unreadable, 'a type it may not read');
    is_answer(create($reader, event_types => ['customer.created', 'file_sharing_session.created']), 403, $unreadable, 'one of several');
    is_answer(create($reader), 403, $unreadable, 'all types');
    my $own = endpoint($reader, event_types => ['customer.created']);
    is_status(change($reader, $own->{id}, event_types => ['customer.updated', 'customer.deleted']), 200, 'to others it may read');
    is_answer(change($reader, $own->{id}, event_types => ['portal_item.created']), 403, $unreadable, 'not to one it may not');
    is_answer(change($reader, $own->{id}, event_types => undef), 403, $unreadable, 'nor to all');
    my $all = endpoint($token);
    is_answer(change($reader, $all->{id}, url => 'https://elsewhere.example.com/'), 403, $unreadable, 'another\'s events are not sent elsewhere');
    is($t->value('SELECT url FROM portal.webhook_endpoints WHERE id = ?', $all->{id}), $all->{url}, 'nothing was written');
    my $pays = $t->token($acme, qw(webhooks:write payments:read));
    is_status(create($pays, event_types => ['payment.updated']), 201, 'payments need payments:read');
    is_status(create($t->token($acme, qw(webhooks:write client_portal:write)), event_types => ['portal_item.created', 'client_portal.token_created']), 201);
    is_status(create($t->token($acme, qw(webhooks:write file_sharing:read)), event_types => ['file_sharing_session.payment_received']), 201);
};

subtest 'changed and deleted' => sub {
    my $one = endpoint($token, event_types => ['customer.created']);
    my $response = change($token, $one->{id}, enabled => false);
    is_status($response, 200);
    is_deeply([keys_of($response)], \@members);
    my $row = json_of($response);
    ok(!$row->{enabled} && $row->{modified_at}, 'disabled');
    is_deeply($row->{event_types}, ['customer.created'], 'what is absent stays');
    is(json_of(change($token, $one->{id}, url => 'https://new.example.com/', event_types => undef))->{url}, 'https://new.example.com/');
    is_deeply(refusals(change($token, $one->{id}, url => 'https://10.2.0.1/', event_types => ['x'], enabled => 1)),
        ['value_error at body.url', 'enum at body.event_types.0', 'bool_type at body.enabled']);
    $t->db->do(q(UPDATE portal.webhook_endpoints SET disabled_reason = 'failing', failing_since = now() - interval '6 days', failures = 9,
        paused_until = now() + interval '1 h', last_failure_at = now() WHERE id = ?), undef, $one->{id});
    $row = json_of(change($token, $one->{id}, enabled => true));
    is_deeply([@$row{qw(disabled_reason failing_since paused_until)}], [undef, undef, undef], 'enabled again: a clean slate');
    is_answer($t->delete("$endpoints/$one->{id}", token => $token), 204, '');
    is_answer($t->get("$endpoints/$one->{id}", token => $token), 404, $not_found, 'gone');
    is_answer($t->delete("$endpoints/$one->{id}", token => $token), 404, $not_found, 'once');
    is_answer(change($token, $one->{id}, enabled => true), 404, $not_found);
    is_answer($t->patch("$endpoints/$one->{id}/secret", token => $token), 404, $not_found);
    is_answer($t->post("$endpoints/$one->{id}/test", token => $token), 404, $not_found);
    is($t->value('SELECT count(*) FROM portal.webhook_secrets WHERE endpoint_id = ?', $one->{id}), 0, 'its secrets with it');
    is_answer($t->get("$endpoints/$unknown", token => $token), 404, $not_found, 'unknown');
    is_status($t->get("$endpoints/nonsense", token => $token), 422, 'no id');
};

subtest 'the secret is rotated' => sub {
    my $one = endpoint($token);
    my $response = $t->patch("$endpoints/$one->{id}/secret", token => $token);
    is_status($response, 200);
    is_deeply([keys_of($response)], [@members, 'secret']);
    isnt(json_of($response)->{secret}, $one->{secret}, 'a new one');
    my $living = sub { $t->db->selectcol_arrayref(q(SELECT coalesce(extract(epoch FROM expires_at - now())::int, 0) FROM portal.webhook_secrets
        WHERE endpoint_id = ? ORDER BY expires_at DESC NULLS FIRST), undef, $one->{id}) };
    is_deeply($living->(), [0, 86400], 'the old one signs for a day');
    my $own = 'whsec_' . encode_base64('q' x 64, '');
    is(json_of($t->patch("$endpoints/$one->{id}/secret", token => $token, json => { secret => $own }))->{secret}, $own, 'one of its own');
    is_deeply($living->(), [0, 86400], 'never more than two');
    is_deeply(refusals($t->patch("$endpoints/$one->{id}/secret", token => $token, json => { secret => 'whsec_x' })), ['value_error at body.secret']);
    my @answers = $t->at_once(($t->bytes(PATCH => "$endpoints/$one->{id}/secret", token => $token)) x 6);
    is(scalar(grep { $_->code == 200 } @answers), 6, 'six at once');
    is_deeply($living->(), [0, 86400], 'and still two');
};

subtest 'Idempotency-Key' => sub {
    my $post = sub { my ($key, %json) = @_; $t->post($endpoints, token => $token, json => { url => 'https://key.example.com/', %json }, headers => { 'Idempotency-Key' => $key }) };
    my $first = $post->('k');
    is_status($first, 201);
    is_answer($post->('k'), 201, json_of($first), 'the same again, secret included');
    is_status($post->('k', url => 'https://other.example.com/'), 422, 'another payload');
    my @answers = $t->at_once(($t->bytes(POST => $endpoints, token => $token, json => { url => 'https://many.example.com/' }, headers => { 'Idempotency-Key' => 'many' })) x 6);
    my %ids = map { json_of($_)->{id} => 1 } grep { $_->code == 201 } @answers;
    is(scalar keys %ids, 1, 'six at once make one');
    my $id = json_of($first)->{id};
    my $test = sub { $t->post("$endpoints/$id/test", token => $token, headers => { 'Idempotency-Key' => 't' }) };
    my $sent = $test->();
    is_status($sent, 202);
    is_answer($test->(), 202, json_of($sent), 'one test');
    is_status($t->delete("$endpoints/$id", token => $token), 204);
    isnt(json_of($post->('k'))->{id}, $id, 'the key is free when the endpoint is gone');
};

subtest 'what is queued' => sub {
    my $ws = $t->workspace;
    my $by = $t->token($ws);
    my $all = endpoint($by);
    my $some = endpoint($by, event_types => ['customer.created']);
    my $off = endpoint($by, enabled => false);
    my $customer = json_of($t->post('/api/customers/', token => $by, json => { email => 'Zoe@example.com' }));
    $t->patch("/api/customers/$customer->{id}", token => $by, json => { name => 'Zoë' });
    my $list = deliveries('', $by);
    is_deeply([sort map { "$_->{type} " . ($_->{endpoint_id} eq $all->{id} ? 'all' : 'some') } @$list],
        ['customer.created all', 'customer.created some', 'customer.updated all'], 'of each event one for each endpoint that takes it');
    is_deeply([keys_of($t->get('/api/webhooks/deliveries?limit=1', token => $by), 'data', '')], \@delivery);
    like($list->[0]{event_id}, qr/^evt_[0-9a-f-]{36}$/, 'the event\'s id');
    is_deeply([@{ $list->[0] }{qw(state attempts finished_at log)}], ['pending', 0, undef, []]);
    ok($list->[0]{next_attempt_at}, 'due');

    my ($created) = grep { $_->{type} eq 'customer.created' } @$list;
    is(scalar @{ deliveries("?endpoint_id=$some->{id}", $by) }, 1, 'by endpoint');
    is(scalar @{ deliveries("?event_id=$created->{event_id}", $by) }, 2, 'by event');
    is(scalar @{ deliveries('?event_id=' . substr($created->{event_id}, 4), $by) }, 2, 'or its uuid');
    is(scalar @{ deliveries('?event_id=evt_nonsense', $by) }, 0, 'no such event');
    is(scalar @{ deliveries('?type=customer.updated', $by) }, 1, 'by type');
    is(scalar @{ deliveries('?state=pending', $by) }, 3, 'by state');
    is(scalar @{ deliveries('?state=failed', $by) }, 0);
    is_deeply(refusals($t->get('/api/webhooks/deliveries?state=x&type=y&endpoint_id=z&page=0', token => $by)),
        ['greater_than at query.page', 'uuid_parsing at query.endpoint_id', 'enum at query.type', 'enum at query.state']);

    my $before = $t->value('SELECT count(*) FROM portal.webhook_deliveries');
    $t->db->begin_work;
    announce($ws, 'customer.updated', id => $customer->{id});
    is($t->value('SELECT count(*) FROM portal.webhook_deliveries'), $before + 1, 'in the transaction of the change');
    $t->db->rollback;
    is($t->value('SELECT count(*) FROM portal.webhook_deliveries'), $before, 'nothing rolled back is told');
};

subtest 'a test' => sub {
    my $one = endpoint($token, event_types => ['payment.updated']);
    my $response = $t->post("$endpoints/$one->{id}/test", token => $token);
    is_status($response, 202);
    is_deeply([keys_of($response)], \@delivery);
    is_deeply([@{ json_of($response) }{qw(type endpoint_id state)}], ['webhook.test', $one->{id}, 'pending'], 'to this endpoint, whatever it takes');
    is(scalar @{ deliveries('?event_id=' . json_of($response)->{event_id}) }, 1, 'and to no other');
    is_status(change($token, $one->{id}, enabled => false), 200);
    is_answer($t->post("$endpoints/$one->{id}/test", token => $token), 403, '{"error":"NotPermitted","detail":"The endpoint is disabled."}');
};

subtest 'redelivered' => sub {
    my $ws = $t->workspace;
    my $by = $t->token($ws);
    my $one = endpoint($by);
    my $event = announce($ws, 'customer.created', id => $unknown)->{id};
    my $late = endpoint($by);
    my $other_type = endpoint($by, event_types => ['payment.updated']);
    my $again = sub { $t->post("/api/webhooks/events/$_[0]/redeliver", token => $by, @_ > 1 ? (json => $_[1]) : ()) };
    $t->db->do("UPDATE portal.webhook_deliveries SET state = 'succeeded', attempts = 3, finished_at = now() WHERE event_id = ?", undef, $event);
    my $response = $again->("evt_$event");
    is_status($response, 202);
    my $sent = json_of($response)->{deliveries};
    is_deeply([sort map { $_->{endpoint_id} } @$sent], [sort $one->{id}, $late->{id}], 'to all that take it, those that came later too');
    is_deeply([map { "$_->{event_id} $_->{state} $_->{attempts}" } @$sent], [("evt_$event pending 0") x 2], 'under the same id, with a schedule of its own');
    is(scalar @{ json_of($again->($event, { endpoint_id => $late->{id} }))->{deliveries} }, 1, 'to one of them');
    is(scalar @{ json_of($again->($event, { endpoint_id => $other_type->{id} }))->{deliveries} }, 0, 'not to one that does not take it');
    is(scalar @{ json_of($again->($event, { endpoint_id => $unknown }))->{deliveries} }, 0, 'nor to one that is none');
    $t->db->do('UPDATE portal.webhook_deliveries SET lease_owner = gen_random_uuid() WHERE endpoint_id = ?', undef, $late->{id});
    is(scalar @{ json_of($again->($event))->{deliveries} }, 1, 'what is being sent is left alone');
    $t->db->do('DELETE FROM portal.events WHERE id = ?', undef, $event);
    is(scalar @{ json_of($again->($event))->{deliveries} }, 1, 'when the event itself is gone, too');
    is_answer($again->($unknown), 404, $not_found, 'an event that is none');
    is_status($again->('evt_nonsense'), 422, 'no id');
    is_deeply(refusals($again->($event, { endpoint_id => 'x' })), ['uuid_parsing at body.endpoint_id']);
    is_deeply(refusals($again->('evt_x', { endpoint_id => 'x' })), ['uuid_parsing at path.id', 'uuid_parsing at body.endpoint_id'], 'the path\'s, too');
    is_deeply(refusals(change($token, 'x', enabled => 7)), ['uuid_parsing at path.id', 'bool_type at body.enabled'], 'of a change, too');
    my $test = json_of($t->post("$endpoints/$one->{id}/test", token => $by));
    is(scalar @{ json_of($again->($test->{event_id}))->{deliveries} }, 1, 'a test goes to its own endpoint alone');
};

subtest 'an erased customer' => sub {
    my $ws = $t->workspace;
    my $by = $t->token($ws);
    endpoint($by);
    my $customer = json_of($t->post('/api/customers/', token => $by, json => { email => 'gone@example.com', name => 'Gone Girl' }));
    my $delivery = $t->row('SELECT * FROM portal.webhook_deliveries WHERE workspace_id = ?', $ws->{id});
    like($delivery->{data}, qr/Gone Girl/, 'told of');
    my $contact = $t->contact($ws, customer_id => $customer->{id}, email => 'gone@example.com');
    is_status($t->post('/api/portal-items/', token => $by, json => { contact_id => $contact->{id}, module => 'invoices', external_id => 'i1', title => 'Invoice of Gone Girl', status => 'open' }), 201);
    $t->insert('webhook_attempts', { workspace_id => $ws->{id}, delivery_id => $delivery->{id}, status => 500, duration_ms => 1, answer => 'no Gone Girl here' });
    is_status($t->delete("/api/customers/$customer->{id}?anonymize=true", token => $by), 204);
    my $rest = join ' ', map { @$_ } @{ $t->db->selectall_arrayref('SELECT coalesce(data::text, \'\') FROM portal.webhook_deliveries WHERE workspace_id = ?', undef, $ws->{id}) };
    unlike($rest, qr/Gone Girl|gone\@example/, 'wiped');
    is($t->value('SELECT answer FROM portal.webhook_attempts WHERE workspace_id = ?', $ws->{id}), undef, 'and what was answered');
};

subtest 'the list' => sub {
    my $ws = $t->workspace;
    my $by = $t->token($ws);
    my @made = map { endpoint($by)->{id} } 1 .. 3;
    my $reader = $t->token($ws, 'webhooks:read');
    my $body = json_of($t->get("$endpoints?limit=2", token => $reader));
    is_deeply([map { $_->{id} } @{ $body->{data} }], [@made[2, 1]], 'newest first');
    is_deeply($body->{meta}, { total => 3, page => 1, per_page => 2, pages => 2 });
    is_status($t->get("$endpoints?page=0", token => $reader), 422);
    $t->db->do(q(INSERT INTO portal.webhook_endpoints (workspace_id, url) SELECT ?, 'https://example.com/' FROM generate_series(1, 97)), undef, $ws->{id});
    is_answer(create($by), 403, '{"error":"NotPermitted","detail":"A workspace has at most 100 webhook endpoints."}', 'a bounded number');
};

subtest 'another workspace' => sub {
    my $theirs = endpoint($t->token($other));
    my $event = announce($other, 'customer.created', id => $unknown)->{id};
    is_answer($t->get("$endpoints/$theirs->{id}", token => $token), 404, $not_found);
    is_answer(change($token, $theirs->{id}, enabled => false), 404, $not_found);
    is_answer($t->delete("$endpoints/$theirs->{id}", token => $token), 404, $not_found);
    is_answer($t->patch("$endpoints/$theirs->{id}/secret", token => $token), 404, $not_found);
    is_answer($t->post("$endpoints/$theirs->{id}/test", token => $token), 404, $not_found);
    is_answer($t->post("/api/webhooks/events/$event/redeliver", token => $token), 404, $not_found);
    is(scalar @{ deliveries("?endpoint_id=$theirs->{id}") }, 0);
    is(scalar @{ deliveries("?event_id=$event") }, 0);
    is($t->value('SELECT count(*) FROM portal.webhook_deliveries WHERE endpoint_id = ?', $theirs->{id}), 1, 'only its own event');
};

my $wrong = WrongCallers->new($t, $acme);
my $victim = endpoint($token)->{id};
my $event = announce($acme, 'customer.created', id => $unknown)->{id};
$wrong->refused(GET => $endpoints, 'webhooks:read');
$wrong->refused(POST => $endpoints, 'webhooks:write', json => { url => 'https://example.com/' });
$wrong->refused(GET => "$endpoints/$victim", 'webhooks:read');
$wrong->refused(PATCH => "$endpoints/$victim", 'webhooks:write', json => { enabled => false });
$wrong->refused(DELETE => "$endpoints/$victim", 'webhooks:write');
$wrong->refused(PATCH => "$endpoints/$victim/secret", 'webhooks:write', json => {});
$wrong->refused(POST => "$endpoints/$victim/test", 'webhooks:write');
$wrong->refused(GET => '/api/webhooks/deliveries', 'webhooks:read');
$wrong->refused(POST => "/api/webhooks/events/$event/redeliver", 'webhooks:write', json => {});

$t->done;
