# The module's variables, in headers, in conditions and in the access log.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my @names = qw(principal customer_id member_id workspace_id token_id scopes auth_status limit_status);
my $all = join '|', map { "\$portal_$_" } @names;
my $t = PortalTest->new(
    http => qq(log_format portal '\$status|$all|\$portal_request_id';\naccess_log %%DIR%%/portal.log portal;),
    location => <<"NGINX");
        location /site/ { portal_workspace any; portal_auth any; portal_rate_limit 10 60s name=site; alias %%DIR%%/html/;
            add_header X-All "$all" always; }
        location /scoped/ { portal_workspace any; portal_auth workspace scope=payments:read; alias %%DIR%%/html/;
            add_header X-All "$all" always; }
        location /open/ { alias %%DIR%%/html/; add_header X-All "$all" always; }
        location /limited/ { portal_rate_limit 1 60s name=limited key=address; alias %%DIR%%/html/; add_header X-All "$all" always; }
        location /sign/ { portal_workspace any; portal_auth any; error_page 401 = \@sign_in; alias %%DIR%%/html/; }
        location \@sign_in { add_header X-All "$all" always; return 200 "sign in"; }
        location /moved/ { portal_workspace any; portal_auth any; alias %%DIR%%/html/; try_files /none /open/page.txt; }
        location /early/ { portal_workspace any; portal_auth any; set \$early "$all"; add_header X-Early "\$early" always; alias %%DIR%%/html/; }
        location /id/ { portal_workspace any; portal_auth any; add_header X-Mine \$portal_request_id always; alias %%DIR%%/html/; }
NGINX
$t->write_file('html/page.txt', "the page\n");

my $acme = $t->workspace(slug => 'acme');
my $club = $t->workspace(slug => 'club', member_model => 1);
my ($acme_token, $club_token) = ($t->token($acme), $t->token($club, qw(member_sessions:write client_portal:read)));
my $customer = $t->customer($acme);
my $member = $t->member($t->customer($club));
my ($contact, $company) = ($t->contact($acme, customer_id => $customer->{id}), $t->company($acme));
my $session = json_of($t->post('/api/customer-sessions/', token => $acme_token, json => { customer_id => $customer->{id} }));
my $member_session = json_of($t->post('/api/member-sessions/', token => $club_token, json => { member_id => $member->{id} }));
my ($contact_token, $company_token) = map { json_of($t->post('/api/v1/client-portal/token', token => $acme_token, json => $_))->{token} }
    { type => 'contact', id => $contact->{id} }, { type => 'company', id => $company->{id} };

# the variables told by a response, by name
sub told {
    my ($response, $header) = @_;
    my @values = split /\|/, $response->header($header // 'X-All') // 'none|' x @names, -1;
    my %told;
    @told{@names} = @values;
    return \%told;
}
sub is_told {
    my ($response, $name, %expected) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_deeply(told($response), { (map { $_ => '' } @names), %expected }, $name);
}
my $nobody = 0;
sub ask { my ($path, $token) = @_; $t->get($path, token => $token, headers => { 'X-Real-IP' => '10.1.1.' . ++$nobody }) }

subtest 'who it is' => sub {
    my %passed = (auth_status => 'OK', limit_status => 'PASSED');
    is_told(ask('/site/page.txt', $session->{token}), 'a customer', %passed, principal => "customer:$customer->{id}",
        customer_id => $customer->{id}, workspace_id => $acme->{id}, token_id => $session->{id},
        scopes => 'customer_portal:write');
    is_told(ask('/site/page.txt', $member_session->{token}), 'a member', %passed, principal => "member:$member->{id}",
        customer_id => $member->{customer_id}, member_id => $member->{id}, workspace_id => $club->{id}, token_id => $member_session->{id},
        scopes => 'customer_portal:write');
    is_told(ask('/site/page.txt', $club_token), 'a workspace', %passed, principal => "workspace:$club->{id}",
        workspace_id => $club->{id}, token_id => $t->token_id($club_token), scopes => 'member_sessions:write client_portal:read');
    for (['contact', $contact, $contact_token, $customer->{id}], ['company', $company, $company_token, '']) {
        my ($type, $row, $token, $linked) = @$_;
        is_told(ask('/site/page.txt', $token), "a $type", %passed, principal => "$type:$row->{id}", customer_id => $linked,
            workspace_id => $acme->{id}, scopes => '',
            token_id => $t->value("SELECT id FROM portal.client_portal_tokens WHERE ${type}_id = ?", $row->{id}));
    }
    is(told(ask('/scoped/page.txt', $t->token($acme, 'payments:write')))->{scopes}, 'payments:read payments:write', 'a write scope includes its read');
};

subtest 'who is refused has no name' => sub {
    is_told(ask('/site/page.txt', undef), 'nobody', auth_status => 'UNAUTHORIZED');
    is_told(ask('/site/page.txt', 'nonsense'), 'a bad bearer', auth_status => 'UNAUTHORIZED');
    is_told(ask('/scoped/page.txt', $club_token), 'the scope is missing', auth_status => 'FORBIDDEN');
    my @told = map { told($t->get('/site/page.txt', token => "bad-$_", headers => { 'X-Real-IP' => '10.2.2.2' })) } 1 .. 31;
    is($told[30]{auth_status}, 'LIMITED', 'too many bad ones');
};

subtest 'where nothing is asked' => sub {
    is_told(ask('/open/page.txt', $session->{token}), 'nothing is told');
    is_told($t->get('/limited/page.txt', headers => { 'X-Real-IP' => '10.3.3.3' }), 'a limit only', limit_status => 'PASSED');
    is_told($t->get('/limited/page.txt', headers => { 'X-Real-IP' => '10.3.3.3' }), 'and refused', limit_status => 'REJECTED');
};

subtest 'over internal redirects' => sub {
    my $response = ask('/sign/page.txt', undef);
    is($response->content, 'sign in', 'error_page');
    is_told($response, 'the status is kept', auth_status => 'UNAUTHORIZED');
    is(told(ask('/moved/page.txt', $session->{token}))->{customer_id}, $customer->{id}, 'try_files');
    is_deeply(told(ask('/early/page.txt', $session->{token}), 'X-Early'), { map { $_ => '' } @names }, 'before the access phase: empty, no wait');
};

subtest 'with Redis and PostgreSQL gone' => sub {
    ask('/site/page.txt', $session->{token});
    $t->stop('redis');
    my $degraded;
    $t->wait_for(sub { $degraded = told(ask('/site/page.txt', $session->{token}))->{limit_status}; $degraded eq 'DEGRADED' }, 5);
    is($degraded, 'DEGRADED', 'the node counts alone');
    my $fresh = $t->token($acme);
    $t->stop('postgres');
    my $response = ask('/site/page.txt', $fresh);
    is_status($response, 503);
    is_told($response, 'who it is could not be asked', auth_status => 'UNAVAILABLE');
    $t->start('postgres');
    $t->start('redis');
    ok($t->wait_for(sub { ask('/site/page.txt', $fresh)->code == 200 }), 'and recovers');
};

subtest 'the access log' => sub {
    my $response = ask('/id/page.txt', $session->{token});
    my $id = $response->header('X-Mine');
    like($id, qr/^[0-9a-f]{32}$/, 'an id');
    my $refused = ask('/id/page.txt', undef);
    is($refused->header('X-Mine'), $refused->header('X-Request-ID'), 'the one that refusals tell');
    my $api = $t->get('/api/v1/client-portal/config', token => $club_token)->header('X-Request-ID');
    $t->wait_for(sub { $t->log_text('portal.log') =~ /$api/ });
    my $log = $t->log_text('portal.log');
    like($log, qr/^200\|customer:$customer->{id}\|$customer->{id}\|-\|$acme->{id}\|$session->{id}\|[^|]*\|OK\|-\|$id$/m, 'of a page');
    like($log, qr/^401\|-\|-\|-\|-\|-\|-\|UNAUTHORIZED\|-\|@{[$refused->header('X-Request-ID')]}$/m, 'of a refusal');
    like($log, qr/\|$api$/m, 'of a route of ours');
};

$t->done;
