# portalctl customer update, delete, export; token update; workspace set --portal-settings
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new(redis => 0, helper => 0);
my ($ws, $other) = map { $t->workspace } 1 .. 2;
my @in = ('-w', $ws->{slug});
my $token = $t->token($ws);

sub refused {
    my ($code, $pattern, @arguments) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($got, undef, undef, $err) = $t->ctl_run(@arguments);
    is($got, $code, "@arguments");
    like($err, $pattern, 'says why');
}
my $rest = sub { json_of($t->get("/api/customers/$_[0]", token => $token)) };

subtest 'update' => sub {
    my $made = $t->ctl(qw(customer create), @in, qw(--email ann@example.com --name Ann --metadata a=1));
    my $changed = $t->ctl(qw(customer update ann@example.com), @in, qw(--name Anna --external-id cus_1 --metadata plan=pro --type team),
        '--billing-address', '{"country":"us","state":"ny"}');
    is_deeply($changed, $rest->($made->{id}), 'the object REST answers');
    is_deeply([@$changed{qw(name external_id type metadata)}, $changed->{billing_address}{state}], ['Anna', 'cus_1', 'team', { plan => 'pro' }, 'US-NY']);
    $changed = $t->ctl(qw(customer update cus_1), @in, '--name', '', '--billing-address', '', '--no-metadata', qw(--email ANN@example.com));
    is_deeply([@$changed{qw(name billing_address metadata email)}], [undef, undef, {}, 'ANN@example.com'], "'' removes");
    like(($t->ctl_run(qw(customer update), $made->{id}, @in, qw(--name Ann)))[2], qr/^name +Ann$/m, 'for people');
    $t->ctl(qw(customer create), @in, qw(--email bob@example.com --external-id cus_2));
    refused(1, qr/email: A customer with this email address already exists\./, qw(customer update cus_1), @in, qw(--email BOB@example.com));
    refused(1, qr/external_id: Customer external ID cannot be updated\./, qw(customer update cus_1), @in, qw(--external-id cus_3));
    refused(1, qr/type: Customer type cannot be downgraded/, qw(customer update cus_1), @in, qw(--type individual));
    refused(1, qr/Not found/, qw(customer update nobody), @in, qw(--name x));
    refused(1, qr/Not found/, qw(customer update cus_1 -w), $other->{slug}, qw(--name x));
    refused(2, qr/nothing to change/, qw(customer update cus_1), @in);
    refused(2, qr/--billing-address: is to be a JSON object/, qw(customer update cus_1), @in, '--billing-address', 'x');
    my $session = $t->session($t->row('SELECT * FROM portal.customers WHERE id = ?', $made->{id}));
    $t->ctl(qw(customer update cus_1), @in, qw(--blocked on));
    ok($t->wait_for(sub { (json_of($t->get('/api/customers/', token => $session))->{error} // '') eq 'invalid_token' }, 3), 'blocked');
    $t->ctl(qw(customer update cus_1), @in, qw(--blocked off));
    is($t->value('SELECT blocked_at FROM portal.customers WHERE id = ?', $made->{id}), undef, 'no longer');
};

subtest 'export' => sub {
    my ($code, undef, $text) = $t->ctl_run(qw(customer export cus_1), @in);
    is($code, 0);
    my $rest = json_of($t->get('/api/customers/' . json_of($text)->{customer}{id} . '/export', token => $token));
    my $ctl = json_of($text);
    delete $_->{exported_at} for $rest, $ctl;
    is_deeply($ctl, $rest, 'what REST answers');
    $t->db->do(q(INSERT INTO portal.events (workspace_id, type, audience, data) SELECT ?, 'customer.updated', jsonb_build_object('customer', ?::text),
        jsonb_build_object('filler', repeat('x', 60000)) FROM generate_series(1, 100)), undef, $ws->{id}, $ctl->{customer}{id});
    (undef, undef, $text) = $t->ctl_run(qw(customer export cus_1), @in);
    is(scalar(grep { $_->{data}{filler} } @{ json_of($text)->{events} }), 100, 'in one document, however large');
    is(json_of($text)->{next}, undef);
    refused(1, qr/Not found/, qw(customer export nobody), @in);
};

subtest 'delete' => sub {
    my $made = $t->ctl(qw(customer show cus_1), @in);
    refused(1, qr/Not found/, qw(customer delete cus_1 -w), $other->{slug});
    is_deeply($t->ctl(qw(customer delete cus_1), @in), { id => $made->{id}, deleted => true, anonymized => false });
    refused(1, qr/Not found/, qw(customer delete cus_1), @in);
    is($t->value('SELECT email FROM portal.customers WHERE id = ?', $made->{id}), 'ANN@example.com', 'the row stays');
    is_deeply($t->ctl(qw(customer delete), $made->{id}, @in, '--anonymize'), { id => $made->{id}, deleted => true, anonymized => true });
    is($t->value('SELECT email FROM portal.customers WHERE id = ?', $made->{id}), "anonymous-$made->{id}\@anonymized.invalid", 'wiped');
    my ($code, undef, $out) = $t->ctl_run(qw(customer delete bob@example.com), @in, '--anonymize');
    is("$code $out", "0 Deleted, and its personal data wiped.\n", 'for people');
    is($t->value("SELECT count(*) FROM portal.customers WHERE email ILIKE 'bob%'"), 0);
};

subtest 'token update' => sub {
    my $made = $t->ctl(qw(token create), @in, qw(--scope customers:read --comment a --expires-in 1h));
    my $id = $made->{workspace_access_token}{id};
    my $changed = $t->ctl(qw(token update), $id, @in, '--scope', 'members:read,customers:write', qw(--comment b --expires-in never));
    is_deeply([@$changed{qw(scopes comment expires_at)}], [[qw(members:read customers:write)], 'b', undef]);
    is_status($t->post('/api/customers/', token => $made->{token}, json => { email => 'made@example.com' }), 201, 'it may write now');
    ok($t->ctl(qw(token update), $id, @in, qw(--expires-in 30d))->{expires_at}, 'ends');
    refused(1, qr/scopes\.0: Input should be/, qw(token update), $id, @in, qw(--scope x));
    refused(1, qr/Not found/, qw(token update), $id, '-w', $other->{slug}, qw(--comment x));
    refused(1, qr/Not found/, qw(token update nonsense), @in, qw(--comment x));
    refused(2, qr/nothing to change/, qw(token update), $id, @in);
    refused(2, qr/--expires-in: is to be like/, qw(token update), $id, @in, qw(--expires-in soon));
    $t->ctl(qw(token revoke), $id, @in);
    refused(1, qr/Not found/, qw(token update), $id, @in, qw(--comment x));
};

subtest 'workspace set' => sub {
    my $changed = $t->ctl(qw(workspace set), $ws->{slug}, '--portal-settings', '{"theme":"dark"}');
    is_deeply($changed, json_of($t->get("/api/workspaces/$ws->{id}", token => $token)), 'the object REST answers');
    is_deeply($changed->{customer_portal_settings}, { theme => 'dark' });
    is_deeply($t->ctl(qw(workspace set), $ws->{slug}, '--portal-settings', '')->{customer_portal_settings}, {}, "'' removes");
    refused(1, qr/customer_portal_settings: Input should be a valid dictionary/, qw(workspace set), $ws->{slug}, '--portal-settings', '[]');
    refused(2, qr/--portal-settings: is to be a JSON object/, qw(workspace set), $ws->{slug}, '--portal-settings', 'x');
};

$t->done;
