# POST /api/customer-sessions/: a pre-authenticated link into the portal.
use strict; use warnings; use utf8;
use Digest::SHA qw(sha256_hex);
use Test::More;
use Time::Local qw(timegm);
use PortalTest;

my $t = PortalTest->new;
my $acme = $t->workspace(slug => 'acme');
my $team_ws = $t->workspace(slug => 'members', member_model => 1);
my $other = $t->workspace;
my $token = $t->token($acme, 'customer_sessions:write');
my $team_token = $t->token($team_ws, 'customer_sessions:write');
my $path = '/api/customer-sessions/';
my $uuid = qr/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
my $time = qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z$/;

sub create { my (%json) = @_; $t->post($path, token => $token, json => \%json) }
sub create_member { my (%json) = @_; $t->post($path, token => $team_token, json => \%json) }
sub epoch { my ($y, $m, $d, $h, $i, $s) = $_[0] =~ /(\d+)/g; timegm($s, $i, $h, $d, $m - 1, $y) }
sub entries { my ($response) = @_; my $body = json_of($response); is_status($response, 422);
    is($body->{error}, 'RequestValidationError', 'error name'); return $body->{detail} // [] }
# one problem and no other: type, loc, msg
sub refused {
    my ($response, $type, $loc, $msg, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    subtest $name // "$type at @$loc" => sub {
        my $list = entries($response);
        is(scalar @$list, 1, 'one problem') or diag $response->content;
        is_deeply($list->[0]{loc}, $loc, 'loc');
        is($list->[0]{type}, $type, 'type') if defined $type;
        ref $msg ? like($list->[0]{msg}, $msg, 'msg') : is($list->[0]{msg}, $msg, 'msg') if defined $msg;
        ok(exists $list->[0]{input}, 'input is told');
    };
}

my $address = { country => 'AD', line1 => 'Carrer 1', line2 => undef, postal_code => 'AD500', city => 'Andorra la Vella',
    state => undef };
my $john = $t->customer($acme, email => 'John+Shop@example.com', name => 'John Doe', external_id => 'usr_1337',
    metadata => '{"plan":"gold"}', billing_address => JSON::XS->new->encode($address), email_verified => 1);

subtest 'the answer has exactly the documented members' => sub {
    my $response = create(customer_id => $john->{id}, return_url => 'https://example.com/account');
    is_status($response, 201);
    is($response->header('Content-Type'), 'application/json', 'type');
    is($response->header('Cache-Control'), 'no-store', 'not stored');
    is($response->header('X-Content-Type-Options'), 'nosniff', 'nosniff');
    is($response->header('Referrer-Policy'), 'no-referrer', 'referrer');
    like($response->header('X-Request-ID'), qr/^[0-9a-f]{32}$/, 'request id');
    is($response->header('Location'), undef, 'no Location');
    is_deeply([keys_of($response)], [qw(id created_at modified_at token expires_at return_url customer_portal_url
        customer_id customer)], 'members in order');
    is_deeply([keys_of($response, 'customer')], [qw(id created_at modified_at metadata external_id email
        email_verified name billing_address workspace_id deleted_at avatar_url type)], 'customer in order');
    is_deeply([keys_of($response, 'customer', 'billing_address')], [qw(country line1 line2 postal_code city state)],
        'billing address in order');

    my $body = json_of($response);
    like($body->{id}, $uuid, 'id');
    like($body->{created_at}, $time, 'created_at');
    is($body->{modified_at}, undef, 'not modified yet');
    like($body->{token}, qr/^portal_cst_[A-Za-z0-9_-]{48}$/, 'token');
    like($body->{expires_at}, $time, 'expires_at');
    cmp_ok(abs(epoch($body->{expires_at}) - epoch($body->{created_at}) - 3600), '<=', 1, 'an hour');
    is($body->{return_url}, 'https://example.com/account', 'return_url');
    is($body->{customer_id}, $john->{id}, 'customer_id');
    is($body->{customer_portal_url}, $t->base_url . "/acme/portal?customer_session_token=$body->{token}"
        . '&email=John%2BShop%40example.com', 'link');
    my $customer = $body->{customer};
    is($customer->{id}, $john->{id}, 'customer');
    is_deeply($customer->{metadata}, { plan => 'gold' }, 'metadata');
    is($customer->{external_id}, 'usr_1337', 'external id');
    is($customer->{email}, 'John+Shop@example.com', 'e-mail');
    is($customer->{email_verified}, true, 'verified');
    is($customer->{name}, 'John Doe', 'name');
    is_deeply($customer->{billing_address}, $address, 'address');
    is($customer->{workspace_id}, $acme->{id}, 'workspace');
    is($customer->{deleted_at}, undef, 'not deleted');
    is($customer->{type}, 'individual', 'type');
    is($customer->{avatar_url}, 'https://www.gravatar.com/avatar/' . sha256_hex('john+shop@example.com') . '?d=404',
        'avatar');

    my $row = $t->row('SELECT * FROM portal.customer_sessions WHERE id = ?', $body->{id});
    like($row->{token_hash}, qr/^[0-9a-f]{64}$/, 'only a hash is stored');
    unlike(join(' ', map { $_ // '' } values %$row), qr/\Q$body->{token}/, 'the token is not');
    isnt($row->{token_hash}, sha256_hex($body->{token}), 'and the hash is keyed');
};

subtest 'nulls are told as null' => sub {
    my $plain = $t->customer($acme, name => undef, type => undef);
    my $body = json_of(create(customer_id => $plain->{id}));
    is($body->{return_url}, undef, 'return_url');
    is($body->{customer}{$_}, undef, $_) for qw(name type billing_address external_id modified_at);
    is_deeply($body->{customer}{metadata}, {}, 'empty metadata');
    is($body->{customer}{email_verified}, false, 'not verified');
};

subtest 'the customer may be named by id or by external id' => sub {
    for my $json ({ customer_id => uc $john->{id} }, { customer_id => $john->{id} =~ s/-//gr },
        { external_customer_id => 'usr_1337' }, { customer_external_id => 'usr_1337' },
        { external_customer_id => 'usr_1337', customer_id => $t->customer($acme)->{id} }) {
        my $response = create(%$json);
        is_status($response, 201, join ' and ', sort keys %$json);
        is(json_of($response)->{customer_id}, $john->{id}, 'the customer');
    }
};

subtest 'with and without its last slash it is one route' => sub {
    my $response = $t->post('/api/customer-sessions', token => $token, json => { customer_id => $john->{id} });
    is_status($response, 201);
};

subtest 'unknown members of the body are ignored, other content types of JSON are taken' => sub {
    is_status(create(customer_id => $john->{id}, nonsense => { a => 1 }), 201);
    for my $type ('application/json; charset=utf-8', 'application/vnd.api+json', 'none') {
        is_status($t->post($path, token => $token, body => qq({"customer_id":"$john->{id}"}), type => $type), 201, "'$type'");
    }
};

subtest 'every session has its own token' => sub {
    my @tokens = map { json_of(create(customer_id => $john->{id}))->{token} } 1 .. 3;
    is(scalar keys %{ { map { $_ => 1 } @tokens } }, 3, 'three');
};

subtest 'a customer nobody knows, a deleted one and a foreign one are told apart from nothing' => sub {
    my $gone = $t->customer($acme, external_id => 'gone', deleted_at => '2024-01-01');
    my $foreign = $t->customer($other, external_id => 'foreign');
    my $unknown = '8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001';
    for my $id ($unknown, $gone->{id}, $foreign->{id}) {
        my $response = create(customer_id => $id);
        refused($response, 'value_error', ['body', 'customer_id'], 'Customer does not exist.');
        is(json_of($response)->{detail}[0]{input}, $id, 'input');
    }
    for my $field (qw(external_customer_id customer_external_id)) {
        refused(create($field => $_), 'value_error', ['body', $field], 'Customer does not exist.', "$field $_")
            for qw(nobody gone foreign);
    }
};

subtest 'ids' => sub {
    refused(create(), 'missing', ['body', 'customer_id'], 'Field required', 'none');
    refused(create(customer_id => undef), undef, ['body', 'customer_id'], undef, 'null');
    refused(create(customer_id => 17), undef, ['body', 'customer_id'], undef, 'a number');
    refused(create(customer_id => $_), 'uuid_parsing', ['body', 'customer_id'], qr/^Input should be a valid UUID, ./, "'$_'")
        for '', 'x', substr($john->{id}, 1), "$john->{id}0", '{' . $john->{id} . '}', "$john->{id}\n";
    refused(create(customer_id => '8d0f0e7c-5a4f-1b1e-9d57-3f1c5bb0a001'), 'uuid_version', ['body', 'customer_id'],
        'UUID version 4 expected', 'version 1');
    refused(create(external_customer_id => ''), 'string_too_short', ['body', 'external_customer_id']);
    refused(create(customer_id => $john->{id}, external_member_id => ''), 'string_too_short', ['body', 'external_member_id']);
    refused(create(external_customer_id => 5), 'string_type', ['body', 'external_customer_id'],
        'Input should be a valid string', 'external id a number');
};

subtest 'return_url' => sub {
    my $ok = sub { my ($url) = @_; my $response = create(customer_id => $john->{id}, return_url => $url);
        is_status($response, 201, substr $url // 'null', 0, 60); is(json_of($response)->{return_url}, $url, 'told') };
    $ok->($_) for undef, 'http://example.com/', 'https://example.com', 'https://example.com:8443/a?b=c#d',
        'http://127.0.0.1:3000/back', 'https://[::1]/', 'https://example.com/' . 'a' x (2083 - 20);
    my $no = sub { my ($url, $type) = @_; refused(create(customer_id => $john->{id}, return_url => $url), $type,
        ['body', 'return_url'], undef, substr $url, 0, 60) };
    $no->('https://example.com/' . 'a' x (2084 - 20), 'string_too_long');
    $no->('', undef);
    $no->($_, 'url_scheme') for 'ftp://example.com/', 'javascript:alert(1)';
    $no->($_, 'url_parsing') for '/account', 'example.com', 'https://';
    $no->($_, undef) for 'https://user@example.com/', 'https://user:secret@example.com/', "https://example.com/\na",
        "https://example.com/\x{7f}", "https://example.com/\x{9f}", 'https://exa mple.com/', "https://example.com/\t";
    refused(create(customer_id => $john->{id}, return_url => 5), undef, ['body', 'return_url'], undef, 'a number');
};

subtest 'return_url must be on one of the workspace\'s hosts, when it names any' => sub {
    my $strict = $t->workspace(return_hosts => ['shop.example.com']);
    my $strict_token = $t->token($strict, 'customer_sessions:write');
    my $customer = $t->customer($strict);
    my $try = sub { $t->post($path, token => $strict_token, json => { customer_id => $customer->{id}, return_url => $_[0] }) };
    is_status($try->($_), 201, $_) for 'https://shop.example.com/x', 'https://SHOP.example.com/x';
    refused($try->($_), 'value_error', ['body', 'return_url'], undef, $_)
        for 'https://evil.example.com/', 'https://shop.example.com.evil.net/', 'https://evil.net/?shop.example.com';
};

subtest 'expires_in' => sub {
    for my $seconds (60, 3600) {
        my $body = json_of(create(customer_id => $john->{id}, expires_in => $seconds));
        cmp_ok(abs(epoch($body->{expires_at}) - epoch($body->{created_at}) - $seconds), '<=', 1, "$seconds seconds");
    }
    refused(create(customer_id => $john->{id}, expires_in => $_), undef, ['body', 'expires_in'], undef, "$_ seconds")
        for 59, 3601, 0, -1;
    refused(create(customer_id => $john->{id}, expires_in => 'x'), undef, ['body', 'expires_in'], undef, 'text');
    refused(create(customer_id => $john->{id}, expires_in => 60.5), undef, ['body', 'expires_in'], undef, 'a fraction');
};

subtest 'every problem is told at once' => sub {
    my $list = entries(create(customer_id => 'x', return_url => 'ftp://a', expires_in => 1));
    is_deeply([sort map { $_->{loc}[1] } @$list], [qw(customer_id expires_in return_url)], 'three of them');
};

subtest 'member ids are not looked at without the member model' => sub {
    is_status(create(customer_id => $john->{id}, member_id => '8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001'), 201, 'member_id');
    is_status(create(customer_id => $john->{id}, external_member_id => 'nobody'), 201, 'external_member_id');
    is($t->value('SELECT count(*) FROM portal.members WHERE customer_id = ?', $john->{id}), 0, 'and no member is made');
};

subtest 'member model: a member of the customer gets a member session' => sub {
    my $team = $t->customer($team_ws, type => 'team');
    $t->member($team);
    my $ann = $t->member($team, role => 'member', email => 'ann@example.com', external_id => 'ann-1');
    for my $json ({ member_id => $ann->{id} }, { external_member_id => 'ann-1' }, { member_id => undef, external_member_id => 'ann-1' },
        { member_id => $ann->{id}, external_member_id => 'nobody' }) {
        my $response = create_member(customer_id => $team->{id}, %$json);
        is_status($response, 201, join ' ', sort keys %$json);
        my $body = json_of($response);
        like($body->{token}, qr/^portal_mst_[A-Za-z0-9_-]{48}$/, 'member session');
        is($body->{customer_id}, $team->{id}, 'customer');
        is($body->{customer_portal_url}, $t->base_url . "/members/portal?customer_session_token=$body->{token}"
            . '&email=ann%40example.com', 'link with the member\'s address');
        is_deeply([keys_of($response)], [qw(id created_at modified_at token expires_at return_url customer_portal_url
            customer_id customer)], 'the same members');
    }
};

subtest 'member model: a member that is not there' => sub {
    my $team = $t->customer($team_ws, type => 'team');
    my $gone = $t->member($team, role => 'member', deleted_at => '2024-01-01', external_id => 'gone');
    my $elsewhere = $t->member($t->customer($team_ws, type => 'team'), external_id => 'elsewhere');
    for my $id ('8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001', $gone->{id}, $elsewhere->{id}) {
        refused(create_member(customer_id => $team->{id}, member_id => $id), 'value_error', ['body', 'member_id'],
            'Member does not exist.');
    }
    refused(create_member(customer_id => $team->{id}, external_member_id => $_), 'value_error',
        ['body', 'external_member_id'], 'Member does not exist.') for qw(nobody gone elsewhere);
    refused(create_member(customer_id => $team->{id}, member_id => 'x'), 'uuid_parsing', ['body', 'member_id']);
};

subtest 'member model: a team needs a member, an individual gets its owner' => sub {
    my $team = $t->customer($team_ws, type => 'team');
    refused(create_member(customer_id => $team->{id}), 'value_error', ['body', 'member_id'],
        'member_id is required for team customers.');
    for my $type ('individual', undef) {
        my $one = $t->customer($team_ws, type => $type, email => ($type // 'none') . '@example.com', name => 'One');
        my $body = json_of(create_member(customer_id => $one->{id}));
        like($body->{token}, qr/^portal_mst_/, 'a member session for ' . ($type // 'null'));
        my $owners = $t->db->selectall_arrayref('SELECT * FROM portal.members WHERE customer_id = ?', { Slice => {} }, $one->{id});
        is(scalar @$owners, 1, 'an owner was made');
        is_deeply([@{ $owners->[0] }{qw(role email name)}], ['owner', $one->{email}, 'One'], 'from the customer');
        json_of(create_member(customer_id => $one->{id}));
        is($t->value('SELECT count(*) FROM portal.members WHERE customer_id = ?', $one->{id}), 1, 'and only once');
    }
};

subtest 'member model: a removed owner is not revived' => sub {
    my $one = $t->customer($team_ws);
    my $removed = $t->member($one, email => $one->{email}, deleted_at => '2024-01-01');
    is_status(create_member(customer_id => $one->{id}), 201);
    ok($t->value('SELECT deleted_at FROM portal.members WHERE id = ?', $removed->{id}), 'still removed');
    is($t->value('SELECT count(*) FROM portal.members WHERE customer_id = ? AND deleted_at IS NULL', $one->{id}), 1,
        'a new owner');
};

subtest 'member model: twenty at once make one owner' => sub {
    my $one = $t->customer($team_ws);
    my @answers = $t->at_once(map { $t->bytes(POST => $path, token => $team_token, json => { customer_id => $one->{id} }) } 1 .. 20);
    is(scalar(grep { $_->code == 201 } @answers), 20, 'all answered');
    is($t->value('SELECT count(*) FROM portal.members WHERE customer_id = ?', $one->{id}), 1, 'one owner');
};

$t->done;
