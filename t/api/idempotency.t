# Idempotency-Key: a repeated POST by bearer does its work once.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new(http => 'portal_invite_wait 2s;');
my $ws = $t->workspace;
my $token = $t->token($ws);
my $customer = $t->customer($ws);
my $sessions = '/api/customer-sessions/';
my $count = sub { $t->value('SELECT count(*) FROM portal.customer_sessions') };
sub create { my ($key, $json, %o) = @_;
    $t->post($sessions, token => $o{token} // $token, json => $json, headers => { 'Idempotency-Key' => $key }) }

subtest 'the same request again replays the answer' => sub {
    my $first = create('one', { customer_id => $customer->{id} });
    is_status($first, 201);
    my $second = create('one', { customer_id => $customer->{id} });
    is_answer($second, 201, json_of($first), 'the same, token included');
    is($count->(), 1, 'one session');
    is_status(create('two', { customer_id => $customer->{id} }), 201, 'another key');
    is($count->(), 2, 'another session');
};

subtest 'another payload under the key is 422' => sub {
    is_status(create('one', { customer_id => $customer->{id}, return_url => 'https://example.com/' }), 422);
    is($count->(), 2, 'nothing made');
};

subtest 'a failure is not kept' => sub {
    is_status(create('late', { customer_id => '8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001' }), 422);
    is_status(create('late', { customer_id => $customer->{id} }), 201, 'the key is still free');
};

subtest 'keys belong to a token, a path and a workspace' => sub {
    my $other = $t->workspace;
    my $foreign = $t->customer($other);
    my $before = $count->();
    is_status(create('one', { customer_id => $foreign->{id} }, token => $t->token($other)), 201, 'another workspace');
    is_status(create('one', { customer_id => $customer->{id} }, token => $t->token($ws)), 201, 'another token');
    is($count->(), $before + 2, 'two sessions');
};

subtest 'what was revoked is not replayed' => sub {
    my $first = json_of(create('ended', { customer_id => $customer->{id} }));
    is_status($t->delete("$sessions$first->{id}", token => $token), 204);
    my $again = create('ended', { customer_id => $customer->{id} });
    is_status($again, 201);
    isnt(json_of($again)->{id}, $first->{id}, 'a new one');
};

subtest 'ten at once make one' => sub {
    my $before = $count->();
    my @answers = $t->at_once(($t->bytes(POST => $sessions, token => $token, json => { customer_id => $customer->{id} },
        headers => { 'Idempotency-Key' => 'parallel' })) x 10);
    my %ids = map { json_of($_)->{id} => 1 } grep { $_->code == 201 } @answers;
    is(scalar keys %ids, 1, 'one id');
    is(scalar(grep { $_->code != 201 && $_->code != 409 } @answers), 0, '201 or 409')
        or diag join ' ', map { $_->code } @answers;
    is($count->(), $before + 1, 'one session');
};

subtest 'invitations are mailed once' => sub {
    my $contact = $t->contact($ws);
    my $invite = sub { my ($message) = @_; $t->post("/api/v1/client-portal/contacts/$contact->{id}/invite", token => $token,
        json => { custom_message => $message }, headers => { 'Idempotency-Key' => 'mail' }) };
    my $first = $invite->('Hello');
    is_status($first, 200);
    is_answer($invite->('Hello'), 200, json_of($first), 'replayed');
    is(scalar $t->mail_files, 1, 'one mail');
    is_status($invite->('Other'), 422, 'another payload');
    is(scalar $t->mail_files, 1, 'still one mail');
};

subtest 'portal tokens and member sessions' => sub {
    my $contact = $t->contact($ws);
    my $ask = sub { $t->post('/api/v1/client-portal/token', token => $token, json => { type => 'contact', id => $contact->{id},
        rotate => true }, headers => { 'Idempotency-Key' => 'rotate' }) };
    my $first = json_of($ask->());
    is(json_of($ask->())->{token}, $first->{token}, 'rotated once');
    my $club = $t->workspace(member_model => 1);
    my $member = $t->member($t->customer($club));
    my $club_token = $t->token($club);
    my @made = map { json_of($t->post('/api/member-sessions/', token => $club_token, json => { member_id => $member->{id} },
        headers => { 'Idempotency-Key' => 'm' })) } 1 .. 2;
    is_deeply($made[1], $made[0], 'one member session');
};

subtest 'a repetition is answered whatever has been set since' => sub {
    my $shop = $t->workspace(slug => 'shop');
    my $owner = $t->customer($shop, type => 'team');
    my $shop_token = $t->token($shop);
    my $set = sub { my ($json) = @_; is_status($t->patch("/api/workspaces/$shop->{id}", token => $shop_token, json => $json), 200, join ' ', %$json) };
    my $ask = sub { my ($path, %json) = @_; $t->post($path, token => $shop_token, json => { return_url => 'https://old.example/', %json },
        headers => { 'Idempotency-Key' => 'settings' }) };
    my $plain = $ask->($sessions, customer_id => $owner->{id});
    $set->({ feature_settings => { member_model_enabled => JSON::XS::true } });
    my $member = $t->member($owner);
    my $of_member = $ask->('/api/member-sessions/', member_id => $member->{id});
    is_status($_, 201) for $plain, $of_member;
    $set->({ return_hosts => ['new.example'] });
    is_answer($ask->($sessions, customer_id => $owner->{id}), 201, json_of($plain), 'members are wanted, from other hosts');
    is_answer($ask->('/api/member-sessions/', member_id => $member->{id}), 201, json_of($of_member), 'a member\'s');
    $set->({ feature_settings => { member_model_enabled => JSON::XS::false } });
    is_answer($ask->('/api/member-sessions/', member_id => $member->{id}), 201, json_of($of_member), 'without members');
    is_status($t->post('/api/member-sessions/', token => $shop_token, json => { member_id => $member->{id} },
        headers => { 'Idempotency-Key' => 'new' }), 403, 'another key finds what is set');
};

subtest 'of what a state or the time would refuse now' => sub {
    my $club = $t->workspace(member_model => 1);
    my $maker = $t->token($club);
    my $post = sub { my ($path, $key, %json) = @_; $t->post($path, token => $maker, headers => { 'Idempotency-Key' => $key }, %json ? (json => \%json) : ()) };
    my $again = sub { my ($first, $name, @request) = @_;
        is_answer($post->($request[0], 'kept', @request[1 .. $#request]), $first->code, json_of($first), "$name, again");
        is_status($post->($request[0], 'fresh', @request[1 .. $#request]), 403, '  but not anew') };

    my @access = ('/api/workspace-access-tokens', comment => 'x', scopes => ['customers:read'], expires_in => 3600);
    my $made = $post->($access[0], 'kept', @access[1 .. $#access]);
    is_status($made, 201);
    my $ends = sub { $t->db->do('UPDATE portal.workspace_access_tokens SET expires_at = now() + ?::interval WHERE id = ?', undef, $_[0], $t->token_id($maker)) };
    $ends->('50 min');
    $again->($made, 'a token whose life was short enough', @access);
    $ends->('1 day');

    my @hook = ('/api/webhooks/endpoints', url => 'https://hooks.example.com/');
    my $endpoint = $post->($hook[0], 'kept', @hook[1 .. $#hook]);
    is_status($endpoint, 201);
    $t->insert('webhook_endpoints', { workspace_id => $club->{id}, url => "https://hooks.example.com/$_" }) for 2 .. 100;
    $again->($endpoint, 'an endpoint there was room for', @hook);

    my @test = ("/api/webhooks/endpoints/" . json_of($endpoint)->{id} . '/test');
    my $sent = $post->($test[0], 'kept');
    is_status($sent, 202);
    $t->db->do('UPDATE portal.webhook_endpoints SET enabled = false WHERE workspace_id = ?', undef, $club->{id});
    my $repeated = $post->($test[0], 'kept');
    is_status($repeated, 202, 'a test of an endpoint that was enabled, again');
    is(json_of($repeated)->{id}, json_of($sent)->{id}, '  the same');
    is_status($post->($test[0], 'fresh'), 403, '  but not anew');

    my @member = ('/api/members', customer_id => $t->customer($club)->{id}, email => 'kept@example.com');
    my $member = $post->($member[0], 'kept', @member[1 .. $#member]);
    is_status($member, 201);
    is_status($t->patch("/api/workspaces/$club->{id}", token => $maker, json => { feature_settings => { member_model_enabled => JSON::XS::false } }), 200);
    $again->($member, 'a member of when there were members', @member);
    is_status($t->post('/api/members', token => $maker, json => {}), 403, 'without a key the model is looked at first');
};

subtest 'what is kept holds no token in clear' => sub {
    my $rows = $t->db->selectall_arrayref('SELECT * FROM portal.idempotency_keys');
    unlike(join(' ', map { map { $_ // '' } @$_ } @$rows), qr/portal_(?:cst|mst|cpt)_/, 'none');
};

subtest 'keys that are none' => sub {
    my $try = sub { create($_[0], { customer_id => $customer->{id} }) };
    for (['k' x 256, 'string_too_long', 'too long'], ['', 'string_too_short', 'empty'], ["k\x{e4}", 'value_error', 'not ASCII'], ["k\x01", 'value_error', 'a control character']) {
        my ($key, $type, $name) = @$_;
        my $response = $try->($key);
        is_status($response, 422, $name);
        is_deeply([map { $_->{type}, @{ $_->{loc} } } @{ json_of($response)->{detail} }], [$type, 'header', 'Idempotency-Key'], "$name: told");
    }
    is_status($try->('k' x 255), 201, '255 is fine');
    is_status($try->(' ~'), 201, 'and what is printable');
};

$t->done;
