# Who is let in: missing, malformed, unknown, expired, revoked, blocked, of another kind, short of a scope.
use strict; use warnings; use utf8;
use Test::More;
use PortalTest;

my $t = PortalTest->new;
my $ws = $t->workspace;
my $rest = '/api/customer-sessions/';
my $client = '/api/v1/client-portal/config';
my $all = $t->token($ws);
my $customer = $t->customer($ws);
my $address = 0;

my $unauthorized = '{"error":"Unauthorized","detail":"Unauthorized"}';
my $invalid = '{"error":"invalid_token","error_description":"The access token provided is expired, revoked, malformed, or invalid for other reasons."}';
my $scope = '{"error":"insufficient_scope","error_description":"The request requires higher privileges than provided by the access token."}';

# each from an address of its own: unknown tokens are limited by address
sub ask {
    my ($path, $authorization, %option) = @_;
    my %headers = ('X-Real-IP' => sprintf('10.%d.%d.1', ++$address / 250, $address % 250),
        defined $authorization ? (Authorization => $authorization) : (), %{ delete $option{headers} // {} });
    return $t->request($path eq $rest ? 'POST' : 'GET', $path, headers => \%headers,
        ($path eq $rest ? (json => {}) : ()), %option);
}
sub no_credentials {
    my ($authorization, $name) = @_;
    my $response = ask($rest, $authorization);
    is_answer($response, 401, $unauthorized, "$name, sessions");
    is($response->header('WWW-Authenticate'), 'Bearer realm="portal"', 'no error code');
    is_answer(ask($client, $authorization), 401, '{"message":"Unauthenticated."}', "$name, client portal");
}
sub bad_token {
    my ($token, $name) = @_;
    my $response = ask($rest, "Bearer $token");
    is_answer($response, 401, $invalid, "$name, sessions");
    like($response->header('WWW-Authenticate'), qr/^Bearer realm="portal", error="invalid_token", error_description="The access token/, 'WWW-Authenticate');
    is($response->header('Cache-Control'), 'no-store', 'no-store');
    is_answer(ask($client, "Bearer $token"), 401, '{"message":"Unauthenticated."}', "$name, client portal");
}

subtest 'a good one' => sub {
    is_status(ask($rest, "Bearer $all"), 422);
    is_status(ask($client, "Bearer $all"), 200);
    is_status(ask($client, "$_ $all"), 200, $_) for qw(bearer BEARER);
};

subtest 'none' => sub { no_credentials(undef, 'no header') };
subtest 'other schemes are none' => sub { no_credentials($_, $_) for 'Basic dXNlcjpwYXNz', 'Digest x' };
subtest 'an empty one' => sub {
    for ('Bearer', 'Bearer ', '') {
        my $response = ask($rest, $_);
        is_status($response, 401, "'$_'");
    }
};

subtest 'malformed and unknown ones' => sub {
    my $altered = substr($all, 0, -1) . (substr($all, -1) eq 'A' ? 'B' : 'A');
    my $middle = $all; substr($middle, 20, 1) = substr($middle, 20, 1) eq 'x' ? 'y' : 'x';
    bad_token($_, substr $_, 0, 24) for 'x', 'portal_oat_', 'portal_oat_' . 'A' x 48, $altered, $middle, "${all}x",
        substr($all, 0, -1), uc $all, 'portal_xyz_' . substr($all, 11), 'a' x 4000, '../../etc/passwd', "' OR 1=1 --",
        'imported-token-of-another-system', "$all $all", '%00', "\xff\xfe";
};

subtest 'a bad bearer is told before anything else' => sub {
    is_status(ask('/api/nonsense', 'Bearer x'), 401, 'unknown path');
    my $response = $t->request('PUT', $client, token => 'x', headers => { 'X-Real-IP' => '10.9.9.9' });
    is_status($response, 401, 'wrong method');
};

subtest 'expired' => sub {
    my $token = $t->token($ws, 'client_portal:read', 'customer_sessions:write');
    is_status(ask($client, "Bearer $token"), 200);
    $t->db->do(q(UPDATE portal.workspace_access_tokens SET expires_at = now() - interval '1s' WHERE id = ?), undef, $t->token_id($token));
    ok($t->wait_for(sub { ask($client, "Bearer $token")->code == 401 }, 1.2), 'at once');
    bad_token($token, 'expired');
    # one that runs out while it is in memory
    my $short = $t->token($ws, 'client_portal:read', 'customer_sessions:write');
    $t->db->do(q(UPDATE portal.workspace_access_tokens SET expires_at = now() + interval '2s' WHERE id = ?), undef, $t->token_id($short));
    is_status(ask($client, "Bearer $short"), 200);
    ok($t->wait_for(sub { ask($client, "Bearer $short")->code == 401 }, 3.2, 0.1), 'on time');
};

subtest 'revoked' => sub {
    my $token = $t->token($ws, 'client_portal:read', 'customer_sessions:write');
    is_status(ask($client, "Bearer $token"), 200);
    my ($code, $both) = $t->ctl_run(qw(token revoke), $t->token_id($token), '--workspace', $ws->{slug});
    is($code, 0, 'portalctl token revoke') or diag $both;
    ok($t->wait_for(sub { ask($client, "Bearer $token")->code == 401 }, 1.2), 'within a second');
    bad_token($token, 'revoked');
};

subtest 'a blocked or deleted workspace' => sub {
    for my $change (qw(blocked_at deleted_at)) {
        my $victim = $t->workspace;
        my $token = $t->token($victim);
        is_status(ask($client, "Bearer $token"), 200);
        $t->db->do("UPDATE portal.workspaces SET $change = now() WHERE id = ?", undef, $victim->{id});
        ok($t->wait_for(sub { ask($client, "Bearer $token")->code == 401 }, 1.2), $change);
        bad_token($token, $change);
    }
};

subtest 'tokens of another kind' => sub {
    my $contact = $t->contact($ws);
    my $session = json_of($t->post($rest, token => $all, json => { customer_id => $customer->{id} }))->{token};
    my $club = $t->workspace(member_model => 1);
    my $member = json_of($t->post($rest, token => $t->token($club), json => { customer_id => $t->customer($club)->{id} }))->{token};
    my $portal = json_of($t->post('/api/v1/client-portal/token', token => $all, json => { type => 'contact', id => $contact->{id} }))->{token};
    no_credentials("Bearer $session", 'customer session');
    no_credentials("Bearer $member", 'member session');
    no_credentials("Bearer $portal", 'portal token');
};

subtest 'scopes' => sub {
    my $reader = $t->token($ws, 'client_portal:read');
    my $response = ask($rest, "Bearer $reader");
    is_answer($response, 403, $scope);
    like($response->header('WWW-Authenticate'), qr/^Bearer realm="portal", error="insufficient_scope".*scope="customer_sessions:write"/, 'which one');
    is_status(ask($client, "Bearer $reader"), 200, 'read');
    is_status(ask($client, 'Bearer ' . $t->token($ws, 'client_portal:write')), 200, 'write includes read');
    is_answer(ask($client, 'Bearer ' . $t->token($ws, 'customer_sessions:write')), 403, '{"message":"This action is unauthorized."}');
    my %needs = ('/api/v1/client-portal/token' => 'POST', '/api/v1/client-portal/contacts/1/invite' => 'POST',
        '/api/v1/client-portal/companies/1/invite' => 'POST');
    is_answer($t->request($needs{$_}, $_, token => $reader, json => {}), 403, '{"message":"This action is unauthorized."}', $_) for sort keys %needs;
};

subtest 'where it is sent' => sub {
    my $unknown = 'unknown-' . 'x' x 40;    # nginx itself would log a good one
    is_status($t->get("$client?access_token=$unknown"), 401, 'not in the query');
    is_status(ask($client, undef, headers => { 'X-Api-Key' => $all }), 401, 'not in other headers');
    my $twice = $t->parse($t->raw("GET $client HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer $unknown\r\nAuthorization: Bearer $unknown\r\n\r\n"));
    ok($twice->code == 400 || $twice->code == 401, 'two headers: ' . $twice->code);
};

subtest 'a limited life' => sub {
    my $long = $t->token($ws, ['--expires-in', 3600], 'client_portal:read');
    is_status(ask($client, "Bearer $long"), 200, 'portalctl token create --expires-in');
};

$t->done;
