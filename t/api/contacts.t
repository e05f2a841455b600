# /api/contacts/
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;
use WrongCallers;

my $t = PortalTest->new;
my ($ws, $other) = map { $t->workspace } 1 .. 2;
my ($token, $foreign_token) = map { $t->token($_) } $ws, $other;
my ($customer, $foreign_customer) = map { $t->customer($_) } $ws, $other;
my ($company, $foreign_company) = ($t->company($ws, id => 11), $t->company($other, id => 12));
my $not_found = { error => 'ResourceNotFound', detail => 'Not found' };
my $missing_scope = { error => 'insufficient_scope', error_description => 'The request requires higher privileges than '
    . 'provided by the access token.' };
my $count = sub { $t->value('SELECT count(*) FROM portal.contacts') };

sub save  { my ($json, %o) = @_; $t->post('/api/contacts/', token => $token, json => $json, %o) }
sub alter { my ($id, $json, %o) = @_; $t->patch("/api/contacts/$id", token => $token, json => $json, %o) }
sub told  { map { join '.', @{ $_->{loc} }[1 .. $#{ $_->{loc} }], $_->{type} } @{ json_of($_[0])->{detail} // [] } }

my $ann = save({ name => 'Ann', email => 'Ann@Globex.EXAMPLE', company_id => 11, customer_id => uc $customer->{id}, external_id => 'a' });

subtest 'made' => sub {
    is_status($ann, 201);
    is_deeply([keys_of($ann)], [qw(id created_at modified_at workspace_id name email company_id customer_id external_id)]);
    my $row = json_of($ann);
    like(delete $row->{created_at}, qr/^\d{4}-\d\d-\d\dT[\d:]+(?:\.\d{1,6})?Z$/);
    is_deeply($row, { id => 1, modified_at => undef, workspace_id => $ws->{id}, name => 'Ann', email => 'Ann@globex.example',
        company_id => 11, customer_id => $customer->{id}, external_id => 'a' });
    is_answer($t->get('/api/contacts/1', token => $token), 200, json_of($ann), 'found again');
    is_answer($t->get('/api/contacts/1/', token => $token), 200, json_of($ann), 'with a slash');
    is_deeply([@{ json_of(save({ name => 'x' })) }{qw(id email company_id customer_id external_id)}], [2, (undef) x 4], 'a name is enough');
};

subtest 'ids may be given' => sub {
    is(json_of(save({ id => 900, name => 'Kept' }))->{id}, 900);
    is(json_of(save({ name => 'Next' }))->{id}, 901);
    is(json_of(save({ id => 9223372036854775807, name => 'Last' }))->{id}, 9223372036854775807);
    is_answer(save({ id => 900, name => 'x' }), 422, { error => 'RequestValidationError', detail => [{ type => 'value_error',
        loc => ['body', 'id'], msg => 'A contact with this id already exists.', input => 900, ctx => { error => {} } }] });
    is_deeply([told(save({ id => $_->[0], name => 'x' }))], ["id.$_->[1]"], "id $_->[0]")
        for [0, 'greater_than'], [-1, 'greater_than'], [1.5, 'int_from_float'], ['1', 'int_type'], [true, 'int_type'];
    is_deeply([told($t->post('/api/contacts', token => $token, body => '{"name":"x","id":9223372036854775808}'))],
        ['id.int_parsing_size'], '2^63');
    is_status(save({ id => undef, name => 'null is none' }), 201);
};

subtest 'the same external id changes what is there' => sub {
    my $before = $count->();
    my $changed = save({ name => 'Anna', external_id => 'a' });
    is_status($changed, 200);
    is_deeply([@{ json_of($changed) }{qw(id name email company_id customer_id)}], [1, 'Anna', 'Ann@globex.example', 11, $customer->{id}],
        'what is absent stays');
    ok(json_of($changed)->{modified_at});
    is(json_of(save({ name => 'Anna', external_id => 'a', email => undef }))->{email}, undef, 'null clears');
    is_status(save({ id => 1, name => 'Anna', external_id => 'a', email => 'ann@globex.example' }), 200, 'its own id');
    is_deeply([told(save({ id => 77, name => 'x', external_id => 'a' }))], ['external_id.value_error'], 'another id');
    is($count->(), $before, 'none was made');
    my $theirs = $t->post('/api/contacts', token => $foreign_token, json => { name => 'Theirs', external_id => 'a' });
    is_status($theirs, 201, 'another workspace has its own');
    is(json_of($theirs)->{id}, 1);
};

subtest 'every problem at once' => sub {
    my $before = $count->();
    is_deeply([told(save({}))], ['name.missing']);
    is_deeply([told(save({ id => 0, name => '', email => 'x', company_id => 0, customer_id => 'x', external_id => '' }))],
        [qw(id.greater_than name.string_too_short email.value_error company_id.greater_than customer_id.uuid_parsing external_id.string_too_short)]);
    is_deeply([told(save({ id => 'x', name => 7, email => 7, company_id => '7', customer_id => 7, external_id => 7 }))],
        [qw(id.int_type name.string_type email.string_type company_id.int_type customer_id.uuid_type external_id.string_type)]);
    is_deeply([told(save({ name => 'x' x 257, external_id => 'x' x 257 }))], [qw(name.string_too_long external_id.string_too_long)]);
    is_status(save({ name => "\x{1F600}" x 256, external_id => 'x' x 256 }), 201, '256 characters, not bytes');
    is_deeply([told(save({ name => 'x', customer_id => '8e5613e4-4ff4-1e92-aca7-fb24cb259567' }))], ['customer_id.uuid_version']);
    is_answer(save({ name => 'x', company_id => 77, customer_id => $foreign_customer->{id} }), 422, { error => 'RequestValidationError', detail => [
        { type => 'value_error', loc => ['body', 'company_id'], msg => 'Company does not exist.', input => 77, ctx => { error => {} } },
        { type => 'value_error', loc => ['body', 'customer_id'], msg => 'Customer does not exist.', input => $foreign_customer->{id},
            ctx => { error => {} } }] }, 'unknown and foreign');
    is_deeply([told(save({ name => 'x', company_id => 12 }))], ['company_id.value_error'], 'a foreign company');
    is_status($t->post('/api/contacts', token => $token, body => $_), 422) for '', '[]', '{', '"x"';
    is($count->(), $before + 1, 'nothing else was written');
};

subtest 'changed' => sub {
    my $id = json_of(save({ name => 'Bob', email => 'bob@globex.example', company_id => 11, external_id => 'b' }))->{id};
    is_deeply([@{ json_of(alter($id, { name => 'Bobby' })) }{qw(name email company_id external_id)}],
        ['Bobby', 'bob@globex.example', 11, 'b'], 'absent keeps');
    is_deeply([@{ json_of(alter($id, { email => undef, company_id => undef, external_id => undef })) }{qw(name email company_id external_id)}],
        ['Bobby', undef, undef, undef], 'null clears');
    is_deeply([told(alter($id, { name => undef, email => 'x', customer_id => 'x' }))], [qw(name.string_type email.value_error customer_id.uuid_parsing)]);
    is_deeply([told(alter($id, { external_id => 'a' }))], ['external_id.value_error'], "another's external id");
    is_deeply([told(alter($id, { company_id => 12, customer_id => $foreign_customer->{id} }))], [qw(company_id.value_error customer_id.value_error)]);
    is(json_of(alter($id, { id => 5, name => 'B' }))->{id}, $id, 'the number stays');
    my $same = json_of(alter($id, {}));
    is_answer(alter($id, { name => 'B' }), 200, $same, 'no change is none');
};

subtest 'deleted' => sub {
    my $id = json_of(save({ name => 'Gone', email => 'gone@globex.example', external_id => 'gone' }))->{id};
    my $portal = json_of($t->post('/api/v1/client-portal/token', token => $token, json => { type => 'contact', id => $id }))->{token};
    is_answer($t->delete("/api/contacts/$id", token => $token), 204, '');
    is_answer($t->request($_, "/api/contacts/$id", token => $token, $_ eq 'PATCH' ? (json => { name => 'x' }) : ()), 404, $not_found, $_)
        for qw(GET PATCH DELETE);
    is($t->value('SELECT deleted_at IS NOT NULL FROM portal.contacts WHERE workspace_id = ? AND id = ?', $ws->{id}, $id), 1, 'softly');
    is($t->value('SELECT count(*) FROM portal.client_portal_tokens WHERE contact_id = ? AND revoked_at IS NULL', $id), 0, 'its links end');
    my $again = save({ name => 'Back', external_id => 'gone' });
    is_status($again, 201, 'the external id is free');
    isnt(json_of($again)->{id}, $id, 'the number is not');
    is_deeply([told(save({ id => 0 + $id, name => 'x' }))], ['id.value_error']);
};

subtest 'ids that are none' => sub {
    for my $method (qw(GET PATCH DELETE)) {
        my $ask = sub { $t->request($method, "/api/contacts/$_[0]", token => $token, $method eq 'PATCH' ? (json => { name => 'x' }) : ()) };
        is_answer($ask->(0), 422, { error => 'RequestValidationError', detail => [{ type => 'greater_than', loc => ['path', 'id'],
            msg => 'Input should be greater than 0', input => '0', ctx => { gt => 0 } }] }, "$method 0");
        is_deeply([told($ask->($_->[0]))], ["id.$_->[1]"], "$method $_->[0]")
            for ['-1', 'greater_than'], ['9223372036854775808', 'int_parsing_size'], ['x', 'int_parsing'], ['1.0', 'int_parsing'];
        is_answer($ask->($_), 404, $not_found, "$method $_") for 77, '9223372036854775806';
    }
    my $secret = json_of($t->post('/api/contacts', token => $foreign_token, json => { id => 4711, name => 'Theirs' }));
    for my $method (qw(GET PATCH DELETE)) {
        is_answer($t->request($method, '/api/contacts/4711', token => $token, $method eq 'PATCH' ? (json => { name => 'x' }) : ()), 404,
            $not_found, "$method a foreign one");
    }
    is_answer($t->get('/api/contacts/4711', token => $foreign_token), 200, $secret, 'untouched');
};

subtest 'list' => sub {
    my $ws = $t->workspace;
    my $token = $t->token($ws);
    my ($c1, $c2) = map { $t->customer($ws) } 1 .. 2;
    $t->company($ws, id => 1);
    $t->contact($ws, id => $_->[0], name => $_->[1], email => $_->[2], external_id => $_->[3], company_id => $_->[4], customer_id => $_->[5],
        created_at => $_->[6]) for
        [3, 'Zoe', 'zoe@a.example', 'e3', 1, $c1->{id}, '2026-01-02T00:00:00Z'],
        [1, 'ann', 'b@a.example', 'e1', 1, undef, '2026-01-03T00:00:00Z'],
        [2, 'Bob', undef, undef, undef, $c2->{id}, '2026-01-01T00:00:00Z'];
    my $list = sub { $t->get("/api/contacts/?$_[0]", token => $token) };
    my $order = sub { join ' ', map { $_->{id} } @{ json_of($list->($_[0]))->{data} } };
    is($order->(''), '1 2 3');
    is($order->("sorting=$_->[0]"), $_->[1], $_->[0]) for ['-id', '3 2 1'], ['name', '1 2 3'], ['-name', '3 2 1'], ['email', '1 3 2'],
        ['-email', '3 1 2'], ['created_at', '2 3 1'], ['-created_at', '1 3 2'];
    is($order->($_->[0]), $_->[1], $_->[0]) for ['query=OB', '2'], ['query=e1', '1'], ['query=%25', ''], ['company_id=1', '1 3'],
        ["customer_id=$c1->{id}", '3'], ['email=ZOE@a.example', '3'], ['external_id=e3', '3'], ['external_id=E3', ''],
        ['company_id=1&query=zoe', '3'], ['company_id=2', ''];
    is_deeply(json_of($list->('limit=2&page=2'))->{meta}, { total => 3, page => 2, per_page => 2, pages => 2 });
    is_answer($list->('page=9'), 200, { data => [], meta => { total => 3, page => 9, per_page => 10, pages => 1 } });
    is_deeply([told($list->('page=0&limit=x&sorting=phone&company_id=0&customer_id=x'))],
        [qw(page.greater_than limit.int_parsing sorting.0.enum company_id.greater_than customer_id.uuid_parsing)]);
    is_deeply([keys_of($list->(''), 'data')], []);
    is_deeply(json_of($list->(''))->{data}[1], json_of($t->get('/api/contacts/2', token => $token)), 'each as it is alone');
};

subtest 'linking a customer needs customers:write' => sub {
    my $small = $t->token($ws, 'client_portal:write', 'customers:read');
    my $before = $count->();
    for my $answer (save({ name => 'x', customer_id => $customer->{id} }, token => $small), alter(2, { customer_id => $customer->{id} }, token => $small),
        save({ customer_id => 'nonsense' }, token => $small)) {
        is_answer($answer, 403, $missing_scope);
        is($answer->header('WWW-Authenticate'), 'Bearer realm="portal", error="insufficient_scope", error_description="The request '
            . 'requires higher privileges than provided by the access token.", scope="customers:write"');
    }
    is($count->(), $before, 'nothing made');
    is(json_of($t->get('/api/contacts/2', token => $token))->{customer_id}, undef, 'nothing changed');
    is_status(save({ name => 'x', customer_id => undef }, token => $small), 201, 'null links nothing');
    is_status(alter(2, { name => 'y' }, token => $small), 200);
    is_status(alter(2, { customer_id => $customer->{id} }, token => $t->token($ws, 'client_portal:write', 'customers:write')), 200);
};

subtest 'and so does ending its link' => sub {
    my $small = $t->token($ws, 'client_portal:write', 'customers:read');
    my $linked = json_of(save({ name => 'Linked', external_id => 'linked', customer_id => $customer->{id} }));
    is_answer(alter($linked->{id}, { customer_id => undef }, token => $small), 403, $missing_scope);
    is_answer(save({ name => 'x', external_id => 'linked', customer_id => undef }, token => $small), 403, $missing_scope);
    is_status(save({ name => 'x', external_id => 'linked' }, token => $small), 200, 'what is not named stays');
    is(json_of($t->get("/api/contacts/$linked->{id}", token => $token))->{customer_id}, $customer->{id}, 'still linked');
    is(json_of(alter($linked->{id}, { customer_id => undef }))->{customer_id}, undef, 'unlinked by who may');
    is_status(alter($linked->{id}, { customer_id => undef }, token => $small), 200, 'no link to end');
    is_status(save({ name => 'x', external_id => 'linked', customer_id => undef }, token => $small), 200);
};

subtest 'problems of the path and of the body' => sub {
    is_deeply([told(alter('x', { name => '' }))], ['id.int_parsing', 'name.string_too_short'], 'come together');
};

subtest 'Idempotency-Key' => sub {
    my %key = (headers => { 'Idempotency-Key' => 'one' });
    my $before = $count->();
    my $made = save({ name => 'Once' }, %key);
    is_status($made, 201);
    is_answer(save({ name => 'Once' }, %key), 201, json_of($made), 'replayed');
    is($count->(), $before + 1, 'one');
    is_answer(save({ name => 'Twice' }, %key), 422, { error => 'RequestValidationError', detail => [{ type => 'value_error',
        loc => ['header', 'Idempotency-Key'], msg => 'This key was already used with another payload.', input => 'one', ctx => { error => {} } }] });
    my %upsert = (headers => { 'Idempotency-Key' => 'two' });
    is_status(save({ name => 'Anna', external_id => 'a' }, %upsert), 200);
    is_status(save({ name => 'Anna', external_id => 'a' }, %upsert), 200, 'a change is replayed as one');
    $t->delete('/api/contacts/' . json_of($made)->{id}, token => $token);
    my $again = save({ name => 'Once' }, %key);
    is_status($again, 201, 'as long as it lives');
    isnt(json_of($again)->{id}, json_of($made)->{id});
    is_status(save({ name => '' }, headers => { 'Idempotency-Key' => 'three' }), 422);
    is_status(save({ name => 'Now' }, headers => { 'Idempotency-Key' => 'three' }), 201, 'a failure takes no key');
};

subtest 'many at once' => sub {
    my $before = $count->();
    my @answers = $t->at_once(($t->bytes(POST => '/api/contacts', token => $token, json => { name => 'P', external_id => 'parallel' })) x 8);
    is(join(' ', sort map { $_->code } @answers), '200 200 200 200 200 200 200 201', 'one makes it');
    @answers = $t->at_once(($t->bytes(POST => '/api/contacts', token => $token, json => { name => 'K' }, headers => { 'Idempotency-Key' => 'k8' })) x 8);
    is(scalar(grep { $_->code != 201 && $_->code != 409 } @answers), 0, 'with one key') or diag join ' ', map { $_->code } @answers;
    my %ids = map { json_of($_)->{id} => 1 } grep { $_->code == 201 } @answers;
    is(scalar keys %ids, 1, 'one id');
    is($count->(), $before + 2);
};

my $wrong = WrongCallers->new($t, $ws);
$wrong->refused(GET => $_, 'client_portal:read') for '/api/contacts/', '/api/contacts/1';
$wrong->refused(POST => '/api/contacts/', 'client_portal:write', json => { name => 'x' });
$wrong->refused(PATCH => '/api/contacts/1', 'client_portal:write', json => { name => 'x' });
$wrong->refused(DELETE => '/api/contacts/1', 'client_portal:write');

subtest 'what else there is' => sub {
    is(json_of($t->get('/api/contacts/1', token => $token))->{name}, 'Anna', 'nothing changed');
    is_status($t->get('/api/contacts/1', token => $t->token($ws, 'client_portal:write')), 200, 'write includes read');
    is_answer($t->request($_, '/api/contacts/1', token => $token), 405, { detail => 'Method Not Allowed' }, $_) for qw(PUT POST);
    is($t->request('PUT', '/api/contacts/1', token => $token)->header('Allow'), 'GET, HEAD, PATCH, DELETE, OPTIONS');
};

$t->done;
