# What a portal tells anyone, and the profile of who is signed in.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new;
my $api = '/api/customer-portal';
my $ws = $t->workspace(slug => 'acme', name => 'Acme GmbH', avatar_url => 'https://acme.example/a.png',
    customer_portal_settings => '{"theme":"dark"}', mail_reply_to => 'hidden@example.com',
    return_hosts => ['acme.example'], share_url => 'https://acme.example/f/{slug}');
my $club = $t->workspace(slug => 'club', member_model => 1);

my $unauthorized = '{"error":"Unauthorized","detail":"Unauthorized"}';
my $invalid = '{"error":"invalid_token","error_description":"The access token provided is expired, revoked, malformed, '
    . 'or invalid for other reasons."}';
my $role = '{"error":"NotPermitted","detail":"Insufficient role for this operation"}';
my $not_found = '{"error":"ResourceNotFound","detail":"Not found"}';

my $customer = $t->customer($ws, name => 'Mike', email => 'Mike@example.com');
my $session = $t->session($customer);
my $team = $t->customer($club, type => 'team', name => 'Team');
my ($owner, $manager, $member) = map { $t->member($team, role => $_, name => "A $_") } qw(owner billing_manager member);
my %session = map { $_->{role} => $t->session($_) } $owner, $manager, $member;

subtest 'a workspace, to anyone' => sub {
    for my $slug (qw(acme ACME aCmE)) {
        my $response = $t->get("$api/workspaces/$slug");
        is_status($response, 200);
        is_deeply([keys_of($response)], [qw(workspace shares)], 'members in order');
        is_deeply([keys_of($response, 'workspace')], [qw(id created_at modified_at name slug avatar_url
            customer_portal_settings workspace_features)], 'of the workspace');
        my $body = json_of($response);
        is_deeply($body->{shares}, [], 'no shares');
        my $workspace = $body->{workspace};
        is_deeply([@$workspace{qw(id name slug avatar_url modified_at)}],
            [$ws->{id}, 'Acme GmbH', 'acme', 'https://acme.example/a.png', undef], 'values');
        is_deeply($workspace->{customer_portal_settings}, { theme => 'dark' }, 'settings');
        is_deeply($workspace->{workspace_features}, { member_model_enabled => false }, 'features');
    }
    is_deeply(json_of($t->get("$api/workspaces/club"))->{workspace}{workspace_features}, { member_model_enabled => true },
        'with the member model');
    my $response = $t->get("$api/workspaces/acme");
    is($response->header('RateLimit-Policy'), '"restricted";q=60;w=60', 'class restricted');
    unlike($response->decoded_content, qr/hidden|return_hosts|share_url/, 'nothing else');
};

subtest 'a workspace that is none' => sub {
    my $gone = $t->workspace(deleted_at => '2024-01-01');
    my $blocked = $t->workspace(blocked_at => '2024-01-01');
    my $path = "$api/workspaces";
    my %headers = (headers => { 'X-Real-IP' => '10.1.1.1' });
    is_answer($t->get("$path/$_", %headers), 404, $not_found) for 'nobody', $gone->{slug}, $blocked->{slug}, $ws->{id},
        'acme%20', 'acme%ff', '%C4%B1acme', "acme'--", 'a' x 300;
    is_answer($t->get($path, %headers), 404, '{"detail":"Not Found"}');
    is_answer($t->post("$path/acme", %headers), 405, '{"detail":"Method Not Allowed"}');
    is_status($t->get("$path/acme", token => $session, %headers), 200);
    is_answer($t->get("$path/acme", token => 'portal_cst_' . 'x' x 48, %headers), 401, $invalid);
};

subtest 'a slug is free again once its workspace is deleted' => sub {
    my $first = $t->workspace(slug => 'again', deleted_at => '2024-01-01');
    my $second = $t->workspace(slug => 'again');
    is(json_of($t->get("$api/workspaces/again"))->{workspace}{id}, $second->{id}, 'the living one');
};

subtest 'introspect' => sub {
    my $backend = $t->token($ws, 'customer_sessions:write');
    my $made = json_of($t->post('/api/customer-sessions', token => $backend,
        json => { customer_id => $customer->{id}, return_url => 'https://acme.example/back' }));
    my $response = $t->get("$api/customer-session/introspect", token => $made->{token});
    is_status($response, 200);
    is_deeply([keys_of($response)], [qw(expires_at return_url)], 'members');
    is_deeply(json_of($response), { expires_at => $made->{expires_at}, return_url => 'https://acme.example/back' }, 'values');
    is(json_of($t->get("$api/customer-session/introspect", token => $session{owner}))->{return_url}, undef, 'no return_url');
    is($response->header('RateLimit-Policy'), '"default";q=500;w=60', 'class default');
};

subtest 'user' => sub {
    my $response = $t->get("$api/customer-session/user", token => $session);
    is_answer($response, 200, qq({"type":"customer","name":"Mike","email":"Mike\@example.com",)
        . qq("customer_id":"$customer->{id}","member_id":null,"role":null}));
    for my $one ($owner, $manager, $member) {
        is_answer($t->get("$api/customer-session/user", token => $session{ $one->{role} }), 200,
            qq({"type":"member","name":"A $one->{role}","email":"$one->{email}","customer_id":"$team->{id}",)
            . qq("member_id":"$one->{id}","role":"$one->{role}"}));
    }
};

subtest 'me' => sub {
    my $response = $t->get("$api/customers/me", token => $session);
    is_status($response, 200);
    is_deeply([keys_of($response)], [qw(id created_at modified_at email email_verified name billing_name billing_address
        oauth_accounts type)], 'members in order');
    my $me = json_of($response);
    is_deeply([@$me{qw(id email email_verified name billing_name billing_address type modified_at)}],
        [$customer->{id}, 'Mike@example.com', false, 'Mike', 'Mike', undef, 'individual', undef], 'values');
    is_deeply($me->{oauth_accounts}, {}, 'oauth_accounts');
    is(json_of($t->get("$api/customers/me", token => $session{$_}))->{id}, $team->{id}, "$_: the customer")
        for qw(owner billing_manager member);
};

sub change { my ($json, $token) = @_; $t->patch("$api/customers/me", token => $token // $session, json => $json) }

subtest 'billing name' => sub {
    my $response = change({ billing_name => "  Mike & Söhne \t" });
    is_status($response, 200);
    is(json_of($response)->{billing_name}, 'Mike & Söhne', 'trimmed');
    is(json_of($response)->{name}, 'Mike', 'the name stays');
    ok(json_of($response)->{modified_at}, 'modified_at');
    is(json_of(change($_))->{billing_name}, 'Mike & Söhne', 'null or absent keeps')
        for {}, { billing_name => undef }, { name => 'Eve', email => 'eve@example.com', type => 'team' };
    is($t->value('SELECT name FROM portal.customers WHERE id = ?', $customer->{id}), 'Mike', 'others are not changed');
    is(json_of(change({ billing_name => ' ' x 300 }))->{billing_name}, 'Mike', 'empty: falls back to the name');
    is($t->value('SELECT billing_name FROM portal.customers WHERE id = ?', $customer->{id}), undef, 'and is null');
    is_status(change({ billing_name => '  ' . 'ä' x 256 }), 200);
    $response = change({ billing_name => 'ä' x 257 });
    is_status($response, 422);
    is_deeply(json_of($response)->{detail}[0]{ctx}, { max_length => 256 }, 'too long');
};

subtest 'billing address' => sub {
    my $response = change({ billing_address => { country => 'us', state => 'ny', line1 => 'Broadway 1', city => 'New York',
        postal_code => '10001', planet => 'Earth' } });
    is_status($response, 200);
    my $address = { country => 'US', state => 'US-NY', line1 => 'Broadway 1', line2 => undef, city => 'New York',
        postal_code => '10001' };
    is_deeply([keys_of($response, 'billing_address')], [qw(country line1 line2 postal_code city state)], 'in order');
    is_deeply(json_of($response)->{billing_address}, $address, 'normalised');
    is_deeply(json_of(change($_))->{billing_address}, $address, 'null or absent keeps') for {}, { billing_address => undef };
    is(json_of(change({ billing_address => $_->[0] }))->{billing_address}{state}, $_->[1], $_->[1] // 'no state') for
        [{ country => 'CA', state => 'qc' }, 'CA-QC'], [{ country => 'ca', state => 'ca-on' }, 'CA-ON'],
        [{ country => 'US', state => 'US-PR' }, 'US-PR'], [{ country => 'DE', state => 'Bayern' }, 'Bayern'],
        [{ country => 'FR' }, undef];
    is_deeply(json_of($t->get("$api/customers/me", token => $session))->{billing_address}, { country => 'FR',
        map { $_ => undef } qw(line1 line2 postal_code city state) }, 'replaced as a whole');
};

subtest 'what is no address' => sub {
    my $before = $t->row('SELECT * FROM portal.customers WHERE id = ?', $customer->{id});
    my $address = sub { { billing_address => shift } };
    for (
        [$address->({ country => 'US', state => 'QC' }), 'state', 'value_error', 'Invalid US state'],
        [$address->({ country => 'US', state => 'CA-QC' }), 'state', 'value_error', 'Invalid US state'],
        [$address->({ country => 'US' }), 'state', 'value_error', 'Invalid US state'],
        [$address->({ country => 'US', state => '' }), 'state', 'value_error', 'Invalid US state'],
        [$address->({ country => 'CA', state => 'NY' }), 'state', 'value_error', 'Invalid CA province'],
        [$address->({ country => 'CA', state => undef }), 'state', 'value_error', 'Invalid CA province'],
        [$address->({ country => 'US', state => 7 }), 'state', 'string_type', 'Input should be a valid string'],
        [$address->({ country => 'XX' }), 'country', 'value_error', 'Invalid country, an ISO 3166-1 alpha-2 code is expected'],
        [$address->({ country => 'UK' }), 'country', 'value_error', 'Invalid country, an ISO 3166-1 alpha-2 code is expected'],
        [$address->({ country => 7 }), 'country', 'string_type', 'Input should be a valid string'],
        [$address->({ line1 => 'x' }), 'country', 'missing', 'Field required'],
        [$address->({ country => 'DE', city => [] }), 'city', 'string_type', 'Input should be a valid string'],
        [$address->({ country => 'DE', line1 => 'x' x 257 }), 'line1', 'string_too_long',
            'String should have at most 256 characters'],
    ) {
        my ($json, $field, $type, $msg) = @$_;
        my $response = change($json);
        is_status($response, 422);
        my $detail = json_of($response)->{detail};
        is_deeply([map { [$_->{type}, $_->{loc}, $_->{msg}] } @$detail], [[$type, ['body', 'billing_address', $field], $msg]],
            "$field: $msg");
    }
    my $response = change({ billing_name => 5, billing_address => { country => 'US', state => 'XX', line2 => {} } });
    is_deeply([map { join '.', @{ $_->{loc} } } @{ json_of($response)->{detail} }],
        [qw(body.billing_name body.billing_address.line2 body.billing_address.state)], 'every problem');
    is_status(change({ billing_address => 'Broadway' }), 422);
    is_deeply($t->row('SELECT * FROM portal.customers WHERE id = ?', $customer->{id}), $before, 'nothing changed');
};

subtest 'the change is announced' => sub {
    my $count = sub { $t->value(q(SELECT count(*) FROM portal.events WHERE type = 'customer.updated'
        AND audience ->> 'customer' = ?), $customer->{id}) };
    my $before = $count->();
    is_status(change({ billing_name => 'Anna' }), 200);
    is($count->(), $before + 1, 'once');
    is_status(change({ billing_name => 'Anna' }), 200);
    is($count->(), $before + 1, 'what changes nothing is no news');
};

subtest 'who may change' => sub {
    for my $who (qw(owner billing_manager)) {
        my $response = change({ billing_name => "By $who" }, $session{$who});
        is_status($response, 200);
        is(json_of($response)->{id}, $team->{id}, "$who: the customer's");
        is(json_of($response)->{billing_name}, "By $who", 'changed');
    }
    is_answer(change($_, $session{member}), 403, $role) for { billing_name => 'x' }, { billing_name => 5 }, {};
    is($t->value('SELECT billing_name FROM portal.customers WHERE id = ?', $team->{id}), 'By billing_manager', 'unchanged');
};

subtest 'wrong callers' => sub {
    my $contact = $t->contact($ws);
    my $backend = $t->token($ws);
    my $link = json_of($t->post('/api/v1/client-portal/token', token => $backend,
        json => { type => 'contact', id => $contact->{id} }))->{token};
    my $made = json_of($t->post('/api/customer-sessions', token => $backend, json => { customer_id => $customer->{id} }));
    my ($revoked, $expired) = ($made->{token}, $t->session($t->customer($ws)));
    is_status($t->delete("/api/customer-sessions/$made->{id}", token => $backend), 204);
    $t->db->do(q(UPDATE portal.customer_sessions SET expires_at = now() - interval '1 s' WHERE id =
        (SELECT id FROM portal.customer_sessions ORDER BY created_at DESC LIMIT 1)));
    my $removed = $t->member($team, role => 'member');
    my $of_removed = $t->session($removed);
    $t->db->do('UPDATE portal.members SET deleted_at = now() WHERE id = ?', undef, $removed->{id});
    my $address = 0;    # bad tokens are limited by it
    my $from = sub { (headers => { 'X-Real-IP' => '10.2.0.' . ++$address }) };
    for (['GET', 'customer-session/introspect'], ['GET', 'customer-session/user'], ['GET', 'customers/me'],
        ['PATCH', 'customers/me', json => { billing_name => 'Eve' }])
    {
        my ($method, $path, @body) = @$_;
        my $ask = sub { $t->request($method, "$api/$path", @body, $from->(), @_) };
        subtest "$method $path" => sub {
            my $response = $ask->();
            is_answer($response, 401, $unauthorized);
            is($response->header('WWW-Authenticate'), 'Bearer realm="portal"', 'challenge');
            is_answer($ask->(token => $_), 401, $unauthorized) for $backend, $link;
            for my $token ('portal_cst_nonsense', $revoked, $expired, $of_removed) {
                $t->wait_for(sub { $ask->(token => $token)->code == 401 }, 5, 0.2);
                is_answer($ask->(token => $token), 401, $invalid);
            }
        };
    }
    isnt($t->value('SELECT billing_name FROM portal.customers WHERE id = ?', $customer->{id}), 'Eve', 'nothing changed');
};

subtest 'bodies' => sub {
    my @to = ("$api/customers/me", token => $session);
    is_status($t->patch(@to, body => $_->[0]), 422) for ['{"billing_name"'], ['[]'], [''], ['null'];
    is_status($t->patch(@to, body => '{"billing_name":"a\u0000b"}'), 422);
    is_status($t->patch(@to, body => 'billing_name=x', type => 'application/x-www-form-urlencoded'), 422);
    is_answer($t->patch(@to, body => '{"billing_name":"' . 'x' x 70000 . '"}'), 413, '{"detail":"Request Entity Too Large"}');
};

$t->done;
