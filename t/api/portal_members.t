# A team's members, managed by its owner and billing managers.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new;
my $path = '/api/customer-portal/members';
my $ws = $t->workspace(slug => 'club', name => 'Club', member_model => 1);

my $unauthorized = '{"error":"Unauthorized","detail":"Unauthorized"}';
my $invalid = '{"error":"invalid_token","error_description":"The access token provided is expired, revoked, malformed, '
    . 'or invalid for other reasons."}';
my $role = '{"error":"NotPermitted","detail":"Insufficient role for this operation"}';
my $no_team = '{"error":"NotPermitted","detail":"Member management is only available for team customers. '
    . 'Purchase a seat-based share to enable team features."}';
my $unknown = '{"error":"ResourceNotFound","detail":"Member not found"}';

# A team of its own: {customer, owner, manager, member} and the sessions of the three under {o, b, m}.
sub team {
    my (%column) = @_;
    my %team = (customer => $t->customer($ws, type => 'team', %column));
    @team{qw(owner manager member)} = map { $t->member($team{customer}, role => $_) } qw(owner billing_manager member);
    @team{qw(o b m)} = map { $t->session($_) } @team{qw(owner manager member)};
    return \%team;
}
sub row { $t->row('SELECT * FROM portal.members WHERE id = ?', ref $_[0] ? $_[0]{id} : $_[0]) }
sub owners { $t->value(q(SELECT count(*) FROM portal.members WHERE customer_id = ? AND role = 'owner' AND deleted_at IS NULL),
    $_[0]{customer}{id}) }
sub outbox { $t->value('SELECT count(*) FROM portal.outbox') }
# one problem, at a field
sub refused {
    my ($response, $loc, $msg, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_status($response, 422, $name);
    my $list = json_of($response)->{detail};
    is_deeply([map { [@$_{qw(type loc msg)}] } @$list], [['value_error', $loc, $msg]], "$name: the problem") or diag explain $list;
}

my $team = team();

subtest 'list' => sub {
    my $second = $t->member($team->{customer}, role => 'member', deleted_at => '2024-01-01');
    for my $who (qw(o b)) {
        my $response = $t->get($path, token => $team->{$who});
        is_status($response, 200);
        is_deeply([map { $_->{id} } @{ json_of($response) }], [map { $team->{$_}{id} } qw(owner manager member)],
            'a bare array, oldest first, without the removed');
        is_deeply([sort keys %$_], [sort qw(id created_at modified_at email name role)], 'members') for @{ json_of($response) };
    }
    my $one = row($team->{owner});
    like($t->get($path, token => $team->{o})->content, qr/^\[\{"id":"$one->{id}","created_at":"[^"]+","modified_at":null,"email":"$one->{email}","name":"$one->{name}","role":"owner"\},/, 'in order');
    is_answer($t->get($path, token => $team->{m}), 403, $role);
};

subtest 'add' => sub {
    my $mails = outbox();
    my $response = $t->post($path, token => $team->{o}, json => { email => 'Ann@EXAMPLE.com', name => 'Ann' });
    is_status($response, 201);
    is_deeply([keys_of($response)], [qw(id created_at modified_at email name role)], 'CustomerPortalMember');
    my $ann = json_of($response);
    is_deeply([@$ann{qw(email name role modified_at)}], ['Ann@example.com', 'Ann', 'member', undef], 'its values');
    is(row($ann->{id})->{customer_id}, $team->{customer}{id}, 'of this customer');
    is(outbox(), $mails + 1, 'a mail');
    is_deeply([@{ $t->row('SELECT * FROM portal.outbox ORDER BY created_at DESC LIMIT 1') }{qw(kind member_id payload)}],
        ['member_invitation', $ann->{id}, '{}'], 'by ids only');

    $response = $t->post($path, token => $team->{b}, json => { email => 'bob@example.com', role => 'billing_manager' });
    is_status($response, 201);
    is_deeply([@{ json_of($response) }{qw(name role)}], [undef, 'billing_manager'], 'by a billing manager, with a role');

    $mails = outbox();
    $response = $t->post($path, token => $team->{o}, json => { email => 'ANN@example.com', name => 'Other', role => 'billing_manager' });
    is_answer($response, 201, $ann, 'an active address: that member unchanged');
    is(outbox(), $mails, 'and no mail');
    # a look-alike is somebody else
    my @ids = map { my $response = $t->post($path, token => $team->{o}, json => { email => "$_\@example.com" });
        is_status($response, 201); json_of($response)->{id} } "bo\x{212a}", 'bok';
    isnt($ids[0], $ids[1], 'U+212A is no k');
};

subtest 'add again after removal' => sub {
    my $made = json_of($t->post($path, token => $team->{o}, json => { email => 'again@example.com', name => 'First' }));
    $t->db->do(q(UPDATE portal.members SET external_id = 'x1' WHERE id = ?), undef, $made->{id});
    is_status($t->delete("$path/$made->{id}", token => $team->{o}), 204);
    my $mails = outbox();
    my $back = json_of($t->post($path, token => $team->{o}, json => { email => 'AGAIN@example.com', role => 'billing_manager' }));
    is($back->{id}, $made->{id}, 'revived');
    is_deeply([@$back{qw(email name role)}], ['AGAIN@example.com', 'First', 'billing_manager'], 'with what is said now');
    is(row($back)->{external_id}, 'x1', 'the external id stays');
    is(outbox(), $mails + 1, 'a mail');
    is_status($t->delete("$path/$made->{id}", token => $team->{o}), 204);
    $t->member($team->{customer}, role => 'member', external_id => 'x1');
    is_status($t->post($path, token => $team->{o}, json => { email => 'again@example.com' }), 201);
    is(row($made)->{external_id}, undef, 'unless somebody else has it now');
};

subtest 'what cannot be added' => sub {
    my ($members, $mails) = ($t->value('SELECT count(*) FROM portal.members'), outbox());
    my $add = sub { $t->post($path, token => $team->{o}, json => shift) };
    refused($add->({ email => 'x@example.com', role => 'owner' }), ['body', 'role'],
        'Cannot add a member as owner. There must be exactly one owner.', 'an owner');
    refused($add->({ email => 'x' }), ['body', 'email'],
        'value is not a valid email address: An email address must have an @-sign.', 'no address');
    my $response = $add->({ name => 'x' x 257, role => 'king' });
    is_status($response, 422);
    is_deeply([map { [@$_{qw(type loc msg)}] } @{ json_of($response)->{detail} }], [
        ['missing', ['body', 'email'], 'Field required'],
        ['string_too_long', ['body', 'name'], 'String should have at most 256 characters'],
        ['enum', ['body', 'role'], "Input should be 'owner', 'billing_manager' or 'member'"]], 'every problem');
    is_answer($t->post($path, token => $team->{m}, json => { email => 'x@example.com' }), 403, $role);
    is_answer($t->post($path, token => $team->{m}, json => {}), 403, $role);
    is_deeply([$t->value('SELECT count(*) FROM portal.members'), outbox()], [$members, $mails], 'nothing made');
};

subtest 'change a role' => sub {
    my $team = team();
    my $id = $team->{member}{id};
    my $response = $t->patch("$path/$id", token => $team->{b}, json => { role => 'billing_manager' });
    is_status($response, 200);
    is_deeply([keys_of($response)], [qw(id created_at modified_at email name role)], 'CustomerPortalMember');
    is(json_of($response)->{role}, 'billing_manager', 'the new role');
    ok(json_of($response)->{modified_at}, 'modified_at');
    is_status($t->get($path, token => $team->{m}), 200, 'which counts at once');
    is(json_of($t->patch("$path/" . uc($id =~ s/-//gr), token => $team->{o}, json => { role => 'member' }))->{role}, 'member',
        'back, the id in another form');
    is_answer($t->get($path, token => $team->{m}), 403, $role);

    for my $other ('8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001', team()->{member}{id},
        $t->member($team->{customer}, role => 'member', deleted_at => '2024-01-01')->{id},
        $t->member($t->customer($t->workspace(member_model => 1), type => 'team'))->{id})
    {
        is_answer($t->patch("$path/$other", token => $team->{o}, json => { role => 'member' }), 404, $unknown);
        is_answer($t->delete("$path/$other", token => $team->{o}), 404, $unknown);
    }
    my $change = sub { my ($who, $whom, $role) = @_; $t->patch("$path/$team->{$whom}{id}", token => $team->{$who}, json => { role => $role }) };
    refused($change->('o', 'owner', 'member'), ['path', 'id'], 'You cannot modify your own role.', 'self');
    refused($change->('b', 'manager', 'owner'), ['path', 'id'], 'You cannot modify your own role.', 'self, upwards');
    refused($change->('b', 'member', 'owner'), ['body', 'role'], 'Only the owner can transfer ownership.', 'by no owner');
    refused($change->('b', 'owner', 'member'), ['body', 'role'], 'Customer must have exactly one owner.', 'none left');
    is_answer($change->('m', 'owner', 'member'), 403, $role);
    $response = $t->patch("$path/x", token => $team->{o}, json => { role => 'king' });
    is_status($response, 422);
    is_deeply([map { join '.', $_->{type}, @{ $_->{loc} } } @{ json_of($response)->{detail} }],
        ['uuid_parsing.path.id', 'enum.body.role'], 'every problem');
    is_status($t->patch("$path/$id", token => $team->{o}, json => {}), 422);
    is_deeply([map { row($team->{$_})->{role} } qw(owner manager member)], [qw(owner billing_manager member)], 'nothing changed');
};

subtest 'hand over' => sub {
    my $team = team();
    my $response = $t->patch("$path/$team->{member}{id}", token => $team->{o}, json => { role => 'owner' });
    is_status($response, 200);
    is(json_of($response)->{role}, 'owner', 'the new owner');
    is_deeply([map { row($team->{$_})->{role} } qw(owner manager member)], [qw(billing_manager billing_manager owner)],
        'the old one manages bills');
    is_deeply([map { json_of($t->get('/api/customer-portal/customer-session/user', token => $team->{$_}))->{role} } qw(o m)],
        [qw(billing_manager owner)], 'both see it at once');
    refused($t->patch("$path/$team->{manager}{id}", token => $team->{o}, json => { role => 'owner' }), ['body', 'role'],
        'Only the owner can transfer ownership.', 'it is not theirs to give any more');
};

subtest 'remove' => sub {
    my $team = team();
    is_answer($t->delete("$path/$team->{owner}{id}", token => $team->{m}), 403, $role);
    refused($t->delete("$path/$team->{owner}{id}", token => $team->{o}), ['path', 'id'],
        'You cannot remove yourself from the team.', 'self');
    refused($t->delete("$path/$team->{manager}{id}", token => $team->{b}), ['path', 'id'],
        'You cannot remove yourself from the team.', 'self');
    refused($t->delete("$path/$team->{owner}{id}", token => $team->{b}), ['path', 'id'],
        'Cannot remove the only owner — transfer ownership first.', 'the owner');
    my $response = $t->delete("$path/x", token => $team->{o});
    is_status($response, 422);
    is_deeply([@{ json_of($response)->{detail}[0] }{qw(type loc)}], ['uuid_parsing', ['path', 'id']], 'no id');

    is_status($t->get('/api/customer-portal/customer-session/user', token => $team->{m}), 200, 'signed in');
    is_answer($t->delete("$path/$team->{member}{id}", token => $team->{b}), 204, '');
    my @after = $t->at_once(map { $t->bytes(GET => '/api/customer-portal/customer-session/user', token => $team->{m},
        headers => { 'X-Real-IP' => "10.3.0.$_" }) } 1 .. 12);
    is_deeply([map { $_->code } @after], [(401) x 12], 'the sessions end at once, on every worker');
    is($t->value('SELECT count(*) FROM portal.member_sessions WHERE member_id = ? AND revoked_at IS NULL', $team->{member}{id}), 0,
        'for good');
    is_answer($t->delete("$path/$team->{member}{id}", token => $team->{b}), 404, $unknown);
    # a manager who hands over nothing may be removed by the owner
    is_answer($t->delete("$path/$team->{manager}{id}", token => $team->{o}), 204, '');
    is(scalar @{ json_of($t->get($path, token => $team->{o})) }, 1, 'the owner is left');
};

subtest 'only for teams' => sub {
    my $customer = $t->customer($ws);
    my $owner = $t->member($customer);
    my $session = $t->session($owner);
    is_answer($t->get($path, token => $session), 403, $no_team);
    is_answer($t->post($path, token => $session, json => { email => 'x@example.com' }), 403, $no_team);
    is_answer($t->patch("$path/$owner->{id}", token => $session, json => { role => 'member' }), 403, $no_team);
    is_answer($t->delete("$path/$owner->{id}", token => $session), 403, $no_team);
};

subtest 'wrong callers' => sub {
    my $plain = $t->workspace;
    my $backend = $t->token($ws);
    my $link = json_of($t->post('/api/v1/client-portal/token', token => $backend,
        json => { type => 'contact', id => $t->contact($ws)->{id} }))->{token};
    my $customer_session = $t->session($t->customer($plain, type => 'team'));
    my $removed = $t->member($team->{customer}, role => 'billing_manager');
    my $of_removed = $t->session($removed);
    $t->db->do('UPDATE portal.members SET deleted_at = now() WHERE id = ?', undef, $removed->{id});
    my $expired = $t->session($team->{owner});
    $t->db->do(q(UPDATE portal.member_sessions SET expires_at = now() - interval '1 s' WHERE id =
        (SELECT id FROM portal.member_sessions ORDER BY created_at DESC LIMIT 1)));
    my $address = 0;    # bad tokens are limited by it
    my $id = $team->{member}{id};
    for (['GET', $path], ['POST', $path, json => { email => 'eve@example.com' }],
        ['PATCH', "$path/$id", json => { role => 'billing_manager' }], ['DELETE', "$path/$id"])
    {
        my ($method, $to, @body) = @$_;
        my $ask = sub { $t->request($method, $to, @body, headers => { 'X-Real-IP' => '10.4.0.' . ++$address }, @_) };
        subtest $method => sub {
            is_answer($ask->(), 401, $unauthorized);
            is_answer($ask->(token => $_), 401, $unauthorized) for $backend, $link, $customer_session;
            for my $token ('portal_mst_nonsense', $expired, $of_removed) {
                $t->wait_for(sub { $ask->(token => $token)->code == 401 }, 5, 0.2);
                is_answer($ask->(token => $token), 401, $invalid);
            }
        };
    }
    is(row($id)->{role}, 'member', 'nothing changed');
    is($t->value(q(SELECT count(*) FROM portal.members WHERE email = 'eve@example.com')), 0, 'nobody added');
};

subtest 'Idempotency-Key' => sub {
    my $team = team();
    my $add = sub { my ($key, $json, $who) = @_;
        $t->post($path, token => $team->{ $who // 'o' }, json => $json, headers => { 'Idempotency-Key' => $key }) };
    my $first = $add->('k1', { email => 'key@example.com', name => 'Key' });
    is_status($first, 201);
    my $mails = outbox();
    is_answer($add->('k1', { email => 'key@example.com', name => 'Key' }), 201, $first->content, 'replayed');
    is(outbox(), $mails, 'no second mail');
    is_status($add->('k1', { email => 'other@example.com' }), 422, 'another payload');
    is_status($add->('k1', { email => 'other@example.com' }, 'b'), 201, 'another session\'s key is another');
    is_status($add->('k2', { email => 'key@example.com' }), 201, 'an active one');
    is_status($add->('k2', { email => 'more@example.com' }), 422, 'claims its key, too');
    is_status($t->delete("$path/" . json_of($first)->{id}, token => $team->{o}), 204);
    is(json_of($add->('k1', { email => 'key@example.com', name => 'Key' }))->{id}, json_of($first)->{id}, 'once removed: made again');
    is(outbox(), $mails + 2, 'and invited again');
    my $request = $t->bytes(POST => $path, token => $team->{o}, json => { email => 'race@example.com' },
        headers => { 'Idempotency-Key' => 'k3' });
    my %seen = map { ($_->code . $_->content) => 1 } $t->at_once(($request) x 4);
    delete @seen{ grep { /^409/ } keys %seen };
    is(scalar keys %seen, 1, 'four at once: one answer');
    is($t->value(q(SELECT count(*) FROM portal.outbox JOIN portal.members m ON m.id = member_id WHERE m.email = 'race@example.com')), 1,
        'one mail');
};

subtest 'the same address at once' => sub {
    my $team = team();
    my %seen = map { ($_->code . ' ' . json_of($_)->{id}) => 1 } $t->at_once(map {
        $t->bytes(POST => $path, token => $team->{ $_ % 2 ? 'o' : 'b' }, json => { email => 'twin@example.com' }) } 1 .. 4);
    is(scalar keys %seen, 1, 'one member') or diag explain \%seen;
    like((keys %seen)[0], qr/^201 /, 'for all');
    is($t->value(q(SELECT count(*) FROM portal.outbox JOIN portal.members m ON m.id = member_id WHERE m.email = 'twin@example.com')), 1,
        'one mail');
};

subtest 'parallel changes leave exactly one owner' => sub {
    my $team = team();
    my @members = @$team{qw(owner manager member)};
    push @members, $t->member($team->{customer}, role => 'member');
    my @sessions = (@$team{qw(o b m)}, $t->session($members[3]));
    my (%codes, $wrong);
    for my $round (1 .. 25) {
        my ($owner) = grep { row($members[$_])->{role} eq 'owner' } 0 .. 3;
        my @others = grep { $_ != $owner } 0 .. 3;
        my @requests = map { $t->bytes(PATCH => "$path/$members[$_]{id}", token => $sessions[$owner], json => { role => 'owner' }) } @others, @others;
        # and what the new owner does at the same time
        push @requests, map { $t->bytes(PATCH => "$path/$members[$owner]{id}", token => $sessions[$_], json => { role => 'owner' }) } @others;
        push @requests, map { $t->bytes(PATCH => "$path/$members[$owner]{id}", token => $sessions[$_], json => { role => 'member' }) } @others;
        my @answers = $t->at_once(@requests);
        $codes{ $_->code }++ for @answers;
        $wrong++ if owners($team) != 1;
        $wrong++ unless grep { $_->code == 200 } @answers;
    }
    is($wrong, undef, 'in each of 25 rounds, and somebody gets through');
    is_deeply([grep { !/^(?:200|403|422)$/ } keys %codes], [], 'no other answer') or diag explain \%codes;
};

subtest 'hand over to one who is being removed' => sub {
    for (1 .. 8) {
        my $team = team();
        my ($hand_over, $remove) = $t->at_once(
            $t->bytes(PATCH => "$path/$team->{member}{id}", token => $team->{o}, json => { role => 'owner' }),
            $t->bytes(DELETE => "$path/$team->{member}{id}", token => $team->{b}));
        is(owners($team), 1, 'one owner');
        like($hand_over->code . $remove->code, qr/^(?:200422|404204)$/, 'one of the two');
    }
};

subtest 'mail limits' => sub {
    my $team = team();
    my $add = sub { $t->post($path, token => $team->{o}, json => { email => shift }) };
    my $made = $add->('often@example.com');
    for (2 .. 5) {
        is_status($t->delete("$path/" . json_of($made)->{id}, token => $team->{o}), 204);
        $made = $add->('often@example.com');
        is_status($made, 201, "mail $_");
    }
    is($made->header('RateLimit-Policy'), '"mail";q=5;w=3600', 'the headers tell of it');
    is($made->header('X-RateLimit-Remaining'), 0, 'none left');
    is_status($add->('often@example.com'), 201, 'an active one needs no mail');
    is_status($t->delete("$path/" . json_of($made)->{id}, token => $team->{o}), 204);
    my $refused = $add->('OFTEN@example.com');
    is_answer($refused, 429, '{"detail":"Too Many Requests"}');
    ok($refused->header('Retry-After') > 3000, 'Retry-After');
    ok(row(json_of($made)->{id})->{deleted_at}, 'nothing changed');

    is_status($add->("n$_\@example.com"), 201) for 1 .. 15;
    $refused = $add->('n16@example.com');
    is_answer($refused, 429, '{"detail":"Too Many Requests"}');
    is($refused->header('RateLimit-Policy'), '"member-mail";q=20;w=3600', 'twenty of a customer');
    is($t->value(q(SELECT count(*) FROM portal.members WHERE email = 'n16@example.com')), 0, 'nobody added');
    is_status($t->post($path, token => $team->{b}, json => { email => 'n16@example.com' }), 429, 'whoever of them asks');
    is_status($add->('n1@example.com'), 201, 'an active one still');
    # the refused ones were charged for nothing: the address has all its five elsewhere
    my $other = team();
    is($t->post($path, token => $other->{o}, json => { email => 'n16@example.com' })->header('X-RateLimit-Remaining'), 4,
        'another customer\'s limit is its own');
};

subtest 'without Redis' => sub {
    my $team = team();
    $t->stop('redis');
    my $members = $t->value('SELECT count(*) FROM portal.members');
    my $response = $t->post($path, token => $team->{o}, json => { email => 'noredis@example.com' });
    is_answer($response, 503, '{"detail":"Service Unavailable"}');
    ok($response->header('Retry-After'), 'Retry-After');
    is($t->value('SELECT count(*) FROM portal.members'), $members, 'nobody added');
    is_status($t->post($path, token => $team->{o}, json => { email => $team->{member}{email} }), 201, 'what needs no mail works');
    is_status($t->get($path, token => $team->{o}), 200, 'and the rest');
    $t->start('redis');
    ok($t->wait_for(sub { $t->post($path, token => $team->{o}, json => { email => 'noredis@example.com' })->code == 201 }, 10, 0.1),
        'and it comes back');
};

$t->done;
