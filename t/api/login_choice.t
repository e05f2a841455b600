# Login where the address fits several workspaces or customers, and with the member model.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new(http => 'portal_rate_limit_class code-mail 1000 900s;');
my $path = '/api/customer-portal/customer-session';
my $refusal = { error => 'CustomerSessionCodeInvalidOrExpired', detail => 'This customer session code is invalid or has expired.' };
my ($clients, %mails) = (0);
sub ask { my ($what, $json) = @_; $clients++;
    $t->post("$path/$what", json => $json, headers => { 'X-Real-IP' => '10.1.' . int($clients / 250) . '.' . ($clients % 250 + 1) }) }
# the answer to the right code of a fresh request
sub sign_in {
    my ($email, $request, %more) = @_;
    my $challenge = json_of(ask(request => { email => $email, %$request }))->{challenge_id};
    return ask(authenticate => { challenge_id => $challenge, code => $t->login_code($email, ++$mails{lc $email}), %more });
}
sub is_refused { local $Test::Builder::Level = $Test::Builder::Level + 1; is_answer($_[0], 401, $refusal, $_[1]) }
# nobody is mailed
sub fits_nobody {
    my ($email, $request, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $challenge = json_of(ask(request => { email => $email, %$request }))->{challenge_id};
    is($t->value('SELECT decoy::int FROM portal.login_challenges WHERE id = ?', $challenge), 1, $name);
}
sub whose { my ($response) = @_; my ($kind, $id) = json_of($response)->{token} =~ /^portal_([cm])st_/ or return 'none';
    $t->value('SELECT ' . ($kind eq 'c' ? 'customer_id FROM portal.customer_sessions' : 'member_id FROM portal.member_sessions')
        . ' ORDER BY created_at DESC LIMIT 1') }

my ($a, $b, $c) = map { $t->workspace(slug => "ws-$_", name => uc $_) } qw(a b c);
my $blocked = $t->workspace(slug => 'ws-blocked', blocked_at => '2026-01-01');
my $gone = $t->workspace(slug => 'ws-gone', deleted_at => '2026-01-01');
my %eve = map { $_->{slug} => $t->customer($_, email => 'eve@example.com', name => "Eve of $_->{slug}") } $a, $b, $blocked, $gone;

subtest 'the choice of a workspace comes after the proof' => sub {
    my $response = sign_in('eve@example.com', {});
    my $body = json_of($response);
    is_status($response, 409);
    my $token = delete $body->{selection_token};
    like($token, qr/^[\w-]{43}$/, 'selection_token');
    is_deeply($body, { error => 'workspace_selection_required', detail => 'This address belongs to several workspaces. Choose one.',
        workspaces => [map { { id => $_->{id}, name => $_->{name}, slug => $_->{slug} } } $a, $b] }, 'the living ones');
    is($t->value('SELECT extract(epoch FROM selection_expires_at - consumed_at)::int FROM portal.login_challenges'), 300, 'five minutes');
    unlike($t->value('SELECT string_agg(l::text, chr(10)) FROM portal.login_challenges l'), qr/\Q$token/, 'stored hashed');
    my $chosen = ask(authenticate => { selection_token => $token, workspace_id => $b->{id} });
    is_status($chosen, 200);
    is(whose($chosen), $eve{'ws-b'}{id}, 'the customer there');
    is($t->value('SELECT email_verified::int FROM portal.customers WHERE id = ?', $eve{'ws-b'}{id}), 1, 'whose address is verified');
    is($t->value('SELECT email_verified::int FROM portal.customers WHERE id = ?', $eve{'ws-a'}{id}), 0, 'not the other\'s');
    is_refused(ask(authenticate => { selection_token => $token, workspace_id => $b->{id} }), 'a second time');
};

subtest 'a choice that was not offered is spent' => sub {
    for my $wrong ({ workspace_id => $c->{id} }, { workspace_id => $blocked->{id} }, {}, { customer_id => $eve{'ws-a'}{id} },
        { workspace_id => $a->{id}, customer_id => $eve{'ws-b'}{id} }) {
        my $token = json_of(sign_in('eve@example.com', {}))->{selection_token};
        is_refused(ask(authenticate => { selection_token => $token, %$wrong }), 'not offered');
        is_refused(ask(authenticate => { selection_token => $token, workspace_id => $a->{id} }), 'and then none is');
    }
    my $token = json_of(sign_in('eve@example.com', {}))->{selection_token};
    $t->db->do(q(UPDATE portal.login_challenges SET selection_expires_at = now() WHERE selection_hash IS NOT NULL));
    is_refused(ask(authenticate => { selection_token => $token, workspace_id => $a->{id} }), 'after five minutes');
    is_refused(ask(authenticate => { selection_token => 'nonsense', workspace_id => $a->{id} }), 'nonsense');
};

subtest 'said before, it need not be chosen' => sub {
    is(whose(sign_in('eve@example.com', { workspace_id => $a->{id} })), $eve{'ws-a'}{id}, 'at the request');
    is(whose(sign_in('eve@example.com', {}, workspace_id => $a->{id})), $eve{'ws-a'}{id}, 'with the code');
    is(whose(sign_in('eve@example.com', { customer_id => $eve{'ws-b'}{id} })), $eve{'ws-b'}{id}, 'by customer');
    is_refused(sign_in('eve@example.com', { workspace_id => $a->{id} }, workspace_id => $b->{id}), 'two that differ');
};

my $club = $t->workspace(slug => 'club', name => 'Club', member_model => 1);
my ($red, $blue) = map { $t->customer($club, type => 'team', name => $_, email => lc "$_\@example.com") } qw(Red Blue);
my %ann = map { $_->{name} => do { $t->member($_, email => "owner-$_->{name}\@example.com"); $t->member($_, email => 'Ann@example.com', role => 'member') } } $red, $blue;

subtest 'the choice of a customer' => sub {
    my $response = sign_in('ann@example.com', {});
    is_status($response, 409);
    my $body = json_of($response);
    my $token = delete $body->{selection_token};
    is_deeply($body, { error => 'customer_selection_required', detail => 'This address belongs to several customers. Choose one.',
        customers => [map { { id => $_->{id}, name => $_->{name} } } $red, $blue] }, 'two teams');
    my $chosen = ask(authenticate => { selection_token => $token, customer_id => $blue->{id} });
    like(json_of($chosen)->{token}, qr/^portal_mst_/, 'a member session');
    is(whose($chosen), $ann{Blue}{id}, 'of the one there');
    $token = json_of(sign_in('ann@example.com', { workspace_id => $club->{id} }))->{selection_token};
    is_refused(ask(authenticate => { selection_token => $token, customer_id => $eve{'ws-a'}{id} }), 'another\'s customer');
    $t->customer($a, email => 'ann@example.com');
    $token = json_of(sign_in('ann@example.com', {}))->{selection_token};
    $response = ask(authenticate => { selection_token => $token, workspace_id => $club->{id} });
    is_status($response, 409, 'first the workspace');
    $body = json_of($response);
    is($body->{error}, 'customer_selection_required', 'then the customer');
    is(whose(ask(authenticate => { selection_token => $body->{selection_token}, customer_id => $red->{id} })), $ann{Red}{id}, 'in two steps');
};

subtest 'the member model' => sub {
    my $solo = $t->customer($club, email => 'solo@example.com', name => 'Solo');
    my $response = sign_in('solo@example.com', { workspace_id => $club->{id} });
    my $owner = $t->row('SELECT * FROM portal.members WHERE customer_id = ?', $solo->{id});
    is_deeply([@$owner{qw(role email name deleted_at)}], ['owner', 'solo@example.com', 'Solo', undef], 'the owner is made, after the proof');
    is(whose($response), $owner->{id}, 'and signed in');
    is($t->value('SELECT email_verified::int FROM portal.customers WHERE id = ?', $solo->{id}), 1, 'and verified');
    is(whose(sign_in('solo@example.com', { workspace_id => $club->{id} })), $owner->{id}, 'the same the next time');
    json_of(ask(request => { email => $_->{email}, workspace_id => $club->{id} })) for my $unasked = $t->customer($club);
    is($t->value('SELECT count(*) FROM portal.members WHERE customer_id = ?', $unasked->{id}), 0, 'a request makes none');

    $t->db->do('UPDATE portal.members SET deleted_at = now() WHERE id = ?', undef, $owner->{id});
    fits_nobody('solo@example.com', { workspace_id => $club->{id} }, 'a removed owner cannot sign back in');
    is($t->value('SELECT count(*) FROM portal.members WHERE customer_id = ? AND deleted_at IS NULL', $solo->{id}), 0, 'and is not revived');
    fits_nobody('red@example.com', { workspace_id => $club->{id} }, 'the address of a team that has members is no member\'s');
    $t->db->do('UPDATE portal.members SET deleted_at = now() WHERE id = ?', undef, $ann{Red}{id});
    fits_nobody('ann@example.com', { customer_id => $red->{id} }, 'a removed member');
    is($t->value('SELECT email_verified::int FROM portal.customers WHERE id = ?', $blue->{id}), 0, 'a member\'s proof is not the customer\'s');

    # removed between the mail and the code
    my $challenge = json_of(ask(request => { email => 'ann@example.com', customer_id => $blue->{id} }))->{challenge_id};
    my $code = $t->login_code('ann@example.com', ++$mails{'ann@example.com'});
    $t->db->do('UPDATE portal.members SET deleted_at = now() WHERE id = ?', undef, $ann{Blue}{id});
    is_refused(ask(authenticate => { challenge_id => $challenge, code => $code }), 'removed meanwhile');
    isnt($t->value('SELECT consumed_at FROM portal.login_challenges WHERE id = ?', $challenge), undef, 'which spends the code');
};

subtest 'parallel logins make one owner' => sub {
    my $solo = $t->customer($club, email => 'twice@example.com');
    my @challenges = map { json_of(ask(request => { email => 'twice@example.com', workspace_id => $club->{id} }))->{challenge_id} } 1 .. 4;
    my @codes = map { $t->login_code('twice@example.com', $_) } 1 .. 4;
    # which mail is whose is found out by the id
    my %mail = map { $_->{message_id} => $_->{challenge_id} } @{ $t->db->selectall_arrayref(
        'SELECT message_id, challenge_id FROM portal.outbox WHERE challenge_id IS NOT NULL', { Slice => {} }) };
    my %code = map { my ($id) = $_->{headers}{'message-id'}[0] =~ /<([^@]+)/; $mail{$id} ? ($mail{$id} => $_->{text} =~ /^ +([A-Z0-9]{6})\r?$/m) : () } $t->mails(1);
    my @answers = $t->at_once(map { $t->bytes(POST => "$path/authenticate", json => { challenge_id => $_, code => $code{$_} },
        headers => { 'X-Real-IP' => '10.9.0.1' }) } @challenges);
    is_deeply([map { $_->code } @answers], [(200) x 4], 'all sign in');
    is($t->value('SELECT count(*) FROM portal.members WHERE customer_id = ?', $solo->{id}), 1, 'as one owner');
};

$t->done;
