# Payments of shared files: recorded by the workspace's backend, seen by who paid, without who paid by who shared.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new;
my ($ws, $other) = map { $t->workspace } 1 .. 2;
my $token = $t->token($ws, 'payments:write');
my ($owner, $buyer, $rival) = map { $t->customer($ws, external_id => $_) } qw(owner buyer rival);
my $foreign = $t->customer($other, external_id => 'foreign');
my $unknown = '8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001';
my $not_found = { error => 'ResourceNotFound', detail => 'Not found' };
my @members = qw(id created_at modified_at session_id status amount_cents currency platform_fee_cents
    stripe_checkout_session_id stripe_payment_intent_id buyer_email buyer_name customer_id);

sub session { $t->insert('file_share_sessions', { workspace_id => $ws->{id}, customer_id => $owner->{id}, currency => 'eur', @_ }) }
my $session = session();
sub path { my ($s) = @_; '/api/file-sharing/sessions/' . ($s // $session)->{id} . '/payments' }
sub pay { my (%json) = @_; my $s = delete $json{session}; my $headers = delete $json{headers};
    $t->post(path($s), token => $token, json => { amount_cents => 100, %json }, headers => $headers) }
sub change { my ($payment, %json) = @_; $t->patch(path() . "/$payment->{id}", token => $token, json => \%json) }
sub problems { my ($response) = @_; is_status($response, 422);
    [map { "$_->{type} at $_->{loc}[-1]: $_->{msg}" } @{ json_of($response)->{detail} }] }

subtest 'a payment' => sub {
    my $response = pay();
    is_status($response, 201);
    is_deeply([keys_of($response)], \@members, 'members in order');
    my $body = json_of($response);
    is_deeply({ %$body, id => 1, created_at => 1 }, { id => 1, created_at => 1, modified_at => undef, session_id => $session->{id},
        status => 'pending', amount_cents => 100, currency => 'eur', platform_fee_cents => 0, stripe_checkout_session_id => undef,
        stripe_payment_intent_id => undef, buyer_email => undef, buyer_name => undef, customer_id => undef }, 'all members');
    my %all = (status => 'completed', currency => 'USD', platform_fee_cents => 5, stripe_checkout_session_id => 'cs_1',
        stripe_payment_intent_id => 'pi_1', buyer_email => 'Bea@example.com', buyer_name => 'Bea', customer_id => $buyer->{id});
    $body = json_of(pay(%all, amount_cents => 0, buyer_email => 'Bea@EXAMPLE.com'));
    is($body->{$_}, $all{$_}, $_) for sort keys %all;
    is(json_of(pay(external_customer_id => 'buyer'))->{customer_id}, $buyer->{id}, 'the buyer by its external id');
};

subtest 'problems' => sub {
    is_deeply(problems($t->post(path(), token => $token, json => { status => 'paid', currency => 'e1r', customer_id => 'x',
        buyer_email => 'nobody', buyer_name => 'x' x 257, stripe_checkout_session_id => '', stripe_payment_intent_id => 'x' x 257,
        platform_fee_cents => -1 })), [
        'uuid_parsing at customer_id: Input should be a valid UUID, invalid character: expected an optional prefix of '
            . '`urn:uuid:` followed by [0-9a-fA-F-], found `x` at 1',
        'missing at amount_cents: Field required',
        q(string_pattern_mismatch at currency: String should match pattern '^[A-Za-z]{3}$'),
        q(enum at status: Input should be 'pending', 'completed', 'refunded' or 'failed'),
        'value_error at buyer_email: value is not a valid email address: An email address must have an @-sign.',
        'string_too_long at buyer_name: String should have at most 256 characters',
        'string_too_short at stripe_checkout_session_id: String should have at least 1 character',
        'string_too_long at stripe_payment_intent_id: String should have at most 256 characters',
        'greater_than_equal at platform_fee_cents: Input should be greater than or equal to 0']);
    is_deeply(problems(pay(amount_cents => $_->[0])), ["$_->[1] at amount_cents: $_->[2]"]) for
        [-1, 'greater_than_equal', 'Input should be greater than or equal to 0'], [undef, 'int_type', 'Input should be a valid integer'],
        ['1', 'int_type', 'Input should be a valid integer'];
    is_deeply(problems(pay(customer_id => $_)), ['value_error at customer_id: Customer does not exist.']) for $unknown, $foreign->{id};
    is_status(pay(amount_cents => 9223372036854775807, buyer_name => 'x' x 256, stripe_payment_intent_id => 'x' x 256), 201, 'edges');
    is_answer(pay(session => { id => $unknown }), 404, $not_found, 'no such session');
};

subtest 'a change' => sub {
    my $payment = json_of(pay(customer_id => $buyer->{id}, buyer_name => 'Bea'));
    my $after = json_of(change($payment, status => 'completed'));
    is_deeply({ %$after, modified_at => 0 }, { %$payment, status => 'completed', modified_at => 0 }, 'what was named');
    ok($after->{modified_at}, 'modified');
    is_deeply($t->db->selectcol_arrayref("SELECT audience::text FROM portal.events WHERE type = 'payment.updated'"),
        [qq({"payments": "$buyer->{id}"})], 'announced to who paid, where payments are seen');
    is(json_of(change($payment, buyer_name => undef, amount_cents => undef))->{buyer_name}, undef, 'null clears');
    is(json_of(change($payment, customer_id => $rival->{id}))->{customer_id}, $rival->{id}, 'another buyer');
    is(json_of(change($payment, customer_id => undef))->{customer_id}, undef, 'none');
    is(json_of(change($payment, external_customer_id => 'buyer'))->{customer_id}, $buyer->{id}, 'by its external id');
    is($t->value("SELECT count(*) FROM portal.events WHERE type = 'payment.updated'"), 1, 'what leaves the status is not announced');
    is_deeply(problems(change($payment, customer_id => $foreign->{id})), ['value_error at customer_id: Customer does not exist.']);
    is_deeply(problems(change($payment, status => 'paid')), [q(enum at status: Input should be 'pending', 'completed', 'refunded' or 'failed')]);
    is_answer($t->patch(path(session()) . "/$payment->{id}", token => $token, json => { status => 'failed' }), 404, $not_found,
        'of another session');
    is_answer(change({ id => $unknown }, status => 'failed'), 404, $not_found, 'no such payment');
    is_status(change({ id => 'x' }, status => 'failed'), 422);
    is(json_of($t->patch(path() . "/$payment->{id}", token => $token, json => {}))->{status}, 'completed', 'nothing said');
    is_deeply([map { /^(\w+ at \w+)/ } @{ problems($t->patch('/api/file-sharing/sessions/x/payments/y', token => $token, json => { amount_cents => -1 })) }],
        ['uuid_parsing at id', 'uuid_parsing at payment_id', 'greater_than_equal at amount_cents'], "the path's and the body's problems");
    my $theirs = $t->token($other, 'payments:write');
    is_answer($t->patch(path() . "/$payment->{id}", token => $theirs, json => { status => 'failed' }), 404, $not_found,
        'another workspace\'s');
};

subtest 'an Idempotency-Key' => sub {
    my $one = json_of(pay(headers => { 'Idempotency-Key' => 'k' }));
    is_answer(pay(headers => { 'Idempotency-Key' => 'k' }), 201, $one, 'one payment');
    is_status(pay(amount_cents => 5, headers => { 'Idempotency-Key' => 'k' }), 422, 'another payload');
    is_status(pay(session => session(), headers => { 'Idempotency-Key' => 'k' }), 201, 'another session is another path');
};

subtest 'received: the session is told, to its owner and who paid' => sub {
    my $sold = session();
    pay(session => $sold, customer_id => $buyer->{id}, buyer_name => 'Secret Bea');
    my ($audience, $data) = @{ $t->db->selectall_arrayref("SELECT audience::text, data::text FROM portal.events
        WHERE type = 'file_sharing_session.payment_received' AND data->>'id' = ?", undef, $sold->{id})->[0] };
    is($audience, qq({"customer": ["$owner->{id}", "$buyer->{id}"]}), 'who sees it');
    unlike($data, qr/Secret Bea|amount_cents|\Q$buyer->{id}/, 'nothing of the payment');
};

# ---- what customers see

sub portal { my ($who, $path, %o) = @_; $t->get("/api/customer-portal/$path", token => $who, %o) }

subtest 'payments of a session' => sub {
    my $sold = session();
    my %made;
    for (['buyer', $buyer], ['rival', $rival], ['owner', $owner], ['nobody', undef]) {
        my ($name, $who) = @$_;
        $made{$name} = json_of(pay(session => $sold, customer_id => $who && $who->{id}, buyer_name => "Name of $name",
            buyer_email => "$name-pays\@example.com", stripe_checkout_session_id => "cs_$name", stripe_payment_intent_id => "pi_$name"));
        delete $made{$name}{customer_id};
    }
    my $bare = sub { my ($p) = @_; +{ %$p, map { $_ => undef } qw(buyer_name buyer_email stripe_checkout_session_id stripe_payment_intent_id) } };
    my $as_owner = portal($t->session($owner), "file-sharing/sessions/$sold->{id}/payments");
    is_answer($as_owner, 200, [$bare->($made{nobody}), $made{owner}, $bare->($made{rival}), $bare->($made{buyer})],
        'the owner: all, newest first, and of its own who paid');
    unlike($as_owner->content, qr/Name of (?:buyer|rival|nobody)|(?:buyer|rival|nobody)-pays|_buyer|_rival|_nobody|\Q$buyer->{id}/,
        'nothing of others');
    my $as_buyer = portal($t->session($buyer), "file-sharing/sessions/$sold->{id}/payments");
    is_answer($as_buyer, 200, [$made{buyer}], 'a buyer: its own');
    is_answer(portal($t->session($t->customer($ws)), "file-sharing/sessions/$sold->{id}/payments"), 404, $not_found, 'a stranger');
    is_answer(portal($t->session($foreign), "file-sharing/sessions/$sold->{id}/payments"), 404, $not_found, 'another workspace\'s');
    is_answer(portal($t->session($owner), 'file-sharing/sessions/' . session()->{id} . '/payments'), 200, '[]', 'none');
};

subtest 'all of one\'s own' => sub {
    my ($me, $else) = map { $t->customer($ws) } 1 .. 2;
    my @made = map { my $p = json_of(pay(customer_id => $me->{id}, amount_cents => $_, buyer_name => 'Me')); delete $p->{customer_id}; $p } 1 .. 3;
    pay(customer_id => $else->{id});
    my $sold = $t->insert('file_share_sessions', { workspace_id => $ws->{id}, customer_id => $me->{id} });
    pay(session => $sold, customer_id => $else->{id}, buyer_name => 'Else');
    my $mine = $t->session($me);
    is_answer(portal($mine, 'payments'), 200, { data => [reverse @made], meta => { total => 3, page => 1, per_page => 10, pages => 1 } },
        'not what it received');
    is_answer(portal($mine, 'payments/?limit=2&page=2'), 200, { data => [$made[0]], meta => { total => 3, page => 2, per_page => 2, pages => 2 } });
    is_answer(portal($mine, 'payments?limit=2&page=5'), 200, { data => [], meta => { total => 3, page => 5, per_page => 2, pages => 2 } });
    is_deeply(problems(portal($mine, 'payments?page=x&limit=0')), [
        'int_parsing at page: Input should be a valid integer, unable to parse string as an integer',
        'greater_than at limit: Input should be greater than 0']);
    is_answer(portal($t->session($t->customer($ws)), 'payments'), 200, { data => [], meta => { total => 0, page => 1, per_page => 10, pages => 0 } });
};

subtest 'roles' => sub {
    my $club = $t->workspace(member_model => 1);
    my $team = $t->customer($club, type => 'team');
    my %member = map { $_ => $t->member($team, role => $_) } qw(owner billing_manager member);
    my $shared = $t->insert('file_share_sessions', { workspace_id => $club->{id}, customer_id => $team->{id} });
    $t->insert('file_share_payments', { workspace_id => $club->{id}, session_id => $shared->{id}, customer_id => $team->{id}, amount_cents => 1 });
    for my $role (qw(owner billing_manager)) {
        my $who = $t->session($member{$role});
        is(scalar @{ json_of(portal($who, "file-sharing/sessions/$shared->{id}/payments")) }, 1, "$role: the session's");
        is(json_of(portal($who, 'payments'))->{meta}{total}, 1, "$role: its own");
    }
    my $plain = $t->session($member{member});
    my $refused = { error => 'NotPermitted', detail => 'Insufficient role for this operation' };
    is_answer(portal($plain, $_), 403, $refused, $_) for 'payments', "file-sharing/sessions/$shared->{id}/payments",
        "file-sharing/sessions/$unknown/payments";
    is_status(portal($plain, "file-sharing/sessions/$shared->{id}"), 200, 'but the session');
    is_status(portal($plain, "file-sharing/sessions/$shared->{id}/downloads"), 200, 'and its downloads');
};

subtest 'erased, and exported' => sub {
    my $all = $t->token($ws);
    my $who = $t->customer($ws, email => 'gone@example.com');
    my $sold = session();
    pay(session => $sold, customer_id => $who->{id}, buyer_name => 'Own', buyer_email => 'other@example.com');
    pay(session => $sold, buyer_name => 'As a guest', buyer_email => 'GONE@example.com');
    my $kept = json_of(pay(session => $sold, buyer_name => 'Kept', buyer_email => 'kept@example.com'));
    $t->insert('file_share_downloads', { workspace_id => $ws->{id}, session_id => $sold->{id}, customer_id => $who->{id} });
    $t->insert('file_share_sessions', { workspace_id => $ws->{id}, customer_id => $who->{id}, title => 'Mine' });
    my $export = json_of($t->get("/api/customers/$who->{id}/export", token => $all));
    is_deeply([map { scalar @{ $export->{"file_share_$_"} } } qw(sessions downloads payments)], [1, 1, 2], 'what is its own');
    is($export->{file_share_payments}[0]{buyer_name}, 'Own', 'with what it told');
    is($export->{file_share_payments}[1]{buyer_name}, 'As a guest', 'also with its address alone');
    unlike(JSON::XS->new->encode($export), qr/Kept/, 'nothing of others');
    is_status($t->delete("/api/customers/$who->{id}?anonymize=true", token => $all), 204);
    is_deeply($t->db->selectcol_arrayref('SELECT buyer_name FROM portal.file_share_payments WHERE session_id = ? ORDER BY created_at',
        undef, $sold->{id}), [undef, undef, 'Kept'], 'nobody is left');
    is($t->value("SELECT count(*) FROM portal.file_share_payments WHERE lower(buyer_email) IN ('gone\@example.com', 'other\@example.com')"), 0);
    is($t->value("SELECT count(*) FROM portal.events WHERE data::text ~ 'As a guest|\"Own\"|gone\@|other\@'"), 0, 'in no event');
};

$t->done;
