# Members, as a workspace's backend manages them.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new;
my $path = '/api/members/';
my $ws = $t->workspace(slug => 'club', member_model => 1);
my $token = $t->token($ws, 'members:write');
my $foreign = $t->workspace(member_model => 1);

my $off = '{"error":"NotPermitted","detail":"Member management is not enabled for this workspace"}';
my $unknown = '{"error":"ResourceNotFound","detail":"Member not found"}';
my $no_customer = '{"error":"ResourceNotFound","detail":"Customer not found"}';
my $somebody = '8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001';

sub team { $t->customer($ws, type => 'team', @_) }
sub row { $t->row('SELECT * FROM portal.members WHERE id = ?', ref $_[0] ? $_[0]{id} : $_[0]) }
sub post { $t->post($path, token => $token, json => $_[0]) }
sub change { $t->patch("$path$_[0]", token => $token, json => $_[1]) }
# every problem: [type, field, msg]
sub refused {
    my ($response, $name, @problems) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_status($response, 422, $name);
    is_deeply([map { [$_->{type}, $_->{loc}[-1], $_->{msg}] } @{ json_of($response)->{detail} }], \@problems, "$name: problems")
        or diag $response->content;
}

subtest 'make' => sub {
    my $customer = team();
    my $response = post({ customer_id => $customer->{id}, email => 'Ann@EXAMPLE.com', name => 'Ann', external_id => 'a1' });
    is_status($response, 201);
    is_deeply([keys_of($response)], [qw(id created_at modified_at workspace_id customer_id external_id email name role)], 'in order');
    my $ann = json_of($response);
    is_deeply([@$ann{qw(workspace_id customer_id external_id email name role modified_at)}],
        [$ws->{id}, $customer->{id}, 'a1', 'Ann@example.com', 'Ann', 'owner', undef], 'the first is the owner');
    is(json_of(post({ customer_id => $customer->{id}, email => 'bob@example.com' }))->{role}, 'member', 'the second a member');
    is(json_of(post({ customer_id => $customer->{id}, email => 'cem@example.com', role => 'billing_manager' }))->{role},
        'billing_manager', 'or what is said');
    is($t->value('SELECT count(*) FROM portal.outbox'), 0, 'a backend invites nobody');
    my $single = $t->customer($ws);
    is_status(post({ customer_id => $single->{id}, email => 'one@example.com' }), 201, 'an individual\'s one');
};

subtest 'what cannot be made' => sub {
    my $customer = team();
    $t->member($customer, email => 'o@example.com', external_id => 'o1');
    my $make = sub { my (%more) = @_; post({ customer_id => $customer->{id}, email => 'n@example.com', %more }) };
    my $taken = 'A member with this email address already exists.';
    my $count = $t->value('SELECT count(*) FROM portal.members');
    refused($make->(email => 'O@EXAMPLE.com'), 'address taken', ['value_error', 'email', $taken]);
    refused($make->(email => 'o@example.com', external_id => 'o1'), 'both taken', ['value_error', 'email', $taken],
        ['value_error', 'external_id', 'A member with this external ID already exists.']);
    refused($make->(role => 'owner'), 'a second owner',
        ['value_error', 'role', 'Cannot add a member as owner. There must be exactly one owner.']);
    refused(post({ customer_id => team()->{id}, email => 'n@example.com', role => 'member' }), 'no owner',
        ['value_error', 'role', 'Customer must have exactly one owner.']);
    refused($make->(email => 'x', name => 'x' x 257, external_id => '', role => 'king', customer_id => 'x'), 'every problem',
        ['uuid_parsing', 'customer_id', 'Input should be a valid UUID, invalid character: expected an optional prefix of '
            . '`urn:uuid:` followed by [0-9a-fA-F-], found `x` at 1'],
        ['value_error', 'email', 'value is not a valid email address: An email address must have an @-sign.'],
        ['string_too_long', 'name', 'String should have at most 256 characters'],
        ['string_too_short', 'external_id', 'String should have at least 1 character'],
        ['enum', 'role', "Input should be 'owner', 'billing_manager' or 'member'"]);
    refused(post({}), 'nothing', ['missing', 'customer_id', 'Field required'], ['missing', 'email', 'Field required']);
    is_answer($make->(customer_id => $_), 404, $no_customer) for $somebody, $t->customer($foreign, type => 'team')->{id},
        $t->customer($ws, deleted_at => '2024-01-01')->{id};
    my $single = $t->customer($ws);
    $t->member($single);
    is_answer($make->(customer_id => $single->{id}), 403,
        '{"error":"NotPermitted","detail":"An individual customer has one member."}');
    is($t->value('SELECT count(*) FROM portal.members'), $count + 1, 'nobody made');
};

subtest 'show' => sub {
    my $member = $t->member(team(), external_id => 'show');
    my $response = $t->get("$path$member->{id}", token => $token);
    is_status($response, 200);
    is(json_of($response)->{external_id}, 'show', 'the member');
    is_answer($t->get("$path$_", token => $token), 404, $unknown) for $somebody, $t->member($t->customer($foreign))->{id},
        $t->member($t->customer($ws), deleted_at => '2024-01-01')->{id};
    refused($t->get("${path}8d0f0e7c-5a4f-1b1e-9d57-3f1c5bb0a001", token => $token), 'version 1',
        ['uuid_version', 'id', 'UUID version 4 expected']);
};

subtest 'list' => sub {
    my $own = $t->workspace(member_model => 1);
    my $reader = $t->token($own, 'members:read');
    my ($first, $second) = map { $t->customer($own, type => 'team') } 1 .. 2;
    my @members = map { $t->member($first, role => $_ == 1 ? 'owner' : 'member', email => "m$_\@example.com",
        external_id => "e$_", created_at => "2024-01-0$_") } 1 .. 4;
    $t->member($second, email => 'm1@example.com');
    $t->member($first, role => 'member', deleted_at => '2024-02-01');
    my $list = sub { json_of($t->get("$path?$_[0]", token => $reader)) };
    my $emails = sub { [map { $_->{email} } @{ $list->(@_)->{data} }] };
    my $page = $list->("customer_id=$first->{id}&limit=3");
    is_deeply($page->{meta}, { total => 4, page => 1, per_page => 3, pages => 2 }, 'meta');
    is_deeply([map { $_->{id} } @{ $page->{data} }], [map { $_->{id} } @members[0 .. 2]], 'oldest first');
    is_deeply($emails->("customer_id=$first->{id}&limit=3&page=2"), ['m4@example.com'], 'the second page');
    is_deeply($list->("customer_id=$first->{id}&page=9")->{meta}{total}, 4, 'past the end: the true total');
    is($list->('')->{meta}{total}, 5, 'of all customers');
    is_deeply([map { $_->{customer_id} } @{ $list->('email=M1@EXAMPLE.com')->{data} }], [$first->{id}, $second->{id}], 'by address');
    is_deeply($emails->('external_id=e2'), ['m2@example.com'], 'by external id');
    is_deeply($emails->('role=owner&external_id=e1'), ['m1@example.com'], 'by role');
    is($list->("customer_id=$_")->{meta}{total}, 0, 'nothing of nobody\'s') for $somebody, team()->{id};
    refused($t->get("$path?page=0&limit=x&customer_id=x&role=king", token => $reader), 'every problem',
        ['greater_than', 'page', 'Input should be greater than 0'],
        ['int_parsing', 'limit', 'Input should be a valid integer, unable to parse string as an integer'],
        ['uuid_parsing', 'customer_id', 'Input should be a valid UUID, invalid character: expected an optional prefix of '
            . '`urn:uuid:` followed by [0-9a-fA-F-], found `x` at 1'],
        ['enum', 'role', "Input should be 'owner', 'billing_manager' or 'member'"]);
};

subtest 'change' => sub {
    my $customer = team();
    my ($owner, $member) = map { $t->member($customer, role => $_, external_id => "x-$_") } qw(owner member);
    my $response = change($member->{id}, { name => 'New', email => 'New@EXAMPLE.com', external_id => 'new', role => 'billing_manager' });
    is_status($response, 200);
    is_deeply([keys_of($response)], [qw(id created_at modified_at workspace_id customer_id external_id email name role)], 'in order');
    is_deeply([@{ json_of($response) }{qw(name email external_id role)}], ['New', 'New@example.com', 'new', 'billing_manager'], 'values');
    ok(json_of($response)->{modified_at}, 'modified_at');
    my $before = json_of($t->get("$path$member->{id}", token => $token));
    is_answer(change($member->{id}, $_), 200, $before) for {}, { email => undef, role => undef }, { role => 'billing_manager' },
        { customer_id => $somebody };
    is_deeply([@{ json_of(change($member->{id}, { name => undef, external_id => undef })) }{qw(name external_id)}], [undef, undef],
        'null removes');
    is_status(change($owner->{id}, { name => 'Boss', role => 'owner' }), 200, 'an owner stays one');
    is_status(change($member->{id}, { email => 'NEW@example.com' }), 200, 'their own address in other letters');

    my @owners = ['value_error', 'role', 'Customer must have exactly one owner.'];
    refused(change($member->{id}, { role => 'owner' }), 'two owners', @owners);
    refused(change($owner->{id}, { role => 'member' }), 'no owner', @owners);
    refused(change($owner->{id}, { role => 'member', email => 'new@example.com', external_id => 'x' }), 'every problem',
        ['value_error', 'email', 'A member with this email address already exists.'], @owners);
    change($member->{id}, { external_id => 'mine' });
    refused(change($owner->{id}, { external_id => 'mine' }), 'external id taken',
        ['value_error', 'external_id', 'A member with this external ID already exists.']);
    refused($t->patch("${path}x", token => $token, json => { role => 'king', email => 'x' }), 'path and body',
        ['uuid_parsing', 'id', 'Input should be a valid UUID, invalid character: expected an optional prefix of '
            . '`urn:uuid:` followed by [0-9a-fA-F-], found `x` at 1'],
        ['value_error', 'email', 'value is not a valid email address: An email address must have an @-sign.'],
        ['enum', 'role', "Input should be 'owner', 'billing_manager' or 'member'"]);
    is_answer(change($_, { name => 'x' }), 404, $unknown) for $somebody, $t->member($t->customer($foreign))->{id};
};

subtest 'remove' => sub {
    my $customer = team();
    my ($owner, $member) = map { $t->member($customer, role => $_) } qw(owner member);
    my $session = $t->session($member);
    refused($t->delete("$path$owner->{id}", token => $token), 'the owner of others',
        ['value_error', 'id', 'Cannot remove the only owner — transfer ownership first.']);
    is_status($t->get('/api/customer-portal/customer-session/user', token => $session), 200);
    is_answer($t->delete("$path$member->{id}", token => $token), 204, '');
    is_status($t->get('/api/customer-portal/customer-session/user', token => $session), 401, 'the session ends at once');
    is_answer($t->delete("$path$member->{id}", token => $token), 404, $unknown);
    is_answer($t->delete("$path$owner->{id}", token => $token), 204, '');
    ok(row($owner)->{deleted_at}, 'an owner goes last');
    is(json_of(post({ customer_id => $customer->{id}, email => $owner->{email} }))->{role}, 'owner', 'then there is a first again');
    is_answer($t->delete("$path$_", token => $token), 404, $unknown) for $somebody, $t->member($t->customer($foreign))->{id};
    refused($t->delete("${path}x", token => $token), 'no id', ['uuid_parsing', 'id',
        'Input should be a valid UUID, invalid character: expected an optional prefix of `urn:uuid:` followed by [0-9a-fA-F-], found `x` at 1']);
};

subtest 'parallel' => sub {
    for my $round (1 .. 5) {
        my $customer = team();
        my @answers = $t->at_once(map { $t->bytes(POST => $path, token => $token,
            json => { customer_id => $customer->{id}, email => "p$_\@example.com" }) } 1 .. 8);
        is_deeply([map { $_->code } @answers], [(201) x 8], 'all are made');
        is_deeply([sort map { json_of($_)->{role} } @answers], [('member') x 7, 'owner'], 'one the owner');
        @answers = $t->at_once(map { $t->bytes(POST => $path, token => $token,
            json => { customer_id => $customer->{id}, email => 'same@example.com' }) } 1 .. 8);
        is_deeply([sort map { $_->code } @answers], [201, (422) x 7], 'one address once');
    }
};

subtest 'Idempotency-Key' => sub {
    my $customer = team();
    my $make = sub { $t->post($path, token => $token, headers => { 'Idempotency-Key' => $_[0] },
        json => { customer_id => $customer->{id}, email => $_[1] }) };
    my $first = $make->('k1', 'k@example.com');
    is_status($first, 201);
    is_answer($make->('k1', 'k@example.com'), 201, $first->content, 'replayed');
    refused($make->('k1', 'other@example.com'), 'another payload',
        ['value_error', 'Idempotency-Key', 'This key was already used with another payload.']);
    refused($make->('k2', 'k@example.com'), 'another key',
        ['value_error', 'email', 'A member with this email address already exists.']);
    is_status($make->('k2', 'l@example.com'), 201, 'which was not used up');
    my $request = $t->bytes(POST => $path, token => $token, headers => { 'Idempotency-Key' => 'k3' },
        json => { customer_id => $customer->{id}, email => 'm@example.com' });
    my %seen = map { ($_->code . $_->content) => 1 } $t->at_once(($request) x 8);
    delete @seen{ grep { /^409/ } keys %seen };
    is_deeply([map { substr $_, 0, 3 } keys %seen], [201], 'eight at once: one answer') or diag explain \%seen;
    is_status($t->delete($path . json_of($make->('k2', 'l@example.com'))->{id}, token => $token), 204);
    is_status($make->('k2', 'l@example.com'), 201, 'once removed: made again');
};

subtest 'wrong callers' => sub {
    my $member = $t->member(team());
    my $plain = $t->workspace;
    my $without = $t->token($plain, 'members:write');
    my $reader = $t->token($ws, 'members:read');
    my $other = $t->token($ws, 'customers:write');
    my $stranger = $t->token($foreign, 'members:write');
    my $revoked = $t->token($ws, 'members:write');
    $t->db->do('UPDATE portal.workspace_access_tokens SET revoked_at = now() WHERE id = ?', undef, $t->token_id($revoked));
    my @sessions = ($t->session($member), $t->session($t->customer($plain)));
    my $address = 0;
    my $scope = '{"error":"insufficient_scope","error_description":"The request requires higher privileges than provided by the access token."}';
    for (['GET', $path, 'read'], ['POST', $path, 'write', json => { customer_id => $member->{customer_id}, email => 'eve@example.com' }],
        ['GET', "$path$member->{id}", 'read'], ['PATCH', "$path$member->{id}", 'write', json => { name => 'Eve' }],
        ['DELETE', "$path$member->{id}", 'write'])
    {
        my ($method, $to, $needs, @body) = @$_;
        my $ask = sub { $t->request($method, $to, @body, headers => { 'X-Real-IP' => '10.5.0.' . ++$address }, @_) };
        subtest "$method $to" => sub {
            is_answer($ask->(), 401, '{"error":"Unauthorized","detail":"Unauthorized"}');
            is_answer($ask->(token => $_), 401, '{"error":"Unauthorized","detail":"Unauthorized"}') for @sessions;
            is_answer($ask->(token => $_), 401, '{"error":"invalid_token","error_description":"The access token provided is '
                . 'expired, revoked, malformed, or invalid for other reasons."}') for $revoked, 'portal_oat_nonsense';
            is_answer($ask->(token => $other), 403, $scope);
            if ($needs eq 'write') {
                my $response = $ask->(token => $reader);
                is_answer($response, 403, $scope);
                like($response->header('WWW-Authenticate'), qr/scope="members:write"/, 'the scope is named');
            } else {
                is_status($ask->(token => $reader), 200);
            }
            is_answer($ask->(token => $without), 403, $off);
            is_answer($ask->(token => $stranger), 404, $method eq 'POST' ? $no_customer : $unknown) unless $method . $to eq "GET$path";
        };
    }
    is_answer($t->patch("$path$member->{id}", token => $without, json => { name => 5 }), 403, $off);
    is(json_of($t->get($path, token => $stranger))->{meta}{total}, $t->value('SELECT count(*) FROM portal.members
        WHERE workspace_id = ? AND deleted_at IS NULL', $foreign->{id}), 'a stranger sees its own');
    is_deeply([@{ row($member) }{qw(name deleted_at)}], [$member->{name}, undef], 'nothing changed');
};

subtest 'portalctl' => sub {
    my @in = ('-w', 'club');
    my $customer = team();
    my ($owner, $member) = map { $t->member($customer, role => $_, external_id => "ctl-$_") } qw(owner member);
    my $shown = $t->ctl(qw(member update), @in, $member->{id}, '--name', 'Ann', '--role', 'billing_manager', '--external-id', '');
    is_deeply($shown, json_of($t->get("$path$member->{id}", token => $token)), 'update --json is what REST says');
    is_deeply([@$shown{qw(name role external_id)}], ['Ann', 'billing_manager', undef], 'changed');
    is_deeply($t->ctl(qw(member list), @in, '--customer', $customer->{id}, '--role', 'billing_manager', '--limit', 10),
        json_of($t->get("$path?customer_id=$customer->{id}&role=billing_manager", token => $token)), 'list --json likewise');
    is($t->ctl(qw(member list), @in, '--external-id', 'ctl-owner')->{data}[0]{id}, $owner->{id}, 'list --external-id');
    is($t->ctl(qw(member list), @in, '--email', uc $owner->{email})->{data}[0]{id}, $owner->{id}, 'list --email');
    my $session = $t->session($member);
    is_deeply($t->ctl(qw(member remove), @in, $member->{id}), { id => $member->{id}, removed => true }, 'remove --json');
    ok($t->wait_for(sub { $t->get('/api/customer-portal/customer-session/user', token => $session)->code == 401 }, 2), 'the session ends');
    for ([1, qr/Member not found/, 'remove', $member->{id}], [1, qr/Member not found/, 'update', $somebody, '--name', 'x'],
        [1, qr/role: Customer must have exactly one owner/, 'update', $owner->{id}, '--role', 'member'],
        [2, qr/nothing to change/, 'update', $owner->{id}], [1, qr/email: value is not/, 'update', $owner->{id}, '--email', 'x'],
        [2, qr/--role/, 'list', '--role', 'king'])
    {
        my ($exit, $words, $verb, @arguments) = @$_;
        my ($code, $output) = $t->ctl_run('member', $verb, @in, @arguments);
        is($code, $exit, "$verb @arguments: exit $exit");
        like($output, $words, 'and says why');
    }
    my ($code, $output) = $t->ctl_run(qw(member remove), @in, $owner->{id});
    is("$code$output", "0Removed.\n", 'in words');
};

$t->done;
