# /api/portal-items/
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;
use WrongCallers;

my $t = PortalTest->new;
my ($ws, $other) = map { $t->workspace } 1 .. 2;
my ($token, $foreign_token) = map { $t->token($_) } $ws, $other;
$t->company($ws, id => 11);
$t->contact($ws, id => 21, company_id => 11);
$t->contact($ws, id => 22);
$t->company($other, id => 12);
$t->contact($other, id => 99);
my $not_found = { error => 'ResourceNotFound', detail => 'Not found' };
my $count = sub { $t->value('SELECT count(*) FROM portal.portal_items') };
my $one_addressee = 'Exactly one of contact_id and company_id is expected.';

my %bare = (contact_id => 21, module => 'invoices', title => 'Invoice', status => 'open');
my $made = 0;
sub item  { return { %bare, external_id => "x" . ++$made, @_ } }
sub save  { my ($json, %o) = @_; $t->post('/api/portal-items/', token => $token, json => $json, %o) }
sub alter { my ($id, $json, %o) = @_; $t->patch("/api/portal-items/$id", token => $token, json => $json, %o) }
sub told  { map { join '.', @{ $_->{loc} }[1 .. $#{ $_->{loc} }], $_->{type} } @{ json_of($_[0])->{detail} // [] } }
sub event { $t->row('SELECT type, audience::text, data::text FROM portal.events ORDER BY timestamp DESC LIMIT 1') }

my %whole = (contact_id => 21, module => 'invoices', external_id => '2026-17', title => 'Invoice 17', status => 'open', amount_cents => 12000,
    currency => 'EUR', due_at => '2026-12-31T13:00:00+01:00', url => 'https://pay.example/17?a=b#c', data => { lines => [1, 'two', undef] });
my $invoice = save(\%whole);

subtest 'made' => sub {
    is_status($invoice, 201);
    is_deeply([keys_of($invoice)], [qw(id created_at modified_at workspace_id contact_id company_id module external_id title status
        amount_cents currency due_at url data)]);
    my $row = json_of($invoice);
    like(delete $row->{created_at}, qr/Z$/);
    is_deeply($row, { %whole, id => 1, modified_at => undef, workspace_id => $ws->{id}, company_id => undef, due_at => '2026-12-31T12:00:00Z' });
    is_answer($t->get('/api/portal-items/1', token => $token), 200, json_of($invoice));
    my $least = json_of(save({ company_id => 11, module => 'tasks', external_id => 't', title => 'T', status => 's' }));
    is_deeply([@$least{qw(id contact_id company_id amount_cents currency due_at url data)}], [2, undef, 11, (undef) x 5]);
    is(json_of(save(item(id => 900)))->{id}, 900, 'ids may be given');
    is(json_of(save(item()))->{id}, 901);
    is_deeply([told(save(item(id => 900)))], ['id.value_error']);
};

subtest 'the same module and external id change what is there' => sub {
    my $again = save({ company_id => 11, module => 'invoices', external_id => '2026-17', title => 'Paid', status => 'paid', due_at => undef });
    is_status($again, 200);
    is_deeply([@{ json_of($again) }{qw(id contact_id company_id title status amount_cents currency due_at)}],
        [1, undef, 11, 'Paid', 'paid', 12000, 'EUR', undef], 'absent keeps, null clears, and the addressee is who is named');
    is_status(save({ %whole, module => 'proposals' }), 201, 'another module');
    is_status(save(\%whole), 200);
    is_deeply([told(save({ %whole, id => 77 }))], ['external_id.value_error'], 'another id');
    is_status($t->post('/api/portal-items', token => $foreign_token, json => { %whole, contact_id => 99 }), 201, 'another workspace');
};

subtest 'every field at its edges' => sub {
    my $before = $count->();
    is_deeply([told(save({}))], [qw(module.missing external_id.missing title.missing status.missing contact_id.value_error)]);
    is_deeply([told(save({ id => 0, contact_id => 0, company_id => -1, module => 'x', external_id => '', title => '', status => '', amount_cents => -1,
        currency => 'EURO', due_at => 'soon', url => 'ftp://x.example', data => [] }))], [qw(id.greater_than contact_id.greater_than
        company_id.greater_than module.enum external_id.string_too_short title.string_too_short status.string_too_short
        amount_cents.greater_than_equal currency.string_pattern_mismatch due_at.datetime_parsing url.url_scheme data.dict_type
        contact_id.value_error)], 'all at once');
    is_deeply([told(save(item(map { $_ => 7 } qw(module external_id title status currency due_at url data))))],
        [qw(module.enum external_id.string_type title.string_type status.string_type currency.string_type due_at.datetime_type
            url.string_type data.dict_type)], 'of another type');
    is_answer(save(item(company_id => 11)), 422, { error => 'RequestValidationError', detail => [{ type => 'value_error',
        loc => ['body', 'contact_id'], msg => $one_addressee, input => 21, ctx => { error => {} } }] }, 'both');
    is_deeply([told(save(item(contact_id => undef)))], ['contact_id.value_error'], 'neither');
    is_answer(save(item(contact_id => 77)), 422, { error => 'RequestValidationError', detail => [{ type => 'value_error',
        loc => ['body', 'contact_id'], msg => 'Contact does not exist.', input => 77, ctx => { error => {} } }] });
    is_deeply([told(save(item(contact_id => 99)))], ['contact_id.value_error'], 'a foreign contact');
    is_deeply([told(save(item(contact_id => undef, company_id => 12)))], ['company_id.value_error'], 'a foreign company');
    is_deeply([told(save(item($_->[0] => $_->[1])))], ["$_->[0].$_->[2]"], "$_->[0] " . substr $_->[1], 0, 40) for
        ['external_id', 'x' x 257, 'string_too_long'], ['title', 'x' x 257, 'string_too_long'], ['status', 'x' x 65, 'string_too_long'],
        ['amount_cents', 1.5, 'int_from_float'], ['amount_cents', '1', 'int_type'], ['currency', 'E1R', 'string_pattern_mismatch'],
        ['currency', "\x{20AC}UR", 'string_pattern_mismatch'], ['url', 'javascript:alert(1)', 'url_scheme'], ['url', '/relative', 'url_parsing'],
        ['url', 'https://', 'url_parsing'], ['url', 'https://a@b.example/', 'url_parsing'], ['url', "https://a.example/\n", 'url_parsing'],
        ['url', 'https://a.example/' . 'x' x 2066, 'string_too_long'], ['data', 'x', 'dict_type'],
        map({ ['due_at', $_, 'datetime_parsing'] } '2026-12-31', '2026-12-31T12:00:00', '2026-02-30T00:00:00Z', '2026-12-31T24:00:00Z',
            '2026-12-31T12:00:60Z', '2026-13-01T00:00:00Z', '0000-01-01T00:00:00Z', '0001-01-01T00:00:00+00:01', '9999-12-31T23:59:59-00:01',
            '2026-12-31T12:00:00.Z', '2026-12-31T12:00:00Z ', '2026-12-31T12:00:00+0100', '');
    is($count->(), $before, 'nothing was written');
    is_status(save(item(@$_)), 201, "$_->[0] " . substr $_->[1], 0, 40) for ['external_id', "\x{20AC}" x 256], ['title', 'x' x 256], ['status', 'x' x 64],
        ['amount_cents', 0], ['amount_cents', 9223372036854775807], ['currency', 'eur'], ['url', 'https://a.example/' . 'x' x 2065],
        ['url', 'http://[::1]:8080'], ['url', 'HTTPS://A.example?x'], ['url', "https://a.example/\x{2003}"],
        map { ['module', $_] } qw(proposals contracts tasks projects tickets files);
    is(json_of(save(item(due_at => $_->[0])))->{due_at}, $_->[1], $_->[0]) for ['2024-02-29T23:30:00.5-01:00', '2024-03-01T00:30:00.500000Z'],
        ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00Z'], ['9999-12-31T23:59:59.9999999Z', '9999-12-31T23:59:59.999999Z'],
        ['2026-01-01t00:00:00z', '2026-01-01T00:00:00Z'];
};

subtest 'numbers beyond 64 bits' => sub {
    my $id = json_of($t->post('/api/portal-items', token => $token, body =>
        '{"contact_id":21,"module":"files","external_id":"big","title":"x","status":"x","data":{"n":123456789012345678901234567890,"m":1e308}}'))->{id};
    is(json_of($t->get("/api/portal-items/$id", token => $token))->{data}{n}, 1.2345678901234568e29, 'are the nearest there is');
    $t->db->do(q(UPDATE portal.portal_items SET data = '{"n":1e400}' WHERE id = ?), undef, $id);
    is_status($t->get("/api/portal-items/$id", token => $token), 200, 'also what was written by SQL');
    is_deeply([told($t->post('/api/portal-items', token => $token, body =>
        '{"contact_id":21,"module":"files","external_id":"big","title":"x","status":"x","amount_cents":9223372036854775808}'))], ['amount_cents.int_parsing_size']);
};

subtest 'decimals' => sub {
    my $data = '{"a":0.1,"b":100000.0,"c":1.5e-07,"d":-19.99,"e":3}';
    my $made = $t->post('/api/portal-items', token => $token, body =>
        qq({"contact_id":21,"module":"files","external_id":"real","title":"x","status":"x","data":$data}));
    like($made->content, qr/"data":\Q$data\E\}/, 'come back as they were sent');
    my $id = json_of($made)->{id};
    like($t->get("/api/portal-items/$id", token => $token)->content, qr/"data":\Q$data\E\}/, 'and are shown so');
    is($t->value("SELECT data->>'a' FROM portal.portal_items WHERE id = ?", $id), '0.1', 'and are stored so');
};

subtest 'changed' => sub {
    my $id = json_of(save({ %whole, external_id => 'change' }))->{id};
    is_deeply([@{ json_of(alter($id, { status => 'paid' })) }{qw(status title amount_cents due_at)}], ['paid', 'Invoice 17', 12000, '2026-12-31T12:00:00Z'], 'absent keeps');
    is_deeply([@{ json_of(alter($id, { map { $_ => undef } qw(amount_cents currency due_at url data) })) }{qw(amount_cents currency due_at url data)}],
        [(undef) x 5], 'null clears');
    is_deeply([told(alter($id, { map { $_ => undef } qw(module external_id title status) }))],
        [qw(module.enum external_id.string_type title.string_type status.string_type)], 'where it may');
    is_deeply([told(alter($id, { company_id => 11 }))], ['contact_id.value_error'], 'a second addressee');
    is_deeply([told(alter($id, { contact_id => undef }))], ['contact_id.value_error'], 'none');
    is_deeply([@{ json_of(alter($id, { contact_id => undef, company_id => 11 })) }{qw(contact_id company_id)}], [undef, 11], 'another');
    is_deeply([told(alter($id, { company_id => 12 }))], ['company_id.value_error']);
    is_deeply([told(alter($id, { external_id => '2026-17' }))], ['external_id.value_error'], "another's external id");
    is_deeply([told(alter($id, { external_id => 't', module => 'tasks' }))], ['external_id.value_error'], 'in another module');
    is_status(alter($id, { external_id => 't' }), 200, 'in this module it is free');
    is_deeply([told(alter($id, { amount_cents => -1, due_at => 'x', data => 7 }))], [qw(amount_cents.greater_than_equal due_at.datetime_parsing data.dict_type)]);
    my $same = json_of(alter($id, {}));
    is_answer(alter($id, { status => 'paid' }), 200, $same, 'no change is none');
};

subtest 'deleted' => sub {
    my $id = json_of(save(item(external_id => 'gone')))->{id};
    is_answer($t->delete("/api/portal-items/$id", token => $token), 204, '');
    is_answer($t->request($_, "/api/portal-items/$id", token => $token, $_ eq 'PATCH' ? (json => {}) : ()), 404, $not_found, $_) for qw(GET PATCH DELETE);
    my $again = save(item(external_id => 'gone'));
    is_status($again, 201, 'the external id is free');
    isnt(json_of($again)->{id}, $id, 'the number is not');
};

subtest 'ids that are none' => sub {
    my $theirs = json_of($t->post('/api/portal-items', token => $foreign_token, json => { %{ item() }, id => 4711, contact_id => 99 }));
    for my $method (qw(GET PATCH DELETE)) {
        my $ask = sub { $t->request($method, "/api/portal-items/$_[0]", token => $token, $method eq 'PATCH' ? (json => { title => 'x' }) : ()) };
        is_deeply([told($ask->($_->[0]))], ["id.$_->[1]"], "$method $_->[0]") for [0, 'greater_than'], [-1, 'greater_than'],
            ['9223372036854775808', 'int_parsing_size'], ['x', 'int_parsing'];
        is_answer($ask->($_), 404, $not_found, "$method $_") for 77, 4711;
    }
    is_answer($t->get('/api/portal-items/4711', token => $foreign_token), 200, $theirs, 'untouched');
};

subtest 'announced to whom it concerns' => sub {
    my $id = json_of(save(item(external_id => 'told', data => { a => 1 })))->{id};
    my $event = event();
    is("$event->{type} $event->{audience}", 'portal_item.created {"company": 11, "contact": 21}', 'a contact, and its company');
    is_deeply([@{ json_of($event->{data}) }{qw(id external_id status data)}], [$id, 'told', 'open', { a => 1 }]);
    alter($id, { status => 'paid' });
    is(event()->{type}, 'portal_item.updated');
    my $events = $t->value('SELECT count(*) FROM portal.events');
    alter($id, { status => 'paid' });
    is($t->value('SELECT count(*) FROM portal.events'), $events, 'no change, no event');
    alter($id, { contact_id => 22 });
    is(event()->{audience}, '{"contact": 22}', 'a contact without a company');
    alter($id, { contact_id => undef, company_id => 11 });
    is(event()->{audience}, '{"company": 11}');
    $t->delete("/api/portal-items/$id", token => $token);
    is(join(' ', @{ event() }{qw(type audience)}), 'portal_item.deleted {"company": 11}');
};

subtest 'list' => sub {
    my $ws = $t->workspace;
    my $token = $t->token($ws);
    $t->contact($ws, id => $_) for 1, 2;
    $t->company($ws, id => 1);
    $t->insert('portal_items', { workspace_id => $ws->{id}, id => $_->[0], $_->[1] => $_->[2], module => $_->[3], external_id => "e$_->[0]", title => $_->[4],
        status => $_->[5], amount_cents => $_->[6], due_at => $_->[7], created_at => "2026-01-0$_->[8]T00:00:00Z" }) for
        [3, 'contact_id', 1, 'invoices', 'Roof', 'open', 300, '2026-03-01Z', 1], [1, 'contact_id', 2, 'tasks', 'attic', 'done', undef, undef, 3],
        [2, 'company_id', 1, 'invoices', 'Cellar', 'done', 20, '2026-02-01Z', 2];
    my $list = sub { $t->get("/api/portal-items?$_[0]", token => $token) };
    my $order = sub { join ' ', map { $_->{id} } @{ json_of($list->($_[0]))->{data} } };
    is($order->(''), '1 2 3');
    is($order->("sorting=$_->[0]"), $_->[1], $_->[0]) for ['-id', '3 2 1'], ['created_at', '3 2 1'], ['-created_at', '1 2 3'], ['due_at', '2 3 1'], ['-due_at', '3 2 1'],
        ['title', '1 2 3'], ['status', '1 2 3'], ['-status', '3 1 2'], ['status&sorting=-id', '2 1 3'], ['amount_cents', '2 3 1'], ['-amount_cents', '3 2 1'];
    is($order->($_->[0]), $_->[1], $_->[0]) for ['contact_id=1', '3'], ['company_id=1', '2'], ['module=invoices', '2 3'], ['status=done', '1 2'], ['external_id=e1', '1'],
        ['query=OO', '3'], ['query=e2', '2'], ['module=invoices&status=done', '2'], ['contact_id=9', ''];
    is_deeply(json_of($list->('limit=2&page=2'))->{meta}, { total => 3, page => 2, per_page => 2, pages => 2 });
    is_deeply([told($list->('page=0&sorting=x&contact_id=x&company_id=0&module=x'))],
        [qw(page.greater_than sorting.0.enum contact_id.int_parsing company_id.greater_than module.enum)]);
};

subtest 'every key of an order counts' => sub {
    my $ws = $t->workspace;
    my $token = $t->token($ws);
    $t->contact($ws, id => 1);
    $t->insert('portal_items', { workspace_id => $ws->{id}, id => $_, contact_id => 1, module => 'tasks', external_id => "e$_", title => 'Same', status => 'open',
        amount_cents => (5, 7, 6)[$_ - 1], due_at => '2026-02-01Z', created_at => '2026-01-01Z' }) for 1 .. 3;
    my $order = sub { my $answer = $t->get('/api/portal-items?' . join('&', map { "sorting=$_" } @_), token => $token);
        join ' ', map { $_->{id} } @{ json_of($answer)->{data} } };
    is($order->(qw(status title due_at created_at -amount_cents)), '2 3 1', 'the fifth');
    is($order->(qw(status title due_at created_at module)), '', 'each is checked');
    is($order->(qw(status -status title -title due_at -due_at created_at amount_cents -amount_cents -id)), '1 3 2', 'a column counts where it comes first');
    is($order->(qw(status title due_at created_at created_at -id)), '3 2 1');
};

subtest 'an addressee that is deleted at this moment' => sub {
    $t->contact($ws, id => 77);
    my $before = $count->();
    $t->db->begin_work;
    $t->db->do('DELETE FROM portal.contacts WHERE workspace_id = ? AND id = 77', undef, $ws->{id});
    my $answer = $t->apart(sub { my $made = save(item(contact_id => 77)); ($made->code, told($made)) });
    my $waits = sub { $t->value('SELECT count(*) FROM pg_locks WHERE NOT granted') };
    ok($t->wait_for(sub { $waits->() }, 5, 0.005), 'the item waits for it');
    $t->db->commit;
    is_deeply([$answer->()], [422, 'contact_id.value_error'], 'does not exist');
    is($count->(), $before, 'nothing made');
};

subtest 'Idempotency-Key' => sub {
    my %key = (headers => { 'Idempotency-Key' => 'one' });
    my $body = item();
    my $made = save($body, %key);
    is_status($made, 201);
    is_answer(save($body, %key), 201, json_of($made), 'replayed');
    is_status(save(item(), %key), 422, 'another payload');
    is_status($t->post('/api/contacts', token => $token, json => { name => 'x' }, %key), 201, 'another path');
};

my $wrong = WrongCallers->new($t, $ws);
$wrong->refused(GET => $_, 'client_portal:read') for '/api/portal-items/', '/api/portal-items/1';
$wrong->refused(POST => '/api/portal-items/', 'client_portal:write', json => item());
$wrong->refused(PATCH => '/api/portal-items/1', 'client_portal:write', json => { title => 'x' });
$wrong->refused(DELETE => '/api/portal-items/1', 'client_portal:write');

subtest 'what else there is' => sub {
    is(json_of($t->get('/api/portal-items/1', token => $token))->{title}, 'Invoice 17', 'nothing changed');
};

subtest 'the SQL door' => sub {
    $t->db->do('CREATE ROLE acme_site LOGIN IN ROLE portal_site');
    $t->db->do(q(INSERT INTO portal.site_roles VALUES ('acme_site', ?)), undef, $ws->{id});
    my $site = DBI->connect('dbi:Pg:host=' . $t->dir . "/pg;port=$t->{postgres_port};dbname=portal;user=acme_site", '', '',
        { RaiseError => 1, PrintError => 0, pg_enable_utf8 => 1 });
    my $insert = sub { my %row = (workspace_id => $ws->{id}, contact_id => 21, module => 'invoices', external_id => 's' . ++$made, title => 'S', status => 's', @_);
        my @names = sort keys %row;
        eval { $site->selectrow_hashref(sprintf('INSERT INTO portal.portal_items (%s) VALUES (%s) RETURNING *', join(', ', @names), join(', ', ('?') x @names)), undef, @row{@names}) } };
    my $row = $insert->(amount_cents => 5) or diag $@;
    is(json_of($t->get("/api/portal-items/$row->{id}", token => $token))->{amount_cents}, 5, 'a row is an item');
    is(event()->{type}, 'portal_item.created', 'and is announced');
    $site->do('UPDATE portal.portal_items SET status = ? WHERE id = ?', undef, 'z', $row->{id});
    is(event()->{type}, 'portal_item.updated');
    $site->do('DELETE FROM portal.portal_items WHERE id = ?', undef, $row->{id});
    is(event()->{type}, 'portal_item.deleted');
    for (['id_positive', id => 0], ['module_known', module => 'x'], ['external_id_length', external_id => ''], ['external_id_length', external_id => 'x' x 257],
        ['title_length', title => ''], ['status_length', status => 'x' x 65], ['amount_cents_range', amount_cents => -1], ['currency_form', currency => 'EURO'],
        ['due_at_range', due_at => '10000-01-01Z'], ['due_at_range', due_at => 'infinity'], ['one_addressee', company_id => 11], ['one_addressee', contact_id => undef],
        ['contact', contact_id => 99], ['data_form', data => '[]'], map { ['url_form', url => $_] } 'x', 'ftp://x', 'https://', 'https://a@b/', "https://a/\n", 'https://a\\b',
        'https://.a', 'https://a..b', 'javascript:x', 'https://a/' . 'x' x 2074) {
        my ($constraint, @column) = @$_;
        is($insert->(@column), undef, "refused: $column[0]");
        like($@, qr/portal_items_$constraint"/, '  by its constraint');
    }
    ok($insert->(url => $_), "url $_") or diag $@ for 'https://a', 'http://[::1]:80/', 'HTTPS://A.b.:1?x', "https://a/\x{2003}";
    is($insert->(workspace_id => $other->{id}, contact_id => 99), undef, 'not into another workspace');
    like($@, qr/row-level security/);
    is($site->selectrow_array('SELECT count(*) FROM portal.portal_items WHERE workspace_id <> ?', undef, $ws->{id}), 0, 'nor a look there');
    $site->disconnect;
};

$t->done;
