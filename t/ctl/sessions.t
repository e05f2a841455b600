# portalctl session list|revoke, portalctl restored
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new(redis => 0);
my $ws = $t->workspace;
my $model = $t->workspace(member_model => 1);
my ($one, $two) = map { $t->customer($ws, external_id => "cus_$_") } 1 .. 2;
my $member = $t->member($t->customer($model, type => 'team'));
my @where = ('--workspace', $ws->{slug});
my @sessions = map { $t->session($_) } $one, $one, $two;
my $of_member = $t->session($member);
sub id_of { my ($customer, $n) = @_; $t->value('SELECT id FROM portal.customer_sessions WHERE customer_id = ? ORDER BY created_at OFFSET ? LIMIT 1', $customer->{id}, $n) }
# a workspace token's route tells a session from nobody: "the wrong kind" has no error code
sub known { my ($token) = @_; ($t->post('/api/customer-sessions/', token => $token, json => {})->header('WWW-Authenticate') // '') !~ /invalid_token/ }

subtest 'list' => sub {
    my (undef, undef, $text) = $t->ctl_run(qw(session list), @where, '--json');
    is_deeply([map { $_->{customer_id} } @{ json_of($text)->{data} }], [$two->{id}, $one->{id}, $one->{id}], 'newest first');
    my $session = $t->ctl(qw(session list), @where, '--customer', 'cus_2');
    is($session->{meta}{total}, 1, 'of one customer');
    is_deeply([sort keys %{ $session->{data}[0] }], [sort qw(id created_at modified_at workspace_id type customer_id member_id
        return_url expires_at last_used_at revoked_at)], 'members');
    is_deeply({ map { $_ => $session->{data}[0]{$_} } qw(workspace_id type customer_id member_id revoked_at) },
        { workspace_id => $ws->{id}, type => 'customer', customer_id => $two->{id}, member_id => undef, revoked_at => undef });
    my $of_model = $t->ctl(qw(session list -w), $model->{slug})->{data};
    is_deeply([map { @$_{qw(type member_id)} } @$of_model], ['member', $member->{id}], 'another workspace has its own');
    like(($t->ctl_run(qw(session list), @where))[1], qr/^ID +TYPE +CUSTOMER +MEMBER/, 'for people');
    like(($t->ctl_run(qw(session list -w), $t->workspace->{slug}))[1], qr/^No session\.$/m);
    my ($code, $both) = $t->ctl_run(qw(session list), @where, qw(--customer nobody));
    is($code, 1, 'no such customer');
    like($both, qr/Customer not found/);
    my $hash = $t->value('SELECT token_hash FROM portal.customer_sessions LIMIT 1');
    unlike($text, qr/$hash|portal_cst_/, 'neither tokens nor hashes');
};

subtest 'revoke one' => sub {
    my $id = id_of($one, 0);
    my ($code, $both) = $t->ctl_run(qw(session revoke), $id, '-w', $model->{slug});
    is($code, 1, 'a foreign one');
    like($both, qr/no living session of this id/);
    ok(known($sessions[0]), 'it lives');
    is_deeply($t->ctl(qw(session revoke), $id, @where), { revoked => 1 });
    ok($t->wait_for(sub { !known($sessions[0]) }, 1), 'over within a second');
    ok(known($sessions[1]), 'the customer\'s other one lives');
    is(($t->ctl_run(qw(session revoke), $id, @where))[0], 1, 'again: none that lives');
    is(($t->ctl_run(qw(session revoke nonsense), @where))[0], 1, 'no id at all');
    is($t->ctl(qw(session list), @where)->{meta}{total}, 2, 'no longer in the list');
    is($t->ctl(qw(session list --all), @where)->{meta}{total}, 3, 'but with --all');
};

subtest 'revoke a customer\'s, and all' => sub {
    my $more = $t->session($one);
    is_deeply($t->ctl(qw(session revoke), @where, '--customer', 'cus_1'), { revoked => 2 });
    ok($t->wait_for(sub { !known($more) && !known($sessions[1]) }, 1), 'both are over');
    ok(known($sessions[2]), 'another customer\'s lives');
    is_deeply($t->ctl(qw(session revoke --all), @where), { revoked => 1 });
    ok($t->wait_for(sub { !known($sessions[2]) }, 1), 'over');
    ok(known($of_member), 'another workspace\'s lives');
    is_deeply($t->ctl(qw(session revoke --all -w), $model->{slug}), { revoked => 1 }, 'a member\'s');
    ok($t->wait_for(sub { !known($of_member) }, 1), 'over');
    like(($t->ctl_run(qw(session revoke --all), @where))[1], qr/^Ended 0 sessions\.$/m, 'none left');
};

subtest 'exactly one way of naming them' => sub {
    for ([], [qw(--all --customer cus_1)], [id_of($one, 0), '--all']) {
        my ($code, $both) = $t->ctl_run(qw(session revoke), @where, @$_);
        is($code, 2, "(@$_)");
        like($both, qr/either one session, or --customer, or --all/);
    }
};

subtest 'restored' => sub {
    my @tokens = map { $t->session($_) } $one, $two, $member;
    my $access = $t->token($ws);
    ok(known($_), 'lives') for @tokens;
    my %challenge = (email => 'nobody@example.com', address_key => 'x', decoy => 0);
    my ($open, $used, $choice) = map { $t->insert('login_challenges', { %challenge, id => $t->value('SELECT gen_random_uuid()'), @$_ })->{id} }
        [expires_at => '2100-01-01'], [expires_at => '2100-01-01', consumed_at => '2026-01-01'],
        [expires_at => '2100-01-01', consumed_at => '2026-01-01', selection_hash => 'a' x 64, selection_expires_at => '2100-01-01'];
    my $contact = $t->contact($ws);
    my $link = $t->insert('client_portal_tokens', { workspace_id => $ws->{id}, contact_id => $contact->{id}, token_hash => 'b' x 64, secret_id => 'k', expires_at => '2100-01-01' })->{id};
    $t->insert('link_challenges', { id => $t->value('SELECT gen_random_uuid()'), workspace_id => $ws->{id}, token_id => $link, expires_at => '2100-01-01' });
    my ($browser, $ended) = map { $t->insert('client_portal_tokens', { workspace_id => $ws->{id}, contact_id => $contact->{id}, parent_id => $link,
        token_hash => $_->[0] x 64, secret_id => 'k', expires_at => $_->[1] })->{id} } ['c', '2100-01-01'], ['d', '2026-01-01'];
    is_deeply($t->ctl('restored'), { sessions => 4, codes => 3 }, 'of all workspaces');
    is_deeply($t->db->selectcol_arrayref('SELECT id FROM portal.client_portal_tokens WHERE revoked_at IS NOT NULL'), [$browser], 'a link\'s browser, not the link');
    is($t->value('SELECT count(*) FROM portal.link_challenges WHERE expires_at > now()'), 0, 'no link\'s code is open');
    is($t->value('SELECT count(*) FROM portal.login_challenges WHERE (consumed_at IS NULL AND expires_at > now()) OR selection_hash IS NOT NULL'), 0,
        'no code and no choice is open');
    ok($t->wait_for(sub { !grep { known($_) } @tokens }, 1), 'all are over');
    is_status($t->get('/api/v1/client-portal/config', token => $access), 200, 'access tokens live');
    like(($t->ctl_run('restored'))[1], qr/^Ended 0 sessions and 0 codes/, 'again');

    # a row changed behind everybody's back, as a restore does
    $t->db->do('SET session_replication_role = replica');
    $t->db->do('UPDATE portal.workspace_access_tokens SET revoked_at = now()');
    $t->db->do('SET session_replication_role = DEFAULT');
    $t->ctl('restored');
    ok($t->wait_for(sub { $t->get('/api/v1/client-portal/config', token => $access)->code == 401 }, 1), 'every node reads anew');
};

$t->done;
