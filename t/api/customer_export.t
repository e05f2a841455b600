# GET /api/customers/{id}/export: everything held about one customer, and nothing of another.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new(helper => 0);
my $club = $t->workspace(member_model => 1);
my $token = $t->token($club);
my $foreign = $t->workspace;
my $time = qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z$/;

sub person {
    my ($word) = @_;
    my $made = json_of($t->post('/api/customers/', token => $token, json => { email => "$word\@example.com", name => $word, type => 'team',
        metadata => { likes => $word }, external_id => $word }));
    my $contact = $t->contact($club, name => "Contact $word", customer_id => $made->{id});
    my $company = $t->company($club, name => "Company $word", customer_id => $made->{id});
    $t->post("/api/v1/client-portal/contacts/$contact->{id}/invite", token => $token, headers => { Prefer => 'respond-async' });
    $t->post('/api/v1/client-portal/token', token => $token, json => { type => 'company', id => $company->{id} });
    $t->session($t->row('SELECT * FROM portal.members WHERE id = ?', $made->{members}[0]{id}));
    $t->post('/api/portal-items', token => $token, json => { module => 'invoices', external_id => "$_->[0]-$word", title => "For $word",
        status => 'open', "$_->[0]_id" => 0 + $_->[1], data => { for => $word } }) for [contact => $contact->{id}], [company => $company->{id}];
    $t->post('/api/customer-portal/customer-session/request', json => { email => uc "$word\@example.com", workspace_id => $_ })
        for $club->{id}, undef, $foreign->{id};
    return $made;
}
my ($mine, $other) = map { person($_) } qw(quetzalcoatl huitzilopochtli);
my $export = sub { my ($rest) = @_; $t->get("/api/customers/$mine->{id}/export" . ($rest // ''), token => $token) };

subtest 'everything' => sub {
    my $response = $export->();
    is_status($response, 200);
    my @keys = keys_of($response);
    is_deeply([@keys[0, 1]], [qw(exported_at customer)]);
    is($keys[-1], 'next', 'where there is more');
    my $body = json_of($response);
    like($body->{exported_at}, $time);
    my $customer = json_of($t->get("/api/customers/$mine->{id}", token => $token));
    delete $customer->{members};
    is_deeply($body->{customer}, { %$customer, billing_name => undef, blocked_at => undef }, 'the customer');
    is_deeply({ map { $_ => scalar @{ $body->{$_} } } qw(members customer_sessions member_sessions contacts companies
        client_portal_tokens mails events portal_items login_challenges) }, { members => 1, customer_sessions => 0, member_sessions => 1, contacts => 1,
        companies => 1, client_portal_tokens => 2, mails => 1, events => 1, portal_items => 2, login_challenges => 1 }, 'and what is linked to it');
    is($body->{members}[0]{email}, 'quetzalcoatl@example.com');
    is_deeply([keys_of($response, 'member_sessions', '')], [qw(id created_at modified_at member_id return_url
        signed_in_by device expires_at last_used_at revoked_at)]);
    is($body->{mails}[0]{kind}, 'portal_invitation');
    is_deeply([sort keys %{ $body->{mails}[0] }], [sort qw(id created_at kind state attempts sent_at failed_at)]);
    is($body->{events}[0]{type}, 'customer.created');
    is($body->{events}[0]{data}{name}, 'quetzalcoatl');
    like($body->{client_portal_tokens}[0]{expires_at}, $time);
    is_deeply([map { $_->{title} } @{ $body->{portal_items} }], [('For quetzalcoatl') x 2], "the contact's and the company's items");
    is_deeply([sort keys %{ $body->{portal_items}[0] }], [sort qw(id created_at modified_at contact_id company_id module external_id title status
        amount_cents currency due_at url data deleted_at)]);
    is_deeply([sort keys %{ $body->{login_challenges}[0] }], [sort qw(created_at expires_at consumed_at)], 'of logins when, and here only');
    like($body->{login_challenges}[0]{expires_at}, $time);
    is($body->{next}, undef, 'that is all');
    unlike($response->content, qr/huitzilopochtli/, 'nothing of another customer');
    my $secrets = join '|', map { @$_ } @{ $t->db->selectall_arrayref('SELECT token_hash FROM portal.member_sessions
        UNION SELECT token_hash FROM portal.client_portal_tokens UNION SELECT token_ciphertext FROM portal.client_portal_tokens
        WHERE token_ciphertext IS NOT NULL') };
    unlike($response->content, qr/\Q$_\E/, 'no hash, no ciphertext') for split /\|/, $secrets;
    unlike($response->content, qr/token_hash|ciphertext|secret_id|payload/, 'not even their names');
};

subtest 'payments with one of its addresses' => sub {
    my $person = json_of($t->post('/api/customers/', token => $token, json => { email => 'tlaloc@example.com' }));
    my $session = json_of($t->post('/api/file-sharing/sessions', token => $token, json => { customer_id => $other->{id} }));
    my $pay = sub { json_of($t->post("/api/file-sharing/sessions/$session->{id}/payments", token => $token, json => { amount_cents => 5, @_ }))->{id} };
    my @theirs = ($pay->(customer_id => $person->{id}), $pay->(buyer_email => 'Tlaloc@example.com'),
        $pay->(customer_id => $other->{id}, buyer_email => 'tlaloc@EXAMPLE.com'));
    my $updated = $t->patch("/api/file-sharing/sessions/$session->{id}/payments/$theirs[1]", token => $token, json => { status => 'completed' });
    is_status($updated, 200);
    $pay->(buyer_email => 'somebody@example.com');
    my $abroad = $t->workspace;
    my $away = json_of($t->post('/api/file-sharing/sessions', token => $t->token($abroad), json => { customer_id => $t->customer($abroad)->{id} }));
    $t->post("/api/file-sharing/sessions/$away->{id}/payments", token => $t->token($abroad), json => { amount_cents => 5, buyer_email => 'tlaloc@example.com' });
    my $body = json_of($t->get("/api/customers/$person->{id}/export", token => $token));
    is_deeply([map { $_->{id} } @{ $body->{file_share_payments} }], \@theirs, 'whosever they are, of this workspace');
    is_deeply([map { $_->{data}{id} } grep { $_->{type} eq 'payment.updated' && !$_->{data}{customer_id} } @{ $body->{events} }], [$theirs[1]], 'and what was told of them');
};

subtest 'a large one comes in parts' => sub {
    # 200 events of 60 kB: 12 MB
    $t->db->do(q(INSERT INTO portal.events (workspace_id, type, audience, data, timestamp)
        SELECT ?, 'customer.updated', jsonb_build_object('customer', ?::text), jsonb_build_object('n', n, 'filler', repeat('x', 60000)), now() + n * interval '1 s'
        FROM generate_series(1, 200) n), undef, $club->{id}, $mine->{id});
    my ($after, %seen, @events, $parts) = (0);
    do {
        my $response = $export->($after ? "?after=$after" : '');
        is_status($response, 200, "after $after");
        cmp_ok(length $response->content, '<', 4.3 * 2**20, 'bounded: ' . length $response->content);
        my $body = json_of($response);
        push @events, @{ $body->{events} };
        is(scalar @{ $body->{members} }, $after ? 0 : 1, 'the first lists are in the first part');
        $after = $body->{next};
    } while ($after && ++$parts < 10);
    is(scalar @events, 201, 'all of them');
    is(scalar(grep { $seen{ $_->{id} }++ } @events), 0, 'each once');
    is_deeply([map { $_->{data}{n} } @events[1 .. 200]], [1 .. 200], 'in order');
    my $past = json_of($export->('?after=100000'));
    is_deeply([$past->{next}, $past->{events}], [undef, []], 'past the end');
    is($past->{customer}{id}, $mine->{id}, 'the customer is in each');
    is_status($export->('?after=-1'), 422);
    is_status($export->('?after=x'), 422);
};

subtest 'not there' => sub {
    my $not_found = '{"error":"ResourceNotFound","detail":"Not found"}';
    is_answer($t->get('/api/customers/8d0f0e7c-5a4f-4b1e-9d57-3f1c5bb0a001/export', token => $token), 404, $not_found, 'unknown');
    is_answer($t->get("/api/customers/$mine->{id}/export", token => $t->token($t->workspace)), 404, $not_found, 'of another workspace');
    is_status($t->get('/api/customers/nonsense/export', token => $token), 422, 'no id');
    is_status($t->delete("/api/customers/$other->{id}", token => $token), 204);
    is_answer($t->get("/api/customers/$other->{id}/export", token => $token), 404, $not_found, 'deleted');
};

$t->done;
