# /api/customers/: create, read, change, delete, list.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;
use WrongCallers;

my $t = PortalTest->new;
my $acme = $t->workspace;
my $club = $t->workspace(member_model => 1);
my $other = $t->workspace;
my ($token, $club_token, $other_token) = map { $t->token($_) } $acme, $club, $other;
my $path = '/api/customers/';
my $unknown = '8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001';
my $not_found = '{"error":"ResourceNotFound","detail":"Not found"}';
my @members = qw(id created_at modified_at metadata external_id email email_verified name billing_address workspace_id
    deleted_at avatar_url type members);
my $uuid = qr/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

sub create { my (%json) = @_; $t->post($path, token => $token, json => \%json) }
sub change { my ($id, %json) = @_; $t->patch("$path$id", token => $token, json => \%json) }
# a 422's problems as "type at loc: msg"
sub problems {
    my ($response, $expected, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_status($response, 422, "$name: status");
    is_deeply([map { "$_->{type} at " . join('.', @{ $_->{loc} }) . ": $_->{msg}" } @{ json_of($response)->{detail} // [] }],
        $expected, $name) or diag $response->content;
}

subtest 'created' => sub {
    my $response = create(email => 'Mike@EXAMPLE.com', external_id => 'cus_1', name => 'Mike', metadata => { plan => 'pro', seats => 3 },
        billing_address => { country => 'us', state => 'ny', line1 => 'Main St 1' });
    is_status($response, 201);
    is_deeply([keys_of($response)], \@members, 'members in order');
    my $made = json_of($response);
    like($made->{id}, $uuid);
    is($made->{modified_at}, undef, 'not changed yet');
    is($made->{email}, 'Mike@example.com', 'domain in lower case');
    is($made->{type}, 'individual', 'the default');
    is_deeply($made->{metadata}, { plan => 'pro', seats => 3 });
    is_deeply($made->{billing_address}, { country => 'US', line1 => 'Main St 1', line2 => undef, postal_code => undef,
        city => undef, state => 'US-NY' });
    is($made->{workspace_id}, $acme->{id});
    is_deeply($made->{members}, [], 'no member without the member model');
    is_answer($t->get("$path$made->{id}", token => $token), 200, $made, 'by id');
    is_answer($t->get('/api/customers/external/cus_1', token => $token), 200, $made, 'by external id');
    is_answer($t->get($path . uc $made->{id} =~ s/-//gr, token => $token), 200, $made, 'an id in upper case, without hyphens');
    is($t->request(HEAD => "$path$made->{id}", token => $token)->code, 200, 'HEAD');
    is($t->value("SELECT type FROM portal.events WHERE data->>'id' = ?", $made->{id}), 'customer.created', 'announced');
};

subtest 'with its owner, under the member model' => sub {
    my $one = json_of($t->post($path, token => $club_token, json => { email => 'ann@example.com', name => 'Ann' }));
    is_deeply([map { "$_->{role} $_->{email} $_->{name}" } @{ $one->{members} }], ['owner ann@example.com Ann']);
    my $team = json_of($t->post($path, token => $club_token, json => { email => 'team@example.com', type => 'team',
        owner => { email => 'boss@example.com', name => 'Boss', external_id => 'm1' } }));
    is_deeply([keys_of($t->get("$path$team->{id}", token => $club_token), 'members', '')],
        [qw(id created_at modified_at workspace_id customer_id external_id email name role)], 'a member, in order');
    is_deeply([map { "$_->{role} $_->{email} $_->{external_id}" } @{ $team->{members} }], ['owner boss@example.com m1']);
};

subtest 'refused' => sub {
    my $before = $t->value('SELECT count(*) FROM portal.customers');
    problems(create(email => 'mIKE@example.com'), ['value_error at body.email: A customer with this email address already exists.'], 'an address in another case');
    problems(create(email => 'x@example.com', external_id => 'cus_1'),
        ['value_error at body.external_id: A customer with this external ID already exists.'], 'an external id');
    problems(create(email => 'MIKE@example.com', external_id => 'cus_1'),
        ['value_error at body.email: A customer with this email address already exists.',
         'value_error at body.external_id: A customer with this external ID already exists.'], 'both at once');
    problems(create(), ['missing at body.email: Field required'], 'no address');
    problems(create(email => 'x', name => 'n' x 257, external_id => '', type => 'gang', metadata => [], owner => { email => 7 }),
        ['value_error at body.email: value is not a valid email address: An email address must have an @-sign.',
         'string_too_short at body.external_id: String should have at least 1 character',
         'string_too_long at body.name: String should have at most 256 characters',
         "enum at body.type: Input should be 'individual' or 'team'",
         'dict_type at body.metadata: Input should be a valid dictionary',
         'string_type at body.owner.email: Input should be a valid string'], 'every problem at once');
    problems(create(email => 'x@example.com', metadata => { map { ("k$_" => 1) } 1 .. 51 }),
        ['value_error at body.metadata: Metadata has at most 50 keys.'], '51 keys');
    problems(create(email => 'x@example.com', billing_address => { country => 'US', state => 'XX' }),
        ['value_error at body.billing_address.state: Invalid US state'], 'a state');
    problems($t->post($path, token => $token, body => '{"email":'), ['json_invalid at body.9: JSON decode error'], 'no JSON');
    problems($t->post($path, token => $token, body => '[]'),
        ['model_attributes_type at body: Input should be a valid dictionary or object to extract fields from'], 'no object');
    problems($t->post($path, token => $token, body => '{"email":"a\u0000@example.com"}'),
        ['string_unicode at body.email: Input should be a valid string, unable to parse raw data as a unicode string'], 'NUL');
    is_answer($t->post($path, token => $token, body => 'x' x 70_000), 413, '{"detail":"Request Entity Too Large"}', 'too large')
        or diag $t->post($path, token => $token, body => 'x' x 70_000)->content;
    is($t->value('SELECT count(*) FROM portal.customers'), $before, 'nothing was made');
    is_status($t->post($path, token => $other_token, json => { email => 'Mike@example.com', external_id => 'cus_1' }), 201,
        'another workspace has its own');
    is_status(create(email => "mi\x{212A}e\@example.com"), 201, 'a look-alike letter is another address');
    is_status(create(email => 'meta@example.com', metadata => { map { ("k$_" => 1) } 1 .. 50 }, name => 'n' x 256), 201, 'the edges');
};

subtest 'ten at once make one' => sub {
    my @answers = $t->at_once(($t->bytes(POST => $path, token => $token, json => { email => 'race@example.com' })) x 10);
    is(join(' ', sort map { $_->code } @answers), join(' ', 201, (422) x 9));
};

subtest 'Idempotency-Key' => sub {
    my $post = sub { my ($key, %json) = @_; $t->post($path, token => $token, json => \%json, headers => { 'Idempotency-Key' => $key }) };
    my $first = $post->('k', email => 'key@example.com');
    is_status($first, 201);
    is_answer($post->('k', email => 'key@example.com'), 201, json_of($first), 'the same again');
    problems($post->('k', email => 'other@example.com'), ['value_error at header.Idempotency-Key: This key was already used with another payload.'], 'another payload');
    problems($post->('k2', email => 'key@example.com'), ['value_error at body.email: A customer with this email address already exists.'], 'another key');
    is_status($post->('k2', email => 'key2@example.com'), 201, 'what was refused did not take the key');
    my @answers = $t->at_once(($t->bytes(POST => $path, token => $token, json => { email => 'many@example.com' },
        headers => { 'Idempotency-Key' => 'many' })) x 10);
    my %ids = map { json_of($_)->{id} => 1 } grep { $_->code == 201 } @answers;
    is(scalar keys %ids, 1, 'ten at once make one');
    is(scalar(grep { $_->code != 201 && $_->code != 409 } @answers), 0, '201 or 409') or diag join ' ', map { $_->code } @answers;
    # one key, two addresses that another request takes at the same time: nobody is left with a key that made nothing
    @answers = $t->at_once(map { my $n = $_; map { $t->bytes(POST => $path, token => $token, json => { email => "pair$n\@example.com" },
        headers => $_ ? { 'Idempotency-Key' => "pair$n" } : {}) } 0, 1 } 1 .. 5);
    is(scalar(grep { $_->code == 201 } @answers), 5, 'one of each pair') or diag join ' ', map { $_->code } @answers;
    is($t->value("SELECT count(*) FROM portal.idempotency_keys k WHERE path = '/api/customers' AND NOT EXISTS
        (SELECT FROM portal.customers c WHERE c.id = k.resource_id)"), 0, 'every key made something');
    is_status($t->delete($path . json_of($first)->{id}, token => $token), 204);
    my $again = $post->('k', email => 'key@example.com');
    is_status($again, 201, 'the key is free when what it made is gone');
    isnt(json_of($again)->{id}, json_of($first)->{id}, 'another customer');
};

subtest 'changed' => sub {
    my $made = json_of(create(email => 'change@example.com', name => 'Before', metadata => { a => 1 }, billing_address => { country => 'AD' }));
    my $id = $made->{id};
    $t->db->do('UPDATE portal.customers SET email_verified = true WHERE id = ?', undef, $id);
    my $response = change($id);
    is_status($response, 200, 'nothing named');
    is(json_of($response)->{name}, 'Before', 'what is absent stays');
    is_deeply(json_of($response)->{billing_address}{country}, 'AD', 'and the address');
    $response = change($id, name => 'After', external_id => 'ext-1', metadata => { b => '2' }, email => 'CHANGE@example.com');
    is_status($response, 200);
    is_deeply([keys_of($response)], \@members, 'members in order');
    my $changed = json_of($response);
    is($changed->{name}, 'After');
    is($changed->{email}, 'CHANGE@example.com', 'its own address in another case');
    ok($changed->{email_verified}, 'which is as proven as before');
    is_deeply($changed->{metadata}, { b => '2' }, 'metadata are replaced');
    ok($changed->{modified_at}, 'modified_at');
    ok(!json_of(change($id, email => 'changed@example.com'))->{email_verified}, 'another address is not proven');
    $changed = json_of(change($id, name => undef, billing_address => undef, metadata => undef));
    is_deeply([@$changed{qw(name billing_address metadata)}], [undef, undef, {}], 'null removes');
    is(json_of(change($id, external_id => 'ext-1'))->{external_id}, 'ext-1', 'the external id it has');
    is(json_of($t->patch('/api/customers/external/ext-1', token => $token, json => { type => 'team' }))->{type}, 'team', 'by external id');
    problems(change($id, external_id => 'ext-2', type => 'individual', email => 'mike@EXAMPLE.com'),
        ['value_error at body.email: A customer with this email address already exists.',
         'value_error at body.external_id: Customer external ID cannot be updated.',
         "value_error at body.type: Customer type cannot be downgraded from 'team' to 'individual'."], 'every rule at once');
    problems(change($id, external_id => undef), ['value_error at body.external_id: Customer external ID cannot be updated.'], 'not removed either');
    problems(change($id, type => undef), ["value_error at body.type: Customer type cannot be downgraded from 'team' to 'individual'."], 'nor the type');
    problems(change($id, email => undef, name => 7), ['string_type at body.email: Input should be a valid string',
        'string_type at body.name: Input should be a valid string'], 'wrong types');
    my $second = json_of(create(email => 'second@example.com'));
    problems(change($second->{id}, external_id => 'ext-1'), ['value_error at body.external_id: A customer with this external ID already exists.'], 'a taken external id');
    is_answer(change($unknown, name => 'x'), 404, $not_found, 'unknown');
    problems(change('nonsense', name => 'x'), ['uuid_parsing at path.id: Input should be a valid UUID, invalid character: expected an optional prefix of `urn:uuid:` followed by [0-9a-fA-F-], found `n` at 1'], 'no id');
    problems(change('8d0f0e7c-5a4f-1b1e-9d57-3f1c5bb0a001', name => 'x'), ['uuid_version at path.id: UUID version 4 expected'], 'not version 4');
    problems(change('8d0f0e7c-5a4f-1b1e-9d57-3f1c5bb0a001', type => 'gang'), ['uuid_version at path.id: UUID version 4 expected',
        "enum at body.type: Input should be 'individual' or 'team'"], 'the path\'s and the body\'s');
    problems($t->delete("${path}8d0f0e7c-5a4f-1b1e-9d57-3f1c5bb0a001?anonymize=x", token => $token), ['uuid_version at path.id: UUID version 4 expected',
        'bool_parsing at query.anonymize: Input should be a valid boolean, unable to interpret input'], 'the query\'s');
    is($t->value("SELECT string_agg(type, ' ' ORDER BY timestamp) FROM portal.events WHERE data->>'id' = ? AND type <> 'customer.created'
        GROUP BY data->>'id'", $second->{id}), undef, 'what was refused is not told');
};

subtest 'ten changes to one address at once' => sub {
    my @ids = map { json_of(create(email => "crowd$_\@example.com"))->{id} } 1 .. 10;
    my @answers = $t->at_once(map { $t->bytes(PATCH => "$path$_", token => $token, json => { email => 'crowd@example.com' }) } @ids);
    is(join(' ', sort map { $_->code } @answers), join(' ', 200, (422) x 9), 'one has it');
    # done() looks for the address in PostgreSQL's log
};

subtest 'deleted' => sub {
    my $made = json_of(create(email => 'gone@example.com', external_id => 'gone'));
    my $session = $t->session($t->row('SELECT * FROM portal.customers WHERE id = ?', $made->{id}));
    my $link = $t->get('/api/customers/', token => $session);
    is_status($link, 401, 'the session is the wrong kind, but known');
    is(json_of($link)->{error}, 'Unauthorized');
    is_answer($t->delete("$path$made->{id}", token => $token), 204, '', 'deleted');
    is(json_of($t->get('/api/customers/', token => $session))->{error}, 'invalid_token', 'its session is none from now on');
    is_answer($t->get("$path$made->{id}", token => $token), 404, $not_found, 'no longer there');
    is_answer($t->get('/api/customers/external/gone', token => $token), 404, $not_found, 'nor by external id');
    is_answer($t->delete("$path$made->{id}", token => $token), 404, $not_found, 'nor a second time');
    is_answer(change($made->{id}, name => 'x'), 404, $not_found, 'nor changed');
    ok($t->value('SELECT deleted_at FROM portal.customers WHERE id = ?', $made->{id}), 'the row is kept');
    is($t->value('SELECT email FROM portal.customers WHERE id = ?', $made->{id}), 'gone@example.com', 'as it was');
    is($t->value("SELECT count(*) FROM portal.events WHERE type = 'customer.deleted' AND data->>'id' = ?", $made->{id}), 1, 'announced');
    is_status(create(email => 'gone@example.com', external_id => 'gone'), 201, 'its address and external id are free');
    is_answer($t->delete('/api/customers/external/gone', token => $token), 204, '', 'by external id');
    is_answer($t->delete('/api/customers/external/gone', token => $token), 404, $not_found, 'once');
    problems($t->delete("$path$made->{id}?anonymize=maybe", token => $token),
        ['bool_parsing at query.anonymize: Input should be a valid boolean, unable to interpret input'], 'a bad flag');

    my $team = json_of($t->post($path, token => $club_token, json => { email => 'ends@example.com', type => 'team' }));
    my $member = $t->row('SELECT * FROM portal.members WHERE customer_id = ?', $team->{id});
    my $member_session = $t->session($member);
    is_status($t->delete("$path$team->{id}", token => $club_token), 204);
    is(json_of($t->get($path, token => $member_session))->{error}, 'invalid_token', 'members are signed out');
    ok($t->value('SELECT deleted_at FROM portal.members WHERE id = ?', $member->{id}), 'and gone');
    is($t->value('SELECT count(*) FROM portal.member_sessions WHERE member_id = ? AND revoked_at IS NULL', $member->{id}), 0, 'sessions end for good');
};

subtest 'other external ids' => sub {
    for my $id ('a b', 'ü&?#', 'export', "caf\x{e9}") {
        my $made = json_of(create(email => 'e' . ++$t->{made} . '@example.com', external_id => $id));
        my $escaped = join '', map { sprintf '%%%02X', $_ } unpack 'C*', Encode::encode('UTF-8', $id);
        is(json_of($t->get("/api/customers/external/$escaped", token => $token))->{id}, $made->{id}, $id);
    }
    is_answer($t->get('/api/customers/external/%FF%FE', token => $token), 404, $not_found, 'no UTF-8');
    is_answer($t->get('/api/customers/external/cus_1', token => $club_token), 404, $not_found, 'of another workspace');
};

subtest 'the list' => sub {
    my $ws = $t->workspace;
    my $reader = $t->token($ws, 'customers:read');
    my @made = map { $t->customer($ws, email => "$_->[0]\@example.com", name => $_->[1], external_id => "x-$_->[0]",
        metadata => $_->[2], created_at => "2026-01-0$_->[3]T00:00:00Z") }
        ['b', 'Zoe', '{"plan":"pro"}', 1], ['a', 'Yan', '{"plan":"free","seats":2}', 2], ['c', undef, '{}', 3];
    my $list = sub { my ($query) = @_; my $response = $t->get("/api/customers/$query", token => $reader); is_status($response, 200, $query);
        join ' ', map { $_->{email} =~ s/\@.*//r } @{ json_of($response)->{data} } };
    is($list->(''), 'c a b', 'newest first');
    my $whole = $t->get($path, token => $reader);
    is_deeply(json_of($whole)->{meta}, { total => 3, page => 1, per_page => 10, pages => 1 });
    is_deeply([keys_of($whole)], [qw(data meta)]);
    is($list->('?sorting=email'), 'a b c');
    is($list->('?sorting=-email'), 'c b a');
    is($list->('?sorting=name'), 'a b c', 'without a name last');
    is($list->('?sorting=created_at'), 'b a c');
    is($list->('?sorting=-name&sorting=email'), 'b a c');
    is($list->('?sorting=-name&sorting=name&sorting=-name&sorting=email'), 'b a c', 'repetitions count for nothing');
    is($list->('?email=A@EXAMPLE.com'), 'a', 'one address, in any case');
    is($list->('?email=a'), '', 'the whole of it');
    is($list->('?query=zo'), 'b', 'part of a name');
    is($list->('?query=X-C'), 'c', 'of an external id');
    is($list->('?query=%25'), '', 'no pattern');
    is($list->('?metadata[plan]=pro'), 'b', 'metadata');
    is($list->('?metadata%5Bplan%5D=free&metadata[seats]=2'), 'a', 'two of them');
    is($list->('?metadata[plan]=free&metadata[seats]=3'), '', 'all must fit');
    is($list->('?limit=2'), 'c a');
    is($list->('?limit=2&page=2'), 'b');
    my $past = json_of($t->get("$path?page=9&limit=2", token => $reader));
    is_deeply($past, { data => [], meta => { total => 3, page => 9, per_page => 2, pages => 2 } }, 'past the end');
    is(json_of($t->get("$path?limit=1000", token => $reader))->{meta}{per_page}, 100, 'clamped');
    problems($t->get("$path?page=0&limit=x&sorting=id", token => $reader),
        ['greater_than at query.page: Input should be greater than 0',
         'int_parsing at query.limit: Input should be a valid integer, unable to parse string as an integer',
         "enum at query.sorting.0: Input should be 'email', 'name', 'created_at', '-email', '-name' or '-created_at'"], 'bad parameters');
    is_answer($t->get($path, token => $t->token($t->workspace)), 200, { data => [], meta => { total => 0, page => 1, per_page => 10, pages => 0 } }, 'nothing');
};

subtest 'another workspace' => sub {
    my $theirs = json_of($t->post($path, token => $other_token, json => { email => 'theirs@example.com' }));
    for my $request ([GET => ''], [GET => '/export'], [DELETE => ''], [DELETE => '?anonymize=true'], [PATCH => '', json => { name => 'x' }]) {
        my ($method, $rest, @option) = @$request;
        is_answer($t->request($method, "$path$theirs->{id}$rest", token => $token, @option), 404, $not_found, "$method $rest");
        is_answer($t->request($method, "$path$unknown$rest", token => $token, @option), 404, $not_found, 'as one that is none');
    }
    is_answer($t->get("$path$theirs->{id}", token => $other_token), 200, $theirs, 'it is as it was');
};

subtest 'methods' => sub {
    my $response = $t->request(PUT => $path, token => $token);
    is_answer($response, 405, '{"detail":"Method Not Allowed"}');
    is($response->header('Allow'), 'GET, HEAD, POST, OPTIONS');
    is($t->delete("$path$unknown/export", token => $token)->header('Allow'), 'GET, HEAD, OPTIONS');
};

my $wrong = WrongCallers->new($t, $acme);
my $victim = $t->customer($acme, external_id => 'victim');
for my $at ("$path$victim->{id}", '/api/customers/external/victim') {
    $wrong->refused(GET => $at, 'customers:read');
    $wrong->refused(PATCH => $at, 'customers:write', json => { name => 'x' });
    $wrong->refused(DELETE => $at, 'customers:write');
}
$wrong->refused(GET => $path, 'customers:read');
$wrong->refused(POST => $path, 'customers:write', json => { email => 'no@example.com' });
$wrong->refused(GET => "$path$victim->{id}/export", 'customers:read');
is_status($t->delete("$path$victim->{id}", token => $t->token($acme, 'customers:read')), 403, 'reading is not writing');
is_status($t->get("$path$victim->{id}", token => $t->token($acme, 'customers:write')), 200, 'writing is reading');
is($t->value("SELECT count(*) FROM portal.customers WHERE email = 'no\@example.com'"), 0, 'nothing was made');

$t->done;
