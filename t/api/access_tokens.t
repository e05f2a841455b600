# /api/workspace-access-tokens/: a token makes, changes and ends tokens, none of which is more than itself.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;
use WrongCallers;

my $t = PortalTest->new;
my ($acme, $other) = map { $t->workspace } 1 .. 2;
my $token = $t->token($acme);
my $path = '/api/workspace-access-tokens/';
my $unknown = '8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001';
my $not_found = '{"error":"ResourceNotFound","detail":"Not found"}';
my $scopes = '{"error":"NotPermitted","detail":"A token cannot make or change a token with scopes that it does not have itself."}';
my $life = '{"error":"NotPermitted","detail":"A token cannot make or change a token that lives longer than itself."}';
my @members = qw(id created_at modified_at workspace_id scopes comment expires_at last_used_at revoked_at);

sub create { my ($by, %json) = @_; $t->post($path, token => $by, json => { comment => 'c', %json }) }
sub made { my $response = create(@_); is_status($response, 201); my $body = json_of($response); ($body->{token}, $body->{workspace_access_token}{id}) }
sub change { my ($by, $id, %json) = @_; $t->patch("$path$id", token => $by, json => \%json) }
sub refusals { [map { "$_->{type} at " . join('.', @{ $_->{loc} }) } @{ json_of($_[0])->{detail} // [] }] }

subtest 'made' => sub {
    my $response = create($token, comment => 'ci', scopes => [qw(client_portal:read customers:write client_portal:read)], expires_in => 3600);
    is_status($response, 201);
    is_deeply([keys_of($response)], [qw(workspace_access_token token)]);
    is_deeply([keys_of($response, 'workspace_access_token')], \@members);
    my $body = json_of($response);
    like($body->{token}, qr/^portal_oat_[A-Za-z0-9_-]{48}$/);
    my $row = $body->{workspace_access_token};
    is_deeply($row->{scopes}, [qw(client_portal:read customers:write)], 'each scope once');
    is_deeply([@$row{qw(comment workspace_id modified_at last_used_at revoked_at)}], ['ci', $acme->{id}, undef, undef, undef]);
    like($row->{expires_at}, qr/:\d\dZ$/, 'in whole seconds');
    my $stored = $t->row('SELECT * FROM portal.workspace_access_tokens WHERE id = ?', $row->{id});
    unlike(join(' ', map { $_ // '' } values %$stored), qr/\Q$body->{token}\E/, 'only its hash is stored');
    is_status($t->get('/api/customers/', token => $body->{token}), 200, 'it works');
    is_status($t->get('/api/v1/client-portal/config', token => $body->{token}), 200, 'for both products');
    is_status($t->get($path, token => $body->{token}), 403, 'and for no more');
    is(json_of(create($token, scopes => ['customers:read']))->{workspace_access_token}{expires_at}, undef, 'for ever');
};

subtest 'refused' => sub {
    my $before = $t->value('SELECT count(*) FROM portal.workspace_access_tokens');
    is_deeply(refusals($t->post($path, token => $token, json => {})), ['missing at body.comment', 'missing at body.scopes']);
    is_deeply(refusals(create($token, scopes => [])), ['value_error at body.scopes']);
    is_deeply(refusals(create($token, scopes => 'customers:read')), ['list_type at body.scopes']);
    is_deeply(refusals(create($token, scopes => ['customers:read', 'nonsense', 7, 'customer_portal:write'], comment => 'x' x 257, expires_in => 0)),
        ['string_too_long at body.comment', map({ "enum at body.scopes.$_" } 1 .. 3), 'greater_than at body.expires_in'], 'every problem');
    like(create($token, scopes => ['x'])->content, qr/Input should be 'customer_sessions:write', .* or 'workspace_access_tokens:write'/, 'names them');
    is($t->value('SELECT count(*) FROM portal.workspace_access_tokens'), $before, 'nothing was made');
};

subtest 'no more than its maker' => sub {
    my ($small) = made($token, scopes => [qw(workspace_access_tokens:write customers:write members:read)]);
    is_answer(create($small, scopes => ['payments:read']), 403, $scopes, 'a scope it has not');
    is_answer(create($small, scopes => ['customers:read', 'members:write']), 403, $scopes, 'reading is not writing');
    is_status(create($small, scopes => [qw(customers:read members:read workspace_access_tokens:read)]), 201, 'writing is reading');
    my ($brief) = made($token, scopes => ['workspace_access_tokens:write'], expires_in => 600);
    is_answer(create($brief, scopes => ['workspace_access_tokens:write']), 403, $life, 'for ever');
    is_answer(create($brief, scopes => ['workspace_access_tokens:write'], expires_in => 700), 403, $life, 'longer');
    is_status(create($brief, scopes => ['workspace_access_tokens:write'], expires_in => 300), 201, 'shorter');
};

subtest 'changed' => sub {
    my ($one, $id) = made($token, scopes => ['customers:write']);
    is_status($t->get('/api/customers/', token => $one), 200);
    my $response = change($token, $id, comment => 'new', scopes => ['members:read'], expires_in => 60);
    is_status($response, 200);
    is_deeply([keys_of($response)], \@members);
    my $row = json_of($response);
    is_deeply([@$row{qw(comment scopes)}], ['new', ['members:read']]);
    ok($row->{expires_at} && $row->{modified_at}, 'it ends now, and was changed');
    is_status($t->get('/api/customers/', token => $one), 403, 'its scopes changed at once');
    is(json_of(change($token, $id, expires_in => undef))->{expires_at}, undef, 'null: for ever');
    is(json_of(change($token, $id, expires_at => '2099-01-01T01:00:00+01:00'))->{expires_at}, '2099-01-01T00:00:00Z', 'at a time');
    is(json_of(change($token, $id, expires_at => undef))->{expires_at}, undef, 'null: for ever');
    is_deeply(refusals(change($token, $id, expires_at => 'soon')), ['datetime_parsing at body.expires_at'], 'a time that is none');
    is_deeply(refusals(change($token, $id, expires_at => '2099-01-01T00:00:00Z', expires_in => 5)), ['value_error at body.expires_in'], 'one of them');
    is_deeply(json_of(change($token, $id))->{scopes}, ['members:read'], 'what is absent stays');
    is(json_of(change($token, $id, comment => undef))->{comment}, '', 'no comment');
    is_deeply(refusals(change($token, $id, scopes => ['x'], comment => 7, expires_in => 'x')),
        ['string_type at body.comment', 'enum at body.scopes.0', 'int_type at body.expires_in']);
    is_deeply(refusals(change($token, $id, scopes => undef)), ['list_type at body.scopes'], 'scopes are not removed');
    is_answer(change($token, $unknown, comment => 'x'), 404, $not_found, 'unknown');
    is_deeply(refusals(change($token, 'nonsense', comment => 7)), ['uuid_parsing at path.id', 'string_type at body.comment'], 'no id, and more');

    my ($small, $small_id) = made($token, scopes => [qw(workspace_access_tokens:write customers:read)], expires_in => 600);
    is_answer(change($small, $id, comment => 'x'), 403, $scopes, 'one with more scopes');
    my ($lasting, $lasting_id) = made($token, scopes => ['customers:read']);
    is_answer(change($small, $lasting_id, comment => 'x'), 403, $life, 'one that lives longer');
    is_answer($t->delete("$path$lasting_id", token => $small), 403, $life, 'nor ends it');
    my (undef, $below) = made($small, scopes => ['customers:read'], expires_in => 300);
    is_answer(change($small, $below, scopes => ['customers:write']), 403, $scopes, 'not to more scopes');
    is_answer(change($small, $below, expires_in => 900), 403, $life, 'not to a longer life');
    is_answer(change($small, $below, expires_in => undef), 403, $life, 'not for ever');
    is_answer(change($small, $below, expires_at => '2099-01-01T00:00:00Z'), 403, $life, 'not until then');
    is_status(change($small, $below, expires_in => 400, comment => 'fine'), 200, 'within its own');
    is_answer(change($small, $small_id, expires_in => 900), 403, $life, 'not its own life either');
    is_answer(change($small, $small_id, scopes => [qw(workspace_access_tokens:write customers:write)]), 403, $scopes, 'nor its own scopes');
    is_status(change($small, $small_id, comment => 'mine'), 200, 'but its own comment');
    is($t->value('SELECT comment FROM portal.workspace_access_tokens WHERE id = ?', $lasting_id), 'c', 'nothing was written');
};

subtest 'ended' => sub {
    my ($one, $id) = made($token, scopes => ['customers:read']);
    is_status($t->get('/api/customers/', token => $one), 200, 'works');
    is_answer($t->delete("$path$id", token => $token), 204, '');
    my $answer = $t->get('/api/customers/', token => $one);
    is_status($answer, 401, 'no longer');
    is(json_of($answer)->{error}, 'invalid_token');
    is_answer($t->delete("$path$id", token => $token), 404, $not_found, 'once');
    is_answer(change($token, $id, comment => 'x'), 404, $not_found, 'not changed any more');
    is_answer($t->delete("$path$unknown", token => $token), 404, $not_found, 'unknown');
    my ($self, $self_id) = made($token, scopes => ['workspace_access_tokens:write']);
    is_status($t->delete("$path$self_id", token => $self), 204, 'itself');
    is(json_of($t->get($path, token => $self))->{error}, 'invalid_token', 'and is none from now on');
    my ($small) = made($token, scopes => ['workspace_access_tokens:write']);
    is_answer($t->delete($path . $t->token_id($token), token => $small), 403, $scopes, 'one with more scopes');
    is_status($t->get($path, token => $token), 200, 'which lives');
};

subtest 'Idempotency-Key' => sub {
    my $post = sub { my ($key, %json) = @_; $t->post($path, token => $token, json => { comment => 'k', scopes => ['customers:read'], %json },
        headers => { 'Idempotency-Key' => $key }) };
    my $first = $post->('k');
    is_status($first, 201);
    is_answer($post->('k'), 201, json_of($first), 'the same again, token included');
    is_status($post->('k', comment => 'other'), 422, 'another payload');
    my @answers = $t->at_once(($t->bytes(POST => $path, token => $token, json => { comment => 'x', scopes => ['customers:read'] },
        headers => { 'Idempotency-Key' => 'many' })) x 8);
    my %ids = map { json_of($_)->{token} => 1 } grep { $_->code == 201 } @answers;
    is(scalar keys %ids, 1, 'eight at once make one');
    unlike(join(' ', map { $_ // '' } map { @$_ } @{ $t->db->selectall_arrayref('SELECT * FROM portal.idempotency_keys') }), qr/portal_oat_/, 'kept encrypted');
    is_status($t->delete($path . json_of($first)->{workspace_access_token}{id}, token => $token), 204);
    my $again = $post->('k');
    is_status($again, 201, 'the key is free when the token is gone');
    isnt(json_of($again)->{token}, json_of($first)->{token}, 'another token');
};

subtest 'the list' => sub {
    my $ws = $t->workspace;
    my $reader = $t->token($ws, 'workspace_access_tokens:read');
    my @made = map { $t->token($ws, 'customers:read') } 1 .. 3;
    $t->db->do('UPDATE portal.workspace_access_tokens SET revoked_at = now() WHERE id = ?', undef, $t->token_id($made[0]));
    $t->db->do("UPDATE portal.workspace_access_tokens SET expires_at = now() - interval '1 s' WHERE id = ?", undef, $t->token_id($made[1]));
    my $response = $t->get($path, token => $reader);
    is_status($response, 200);
    is_deeply([map { $_->{id} } @{ json_of($response)->{data} }], [map { $t->token_id($_) } $made[2], $reader], 'the living, newest first');
    unlike($response->content, qr/hash|secret|portal_oat_/, 'without secrets');
    is_deeply(json_of($t->get("$path?all=true&limit=3&page=2", token => $reader))->{meta}, { total => 4, page => 2, per_page => 3, pages => 2 }, 'all');
    is_status($t->get("$path?all=x&page=0", token => $reader), 422, 'bad parameters');
    is($t->value('SELECT last_used_at FROM portal.workspace_access_tokens WHERE id = ?', $t->token_id($made[2])), undef, 'not used yet');
};

subtest 'another workspace' => sub {
    my $theirs = $t->token($other, 'customers:read');
    my $id = $t->token_id($theirs);
    is_answer($t->delete("$path$id", token => $token), 404, $not_found);
    is_answer(change($token, $id, comment => 'x'), 404, $not_found);
    is_status($t->get('/api/customers/', token => $theirs), 200, 'it lives');
};

my $wrong = WrongCallers->new($t, $acme);
my $victim = $t->token_id($t->token($acme, 'customers:read'));
$wrong->refused(GET => $path, 'workspace_access_tokens:read');
$wrong->refused(POST => $path, 'workspace_access_tokens:write', json => { comment => 'x', scopes => ['customers:read'] });
$wrong->refused(PATCH => "$path$victim", 'workspace_access_tokens:write', json => { comment => 'x' });
$wrong->refused(DELETE => "$path$victim", 'workspace_access_tokens:write');

$t->done;
