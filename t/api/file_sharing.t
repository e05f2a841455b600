# /api/file-sharing/sessions: what a workspace's backend tells of shared files and their downloads.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new;
my ($ws, $other) = map { $t->workspace } 1 .. 2;
my $token = $t->token($ws, 'file_sharing:write');
my $customer = $t->customer($ws, external_id => 'cus_1');
my $foreign = $t->customer($other, external_id => 'cus_2');
my $path = '/api/file-sharing/sessions';
my $uuid = qr/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
my $unknown = '8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001';
my $not_found = { error => 'ResourceNotFound', detail => 'Not found' };
my @members = qw(id created_at modified_at short_slug long_slug status max_downloads download_count price_cents currency
    title file_name file_size_bytes ttl_seconds expires_at activated_at completed_at user_id workspace_id share_id
    customer_id);

sub create { my (%json) = @_; $t->post($path, token => $token, json => { customer_id => $customer->{id}, %json }) }
sub made { my $response = create(@_); is_status($response, 201) or return {}; json_of($response) }
sub download { my ($session, $json, %o) = @_;
    $t->post("$path/$session->{id}/downloads", token => $token, json => $json // {}, %o) }
# the problems of a 422 as "type at field: sentence"
sub problems { my ($response) = @_; is_status($response, 422);
    [map { "$_->{type} at $_->{loc}[-1]: $_->{msg}" } @{ json_of($response)->{detail} }] }
sub events { my ($type, $id) = @_; $t->db->selectall_arrayref('SELECT audience::text, data FROM portal.events
    WHERE type = ? AND coalesce(data->>\'session_id\', data->>\'id\') = ? ORDER BY timestamp', undef, $type, $id) }

subtest 'a session by its owner alone' => sub {
    my $response = create();
    is_status($response, 201);
    is_deeply([keys_of($response)], \@members, 'members in order');
    my $body = json_of($response);
    like($body->{id}, $uuid);
    like($body->{short_slug}, qr/^[a-z2-9]{10}$/, 'a short slug');
    like($body->{long_slug}, qr/^[a-z2-9]{32}$/, 'a long slug');
    is_deeply({ %$body, id => 1, created_at => 1, short_slug => 1, long_slug => 1 }, { id => 1, created_at => 1,
        short_slug => 1, long_slug => 1, modified_at => undef, status => 'created', max_downloads => 0, download_count => 0,
        price_cents => undef, currency => 'usd', title => undef, file_name => undef, file_size_bytes => undef,
        ttl_seconds => 0, expires_at => undef, activated_at => undef, completed_at => undef, user_id => undef,
        workspace_id => $ws->{id}, share_id => undef, customer_id => $customer->{id} }, 'all members');
    is_answer($t->get("$path/$body->{id}", token => $token), 200, $body, 'and is read as it was told');
    is_deeply([map { $_->[0] } @{ events('file_sharing_session.created', $body->{id}) }],
        [qq({"customer": "$customer->{id}"})], 'announced to its owner');
};

subtest 'everything that can be told' => sub {
    my %all = (short_slug => 'abc', long_slug => 'x' x 63, status => 'active', max_downloads => 5, download_count => 2,
        price_cents => 1500, currency => 'EUR', title => "Pläne \x{1F4D0}", file_name => 'plans.zip',
        file_size_bytes => 9007199254740993, ttl_seconds => 3600, user_id => '0e32e09f-97f4-47ea-acf2-c343c3547034',
        share_id => $unknown, activated_at => '2026-01-02T03:04:05.678901Z', completed_at => undef,
        expires_at => '2027-01-02T05:04:05Z');
    my $body = made(%all, expires_at => '2027-01-02T03:04:05-02:00');
    is($body->{$_}, $all{$_}, $_) for sort keys %all;
    my $ends = made(ttl_seconds => 60);
    is($t->value('SELECT extract(epoch FROM expires_at - created_at) FROM portal.file_share_sessions WHERE id = ?',
        $ends->{id}), '60.000000', 'an end by its life');
    ok(made(status => 'completed')->{completed_at}, 'completed now');
    ok(made(status => 'active')->{activated_at}, 'active now');
    is($t->post($path, token => $token, json => { external_customer_id => 'cus_1' })->code, 201, 'the owner by its external id');
    is(json_of($t->post("$path/", token => $token, json => { external_customer_id => 'cus_1', customer_id => $foreign->{id} }))
        ->{customer_id}, $customer->{id}, 'which wins');
};

subtest 'every problem at once' => sub {
    is_deeply(problems($t->post($path, token => $token, json => { short_slug => 'AB', long_slug => 'A b', status => 'gone',
        max_downloads => -1, download_count => 'x', price_cents => 1.5, currency => 'EURO', title => 'x' x 257,
        file_name => 7, file_size_bytes => -1, ttl_seconds => 315360001, expires_at => 'tomorrow', activated_at => 5,
        completed_at => '2026-02-30T00:00:00Z', user_id => 'x', share_id => '8d0f0e7c-5a4f-1b1e-9d57-3f1c5bb0a001' })), [
        'missing at customer_id: Field required',
        'string_too_short at short_slug: String should have at least 3 characters',
        'value_error at long_slug: A slug has lower-case letters, digits and hyphens only.',
        q(enum at status: Input should be 'created', 'active', 'completed', 'expired', 'destroyed' or 'reported'),
        'greater_than_equal at max_downloads: Input should be greater than or equal to 0',
        'int_type at download_count: Input should be a valid integer',
        'int_from_float at price_cents: Input should be a valid integer, got a number with a fractional part',
        q(string_pattern_mismatch at currency: String should match pattern '^[A-Za-z]{3}$'),
        'string_too_long at title: String should have at most 256 characters',
        'string_type at file_name: Input should be a valid string',
        'greater_than_equal at file_size_bytes: Input should be greater than or equal to 0',
        'less_than_equal at ttl_seconds: Input should be less than or equal to 315360000',
        'datetime_parsing at expires_at: Input should be a valid datetime, invalid character in year',
        'datetime_type at activated_at: Input should be a valid datetime',
        'datetime_parsing at completed_at: Input should be a valid datetime, day value is outside expected range',
        'uuid_parsing at user_id: Input should be a valid UUID, invalid character: expected an optional prefix of '
            . '`urn:uuid:` followed by [0-9a-fA-F-], found `x` at 1',
        'uuid_version at share_id: UUID version 4 expected' ]);
    is_deeply(problems(create(max_downloads => 2147483648)),
        ['less_than_equal at max_downloads: Input should be less than or equal to 2147483647']);
    is_deeply(problems(create(download_count => 3, max_downloads => 2)),
        ['value_error at download_count: The download count cannot be above the maximum of downloads.']);
    is_deeply(problems(create(short_slug => 'api', long_slug => 'x' x 64)), ['value_error at short_slug: This slug is reserved.',
        'string_too_long at long_slug: String should have at most 63 characters']);
    is_deeply(problems(create(expires_at => $_->[0])), ["datetime_parsing at expires_at: Input should be a valid datetime, $_->[1]"])
        for ['2026-01-01T00:00:00', 'a time zone is needed'], ['2026-13-01T00:00:00Z', 'month value is outside expected range of 1-12'],
            ['2026-01-01T24:00:00Z', 'hour value is outside expected range of 0-23'],
            ['2026-01-01T00:00:00.Z', 'second fraction has no digits'];
    is_status(create(title => 'x' x 256, file_name => 'y' x 256, max_downloads => 2147483647, ttl_seconds => 315360000,
        price_cents => 0, file_size_bytes => 0), 201, 'and the edges that are none');
    my $before = $t->value('SELECT count(*) FROM portal.file_share_sessions');
    is_deeply(problems($t->post($path, token => $token, json => { customer_id => $_, short_slug => 'abc', long_slug => 'x' x 63 })), [
        'value_error at customer_id: Customer does not exist.',
        'value_error at short_slug: A session with this slug already exists.',
        'value_error at long_slug: A session with this slug already exists.' ]) for $unknown, $foreign->{id};
    is_deeply(problems($t->post($path, token => $token, json => { external_customer_id => 'cus_2' })),
        ['value_error at external_customer_id: Customer does not exist.']);
    is($t->value('SELECT count(*) FROM portal.file_share_sessions'), $before, 'nothing was made');
    my $theirs = $t->token($other, 'file_sharing:write');
    is_status($t->post($path, token => $theirs, json => { customer_id => $foreign->{id}, short_slug => 'abc' }), 201,
        'a slug of another workspace is free');
    is_answer($t->post($path, token => $token, body => '[]'), 422, { error => 'RequestValidationError', detail => [{
        type => 'model_attributes_type', loc => ['body'], input => [],
        msg => 'Input should be a valid dictionary or object to extract fields from' }] });
};

subtest 'the largest count stays' => sub {
    my $session = made(download_count => 2147483647);
    is_status(download($session), 201, 'one more');
    is(json_of($t->get("$path/$session->{id}", token => $token))->{download_count}, 2147483647);
    my $last = made(download_count => 2147483646, max_downloads => 2147483647);
    is_status(download($last), 201, 'the last');
    is_deeply([@{ json_of($t->get("$path/$last->{id}", token => $token)) }{qw(download_count status)}], [2147483647, 'completed']);
    is_status(download($last), 403, 'no more');
};

subtest 'a change' => sub {
    my $session = made(title => 'Old', price_cents => 5, max_downloads => 3);
    my $change = sub { $t->patch("$path/$session->{id}", token => $token, json => { @_ }) };
    my $answer = json_of($change->(title => 'New', status => 'active'));
    is_deeply({ %$answer, modified_at => 0, activated_at => 0 }, { %$session, title => 'New', status => 'active',
        modified_at => 0, activated_at => 0 }, 'what was named, and no more');
    ok($answer->{$_}, $_) for qw(modified_at activated_at);
    $answer = json_of($change->(price_cents => undef, title => undef, status => undef, max_downloads => undef, currency => undef));
    is_deeply([@$answer{qw(price_cents title status max_downloads currency)}], [undef, undef, 'active', 3, 'usd'],
        'null clears what may be null');
    my $same = json_of($change->());
    is($same->{modified_at}, $answer->{modified_at}, 'nothing said, nothing changed');
    is(scalar @{ events('file_sharing_session.updated', $session->{id}) }, 2, 'two changes announced');
    is_status($change->(status => 'expired'), 200);
    is(scalar @{ events('file_sharing_session.expired', $session->{id}) }, 1, 'expired');
    is(scalar @{ events('file_sharing_session.updated', $session->{id}) }, 2, 'which is told once');
    is_deeply(problems($change->(download_count => 4, short_slug => 'abc')), [
        'value_error at short_slug: A session with this slug already exists.',
        'value_error at download_count: The download count cannot be above the maximum of downloads.']);
    is(json_of($change->(max_downloads => 1, download_count => 1))->{download_count}, 1, 'both at once');
    is_deeply(problems($change->(max_downloads => -1)), ['greater_than_equal at max_downloads: Input should be greater than or equal to 0']);
    is(json_of($change->(short_slug => $session->{short_slug}))->{short_slug}, $session->{short_slug}, 'its own slug is no other\'s');
    my $heir = $t->customer($ws);
    is(json_of($change->(customer_id => $heir->{id}))->{customer_id}, $heir->{id}, 'another owner');
    is_deeply(problems($change->(customer_id => $foreign->{id})), ['value_error at customer_id: Customer does not exist.']);
    is_answer($t->patch("$path/$unknown", token => $token, json => { title => 'x' }), 404, $not_found);
    my $ttl = made(ttl_seconds => 60);
    my $longer = json_of($t->patch("$path/$ttl->{id}", token => $token, json => { ttl_seconds => 120 }));
    is($t->value('SELECT extract(epoch FROM expires_at - created_at)::int FROM portal.file_share_sessions WHERE id = ?', $ttl->{id}), 120,
        'another life, another end');
};

subtest 'downloads count, activate, complete' => sub {
    my $session = made(max_downloads => 2);
    my $response = download($session, { customer_id => $customer->{id} });
    is_status($response, 201);
    is_deeply([keys_of($response)], [qw(id created_at modified_at session_id slot_number customer_id)], 'members in order');
    my $first = json_of($response);
    is_deeply([@$first{qw(modified_at session_id slot_number customer_id)}], [undef, $session->{id}, 1, $customer->{id}]);
    my $after = json_of($t->get("$path/$session->{id}", token => $token));
    is_deeply([@$after{qw(status download_count completed_at)}], ['active', 1, undef], 'active');
    is($after->{activated_at}, $first->{created_at}, 'since the first');
    is_status($t->post("$path/$session->{id}/downloads/", token => $token), 201, 'without a body');
    $after = json_of($t->get("$path/$session->{id}", token => $token));
    is_deeply([@$after{qw(status download_count)}], ['completed', 2], 'completed');
    ok($after->{completed_at}, 'when');
    is_answer(download($session), 403, { error => 'NotPermitted', detail => 'Download limit reached.' }, 'beyond');
    is($t->value('SELECT count(*) FROM portal.file_share_downloads WHERE session_id = ?', $session->{id}), 2, 'two rows');
    is(scalar @{ events('file_sharing_session.download_completed', $session->{id}) }, 2, 'told twice');
    is(scalar @{ events('file_sharing_session.updated', $session->{id}) }, 0, 'and not a second time');
    unlike($t->log_text('postgres.log'), qr/Download limit/, 'a refusal is no error of the server\'s');
    is(json_of(download(made(), { slot_number => 7 }))->{slot_number}, 7, 'a slot of the caller\'s');
    my $endless = made();
    download($endless) for 1 .. 3;
    is_deeply([@{ json_of($t->get("$path/$endless->{id}", token => $token)) }{qw(status download_count)}], ['active', 3], 'no limit');
    my $late = made(status => 'expired', max_downloads => 1);
    is_status(download($late), 201, 'what happened is recorded, whatever the state');
    is(json_of($t->get("$path/$late->{id}", token => $token))->{status}, 'expired', 'which stays');
    is_status(download($late), 403, 'and the limit holds');
    is_answer(download({ id => $unknown }), 404, $not_found);
    is_deeply(problems(download($session, { slot_number => -1, customer_id => 'x' })), [
        'uuid_parsing at customer_id: Input should be a valid UUID, invalid character: expected an optional prefix of '
            . '`urn:uuid:` followed by [0-9a-fA-F-], found `x` at 1',
        'greater_than_equal at slot_number: Input should be greater than or equal to 0']);
    is_deeply(problems(download($endless, { customer_id => $foreign->{id} })), ['value_error at customer_id: Customer does not exist.']);
    is_deeply(problems(download({ id => 'x' })), ['uuid_parsing at id: Input should be a valid UUID, invalid character: expected '
        . 'an optional prefix of `urn:uuid:` followed by [0-9a-fA-F-], found `x` at 1']);
};

subtest 'a buyer hears of its own download alone' => sub {
    my ($session, $buyer) = (made(), $t->customer($ws));
    download($session, { customer_id => $_ }) for $buyer->{id}, $customer->{id}, undef;
    is_deeply([map { $_->[0] } @{ events('file_sharing_session.download_completed', $session->{id}) }],
        [qq({"customer": ["$customer->{id}", "$buyer->{id}"]}), (qq({"customer": "$customer->{id}"})) x 2]);
};

subtest 'forty downloads at once of ten allowed' => sub {
    my $session = made(max_downloads => 10);
    my @answers = $t->at_once(($t->bytes(POST => "$path/$session->{id}/downloads", token => $token, json => {})) x 40);
    my %codes;
    $codes{ $_->code }++ for @answers;
    is_deeply(\%codes, { 201 => 10, 403 => 30 }, 'ten');
    is(join(' ', sort { $a <=> $b } map { json_of($_)->{slot_number} } grep { $_->code == 201 } @answers), '1 2 3 4 5 6 7 8 9 10',
        'each its number');
    is_deeply([@{ json_of($t->get("$path/$session->{id}", token => $token)) }{qw(status download_count)}], ['completed', 10]);
};

subtest 'Idempotency-Key' => sub {
    my %key = (headers => { 'Idempotency-Key' => 'k1' });
    my $ask = sub { $t->post($path, token => $token, json => { customer_id => $customer->{id}, short_slug => 'keyed', @_ }, %key) };
    my $first = json_of($ask->());
    is_answer($ask->(), 201, $first, 'the same session, its slug taken by itself');
    is_status($ask->(title => 'x'), 422, 'another payload');
    my $one = made(max_downloads => 1);
    my $download = json_of(download($one, {}, %key));
    is_answer(download($one, {}, %key), 201, $download, 'the same download, the last there was');
    is_status(download($one, {}), 403, 'no other');
    my @answers = $t->at_once(($t->bytes(POST => "$path/$first->{id}/downloads", token => $token, json => {},
        headers => { 'Idempotency-Key' => 'many' })) x 10);
    my %ids = map { json_of($_)->{id} => 1 } grep { $_->code == 201 } @answers;
    is(scalar keys %ids, 1, 'ten at once make one');
    is($t->value('SELECT download_count FROM portal.file_share_sessions WHERE id = ?', $first->{id}), 1, 'counted once');
    $t->db->do('DELETE FROM portal.file_share_downloads WHERE session_id = ?', undef, $first->{id});
    $t->db->do('DELETE FROM portal.file_share_sessions WHERE id = ?', undef, $first->{id});
    isnt(json_of($ask->())->{id}, $first->{id}, 'what is gone is made again');
};

subtest 'list' => sub {
    my $ws = $t->workspace;
    my $token = $t->token($ws, 'file_sharing:read');
    my ($ann, $bob) = map { $t->customer($ws) } 1 .. 2;
    my @made = map { my ($title, $file, $status, $count, $who) = @$_;
        $t->insert('file_share_sessions', { workspace_id => $ws->{id}, customer_id => $who->{id}, title => $title, file_name => $file,
            status => $status, download_count => $count, created_at => '2026-01-0' . ++$t->{day} . 'T00:00:00Z' }) }
        ['a Plans', 'x.zip', 'created', 5, $ann], ['b', 'plans.PDF', 'active', 9, $ann], ['c', undef, 'active', 1, $bob], ['d', undef, 'expired', 5, $bob];
    my $order = sub { my $r = $t->get("$path?$_[0]", token => $token); is_status($r, 200); join '', map { substr $_->{title}, 0, 1 } @{ json_of($r)->{data} } };
    my $all = json_of($t->get($path, token => $token));
    is_deeply($all->{meta}, { total => 4, page => 1, per_page => 10, pages => 1 }, 'meta');
    is($order->(@$_), $_->[1], "?$_->[0]") for ['', 'dcba'], ['sorting=created_at', 'abcd'], ['sorting=-created_at', 'dcba'],
        ['sorting=download_count&sorting=created_at', 'cadb'], ['sorting=-download_count&sorting=-created_at', 'bdac'],
        ['sorting=status&sorting=created_at', 'bcad'], ['sorting=-status&sorting=download_count', 'dacb'],
        ['status=active', 'cb'], ['query=PLANS', 'ba'], ['query=plans&status=active', 'b'], ['query=%25', ''],
        ["customer_id=$ann->{id}", 'ba'], ["customer_id=$ann->{id}&status=created", 'a'], ["customer_id=$unknown", ''],
        ['limit=3', 'dcb'], ['limit=3&page=2', 'a'], ['limit=3&page=3', ''], ['sorting=created_at&limit=1&page=2', 'b'];
    is_deeply(json_of($t->get("$path?limit=3&page=9", token => $token))->{meta}, { total => 4, page => 9, per_page => 3, pages => 2 },
        'past the end the total stays true');
    is(json_of($t->get("$path?limit=1000", token => $token))->{meta}{per_page}, 100, 'at most 100');
    is_deeply(problems($t->get("$path?page=0&limit=x&sorting=title&status=gone&customer_id=1", token => $token)), [
        'greater_than at page: Input should be greater than 0',
        'int_parsing at limit: Input should be a valid integer, unable to parse string as an integer',
        "enum at 0: Input should be 'created_at', 'status', 'download_count', '-created_at', '-status' or '-download_count'",
        q(enum at status: Input should be 'created', 'active', 'completed', 'expired', 'destroyed' or 'reported'),
        'uuid_parsing at customer_id: Input should be a valid UUID, invalid length: expected length 32 for simple format, found 1']);
};

subtest 'wrong callers' => sub {
    my $session = made();
    my $theirs = $t->token($other, 'file_sharing:write', 'payments:write');
    my $reader = $t->token($ws, 'file_sharing:read');
    my $payer = $t->token($ws, 'payments:write');
    my $gone = $t->token($ws);
    is_status($t->delete('/api/nothing', token => $gone), 404);
    $t->db->do('UPDATE portal.workspace_access_tokens SET revoked_at = now() WHERE id = ?', undef, $t->token_id($gone));
    my $old = $t->token($ws);
    $t->db->do("UPDATE portal.workspace_access_tokens SET expires_at = now() - interval '1 s' WHERE id = ?", undef, $t->token_id($old));
    my $session_token = $t->session($customer);
    my @routes = ([GET => $path, 'file_sharing:read'], [POST => $path, 'file_sharing:write'], [GET => "$path/$session->{id}", 'file_sharing:read'],
        [PATCH => "$path/$session->{id}", 'file_sharing:write'], [POST => "$path/$session->{id}/downloads", 'file_sharing:write'],
        [POST => "$path/$session->{id}/payments", 'payments:write'],
        [PATCH => "$path/$session->{id}/payments/$unknown", 'payments:write']);
    my $before = join ' ', map { $t->value("SELECT count(*) FROM portal.file_share_$_") } qw(sessions downloads payments);
    my $wait = $t->wait_for(sub { $t->get($path, token => $gone)->code == 401 }, 5);
    for (@routes) {
        my ($method, $route, $scope) = @$_;
        my $ask = sub { $t->request($method, $route, token => $_[0], $method eq 'GET' ? () : (json => { customer_id => $customer->{id}, amount_cents => 1 })) };
        is_answer($ask->(undef), 401, '{"error":"Unauthorized","detail":"Unauthorized"}', "$method $route, anonymous");
        is_answer($ask->($session_token), 401, '{"error":"Unauthorized","detail":"Unauthorized"}', 'a customer');
        is_answer($ask->($_), 401, { error => 'invalid_token', error_description =>
            'The access token provided is expired, revoked, malformed, or invalid for other reasons.' }, 'ended') for $gone, $old, 'portal_oat_x';
        my $wrong = $ask->($scope =~ /payments/ ? $token : $scope =~ /write/ ? $reader : $payer);
        is_answer($wrong, 403, { error => 'insufficient_scope', error_description =>
            'The request requires higher privileges than provided by the access token.' }, 'another scope');
        like($wrong->header('WWW-Authenticate'), qr/scope="\Q$scope\E"/, 'which is named');
        next if $route eq $path;
        is_answer($ask->($theirs), 404, $not_found, 'another workspace\'s');
    }
    is_status($t->post($path, token => $theirs, json => { customer_id => $customer->{id} }), 422, 'nor for its customer');
    my $list = $t->get($path, token => $theirs)->content;
    unlike($list, qr/\Q$session->{id}/, 'nor in its list');
    is(join(' ', map { $t->value("SELECT count(*) FROM portal.file_share_$_") } qw(sessions downloads payments)), $before, 'nothing was made');
    is_status($t->delete("$path/$session->{id}", token => $token), 405);
    is($t->delete("$path/$session->{id}", token => $token)->header('Allow'), 'GET, HEAD, PATCH, OPTIONS', 'Allow');
};

$t->done;
